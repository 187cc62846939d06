/** What somebody tries who knows PostgreSQL 18 well and Rowgate not at all. */

import { attackSuite, statements, type Attacker, type Technique } from '../../support/attack.ts';
import { rowsOf, wire } from '../../support/wire-client.ts';

export const outsiders = attackSuite('outsiders', {
  sql: `
    CREATE EXTENSION tablefunc; CREATE EXTENSION xml2; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pageinspect; CREATE EXTENSION pgrowlocks; CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto;
    CREATE FUNCTION public.mail_of(n int) RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER AS 'SELECT email FROM crm.customers WHERE id = n';
    CREATE FUNCTION public.all_mails() RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER AS $$ SELECT string_agg(email, ' ') FROM crm.customers $$;
    CREATE FUNCTION public.some_mails(n int) RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER AS $$ SELECT string_agg(email, ' ') FROM crm.customers WHERE id >= n AND id < n + 100 $$;
    CREATE FUNCTION public.as_table() RETURNS TABLE (a text, b text) LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT x.email, y.email FROM crm.customers x JOIN crm.customers y ON y.id = x.id + 2500; END;
    CREATE FUNCTION public.opened(name refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN OPEN name FOR SELECT email FROM crm.customers; RETURN name; END $$;
    CREATE FUNCTION public.variadic_mails(VARIADIC ids int[]) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(email, ' ') FROM crm.customers WHERE id = ANY (ids) $$;
    CREATE PROCEDURE public.out_mails(INOUT mails text) LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN SELECT string_agg(email, ' ') INTO mails FROM crm.customers; END $$;
    CREATE TABLE public.log (at timestamptz DEFAULT now(), who int, what text);
    CREATE FUNCTION public.logged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.log (who, what) SELECT id, email FROM n; RETURN NULL; END $$;
    CREATE TRIGGER logged AFTER UPDATE ON crm.customers REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION public.logged();
    CREATE TABLE public.heap (id int PRIMARY KEY, body text); INSERT INTO public.heap SELECT g, '' FROM generate_series(1, 5000) g;
    CREATE FUNCTION public.heaped(t text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE public.heap SET body = body || ' ' || t WHERE id = 1; RETURN 1; END $$;
    CREATE TABLE public.last_change (id int PRIMARY KEY, body text); INSERT INTO public.last_change VALUES (1, '');
    CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE public.last_change SET body = body || ' ' || NEW.email; RETURN NULL; END $$;
    CREATE TRIGGER noted AFTER UPDATE OF msisdn ON crm.customers FOR EACH ROW EXECUTE FUNCTION public.noted();
    CREATE TABLE public.base (id int, body text);
    INSERT INTO public.base VALUES (1, 'x');
    CREATE VIEW public.entry AS SELECT id, body FROM public.base;
    CREATE FUNCTION public.instead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN NEW.body := public.all_mails(); RETURN NEW; END $$;
    CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE ON public.entry FOR EACH ROW EXECUTE FUNCTION public.instead();
    CREATE TABLE public.asked (a int);
    CREATE RULE answers AS ON UPDATE TO public.asked DO INSTEAD SELECT email FROM crm.customers;
    CREATE RULE answers_too AS ON INSERT TO public.asked DO ALSO SELECT email FROM crm.customers;
    INSERT INTO public.asked VALUES (1);
    CREATE TYPE public.box_of AS (a int);
    CREATE FUNCTION public.unboxed(public.box_of) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(email, ' ') FROM crm.customers $$;
    CREATE CAST (public.box_of AS text) WITH FUNCTION public.unboxed(public.box_of) AS ASSIGNMENT;
    CREATE TABLE public.boxes (b text);
    CREATE TABLE public.keyed (id int); CREATE UNIQUE INDEX ON public.keyed (public.some_mails(id));
    CREATE TABLE public.cut (id int) PARTITION BY LIST (public.mail_of(id));
    CREATE TABLE public.checked (id int, CONSTRAINT c CHECK (length(public.some_mails(id)) < 5));
    CREATE TABLE public.generated (id int, e text GENERATED ALWAYS AS (public.mail_of(id)) STORED);
    CREATE TABLE public.ruled (id int, body text); INSERT INTO public.ruled VALUES (1, 'x'); ALTER TABLE public.ruled ENABLE ROW LEVEL SECURITY;
    CREATE FUNCTION public.permitted(text) RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers); RETURN true; END $$;
    CREATE POLICY p ON public.ruled USING (public.permitted(body));
    GRANT ALL ON ALL TABLES IN SCHEMA public TO staff;
    GRANT pg_stat_scan_tables TO staff;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO staff;
  `,
});
const { attack, group } = outsiders;
const ROLES = ['agent', 'lax'] as const;
const CLEAN = 'TRUNCATE public.log, public.boxes, public.keyed, public.checked, public.generated';
const restored = (technique: Technique): Technique => async (attacker) => {
  const restore = (): Promise<unknown> => attacker.bed.admin.query(`ALTER TABLE crm.customers DISABLE TRIGGER USER; UPDATE public.heap SET body = ''; UPDATE public.last_change SET body = ''; UPDATE crm.customers SET name = 'Customer ' || id, tariff = 'tariff ' || id % 5; ALTER TABLE crm.customers ENABLE TRIGGER USER; ${CLEAN}`);
  await restore();
  await technique(attacker);
  await restore();
};

