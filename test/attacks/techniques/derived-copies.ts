/** Copies of the class under other names, and definitions that change while statements are on their way. */

import { attackSuite, statements, type Attacker, type Role, type Technique } from '../../support/attack.ts';
import { rowsOf, wire, type WireClient } from '../../support/wire-client.ts';

export const derivedCopies = attackSuite('derived-copies', {
  sql: `
    CREATE TABLE public.inbox (id serial PRIMARY KEY, body text);
    CREATE TABLE public.parted (id int, email text) PARTITION BY LIST (id);
    CREATE TABLE public.parent (id int, email text);
    GRANT ALL ON public.inbox, public.parted, public.parent TO staff;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO staff;
  `,
});
const { attack, group } = derivedCopies;
const HIDDEN = `SELECT id, email || '' AS email FROM crm.customers`;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

for (const role of ['agent', 'lax'] as const satisfies readonly Role[]) {
  group(`derived copies, ${role}`, 'derived copies', () => {
    attack('CREATE TABLE AS, then read', statements(({ own }) => `CREATE TABLE ${own} AS ${HIDDEN}`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), role);
    attack('CREATE TEMP TABLE AS, then read', statements(({ own }) => `CREATE TEMP TABLE ${own} AS ${HIDDEN}`, ({ own }) => `SELECT * FROM ${own}`), role);
    attack('SELECT INTO, then COPY', statements(({ own }) => `SELECT email || '' AS email INTO ${own} FROM crm.customers`, ({ own }) => `COPY ${own} TO STDOUT`), role);
    attack('INSERT SELECT into notes, then read', statements(`INSERT INTO public.notes (body) ${HIDDEN.replace('id, ', '')}`, 'SELECT body FROM public.notes', 'DELETE FROM public.notes'), role);
    attack('one aggregate into a note, then read', statements(`INSERT INTO public.inbox (body) SELECT string_agg(email, ' ') FROM crm.customers`, 'SELECT body FROM public.inbox', 'DELETE FROM public.inbox'), role);
    attack('UPDATE of a note from a sub-select', statements(`INSERT INTO public.inbox (body) VALUES ('x')`, `UPDATE public.inbox SET body = (SELECT string_agg(email, ' ') FROM crm.customers)`, 'SELECT body FROM public.inbox', 'DELETE FROM public.inbox'), role);
    attack('INSERT with a CTE that changes customers', statements('WITH u AS (UPDATE crm.customers SET tariff = tariff RETURNING email) INSERT INTO public.notes (body) SELECT email FROM u', 'SELECT body FROM public.notes', 'DELETE FROM public.notes'), role);
    attack('MERGE into notes', statements(`MERGE INTO public.notes n USING crm.customers c ON n.id = -c.id WHEN NOT MATCHED THEN INSERT (id, body) VALUES (-c.id, c.email)`, 'SELECT body FROM public.notes', 'DELETE FROM public.notes'), role);
    attack('CREATE VIEW, then read', statements(({ own }) => `CREATE VIEW ${own} AS ${HIDDEN}`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), role);
    attack('CREATE VIEW and read in one transaction', statements('BEGIN', ({ own }) => `CREATE VIEW ${own} AS ${HIDDEN}`, ({ own }) => `SELECT email FROM ${own}`, 'ROLLBACK'), role);
    attack('CREATE TEMP VIEW in front of tariffs, read in the same Query', statements('SELECT * FROM tariffs', `CREATE TEMP VIEW tariffs AS ${HIDDEN}; SELECT * FROM tariffs`), role);
    attack('CREATE OR REPLACE VIEW in one pipeline with its reading', async (attacker) => {
      const client = await attacker.connect();
      await client.query(`CREATE VIEW ${attacker.own} AS SELECT 1 AS id, name AS email FROM tariffs`);
      await client.query(`SELECT email FROM ${attacker.own}`);
      await client.ask([wire.query(`CREATE OR REPLACE VIEW ${attacker.own} AS ${HIDDEN}`), wire.query(`SELECT email || '' FROM ${attacker.own}`)], 2);
    }, role);
    attack('materialized view', statements(({ own }) => `CREATE MATERIALIZED VIEW ${own} AS ${HIDDEN}`, ({ own }) => `SELECT email FROM ${own}`), role);
    attack('empty materialized view, refreshed later', statements(({ own }) => `CREATE MATERIALIZED VIEW ${own} AS ${HIDDEN} WITH NO DATA`, ({ own }) => `REFRESH MATERIALIZED VIEW ${own}; SELECT email FROM ${own}`), role);
    attack('a rule that copies rows', statements(({ own }) => `CREATE TABLE ${own} (email text); CREATE TABLE ${own}_t (a int); CREATE RULE r AS ON INSERT TO ${own}_t DO ALSO INSERT INTO ${own} SELECT email FROM crm.customers`, ({ own }) => `INSERT INTO ${own}_t VALUES (1)`, ({ own }) => `SELECT email FROM ${own}`), role);
    attack('a trigger function that copies rows', statements(({ own }) => `CREATE TABLE ${own} (email text); CREATE FUNCTION ${own}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ${own} SELECT email FROM crm.customers; RETURN NULL; END $$; CREATE TABLE ${own}_t (a int); CREATE TRIGGER t AFTER INSERT ON ${own}_t EXECUTE FUNCTION ${own}_f()`, ({ own }) => `INSERT INTO ${own}_t VALUES (1)`, ({ own }) => `SELECT email FROM ${own}`), role);
    // A role that may run opaque code may copy with it: that is what `deny: [opaque, code]`, the default, is for.
    if (role !== 'lax') attack('DO that copies rows', statements(({ own }) => `DO $$ BEGIN CREATE TABLE ${own} AS SELECT email || '' AS email FROM crm.customers; END $$`, ({ own }) => `SELECT email FROM ${own}`), role);
    attack('a function made and called at once', statements(({ own }) => `CREATE FUNCTION ${own}() RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM crm.customers'; SELECT * FROM ${own}()`), role);
    attack('a copy renamed, then read', statements(({ own }) => `CREATE TABLE ${own} AS ${HIDDEN}`, ({ own }) => `ALTER TABLE ${own} RENAME TO ${own}_b; SELECT email FROM ${own}_b`), role);
    attack('a copy inherited by an own table', statements(({ own }) => `CREATE TABLE ${own}_p (id int, email text)`, ({ own }) => `SELECT * FROM ${own}_p`, ({ own }) => `CREATE TABLE ${own} AS ${HIDDEN}`, ({ own }) => `BEGIN; ALTER TABLE ${own} INHERIT ${own}_p; SELECT email || '' FROM ${own}_p; COMMIT`), role);
    attack('a domain whose check runs a function', statements(({ own }) => `CREATE DOMAIN ${own} AS text CHECK (VALUE <> query_to_xml('SELECT email FROM crm.customers', true, true, '')::text)`, ({ own }) => `SELECT 'x'::${own}, query_to_xml('SELECT email FROM crm.customers', true, true, '')`), role);
    attack('a column default that runs a function', statements(({ own }) => `CREATE TABLE ${own} (a int, x text DEFAULT query_to_xml('SELECT email FROM crm.customers', true, true, '')::text)`, ({ own }) => `INSERT INTO ${own} (a) VALUES (1) RETURNING x`), role);
    attack('a generated column and a check in one transaction', statements(({ own }) => `BEGIN; CREATE TABLE ${own} (a int, x text DEFAULT query_to_xml('SELECT email FROM crm.customers', true, true, '')::text)`, ({ own }) => `INSERT INTO ${own} (a) VALUES (1)`, ({ own }) => `SELECT x FROM ${own}; COMMIT`), role);
  });
}