group('SQL/JSON, XML and sets', 'packing', () => {
  const queries = [
    ['JSON_TABLE over an aggregate', `SELECT j.* FROM (SELECT jsonb_agg(email) a FROM crm.customers) s, JSON_TABLE(s.a, '$[*]' COLUMNS (e text PATH '$')) j`],
    ['JSON_TABLE with nested paths, two people a row', `SELECT j.* FROM (SELECT jsonb_agg(jsonb_build_object('a', email, 'b', (SELECT d.email FROM crm.customers d WHERE d.id = 5001 - c.id))) a FROM crm.customers c) s, JSON_TABLE(s.a, '$[*]' COLUMNS (x text PATH '$.a', NESTED PATH '$.b' COLUMNS (y text PATH '$'))) j`],
    ['JSON_SERIALIZE of JSON_OBJECTAGG', `SELECT JSON_SERIALIZE(JSON_OBJECTAGG(id : email)) FROM crm.customers`],
    ['JSON_QUERY of an aggregate', `SELECT JSON_QUERY(jsonb_agg(email), '$[*]' WITH WRAPPER) FROM crm.customers`],
    ['JSON_ARRAYAGG as a window', 'SELECT JSON_ARRAYAGG(email) OVER () FROM crm.customers LIMIT 1'],
    ['jsonb_path_query_array', `SELECT jsonb_path_query_array(to_jsonb(array_agg(email)), '$[*]') FROM crm.customers`],
    ['XMLTABLE over xmlagg', `SELECT x.* FROM (SELECT xmlelement(name r, xmlagg(xmlelement(name e, email))) d FROM crm.customers) s, XMLTABLE('/r/e' PASSING s.d COLUMNS v text PATH '.') x`],
    ['xmlserialize of xmlagg', `SELECT xmlserialize(CONTENT xmlagg(xmlelement(name e, email)) AS text) FROM crm.customers`],
    ['arrays side by side in unnest', `SELECT * FROM unnest((SELECT array_agg(email) FROM crm.customers WHERE id <= 2500), (SELECT array_agg(email) FROM crm.customers WHERE id > 2500)) u(a, b)`],
    ['ROWS FROM, four people a row', `SELECT * FROM ROWS FROM (unnest((SELECT array_agg(email) FROM crm.customers WHERE id <= 1250)), unnest((SELECT array_agg(email) FROM crm.customers WHERE id BETWEEN 1251 AND 2500)), unnest((SELECT array_agg(email) FROM crm.customers WHERE id BETWEEN 2501 AND 3750)), unnest((SELECT array_agg(email) FROM crm.customers WHERE id > 3750)))`],
    ['regexp_split_to_table of string_agg', `SELECT regexp_split_to_table(string_agg(email, ','), ',') FROM crm.customers`],
    ['string_agg in pieces of ten people a row', `SELECT string_agg(email, '') FROM crm.customers GROUP BY id / 10`],
    ['array_agg in pieces of six people a row', `SELECT array_agg(email) FROM crm.customers GROUP BY id / 6`],
    ['VALUES of fifty sub-selects a row', `VALUES ${Array.from({ length: 20 }, (_, row) => `(${Array.from({ length: 50 }, (__, i) => `(SELECT email FROM crm.customers WHERE id = ${row * 50 + i + 1})`).join(', ')})`).join(', ')}`],
    ['a path array of a recursive CTE', `WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT r.id + 1 FROM r WHERE id < 1000) SEARCH DEPTH FIRST BY id SET way SELECT way, string_agg(c.email, '') OVER (ORDER BY r.id) FROM r JOIN crm.customers c USING (id) ORDER BY r.id DESC LIMIT 1`],
    ['a path of CYCLE', `WITH RECURSIVE r(id, email) AS (SELECT id, email FROM crm.customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM r JOIN crm.customers c ON c.id = r.id + 1 WHERE c.id < 1000) CYCLE email SET over USING way SELECT way FROM r ORDER BY id DESC LIMIT 1`],
    ['hstore of all', `SELECT hstore(array_agg(id::text), array_agg(email)) FROM crm.customers`],
    ['CUBE with every combination', `SELECT email, tariff, msisdn, count(*) FROM crm.customers GROUP BY CUBE (email, tariff, msisdn)`],
    ['1,600 counts in one row, a bit each', `SELECT string_agg(email, ''), ${Array.from({ length: 1600 }, (_, i) => `count(*) FILTER (WHERE id = ${i + 1})`).join(', ')} FROM crm.customers`],
    ['max() of rows as records', 'SELECT max(c), min(c), any_value(c) FROM crm.customers c GROUP BY id / 3'],
    ['percentile_disc, a hundred fractions written out', `SELECT ${Array.from({ length: 1000 }, (_, i) => `percentile_disc(${i / 1000}) WITHIN GROUP (ORDER BY email)`).join(', ')} FROM crm.customers`],
    ['multirange of text', `SELECT string_agg(email, '-' ORDER BY id) || range_agg(int4range(id, id + 1))::text FROM crm.customers`],
    ['array_agg sorted, sampled and shuffled', 'SELECT array_sample(array_shuffle(array_sort(array_agg(email))), 2000) FROM crm.customers'],
    ['a natural join with oneself, shifted', 'SELECT * FROM crm.customers NATURAL JOIN (SELECT id - 2500 AS id, email AS other FROM crm.customers) o'],
    ['a lateral neighbour', 'SELECT c.email, n.email FROM crm.customers c, LATERAL (SELECT email FROM crm.customers d WHERE d.id = c.id + 2500 LIMIT 1) n'],
    ['EXISTS and a scalar neighbour', 'SELECT email, (SELECT d.email FROM crm.customers d WHERE d.id = c.id + 2500) FROM crm.customers c'],
    ['a window over a frame of three', 'SELECT array_agg(email) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM crm.customers'],
    ['GROUPS frame with EXCLUDE', `SELECT string_agg(email, '') OVER (ORDER BY id GROUPS BETWEEN 5 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM crm.customers`],
    ['an aggregate ordered by another column, with FILTER', `SELECT string_agg(DISTINCT email, ',' ORDER BY email) FILTER (WHERE id > 0) FROM crm.customers`],
    ['COALESCE, GREATEST and NULLIF over sub-selects', `SELECT GREATEST((SELECT string_agg(email, '') FROM crm.customers), ''), COALESCE((SELECT string_agg(email, '') FROM crm.customers), '')`],
  ] as const;
  for (const [name, sql] of queries) attack(name, statements(sql));
  attack('an aggregate in a parameter of LIMIT and OFFSET', statements(...Array.from({ length: 100 }, (_, i) => `SELECT string_agg(email, '') FROM (SELECT email FROM crm.customers ORDER BY id LIMIT 100 OFFSET ${i * 50}) s`)));
  attack('pieces of one unit\'s length', statements(...Array.from({ length: 400 }, (_, i) => `SELECT string_agg(email, '') FROM crm.customers WHERE id = ${i + 1}`)));
  attack('crosstab', statements(`SELECT * FROM crosstab('SELECT 1, id, email FROM crm.customers WHERE id <= 1000 ORDER BY 1, 2') AS c(a int, ${Array.from({ length: 1000 }, (_, i) => `c${i} text`).join(', ')})`));
  attack('xpath_table and connectby', statements(`SELECT * FROM connectby('(SELECT id, id - 1 AS parent, email FROM crm.customers) s', 'email', 'parent', '0', 1) AS t(a text, b text, l int)`, `SELECT * FROM xpath_table('id', 'doc', '(SELECT id, ''<a>'' || email || ''</a>'' AS doc FROM crm.customers) s', '/a', 'true') AS t(a int, b text)`));
});