group('definitions that change while a statement waits', 'names', () => {
  /** A schema of one's own in front of `crm`, with an empty relation that hides a protected one. */
  const hide = async (attacker: Attacker, definition: string): Promise<readonly [WireClient, WireClient]> => {
    const { own } = attacker;
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    await maker.query(`CREATE SCHEMA ${own}; GRANT USAGE ON SCHEMA ${own} TO public`);
    await maker.query(definition);
    await reader.query(`SET search_path = ${own}, crm`);
    await reader.query('SELECT count(*) FROM active');
    return [maker, reader];
  };
  const READ = `SELECT string_agg(email, ' ') FROM active`;
  const changes = [
    ['dropped', (own: string) => `DROP TABLE ${own}.active`],
    ['renamed', (own: string) => `ALTER TABLE ${own}.active RENAME TO other`],
    ['moved to another schema', (own: string) => `ALTER TABLE ${own}.active SET SCHEMA public; ALTER TABLE public.active RENAME TO ${own}_moved`],
  ] as const;
  for (const [name, change] of changes) {
    attack(`a hiding table is ${name} while a reader waits for its lock`, async (attacker) => {
      const [maker, reader] = await hide(attacker, `CREATE TABLE ${attacker.own}.active (email text)`);
      await maker.query(`BEGIN; ${change(attacker.own)}`);
      const answer = reader.query(READ);
      await wait(200);
      await maker.query('COMMIT');
      await answer;
    });
    attack(`a hiding table is ${name} in a pipeline that goes on, another session reads`, async (attacker) => {
      const [maker, reader] = await hide(attacker, `CREATE TABLE ${attacker.own}.active (email text)`);
      maker.send(...change(attacker.own).split('; ').map((sql) => wire.query(sql)), wire.query('SELECT pg_sleep(1)'));
      await wait(150);
      await reader.query(READ);
    });
  }

  attack('the hiding schema loses its name while a session reads by its search_path', async (attacker) => {
    const [maker, reader] = await hide(attacker, `CREATE TABLE ${attacker.own}.active (email text)`);
    maker.send(wire.query(`ALTER SCHEMA ${attacker.own} RENAME TO ${attacker.own}_b`), wire.query('SELECT pg_sleep(1)'));
    await wait(150);
    await reader.query(READ);
  });

  attack('USAGE of the hiding schema is revoked while a session reads by its search_path', async (attacker) => {
    const [maker, reader] = await hide(attacker, `CREATE TABLE ${attacker.own}.active (email text)`);
    await maker.query(`REVOKE ALL ON SCHEMA ${attacker.own} FROM public, ${attacker.user}`);
    await reader.query(READ);
  });

  attack('a temporary table hides, and is dropped by ROLLBACK', async (attacker) => {
    const client = await attacker.connect();
    await client.query('SET search_path = crm');
    await client.query('BEGIN; CREATE TEMP TABLE active (email text)');
    await client.query('SELECT count(*) FROM active');
    await client.ask([wire.query('ROLLBACK'), wire.query(READ)], 2);
  });

  attack('a table that hides is made, then taken back by ROLLBACK TO in the same transaction', async (attacker) => {
    const client = await attacker.connect();
    const { own } = attacker;
    await client.query(`CREATE SCHEMA ${own}; GRANT USAGE ON SCHEMA ${own} TO public`);
    await client.query(`SET search_path = ${own}, crm`);
    await client.query('SELECT 1');
    await client.query(`BEGIN; SAVEPOINT s; CREATE TABLE ${own}.active (email text)`);
    await client.query('SELECT count(*) FROM active');
    await client.query('ROLLBACK TO s');
    await client.query(READ);
  });

  attack('a reader in an old snapshot of the catalog: DROP in a transaction of its own session', async (attacker) => {
    const client = await attacker.connect();
    const { own } = attacker;
    await client.query(`CREATE SCHEMA ${own}; GRANT USAGE ON SCHEMA ${own} TO public`);
    await client.query(`CREATE TABLE ${own}.active (email text)`);
    await client.query(`SET search_path = ${own}, crm`);
    await client.query('SELECT count(*) FROM active');
    await client.query(`BEGIN; DROP TABLE ${own}.active`);
    await client.query(READ);
    await client.query('ROLLBACK');
    await client.ask([wire.run(`DROP SCHEMA ${own} CASCADE`), wire.run(READ), wire.sync]);
  });
});

group('relations and cursors made earlier in the same text', 'names', () => {
  const AGG = `SELECT string_agg(email, ' ') FROM`;
  const prepared = (sql: (own: string) => string): Technique => async (attacker) => {
    const client = await attacker.connect();
    await client.query(`CREATE SCHEMA ${attacker.own}; GRANT USAGE ON SCHEMA ${attacker.own} TO public`);
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.query('SELECT 1');
    await client.query(sql(attacker.own));
  };
  attack('made, and taken back by ROLLBACK TO, in one Query', prepared((own) => `BEGIN; SAVEPOINT s; CREATE TABLE ${own}.active (email text); ROLLBACK TO s; ${AGG} active; COMMIT`));
  attack('made IF NOT EXISTS over what is there', prepared(() => `CREATE TABLE IF NOT EXISTS crm.customers (email text); ${AGG} crm.customers`), 'agent', 0);
  attack('made IF NOT EXISTS AS over what is there', prepared(() => `BEGIN; CREATE TABLE IF NOT EXISTS crm.active AS SELECT 'x' AS email; ${AGG} crm.active; COMMIT`));
  attack('made temporary and dropped again in one Query', prepared(() => `BEGIN; CREATE TEMP TABLE active (email text); DROP TABLE pg_temp.active; ${AGG} active; COMMIT`));
  attack('made temporary ON COMMIT DROP, COMMIT in the same Query', prepared(() => `BEGIN; CREATE TEMP TABLE active (email text) ON COMMIT DROP; COMMIT; ${AGG} active`));
  attack('made in front, renamed away in the same Query', prepared((own) => `BEGIN; CREATE TABLE ${own}.active (email text); ALTER TABLE ${own}.active RENAME TO other; ${AGG} active; COMMIT`));
  attack('made as a child of nothing, then ROLLBACK and the name in one Query', prepared((own) => `BEGIN; CREATE TABLE ${own}.active (email text); ROLLBACK; ${AGG} active`));
  attack('a cursor of that name, made anew under a savepoint that is rolled back', prepared(() => `BEGIN; DECLARE c CURSOR FOR ${AGG} active; SAVEPOINT s; CLOSE c; DECLARE c CURSOR FOR SELECT 1; ROLLBACK TO s; FETCH ALL c; COMMIT`), 'agent', 0);
  attack('a held cursor under a savepoint that is rolled back to an older one', prepared(() => `BEGIN; DECLARE d CURSOR WITH HOLD FOR ${AGG} active; COMMIT; BEGIN; SAVEPOINT s; DECLARE e CURSOR FOR SELECT 1; ROLLBACK TO s; FETCH ALL d; COMMIT`));
  attack('PREPARE of one name twice, the second fails, in pipelines', async ({ connect }) => {
    const client = await connect();
    await client.ask([wire.query(`PREPARE q AS ${AGG} crm.active`), wire.query('PREPARE q AS SELECT 1'), wire.query('EXECUTE q'), wire.query('EXECUTE q')], 4);
  });
});