group('values in other clothes, row by row', 'encodings of values', () => {
  const clothes = [
    ['hex', `encode(email::bytea, 'hex')`], ['base64', `encode(email::bytea, 'base64')`], ['escape', `encode(email::bytea, 'escape')`], ['reversed', 'reverse(email)'], ['md5', 'md5(email)'], ['sha256', `encode(sha256(email::bytea), 'hex')`],
    ['bytea', 'email::bytea'], ['UTF-16 by hand', `convert_to(email, 'UTF8')`], ['JSON', 'to_json(email)'], ['an array', 'string_to_array(email, NULL)::text || email'], ['XML', 'xmlelement(name e, email)'], ['format', `format('%I %L', email, email)`], ['quoted', 'quote_literal(email)'],
    ['a composite', 'ROW(email, ROW(email))'], ['upper and lower', 'lower(upper(email))'], ['padded', 'lpad(email, 200)'], ['a tsvector', `array_to_tsvector(ARRAY[email])`], ['a digest of pgcrypto', `encode(digest(email, 'md5'), 'hex')`],
  ] as const;
  for (const [name, expression] of clothes) attack(`row by row: ${name}`, statements(`SELECT ${expression} FROM crm.customers`));
  attack('row by row: binary format', async ({ connect }) => {
    const client = await connect();
    await client.ask([wire.parse('', 'SELECT email, email::bytea, ARRAY[email] FROM crm.customers'), wire.bind('', '', true), wire.execute(''), wire.sync]);
  });
  attack('the letters of tokens by columns, a row each', async (attacker) => {
    const client = await attacker.connect();
    const answer = await client.query(`SELECT ${Array.from({ length: 20 }, (_, i) => `ascii(substr(email, ${i + 1}, 1))`).join(', ')} FROM crm.customers`);
    for (const row of rowsOf(answer)) attacker.decoded += `${row.map((value) => String.fromCharCode(Number(value?.toString()))).join('')} `;
  });
});