/** Implicit casts to a type of one's own: the function gets every value, and writes it down. */
group('casts that nobody names', 'derived copies', () => {
  const READ = 'SELECT k FROM public.OWN_kept';
  const MAKE = `CREATE TABLE public.OWN_kept (k text); CREATE TYPE public.OWN_y AS (k text)`;
  const TAKES = (from: string, value: string): string => `CREATE FUNCTION public.OWN_c(${from}) RETURNS public.OWN_y LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES (${value}); RETURN ROW('x')::public.OWN_y; END $$; CREATE CAST (${from} AS public.OWN_y) WITH FUNCTION public.OWN_c AS IMPLICIT`;
  const OPERATOR = `CREATE FUNCTION public.OWN_e(public.OWN_y, public.OWN_y) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN false; END'; CREATE OPERATOR public.=~= (FUNCTION = public.OWN_e, LEFTARG = public.OWN_y, RIGHTARG = public.OWN_y)`;
  const noted = (...sql: readonly (string | ((attacker: Attacker) => string))[]): Technique => statements(...[...sql, 'DROP OPERATOR IF EXISTS public.=~= (public.OWN_y, public.OWN_y)', READ].map((each) => (attacker: Attacker) => (typeof each === 'string' ? each : each(attacker)).replaceAll('OWN', attacker.own)));
  const compared = (other: string, from = ''): string => `SELECT count(*) FROM crm.customers c${from} WHERE c.email =~= ${other}`;
  const ALL = [MAKE, TAKES('text', '$1'), OPERATOR];
  attack('both operands of an operator', noted(...ALL, compared('c.name')), 'lax');
  attack('beside a literal', noted(...ALL, compared("'(x)'")), 'lax');
  attack('beside a column of the type', noted(...ALL, "CREATE TABLE public.OWN (y public.OWN_y); INSERT INTO public.OWN VALUES (ROW('x'))", compared('t.y', ', public.OWN t')), 'lax');
  attack('beside an element of an array', noted(...ALL, "CREATE TABLE public.OWN (y public.OWN_y[]); INSERT INTO public.OWN VALUES (ARRAY[ROW('x')::public.OWN_y])", compared('t.y[1]', ', public.OWN t')), 'lax');
  attack('beside elements that are unnested', noted(...ALL, "CREATE TABLE public.OWN (y public.OWN_y[]); INSERT INTO public.OWN VALUES (ARRAY[ROW('x')::public.OWN_y])", compared('y', ', public.OWN t, unnest(t.y) y')), 'lax', 0);
  attack('beside a part of a row', noted(...ALL, "CREATE TYPE public.OWN_z AS (y public.OWN_y); CREATE TABLE public.OWN (z public.OWN_z); INSERT INTO public.OWN VALUES (ROW(ROW('x')))", compared('(t.z).y', ', public.OWN t')), 'lax');
  attack('beside what another operator gives', noted(...ALL, "CREATE FUNCTION public.OWN_m(int, int) RETURNS public.OWN_y LANGUAGE sql AS 'SELECT ROW(''x'')::public.OWN_y'; CREATE OPERATOR public.+~+ (FUNCTION = public.OWN_m, LEFTARG = int, RIGHTARG = int)", compared('(1 +~+ 1)'), 'DROP OPERATOR public.+~+ (int, int)'), 'lax');
  attack('a row whose function is named like a column', noted(MAKE, TAKES('crm.customers', '$1.email'), "CREATE FUNCTION public.OWN_f(public.OWN_y) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'", 'SELECT count(c.OWN_f) FROM crm.customers c'), 'lax', 0);
  const WORD = `CREATE TABLE public.OWN_kept (k text); CREATE TYPE public.OWN_w AS ENUM ('x'); CREATE FUNCTION public.OWN_c(text) RETURNS public.OWN_w LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN 'x'::public.OWN_w; END $$; CREATE CAST (text AS public.OWN_w) WITH FUNCTION public.OWN_c AS ASSIGNMENT`;
  const FILLS = (type: string): string => `DO $$ DECLARE v ${type}; r record; BEGIN FOR r IN SELECT email FROM crm.customers LOOP v := r.email; END LOOP; END $$`;
  attack('what a variable is given', noted(WORD, FILLS('public.OWN_w')), 'lax');
  attack('what a variable like a column is given', noted(WORD, 'CREATE TABLE public.OWN (y public.OWN_w)', FILLS('public.OWN.y%TYPE')), 'lax');
  attack('what a variable like a row is given', noted(WORD, 'CREATE TABLE public.OWN (y public.OWN_w)', FILLS('public.OWN%ROWTYPE').replace('v := ', 'v.y := ')), 'lax');
  const CHECK = 'CREATE TABLE public.OWN_kept (k text); CREATE FUNCTION public.OWN_c(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN true; END $$; CREATE DOMAIN public.OWN_d AS text CHECK (public.OWN_c(VALUE)); CREATE TABLE public.OWN (y public.OWN_d)';
  attack('the check of a domain, a variable like a column', noted(CHECK, FILLS('public.OWN.y%TYPE')), 'lax');
  attack('the check of a domain, a variable like a row', noted(CHECK, FILLS('public.OWN%ROWTYPE').replace('v := ', 'v.y := ')), 'lax');
  const RECORD = 'DO $$ DECLARE r record; x record; BEGIN SELECT * INTO r FROM public.OWN; FOR x IN SELECT email FROM crm.customers LOOP r.y := x.email; END LOOP; END $$';
  attack('what a part of a record is given', noted(WORD, "CREATE TABLE public.OWN (y public.OWN_w); INSERT INTO public.OWN VALUES ('x')", RECORD), 'lax');
  attack('the check of a domain, a part of a record', noted(CHECK, 'INSERT INTO public.OWN VALUES (NULL)', RECORD), 'lax');
  const FILL_ROW = "CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.y := (SELECT email FROM crm.customers WHERE id = OLD.k); RETURN NEW; END $$; CREATE TRIGGER t BEFORE UPDATE ON public.OWN_r FOR EACH ROW EXECUTE FUNCTION public.OWN_t()";
  const CASCADES = (type: string): string => `CREATE TABLE public.OWN_p (id int PRIMARY KEY); INSERT INTO public.OWN_p VALUES (1); CREATE TABLE public.OWN_r (k int, id int REFERENCES public.OWN_p ON DELETE SET NULL, y public.${type}); INSERT INTO public.OWN_r (k, id) SELECT g, 1 FROM generate_series(1, 5000) g`;
  attack('what a trigger puts into the row of a table that nobody names', noted(WORD, CASCADES('OWN_w'), FILL_ROW, 'DELETE FROM public.OWN_p'), 'lax');
  attack('the check of a domain, by a trigger of such a table', noted(CHECK, CASCADES('OWN_d'), FILL_ROW, 'DELETE FROM public.OWN_p'), 'lax');
  attack('a row that is made of JSON', noted(CHECK, 'INSERT INTO public.OWN VALUES (NULL)', "SELECT count(json_populate_record(t, json_build_object('y', c.email))) FROM public.OWN t, crm.customers c"), 'lax');
  attack('what a function gives back', noted(WORD, 'CREATE FUNCTION public.OWN_f(text) RETURNS public.OWN_w LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$', 'SELECT count(public.OWN_f(email)) FROM crm.customers'), 'lax');
  attack('what a part of a column is given', noted(WORD, 'CREATE TYPE public.OWN_z AS (y public.OWN_w); CREATE TABLE public.OWN (z public.OWN_z)', 'INSERT INTO public.OWN (z.y) SELECT email FROM crm.customers'), 'lax');
  attack('what an element of a column is given', noted(WORD, 'CREATE TABLE public.OWN (n text PRIMARY KEY, ys public.OWN_w[])', 'INSERT INTO public.OWN SELECT id FROM generate_series(1, 5000) id', 'UPDATE public.OWN SET ys[1] = email FROM crm.customers c WHERE c.id::text = n'), 'lax');
  attack('two functions, the cast between them', noted(...ALL, "CREATE FUNCTION public.OWN_g(public.OWN_y) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'", 'SELECT count(public.OWN_g(email)) FROM crm.customers'), 'lax');
  const RANGE = `CREATE TABLE public.OWN_kept (k text); CREATE FUNCTION public.OWN_f(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN 0; END $$; CREATE FUNCTION public.OWN_c(text, text) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f($1); RETURN 1; END $$; CREATE TYPE public.OWN_r AS RANGE (SUBTYPE = text, SUBTYPE_DIFF = public.OWN_c)`;
  const RANGED = "CREATE TABLE public.OWN (r public.OWN_r); CREATE INDEX ON public.OWN USING gist (r)";
  attack('the difference of a range, in an index', noted(RANGE, RANGED, "INSERT INTO public.OWN SELECT ('[' || email || ',' || email || ']')::public.OWN_r FROM crm.customers"), 'lax');
  attack('the same by what makes a range', noted(RANGE, RANGED, "INSERT INTO public.OWN SELECT public.OWN_r(email, email, '[]') FROM crm.customers"), 'lax');
  attack('beside a parameter of the type', async (attacker) => {
    const client = await attacker.connect();
    const say = (sql: string): string => sql.replaceAll('OWN', attacker.own);
    for (const each of ALL.flatMap((text) => say(text).split(/; (?=CREATE)/))) await client.query(each);
    const [[oid] = []] = rowsOf(await client.query(say("SELECT 'public.OWN_y'::regtype::oid")));
    await client.ask([wire.parse('', say(compared('$1')), [Number(String(oid))]), wire.bind('', '', false, ['(x)']), wire.execute(''), wire.sync]);
    await client.query(say('DROP OPERATOR public.=~= (public.OWN_y, public.OWN_y)'));
    await client.query(say(READ));
  }, 'lax');
});

/** A copy costs when it is read; definitions read it, too, and hand what they read to functions. */
group('definitions over a copy', 'derived copies', () => {
  const WRITES = `CREATE TABLE public.OWN_kept (k text); CREATE FUNCTION public.OWN_f(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN true; END $$; CREATE FUNCTION public.OWN_i(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_f($1); END $$`;
  const COPY = `CREATE TABLE public.OWN AS SELECT id, email || '' AS email FROM crm.customers`;
  const over = (...sql: readonly string[]): Technique => statements(...[WRITES, COPY, ...sql, 'SELECT k FROM public.OWN_kept'].map((each) => ({ own }: Attacker) => each.replaceAll('OWN', own)));
  attack('an index', over('CREATE INDEX ON public.OWN (public.OWN_i(email))'), 'lax');
  attack('the condition of an index', over('CREATE INDEX ON public.OWN (id) WHERE public.OWN_i(email)'), 'lax');
  attack('a check', over('ALTER TABLE public.OWN ADD CHECK (public.OWN_f(email))'), 'lax');
  attack('a check that is validated later', over('ALTER TABLE public.OWN ADD CONSTRAINT c CHECK (public.OWN_f(email)) NOT VALID', 'ALTER TABLE public.OWN VALIDATE CONSTRAINT c'), 'lax');
  attack('a generated column', over('ALTER TABLE public.OWN ADD COLUMN g boolean GENERATED ALWAYS AS (public.OWN_i(email)) STORED'), 'lax');
  attack('another type', over(`ALTER TABLE public.OWN ALTER email TYPE boolean USING public.OWN_f(email)`), 'lax');
  attack('another type, by a cast', over(`CREATE TYPE public.OWN_w AS ENUM ('x'); CREATE FUNCTION public.OWN_c(text) RETURNS public.OWN_w LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f($1); RETURN 'x'::public.OWN_w; END $$; CREATE CAST (text AS public.OWN_w) WITH FUNCTION public.OWN_c AS ASSIGNMENT`, 'ALTER TABLE public.OWN ALTER email TYPE public.OWN_w'), 'lax');
  attack('a domain', over('CREATE DOMAIN public.OWN_d AS text CHECK (public.OWN_f(VALUE))', 'ALTER TABLE public.OWN ALTER email TYPE public.OWN_d'), 'lax');
  attack('a domain that is altered', over('CREATE DOMAIN public.OWN_d AS text', 'ALTER TABLE public.OWN ALTER email TYPE public.OWN_d', 'ALTER DOMAIN public.OWN_d ADD CHECK (public.OWN_f(VALUE))'), 'lax');
  attack('statistics', over('CREATE STATISTICS public.OWN_s ON (public.OWN_i(email)), id FROM public.OWN', 'ANALYZE public.OWN'), 'lax');
  attack('an index that is made again', over('CREATE INDEX OWN_x ON public.OWN (public.OWN_i(email))', 'TRUNCATE public.OWN_kept', 'REINDEX INDEX public.OWN_x'), 'lax');
  attack('the condition of a trigger, on the way to another table', over('ALTER TABLE public.OWN ADD PRIMARY KEY (id)', 'CREATE TABLE public.OWN_p (email text, id int)', 'CREATE TRIGGER t BEFORE INSERT ON public.OWN_p FOR EACH ROW WHEN (public.OWN_f(NEW.email)) EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'INSERT INTO public.OWN_p SELECT email, id FROM public.OWN'), 'lax', 0);
  attack('a partition that is attached', over('CREATE TABLE public.OWN_p (id int, email text) PARTITION BY RANGE (id); ALTER TABLE public.OWN_p ADD CONSTRAINT c CHECK (public.OWN_f(email))', 'ALTER TABLE public.OWN ADD CONSTRAINT c CHECK (public.OWN_f(email)) NOT VALID', 'ALTER TABLE public.OWN_p ATTACH PARTITION public.OWN DEFAULT'), 'lax', 0);
  attack('a materialized view', over('CREATE MATERIALIZED VIEW public.OWN_v AS SELECT public.OWN_f(email) FROM public.OWN'), 'lax');
  attack('a policy', over('ALTER TABLE public.OWN ENABLE ROW LEVEL SECURITY; ALTER TABLE public.OWN FORCE ROW LEVEL SECURITY; CREATE POLICY p ON public.OWN USING (public.OWN_f(email))', 'SELECT count(*) FROM public.OWN'), 'lax');
  attack('a rule', over('CREATE RULE r AS ON UPDATE TO public.OWN DO INSTEAD SELECT public.OWN_f(OLD.email)', 'UPDATE public.OWN SET id = id'), 'lax');
  attack('TRUNCATE and its trigger', over(`CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f(email) FROM public.OWN; RETURN NULL; END $$; CREATE TRIGGER t BEFORE TRUNCATE ON public.OWN FOR EACH STATEMENT EXECUTE FUNCTION public.OWN_t()`, 'TRUNCATE public.OWN'), 'lax');
});

/** What was stored stays when the definition that filled it is another. */
group('what was filled by another definition', 'derived copies', () => {
  const refreshed = (define: (query: string) => string, from: string): Technique => statements(...[
    define(`SELECT 'x'::text AS e`), `CREATE MATERIALIZED VIEW public.OWN AS SELECT e FROM ${from}`, define(`SELECT string_agg(email, ' ') AS e FROM crm.customers`), 'REFRESH MATERIALIZED VIEW public.OWN', define(`SELECT 'x'::text AS e`), 'SELECT e FROM public.OWN',
  ].map((each) => ({ own }: Attacker) => each.replaceAll('OWN', own)));
  attack('a view', refreshed((query) => `CREATE OR REPLACE VIEW public.OWN_v AS ${query}`, 'public.OWN_v'), 'lax');
  attack('a function in SQL', refreshed((query) => `CREATE OR REPLACE FUNCTION public.OWN_f() RETURNS TABLE (e text) LANGUAGE sql AS $$ ${query} $$`, 'public.OWN_f()'), 'lax');
  attack('a function in PL/pgSQL', refreshed((query) => `CREATE OR REPLACE FUNCTION public.OWN_f() RETURNS TABLE (e text) LANGUAGE plpgsql AS $$ #variable_conflict use_column\nBEGIN RETURN QUERY ${query}; END $$`.replace('\\n', '\n'), 'public.OWN_f()'), 'lax');
  const kept = (...sql: readonly string[]): Technique => statements(...sql.map((each) => ({ own }: Attacker) => each.replaceAll('OWN', own)));
  const F = (query: string): string => `CREATE OR REPLACE FUNCTION public.OWN_f(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN ${query}; END $$`;
  const MAIL = '(SELECT email FROM crm.customers WHERE id = $1)';
  const GENERATED = ['CREATE TABLE public.OWN (id int, e text GENERATED ALWAYS AS (public.OWN_f(id)) STORED)', 'INSERT INTO public.OWN SELECT generate_series(1, 5000)'];
  attack('a generated column', kept(F("'x'"), GENERATED[0] as string, F(MAIL), GENERATED[1] as string, F("'x'"), `SELECT string_agg(e, ' ') FROM public.OWN`), 'lax');
  attack('a default', kept(F("'x'"), 'CREATE SEQUENCE public.OWN_s', `CREATE TABLE public.OWN (id int, e text DEFAULT public.OWN_f(nextval('public.OWN_s')::int))`, F(MAIL), 'INSERT INTO public.OWN (id) SELECT generate_series(1, 5000)', F("'x'"), `SELECT string_agg(e, ' ') FROM public.OWN`), 'lax');
  attack('a trigger', kept(F("'x'"), 'CREATE TABLE public.OWN (id int, e text)', 'CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.e := public.OWN_f(NEW.id); RETURN NEW; END $$', 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', F(MAIL), 'INSERT INTO public.OWN (id) SELECT generate_series(1, 5000)', F("'x'"), `SELECT string_agg(e, ' ') FROM public.OWN`), 'lax');
  attack('a rule', kept(F("'x'"), 'CREATE TABLE public.OWN (id int, e text)', 'CREATE TABLE public.OWN_w (id int)', 'CREATE RULE r AS ON INSERT TO public.OWN_w DO ALSO INSERT INTO public.OWN VALUES (NEW.id, public.OWN_f(NEW.id))', F(MAIL), 'INSERT INTO public.OWN_w SELECT generate_series(1, 5000)', F("'x'"), `SELECT string_agg(e, ' ') FROM public.OWN`), 'lax');
  attack('an expression of an index, its statistics', kept(F("'x'"), 'CREATE TABLE public.OWN AS SELECT id FROM generate_series(1, 5000) id', 'CREATE INDEX OWN_x ON public.OWN (public.OWN_f(id))', F(MAIL), 'REINDEX INDEX public.OWN_x', 'ALTER INDEX public.OWN_x ALTER 1 SET STATISTICS 10000', 'ANALYZE public.OWN', F("'x'"), "SELECT array_to_string(histogram_bounds::text::text[], ' ') FROM pg_stats WHERE tablename = 'OWN_x'"), 'lax', 0);
});

/** What extensions bring is known by name: who owns one may add to it. */
group('code under the name of an extension', 'opaque code', () => {
  /** The name of an operator that nobody else has: others take it for theirs where casts are implicit. */
  const signOf = (own: string): string => `=~${own.replace(/\D/gu, '').replace(/\d/gu, (digit) => '~!@#%^&|?<'[Number(digit)] as string)}`;
  const ALL = `(SELECT string_agg(email, ' ') FROM crm.customers)`;
  const added = (make: readonly string[], add: string, use: readonly string[]): Technique =>
    statements(...['CREATE EXTENSION KIT', ...make, `ALTER EXTENSION KIT ADD ${add}`, ...use, 'DROP EXTENSION KIT CASCADE'].map((each) => ({ own, direct }: Attacker) => each.replaceAll('OWN', own).replaceAll('KIT', direct ? 'cube' : 'seg').replaceAll('SIGN', signOf(own))));
  attack('a function in SQL', added([`CREATE FUNCTION public.OWN() RETURNS text LANGUAGE sql AS $$ SELECT ${ALL} $$`], 'FUNCTION public.OWN()', ['SELECT public.OWN()']), 'lax');
  attack('a function in PL/pgSQL', added([`CREATE FUNCTION public.OWN() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${ALL}; END $$`], 'FUNCTION public.OWN()', ['SELECT public.OWN()']), 'lax');
  attack('an aggregate that is named like a scalar one', added(['CREATE FUNCTION public.OWN_f(text, text) RETURNS text LANGUAGE sql AS $$ SELECT concat($1, $2) $$', `CREATE AGGREGATE public.max(text) (SFUNC = public.OWN_f, STYPE = text)`], 'AGGREGATE public.max(text)', ['SELECT public.max(email) FROM crm.customers']), 'lax');
  const TYPE = ["CREATE TABLE public.OWN_kept (k text)", 'CREATE TYPE public.OWN_y AS (k text)', "CREATE FUNCTION public.OWN_c(text) RETURNS public.OWN_y LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN ROW('x')::public.OWN_y; END $$",
    'CREATE CAST (text AS public.OWN_y) WITH FUNCTION public.OWN_c AS IMPLICIT', "CREATE FUNCTION public.OWN_e(public.OWN_y, public.OWN_y) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN false; END'", 'CREATE OPERATOR public.SIGN (FUNCTION = public.OWN_e, LEFTARG = public.OWN_y, RIGHTARG = public.OWN_y)'];
  const COMPARE = ['SELECT count(*) FROM crm.customers WHERE email SIGN name', 'SELECT k FROM public.OWN_kept'];
  attack('an implicit cast', added(TYPE, 'CAST (text AS public.OWN_y)', COMPARE), 'lax');
  attack('the function of an implicit cast', added(TYPE, 'FUNCTION public.OWN_c(text)', COMPARE), 'lax');
  attack('the function of an operator', added(TYPE, 'FUNCTION public.OWN_e(public.OWN_y, public.OWN_y)', COMPARE), 'lax');
});