group('code of the house', 'opaque code', () => {
  for (const role of ROLES) {
    attack('a SQL function folded at planning, EXPLAIN VERBOSE', statements('EXPLAIN (VERBOSE, COSTS OFF) SELECT all_mails()'), role);
    attack('a SQL function folded at planning, in a condition', statements(`EXPLAIN (COSTS OFF) SELECT 1 FROM public.tariffs WHERE name = all_mails()`), role);
    attack('a plan with folded values in the log, sent to the client', statements('SET client_min_messages = log; SET debug_print_plan = on; SET debug_pretty_print = off', `SELECT 1 FROM public.tariffs WHERE name = all_mails()`), role, 0);
    attack('RETURNS TABLE with BEGIN ATOMIC, two people a row', statements('SELECT * FROM as_table()'), role);
    attack('a refcursor of a function', statements('BEGIN', `SELECT opened('mine')`, 'FETCH ALL mine', 'COMMIT'), role);
    attack('a refcursor of a function under the name of a portal', async ({ connect }) => {
      const client = await connect();
      await client.query('BEGIN');
      await client.ask([wire.parse('s', 'SELECT 1'), wire.bind('mine', 's'), wire.close('P', 'mine'), wire.sync]);
      await client.query(`SELECT opened('mine')`);
      await client.ask([wire.execute('mine'), wire.sync]);
    }, role);
    attack('a VARIADIC function', statements(`SELECT variadic_mails(VARIADIC ARRAY(SELECT generate_series(1, 5000)))`), role);
    attack('INOUT of a procedure', statements('CALL out_mails(NULL)'), role);
    attack('a view with an INSTEAD OF trigger, RETURNING', statements('INSERT INTO entry VALUES (1, NULL) RETURNING body'), role);
    attack('a view with an INSTEAD OF trigger, UPDATE RETURNING new', statements('UPDATE entry SET id = 1 RETURNING new.body'), role);
    attack('a rule that answers UPDATE with rows', statements('UPDATE asked SET a = 2'), role);
    attack('a rule that answers INSERT with rows too', statements('INSERT INTO asked VALUES (3)'), role);
    attack('a cast that an assignment implies', statements('INSERT INTO boxes VALUES (ROW(1)::box_of) RETURNING b', CLEAN), role);
    attack('a generated column', statements('INSERT INTO generated (id) SELECT generate_series(1, 5000) RETURNING e', CLEAN), role);
    attack('a generated column, read later', statements('INSERT INTO generated (id) SELECT generate_series(1, 5000)', 'SELECT e FROM generated', CLEAN), role);
    attack('a generated column, filled by COPY FROM', async ({ connect }) => {
      const client = await connect();
      await client.ask([wire.query('COPY generated (id) FROM STDIN'), wire.copyData(Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('')), wire.copyDone]);
      await client.query(`SELECT string_agg(e, ' ') FROM generated`);
      await client.query(CLEAN);
    }, role);
    attack('a unique index over a function, DETAIL', statements(...Array.from({ length: 20 }, (_, i) => `INSERT INTO keyed VALUES (${i * 100 + 1}), (${i * 100 + 1})`)), role);
    attack('a partition key over a function, DETAIL', statements(...Array.from({ length: 300 }, (_, i) => `INSERT INTO cut VALUES (${i + 1})`)), role);
    attack('a row-level policy that talks', statements('SELECT * FROM ruled'), role);
    attack('own table with a generated column over a function', statements(({ own }) => `CREATE TABLE ${own} (id int, e text GENERATED ALWAYS AS (public.mail_of(id)) STORED)`, ({ own }) => `INSERT INTO ${own} SELECT generate_series(1, 5000)`, ({ own }) => `SELECT e FROM ${own}`), role);
    attack('own table with a default', statements(({ own }) => `CREATE TABLE ${own} (id int, e text DEFAULT public.all_mails())`, ({ own }) => `INSERT INTO ${own} VALUES (1)`, ({ own }) => `SELECT e FROM ${own}`), role);
    attack('own index over a function, DETAIL', statements(({ own }) => `CREATE TABLE ${own} (id int)`, ({ own }) => `CREATE UNIQUE INDEX ON ${own} (public.some_mails(id))`, ...Array.from({ length: 20 }, (_, i) => ({ own }: Attacker) => `INSERT INTO ${own} VALUES (${i * 100 + 1}), (${i * 100 + 1})`)), role);
    attack('own statistics over a function, then pg_stats_ext_exprs', statements(({ own }) => `CREATE TABLE ${own} AS SELECT generate_series(1, 5000) AS id`, ({ own }) => `CREATE STATISTICS ${own}_s ON (public.mail_of(id)) FROM ${own}`, ({ own }) => `ALTER STATISTICS ${own}_s SET STATISTICS 2000; ANALYZE ${own}`, ({ own }) => `SELECT histogram_bounds, most_common_vals FROM pg_stats_ext_exprs WHERE tablename = '${own}'`), role);
    attack('own index over a function, then pg_stats', statements(({ own }) => `CREATE TABLE ${own} AS SELECT generate_series(1, 5000) AS id`, ({ own }) => `CREATE INDEX ${own}_i ON ${own} (public.mail_of(id))`, ({ own }) => `ALTER INDEX ${own}_i ALTER COLUMN 1 SET STATISTICS 2000; ANALYZE ${own}`, ({ own }) => `SELECT histogram_bounds, most_common_vals FROM pg_stats WHERE tablename = '${own}_i'`), role);
    attack('own partitions by a function', statements(({ own }) => `CREATE TABLE ${own} (id int) PARTITION BY LIST (public.mail_of(id))`, ...Array.from({ length: 300 }, (_, i) => ({ own }: Attacker) => `INSERT INTO ${own} VALUES (${i + 1})`)), role);
    attack('own check over a function, the failing row', statements(({ own }) => `CREATE TABLE ${own} (id int, e text, CHECK (id < 0))`, ...Array.from({ length: 300 }, (_, i) => ({ own }: Attacker) => `INSERT INTO ${own} SELECT 1, public.mail_of(${i + 1})`)), role);
  }
});

group('changes that carry rows on', 'derived copies', () => {
  for (const role of ROLES) {
    attack('a trigger of the house with a transition table writes a log, the log is read', restored(statements('UPDATE crm.customers SET tariff = tariff', `SELECT string_agg(what, ' ') FROM public.log`)), role);
    attack('a trigger that appends to one row, the row is read', restored(statements('UPDATE crm.customers SET msisdn = msisdn WHERE id <= 3000', `SELECT substr(body, g * 1000 + 1, 1000) FROM public.last_change, generate_series(0, 70) g`)), role);
    attack('a function that appends its argument to one row', restored(statements('SELECT count(heaped(email)) FROM crm.customers WHERE id <= 1500', `SELECT body FROM public.heap WHERE id = 1`)), role);
    attack('rows of one\'s own table take in one more person with every UPDATE', restored(statements(...Array.from({ length: 20 }, (_, i) => `UPDATE public.heap h SET body = h.body || ' ' || c.email FROM crm.customers c WHERE c.id = 1 + (h.id + ${i * 250}) % 5000`), 'SELECT body FROM public.heap WHERE id % 20 = 1')), role);
    attack('rows of one\'s own table take in one more person with every upsert', restored(statements(...Array.from({ length: 20 }, (_, i) => `INSERT INTO public.heap SELECT 1 + (id + ${i * 250}) % 5000, email FROM crm.customers ON CONFLICT (id) DO UPDATE SET body = heap.body || ' ' || excluded.body`), 'SELECT body FROM public.heap WHERE id % 20 = 1')), role);
    attack('a table made in the open transaction', statements('BEGIN', ({ own }) => `CREATE TEMP TABLE ${own} (body text)`, ({ own }) => `INSERT INTO ${own} SELECT email FROM crm.customers`, ({ own }) => `SELECT string_agg(body, ' ') FROM ${own}`, 'ROLLBACK'), role);
    attack('a table made in the open transaction, read after COMMIT', statements('BEGIN', ({ own }) => `CREATE TABLE ${own} (body text)`, ({ own }) => `INSERT INTO ${own} SELECT email FROM crm.customers`, 'COMMIT', ({ own }) => `SELECT string_agg(body, ' ') FROM ${own}`), role);
    attack('a table made, filled and read in one text', statements(({ own }) => `BEGIN; CREATE TEMP TABLE ${own} (body text); INSERT INTO ${own} SELECT email FROM crm.customers; SELECT string_agg(body, ' ') FROM ${own}; COMMIT`), role);
    attack('UPDATE FROM doubles the names', restored(async ({ connect }) => {
      const client = await connect();
      await client.query('UPDATE crm.customers SET name = email');
      for (let shift = 1; shift <= 16; shift *= 2) await client.query(`UPDATE crm.customers a SET name = a.name || b.name FROM crm.customers b WHERE b.id = a.id + ${shift}`);
      await client.query('SELECT name FROM crm.customers WHERE id % 32 = 1');
    }), role);
    attack('UPDATE with a scalar sub-select doubles the names', restored(async ({ connect }) => {
      const client = await connect();
      await client.query('UPDATE crm.customers SET name = email');
      for (let shift = 1; shift <= 16; shift *= 2) await client.query(`UPDATE crm.customers a SET name = a.name || (SELECT b.name FROM crm.customers b WHERE b.id = a.id + ${shift}) WHERE id <= 5000 - ${shift}`);
      await client.query('SELECT name FROM crm.customers WHERE id % 32 = 1');
    }), role);
    attack('MERGE doubles the names', restored(async ({ connect }) => {
      const client = await connect();
      await client.query('UPDATE crm.customers SET name = email');
      for (let shift = 1; shift <= 16; shift *= 2) await client.query(`MERGE INTO crm.customers a USING crm.customers b ON b.id = a.id + ${shift} WHEN MATCHED THEN UPDATE SET name = a.name || b.name`);
      await client.query('SELECT name FROM crm.customers WHERE id % 32 = 1');
    }), role);
    attack('a CTE that updates from itself', restored(statements('UPDATE crm.customers SET name = email', ...[1, 2, 4, 8, 16].map((shift) => `WITH b AS (SELECT id - ${shift} AS id, name FROM crm.customers) UPDATE crm.customers a SET name = a.name || b.name FROM b WHERE b.id = a.id`), 'SELECT name FROM crm.customers WHERE id % 32 = 1')), role);
    attack('two-phase commit: copied by one session, committed by another', async ({ connect, own, bed: { admin } }) => {
      const [maker, other] = [await connect(), await connect()];
      await maker.query(`CREATE TABLE ${own} (body text)`);
      await maker.query('BEGIN');
      await maker.query(`INSERT INTO ${own} SELECT email FROM crm.customers`);
      await maker.query(`PREPARE TRANSACTION '${own}'`);
      await other.query(`COMMIT PREPARED '${own}'`);
      await other.query(`SELECT string_agg(body, ' ') FROM ${own}`);
      await admin.query(`ROLLBACK PREPARED '${own}'`).catch(() => undefined);
    }, role, 0);
    attack('INSERT RETURNING feeds another INSERT', statements(({ own }) => `CREATE TABLE ${own} (body text)`, ({ own }) => `WITH i AS (INSERT INTO ${own} SELECT email FROM crm.customers RETURNING body) SELECT count(*) FROM i`, ({ own }) => `SELECT string_agg(body, ' ') FROM ${own}`), role);
    attack('DELETE RETURNING into a table, rolled back', statements('BEGIN', ({ own }) => `CREATE TEMP TABLE ${own} (body text)`, ({ own }) => `WITH d AS (DELETE FROM crm.invoices RETURNING customer_id) INSERT INTO ${own} SELECT c.email FROM d JOIN crm.customers c ON c.id = d.customer_id`, ({ own }) => `SELECT string_agg(body, ' ') FROM ${own}`, 'ROLLBACK'), role);
    attack('CREATE SCHEMA with a view inside', statements(({ own }) => `CREATE SCHEMA ${own} CREATE VIEW v AS SELECT email FROM crm.customers`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}.v`), role);
    attack('a table that LIKEs and INHERITs', statements(({ own }) => `CREATE TABLE ${own} (LIKE crm.customers INCLUDING ALL)`, ({ own }) => `INSERT INTO ${own} TABLE crm.customers`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), role);
    attack('EXPLAIN ANALYZE of CREATE TABLE AS', statements(({ own }) => `EXPLAIN ANALYZE CREATE TABLE ${own} AS SELECT email FROM crm.customers`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), role);
    attack('a temporary table by CREATE TABLE AS EXECUTE under a name that is made again', statements('PREPARE q AS SELECT 1', 'DEALLOCATE q', 'PREPARE q AS SELECT email FROM crm.customers', ({ own }) => `CREATE TEMP TABLE ${own} AS EXECUTE q`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), role);
    attack('INSERT with OVERRIDING and a cursor position', statements(({ own }) => `CREATE TABLE ${own} (id int GENERATED ALWAYS AS IDENTITY, body text)`, ({ own }) => `INSERT INTO ${own} OVERRIDING SYSTEM VALUE SELECT id, email FROM crm.customers`, ({ own }) => `DECLARE c CURSOR WITH HOLD FOR SELECT body FROM ${own}`, 'FETCH ALL c', 'CLOSE c'), role);
  }
});

group('doors of the server', 'side doors', () => {
  for (const role of ROLES) {
    attack('pages of the table by pageinspect', statements(`SELECT encode(get_raw_page('crm.customers', n), 'escape') FROM generate_series(0, 30) n`), role, 0);
    attack('items of pages by pageinspect', statements(`SELECT encode(t_data, 'escape') FROM generate_series(0, 30) n, heap_page_items(get_raw_page('crm.customers', n))`), role, 0);
    attack('rows of an index page', statements(`SELECT data FROM generate_series(1, 10) n, bt_page_items('crm.customers_pkey', n)`), role, 0);
    attack('pg_stat_statements', statements('SELECT query FROM pg_stat_statements'), role, 0);
    attack('messages in the WAL', statements(`SELECT pg_logical_emit_message(false, 'x', (SELECT string_agg(email, ' ') FROM crm.customers))`, `SELECT * FROM pg_get_loaded_modules()`), role, 0);
    attack('a setting by ALTER DATABASE, ALTER ROLE', statements(({ user }) => `ALTER ROLE ${user} SET x.y = 'z'`, `SELECT set_config('x.y', string_agg(email, ' '), false) FROM crm.customers`, `SELECT current_setting('x.y')`, `SELECT setconfig FROM pg_db_role_setting`), role);
    attack('a comment, a role setting and an enum label made of values by \\gexec', async ({ connect }) => {
      const client = await connect();
      for (const row of rowsOf(await client.query(`SELECT format('COMMENT ON TABLE public.base IS %L', string_agg(email, ' ')) FROM crm.customers`))) await client.query(row[0] ?? 'SELECT 1');
      await client.query(`SELECT obj_description('public.base'::regclass)`);
    }, role);
    attack('an exported snapshot', async ({ connect }) => {
      const [one, two] = [await connect(), await connect()];
      await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      const snapshot = rowsOf(await one.query('SELECT pg_export_snapshot()'))[0]?.[0]?.toString() ?? '';
      await two.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await two.query(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
      await two.query('SELECT email FROM crm.customers');
    }, role);
    attack('a publication and a slot', statements(({ own }) => `CREATE PUBLICATION ${own} FOR TABLE crm.customers`, ({ own }) => `SELECT pg_create_logical_replication_slot('${own}', 'test_decoding')`, ({ own }) => `SELECT data FROM pg_logical_slot_get_changes('${own}', NULL, NULL)`), role, 0);
    attack('COPY FROM with ON_ERROR and verbose notices behind a trigger', async ({ connect }) => {
      const client = await connect();
      await client.ask([wire.query('COPY public.entry (id, body) FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)'), wire.copyData('x\ty\n1\tz\n'), wire.copyDone]);
      await client.query('SELECT body FROM entry');
    }, role, 0);
    attack('large objects by the client interface', statements('BEGIN', `SELECT lo_create(777)`, `SELECT lowrite(lo_open(777, 131072), (SELECT string_agg(email, ' ')::bytea FROM crm.customers))`, `SELECT convert_from(lo_get(777), 'UTF8')`, 'ROLLBACK'), role);
  }
});

group('cursors in every direction', 'cursors and portals', () => {
  attack('FETCH ABSOLUTE', statements('BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT email FROM crm.customers', ...Array.from({ length: 300 }, (_, i) => `FETCH ABSOLUTE ${i + 1} c`), 'COMMIT'));
  attack('FETCH RELATIVE and BACKWARD', statements('BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT email FROM crm.customers', 'MOVE LAST c', ...Array.from({ length: 10 }, () => 'FETCH BACKWARD 60 c'), 'COMMIT'));
  attack('FETCH LAST of many cursors', statements('BEGIN', ...Array.from({ length: 300 }, (_, i) => `DECLARE c${i} CURSOR FOR SELECT email FROM crm.customers WHERE id = ${i + 1}`), ...Array.from({ length: 300 }, (_, i) => `FETCH c${i}`), 'COMMIT'));
  attack('binary cursor', statements('BEGIN', 'DECLARE c BINARY CURSOR FOR SELECT email FROM crm.customers', 'FETCH ALL c', 'COMMIT'));
  attack('WHERE CURRENT OF, RETURNING', statements('BEGIN', 'DECLARE c CURSOR FOR SELECT id FROM crm.invoices', ...Array.from({ length: 250 }, () => 'FETCH c; UPDATE crm.invoices SET amount = amount WHERE CURRENT OF c RETURNING (SELECT email FROM crm.customers WHERE id = customer_id)'), 'ROLLBACK'));
  attack('a cursor of packed values, one row at a time', statements('BEGIN', `DECLARE c CURSOR FOR SELECT string_agg(email, '') FROM crm.customers GROUP BY id / 50`, ...Array.from({ length: 100 }, () => 'FETCH c'), 'COMMIT'));
});
