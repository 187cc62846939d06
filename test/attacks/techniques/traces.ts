/** No value of a customer is written anywhere: what tells is which rows are gone or locked, which sequence was moved, which lock is held, what a definition was worked out to. */

import { attackSuite, statements, type Attacker, type Technique } from '../../support/attack.ts';
import { tokensOfBits } from '../../support/canaries.ts';
import { serverMajor } from '../../support/postgres.ts';
import { rowsOf, wire, type WireClient, type WireMessage } from '../../support/wire-client.ts';

/** A built-in function that runs SQL which it gets as text. */
const XML = `query_to_xml('SELECT string_agg(email, '' '') AS e FROM crm.customers', true, true, '')`;
export const traces = attackSuite('traces', {
  sql: `
    CREATE FUNCTION public.few_mails() RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER AS $$ SELECT string_agg(email, ' ') FROM crm.customers WHERE id <= 280 $$;
    CREATE FUNCTION public.shout(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers WHERE id > n AND id <= n + 300); RETURN n; END $$;
    CREATE TABLE public.grid (id int, n int, PRIMARY KEY (id, n)); INSERT INTO public.grid SELECT i, n FROM generate_series(1, 1000) i, generate_series(0, 31) n;
    CREATE VIEW public.locking AS SELECT 1 AS one FROM public.grid g JOIN crm.customers c ON c.id = g.id AND get_bit(('x' || right(c.email, 8))::bit(32), g.n) = 1 FOR UPDATE OF g;
    CREATE VIEW public.window_on_grid AS SELECT id, n FROM public.grid;
    CREATE TABLE public.kids (id int REFERENCES crm.customers ON DELETE CASCADE ON UPDATE CASCADE, tag int); INSERT INTO public.kids SELECT g, g FROM generate_series(1, 1000) g; CREATE INDEX ON public.kids (id);
    CREATE TABLE public.talking (id int); INSERT INTO public.talking VALUES (1000); CREATE INDEX ON public.talking (public.shout(id)); CREATE TABLE public.measured (id int); INSERT INTO public.measured VALUES (1000); CREATE STATISTICS public.measured_s ON (public.shout(id)) FROM public.measured; ALTER TABLE public.measured OWNER TO staff;
    CREATE FUNCTION public.opened_dyn(name refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN OPEN name FOR EXECUTE (SELECT 'SELECT ' || string_agg(format('NULL AS %I', email), ',') FROM crm.customers WHERE id <= 1600); RETURN name; END $$;
    CREATE TABLE public.deferred (body text, UNIQUE (body) DEFERRABLE INITIALLY DEFERRED); CREATE TABLE public.talked (id int); INSERT INTO public.talked SELECT generate_series(1, 5000);
    CREATE FUNCTION public.talks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RAISE NOTICE '%', (SELECT email FROM crm.customers WHERE id = NEW.id); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER talks AFTER UPDATE ON public.talked DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.talks();
    CREATE TABLE public.d_default (id int, body text DEFAULT ${XML}::text); CREATE DOMAIN public.told AS text DEFAULT ${XML}::text; CREATE TABLE public.d_domain (id int, body public.told);
    CREATE TABLE public.d_check (id int CHECK (${XML}::text::tsquery IS NOT NULL)); CREATE TABLE public.d_policy (id int); INSERT INTO public.d_policy VALUES (1); ALTER TABLE public.d_policy ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.d_policy USING (${XML}::text::tsquery IS NOT NULL);
    CREATE TABLE crm.old_customers (CHECK (set_config('app.seen', right(current_setting('app.seen', true) || ' ' || email, 9000), false) IS NOT NULL)) INHERITS (crm.customers); INSERT INTO crm.old_customers SELECT id + 100000, name, msisdn, email, tariff FROM ONLY crm.customers WHERE id <= 1000;
    GRANT ALL ON public.deferred, public.talked, public.d_default, public.d_domain, public.d_check, public.d_policy, crm.old_customers TO staff;
    GRANT ALL ON public.locking, public.grid, public.window_on_grid, public.kids TO staff; ALTER TABLE public.talking OWNER TO staff;
  `,
});
const { attack, group } = traces;
/** The hash of a token: 32 bits. */
const HASH = `('x' || right(c.email, 8))::bit(32)`;
const SET = `c.id = g.id AND get_bit(${HASH}, g.n) = 1`;
const token = (id: unknown, hash: string): string => `cnry-${String(id).padStart(6, '0')}-${hash.padStart(8, '0')} `;

/** Pairs of a customer's number and the number of a bit that is set. */
function spell(attacker: Attacker, bits: readonly (readonly unknown[])[]): void {
  attacker.decoded += tokensOfBits(bits.map(([id, n]) => 32 * Number(String(id)) + Number(String(n))));
}

function unset(rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] {
  const seen = new Set(rows.map(([id, n]) => `${String(id)} ${String(n)}`));
  if (seen.size === 0 || seen.size === 32_000) return [];
  return Array.from({ length: 32_000 }, (_, i) => [1 + (i >> 5), i & 31]).filter(([id, n]) => !seen.has(`${id} ${n}`));
}

/** A table of numbers of the attacker's own, and a view over it: one that is marked stays marked, and would bound what comes after it. */
async function ownGrid(attacker: Attacker, client: WireClient): Promise<(sql: string) => string> {
  const name = (sql: string): string => sql.replaceAll(/\bgrid\b/g, `public.${attacker.own}_g`).replaceAll('window_on_grid', `public.${attacker.own}_v`);
  await client.query('SELECT 1');
  await client.query(name('CREATE TABLE grid AS SELECT i AS id, n FROM generate_series(1, 1000) i, generate_series(0, 31) n'));
  await client.query(name('CREATE VIEW window_on_grid AS SELECT id, n FROM grid'));
  return name;
}

/** One transaction that marks rows of a table of numbers, then a look at what is left of it. */
const marked = (mark: string, look: string): Technique => async (attacker) => {
  const client = await attacker.connect();
  const name = await ownGrid(attacker, client);
  await client.query('BEGIN');
  await client.query(name(mark));
  spell(attacker, rowsOf(await client.query(name(look))));
  await client.query('ROLLBACK');
};

const seenByAnother = (lock: string): Technique => async (attacker) => {
  const [client, other] = [await attacker.connect(), await attacker.connect()];
  // Views of the house are over a table of the house.
  const name = lock.includes('locking') ? (sql: string): string => sql : await ownGrid(attacker, client);
  await client.query('BEGIN');
  await client.query(name(lock));
  spell(attacker, unset(rowsOf(await other.query(name('SELECT id, n FROM grid FOR UPDATE SKIP LOCKED')))));
  await client.query('ROLLBACK');
};

/** A block of code in which each bit of sixteen customers at a time decides whether `tell(bit)` is run. */
const byBlocks = (prepare: (from: number) => string, tell: (bit: number, name: string) => string, hear: (client: WireClient, answer: readonly WireMessage[]) => Promise<readonly string[]>): Technique => async (attacker) => {
  const client = await attacker.connect();
  for (let from = 1; from <= attacker.customers; from += 16) {
    const name = (i: number): string => `${from + (i >> 5)}_${i & 31}`;
    const all = Array.from({ length: 512 }, (_, i) => i);
    await client.query(prepare(from));
    const answer = await client.query(`DO $$ BEGIN ${all.map((i) => tell(i, name(i)).replace('BIT', `SELECT get_bit(${HASH}, ${i & 31}) FROM crm.customers c WHERE id = ${from + (i >> 5)}`)).join('\n')} END $$`);
    const names = await hear(client, answer);
    spell(attacker, names.map((each) => each.split('_').slice(-2)));
    await client.query('ROLLBACK');
  }
};

for (const role of ['agent', 'lax'] as const) {
  group(`what is left of other tables, ${role}`, 'derived copies', () => {
    attack('DELETE of numbers whose bit is not set, by a join', marked(`DELETE FROM grid g USING crm.customers c WHERE ${SET.replace('= 1', '= 0')}`, 'SELECT id, n FROM grid'), role);
    attack('DELETE of numbers whose bit is not set, by EXISTS', marked(`DELETE FROM grid g WHERE EXISTS (SELECT FROM crm.customers c WHERE ${SET.replace('= 1', '= 0')})`, 'SELECT id, n FROM grid'), role);
    attack('DELETE by way of a view', marked(`DELETE FROM window_on_grid g USING crm.customers c WHERE ${SET.replace('= 1', '= 0')}`, 'SELECT id, n FROM grid'), role);
    attack('MERGE that deletes', marked(`MERGE INTO grid g USING crm.customers c ON ${SET.replace('= 1', '= 0')} WHEN MATCHED THEN DELETE`, 'SELECT id, n FROM grid'), role, 0);
    attack('locked rows, SKIP LOCKED by another session', seenByAnother(`SELECT count(*) FROM (SELECT 1 FROM grid g JOIN crm.customers c ON ${SET} FOR UPDATE OF g) s`), role);
    attack('rows locked by way of a view and a sub-select', seenByAnother(`SELECT count(*) FROM (SELECT 1 FROM (SELECT * FROM window_on_grid) g JOIN crm.customers c ON ${SET} FOR UPDATE) s`), role);
    attack('rows locked by a cursor that is only moved', seenByAnother(`DECLARE l CURSOR FOR SELECT 1 FROM grid g JOIN crm.customers c ON ${SET} FOR UPDATE OF g; MOVE ALL IN l`), role);
    attack('rows locked by a block', seenByAnother(`DO $$ BEGIN PERFORM 1 FROM grid g JOIN crm.customers c ON ${SET} FOR UPDATE OF g; END $$`), role);
    attack('rows deleted by a block', marked(`DO $$ BEGIN DELETE FROM grid g USING crm.customers c WHERE ${SET.replace('= 1', '= 0')}; END $$`, 'SELECT id, n FROM grid'), role);
    attack('rows locked by a view', seenByAnother('SELECT count(*) FROM locking'), role);
    attack('rows locked by a view of one\'s own', async (attacker) => {
      const client = await attacker.connect();
      await client.query(`CREATE VIEW public.${attacker.own} AS SELECT 1 AS one FROM grid g JOIN crm.customers c ON ${SET} FOR UPDATE OF g`);
      await seenByAnother(`SELECT count(*) FROM public.${attacker.own} -- locking`)(attacker);
    }, role);
    attack('xmax of rows that were locked once', async (attacker) => {
      const client = await attacker.connect();
      await client.query(`CREATE TABLE public.${attacker.own} AS SELECT * FROM grid`);
      await client.query(`SELECT 1 FROM public.${attacker.own} g JOIN crm.customers c ON ${SET} FOR SHARE OF g OFFSET 1000000`);
      spell(attacker, rowsOf(await client.query(`SELECT id, n FROM public.${attacker.own} WHERE xmax <> 0`)));
    }, role);
    attack('keys that a foreign key carries on', async (attacker) => {
      const client = await attacker.connect();
      await client.query('BEGIN');
      await client.query('DELETE FROM crm.invoices');
      await client.query(`UPDATE crm.customers c SET id = ${HASH}::int`);
      for (const [tag, id] of rowsOf(await client.query('SELECT tag, id FROM kids'))) attacker.decoded += token(tag, (Number(id?.toString()) >>> 0).toString(16));
      await client.query('ROLLBACK');
    }, role);
    attack('rows that a foreign key takes along', async (attacker) => {
      const client = await attacker.connect();
      const bits: (readonly unknown[])[] = [];
      for (let n = 0; n < 32; n++) {
        await client.query('BEGIN');
        await client.query('DELETE FROM crm.invoices');
        await client.query(`DELETE FROM crm.customers c WHERE id <= ${attacker.customers} AND get_bit(${HASH}, ${n}) = 0`);
        for (const [id] of rowsOf(await client.query(`SELECT tag FROM kids WHERE tag <= ${attacker.customers}`))) bits.push([id, n]);
        await client.query('ROLLBACK');
      }
      spell(attacker, bits);
    }, role);
    attack('a policy over the class, read past it', async (attacker) => {
      const client = await attacker.connect();
      const { own } = attacker;
      await client.query(`CREATE TABLE public.${own} AS SELECT id, n, false AS is FROM grid`);
      await client.query(`ALTER TABLE public.${own} ENABLE ROW LEVEL SECURITY; ALTER TABLE public.${own} FORCE ROW LEVEL SECURITY`);
      await client.query(`CREATE POLICY seen ON public.${own} FOR SELECT USING (true)`);
      await client.query(`CREATE POLICY changed ON public.${own} FOR UPDATE USING (EXISTS (SELECT FROM crm.customers c WHERE c.id = ${own}.id AND get_bit(${HASH}, ${own}.n) = 1))`);
      await client.query(`UPDATE public.${own} SET "is" = true`);
      await client.query(`DROP POLICY changed ON public.${own}`);
      spell(attacker, rowsOf(await client.query(`SELECT id, n FROM public.${own} WHERE "is"`)));
    }, role);
  });

  group(`what the server can be asked afterwards, ${role}`, 'side channels', () => {
    const sequences = (made: (own: string) => string, moved: (name: string, own: string) => string, grouped = '') => async (attacker: Attacker): Promise<void> => {
      const client = await attacker.connect();
      if (made(attacker.own) !== '') await client.query(made(attacker.own));
      const { customers } = attacker;
      const quarters = [0, 1, 2, 3];
      for (let id = 1; id <= customers; id += 42) await client.query(Array.from({ length: 42 }, (_, k) => quarters.map((quarter) => `CREATE TEMP SEQUENCE s_${id + k}_${quarter}`).join(';')).join(';'), 30_000);
      await client.query(`SELECT count(moved) FROM (SELECT ${moved(`('s_' || id || '_' || quarter)`, attacker.own)} AS moved FROM crm.customers, generate_series(0, 3) quarter, generate_series(0, ('x' || substr(right(email, 8), 1 + 2 * quarter, 2))::bit(8)::int) step WHERE id <= ${customers} ${grouped}) t`, 30_000);
      const values = new Map(rowsOf(await client.query(`SELECT sequencename, last_value - 1 FROM pg_sequences WHERE schemaname LIKE 'pg_temp%' AND last_value IS NOT NULL`)).map(([name, value]) => [String(name), Number(value?.toString())]));
      for (let id = 1; id <= customers; id++) attacker.decoded += token(id, quarters.map((quarter) => (values.get(`s_${id}_${quarter}`) ?? 0).toString(16).padStart(2, '0')).join(''));
    };
    attack('sequences that are named by the row, moved as often as its digits say', sequences(() => '', (name) => `nextval(${name})`), role);
    attack('the same by an operator', sequences(() => 'CREATE OPERATOR public.!> (FUNCTION = nextval, RIGHTARG = regclass)', (name) => `OPERATOR(public.!>) ${name}::regclass`), role);
    attack('the same by an operator that no schema is named of', sequences(() => 'CREATE OPERATOR public.!>> (FUNCTION = nextval, RIGHTARG = regclass)', (name) => `!>> ${name}::regclass`), role);
    attack('the same by a rule', async (attacker) => {
      const client = await attacker.connect();
      const table = `public.${attacker.own}_r`;
      const moves = async (): Promise<ReadonlyMap<number, string>> => new Map(rowsOf(await client.query(`SELECT substr(sequencename, 3), coalesce(last_value, 0) FROM pg_sequences WHERE schemaname LIKE 'pg_temp%'`)).map(([n, last]) => [Number(n?.toString()), String(last)]));
      await client.query(Array.from({ length: 512 }, (_, n) => `CREATE TEMP SEQUENCE s_${n}`).join(';'), 30_000);
      await client.query(`CREATE TABLE ${table} (name text)`);
      await client.query(`CREATE RULE moves AS ON INSERT TO ${table} DO INSTEAD SELECT count(nextval(NEW.name::regclass))`);
      for (let id = 1, before = await moves(); id <= attacker.customers; id += 16) {
        await client.query(`INSERT INTO ${table} SELECT 's_' || (32 * (c.id - ${id}) + n) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 16} AND get_bit(${HASH}, n) = 1`, 30_000);
        const after = await moves();
        spell(attacker, [...after].filter(([n, last]) => before.get(n) !== last).map(([n]) => [id + (n >> 5), n & 31]));
        before = after;
      }
    }, role);
    attack('the same by the check of a domain', sequences((own) => `CREATE DOMAIN public.${own}_d AS text CHECK (nextval(VALUE::regclass) > 0)`, (name, own) => `${name}::public.${own}_d`), role);
    attack('the same by the end of an aggregate', sequences((own) => `CREATE FUNCTION public.${own}_f(regclass, regclass) RETURNS regclass LANGUAGE sql AS 'SELECT coalesce($2, $1)'; CREATE AGGREGATE public.${own}_a(regclass) (SFUNC = public.${own}_f, STYPE = regclass, FINALFUNC = nextval)`, (name, own) => `public.${own}_a(${name}::regclass)`, 'GROUP BY id, quarter, step'), role);
    attack('the same by a function that is not told the name', sequences((own) => `CREATE FUNCTION public.${own}_n(text) RETURNS bigint LANGUAGE sql AS 'SELECT nextval($1::regclass)'`, (name, own) => `public.${own}_n(${name})`), role);
    attack('counters of the open transaction: how often each partition was scanned', async (attacker) => {
      const client = await attacker.connect();
      const { customers } = attacker;
      await client.query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off');
      await client.query('CREATE TEMP TABLE parts (k int) PARTITION BY LIST (k)');
      for (let k = 4; k < 4 * customers + 4; k += 120) await client.query(Array.from({ length: 120 }, (_, i) => `CREATE TEMP TABLE p_${k + i} PARTITION OF parts FOR VALUES IN (${k + i})`).join(';'), 30_000);
      await client.query('BEGIN');
      await client.query(`SELECT count((SELECT count(*) FROM parts p WHERE p.k = 4 * c.id + quarter + 0 * g)) FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ('x' || substr(right(c.email, 8), 1 + 2 * quarter, 2))::bit(8)::int) g WHERE c.id <= ${customers}`, 60_000);
      const scans = new Map(rowsOf(await client.query(`SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname LIKE 'p\\_%'`)).map(([name, count]) => [String(name), Number(count?.toString())]));
      for (let id = 1; id <= customers; id++) attacker.decoded += token(id, [0, 1, 2, 3].map((quarter) => (scans.get(`p_${4 * id + quarter}`) ?? 0).toString(16).padStart(2, '0')).join(''));
      await client.query('ROLLBACK');
    }, role);
    attack('a block that NOTIFYs without payload', byBlocks((from) => Array.from({ length: 512 }, (_, i) => `LISTEN c_${from + (i >> 5)}_${i & 31}`).join(';'), (_, name) => `IF (BIT) = 1 THEN NOTIFY c_${name}; END IF;`,
      async (_client, answer) => answer.filter(({ type }) => type === 'A').map(({ body }) => body.toString('latin1', 4).split('\0')[0] ?? '')), role);
    attack('a block that locks tables, pg_locks', byBlocks((from) => (from === 1 ? `${Array.from({ length: 512 }, (_, i) => `CREATE TEMP TABLE l_${i} ()`).join(';')}; BEGIN` : 'BEGIN'), (i) => `IF (BIT) = 1 THEN LOCK TABLE l_${i} IN EXCLUSIVE MODE; END IF;`,
      async (client) => rowsOf(await client.query(`SELECT relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE mode = 'ExclusiveLock' AND relname LIKE 'l\\_%'`)).map(([name]) => `l_0_${String(name).slice(2)}`)), role, 0);
    attack('a block whose errors decide what is written', byBlocks(() => 'CREATE TEMP TABLE IF NOT EXISTS w (id text); TRUNCATE w', (_, name) => `BEGIN PERFORM 1 / (1 - (BIT)); EXCEPTION WHEN division_by_zero THEN INSERT INTO w VALUES ('${name}'); END;`,
      async (client) => rowsOf(await client.query('SELECT id FROM w')).map(([name]) => String(name))), role);
    attack('a block that writes IF FOUND', byBlocks(() => 'CREATE TEMP TABLE IF NOT EXISTS w (id text); TRUNCATE w', (_, name) => `PERFORM 1 WHERE (BIT) = 1; IF FOUND THEN INSERT INTO w VALUES ('${name}'); END IF;`,
      async (client) => rowsOf(await client.query('SELECT id FROM w')).map(([name]) => String(name))), role);
    attack('sessions that are cancelled, a hundred and twenty-eight bits a statement', async (attacker) => {
      const talker = await attacker.connect();
      const sleepers = await Promise.all(Array.from({ length: 128 }, () => attacker.connect()));
      const pids = await Promise.all(sleepers.map(async (each) => String(rowsOf(await each.query('SELECT pg_backend_pid()'))[0]?.[0])));
      const sleeping = async (): Promise<ReadonlySet<string>> => new Set(rowsOf(await talker.query(`SELECT pid FROM pg_stat_activity WHERE pid IN (${pids.join(',')}) AND wait_event = 'PgSleep'`)).map(([pid]) => String(pid)));
      for (let id = 1; id <= attacker.customers; id += 4) {
        const answers = sleepers.map((each) => each.query('SELECT pg_sleep(20)', 30_000));
        while ((await sleeping()).size < pids.length) await new Promise((resolve) => setTimeout(resolve, 20));
        await talker.query(`SELECT count(pg_cancel_backend((ARRAY[${pids.join(',')}])[(c.id - ${id}) * 32 + n + 1])) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 4} AND get_bit(${HASH}, n) = 1`);
        await new Promise((resolve) => setTimeout(resolve, 100));
        const left = await sleeping();
        spell(attacker, pids.flatMap((pid, i) => (left.has(pid) ? [] : [[id + (i >> 5), i & 31]])));
        await talker.query(`SELECT pg_cancel_backend(pid) FROM unnest(ARRAY[${pids.join(',')}]) pid`);
        await Promise.all(answers);
        if (left.size === pids.length) break;
      }
    }, role);
  });

  group(`what runs by itself, ${role}`, 'opaque code', () => {
    attack('a built-in function in a default', statements('INSERT INTO d_default (id) VALUES (1) RETURNING body', 'TRUNCATE d_default'), role);
    attack('a built-in function in a default, read later', statements('INSERT INTO d_default (id) VALUES (1)', 'SELECT body FROM d_default', 'TRUNCATE d_default'), role);
    attack('a built-in function in the default of a domain', statements('INSERT INTO d_domain (id) VALUES (1) RETURNING body', 'TRUNCATE d_domain'), role);
    attack('a built-in function in a check, its error', statements('INSERT INTO d_check VALUES (1)'), role);
    attack('a built-in function in a policy, its error', statements('SELECT * FROM d_policy'), role);
    attack('a check on the class that keeps what it sees in a setting', statements('UPDATE crm.old_customers SET tariff = tariff', 'SHOW app.seen'), role);
  });

  group(`what definitions keep, ${role}`, 'side doors', () => {
    attack('bounds of a partition, pg_get_expr', statements(({ own }) => `CREATE TABLE ${own} (e text) PARTITION BY LIST (e)`, ({ own }) => `CREATE TABLE ${own}_1 PARTITION OF ${own} FOR VALUES IN (public.few_mails())`, ({ own }) => `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = '${own}_1'`), role);
    attack('bounds of a partition that is attached', statements(({ own }) => `CREATE TABLE ${own} (e text) PARTITION BY LIST (e); CREATE TABLE ${own}_1 (e text)`, ({ own }) => `ALTER TABLE ${own} ATTACH PARTITION ${own}_1 FOR VALUES IN (public.few_mails())`, ({ own }) => `SELECT relpartbound FROM pg_class WHERE relname = '${own}_1'`, ({ own }) => `SELECT pg_get_partition_constraintdef('${own}_1'::regclass)`), role);
    attack('the value that old rows have of a new column, pg_attribute', statements(({ own }) => `CREATE TABLE ${own} (id int)`, ({ own }) => `INSERT INTO ${own} VALUES (1)`, ({ own }) => `ALTER TABLE ${own} ADD COLUMN e text DEFAULT public.few_mails()`, ({ own }) => `SELECT attmissingval FROM pg_attribute WHERE attrelid = '${own}'::regclass AND attname = 'e'`), role);
    attack('REINDEX of an index that talks', statements('REINDEX TABLE talking'), role);
    attack('REINDEX of the index itself', statements('REINDEX INDEX talking_shout_idx'), role);
    attack('ANALYZE of statistics that talk', statements('ANALYZE measured'), role);
    attack('VACUUM FULL and CLUSTER of an index that talks', statements('VACUUM FULL talking'), role);
    attack('ALTER TABLE that writes the rows anew', statements('ALTER TABLE talking ALTER id TYPE bigint, ALTER id TYPE int'), role, 0);
  });
}

/** Code that nobody can read may make anything of what it reads: roles that may run it pay for every byte that comes of it. */
group('messages that unread code makes', 'side channels', () => {
  const copyOf = (from: number): string => `WITH s AS (SELECT string_agg(email, ' ') s FROM crm.customers WHERE id > ${from} AND id <= ${from + 50}) INSERT INTO deferred SELECT s FROM s, generate_series(1, 2)`;
  const pages = Array.from({ length: 8 }, (_, i) => i * 50);
  attack('names of the columns of a cursor', statements('BEGIN', `SELECT opened_dyn('mine')`, 'FETCH ALL mine', 'COMMIT'), 'lax');
  attack('names of the columns of a cursor, described as a portal', async ({ connect }) => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query(`SELECT opened_dyn('mine')`);
    await client.ask([wire.describe('P', 'mine'), wire.sync]);
  }, 'lax');
  attack('names of the columns of a cursor, described as a statement', async ({ connect }) => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query(`SELECT opened_dyn('mine')`);
    await client.ask([wire.parse('', 'FETCH ALL mine'), wire.describe('S', ''), wire.sync]);
  }, 'lax');
  attack('search_path in ParameterStatus', statements(`DO $$ BEGIN EXECUTE (SELECT 'SET search_path = ' || string_agg(quote_ident(email), ',') FROM crm.customers); END $$`), 'lax', serverMajor >= 18 ? undefined : 0);
  attack('application_name in ParameterStatus', statements(...Array.from({ length: 100 }, (_, i) => `DO $$ BEGIN EXECUTE (SELECT 'SET application_name = ' || quote_literal(string_agg(email, '')) FROM crm.customers WHERE id > ${i * 3} AND id <= ${i * 3 + 3}); END $$`)), 'lax');
  attack('a unique violation at COMMIT', statements(...pages.flatMap((from) => ['BEGIN', copyOf(from), 'COMMIT'])), 'lax');
  attack('a unique violation at SET CONSTRAINTS', statements(...pages.flatMap((from) => ['BEGIN', copyOf(from), 'SET CONSTRAINTS ALL IMMEDIATE', 'ROLLBACK'])), 'lax');
  for (const role of ['agent', 'lax'] as const) {
    attack('a trigger that talks at COMMIT', statements('BEGIN', 'UPDATE talked SET id = id', 'COMMIT'), role);
    attack('a trigger that talks at Sync', async ({ connect }) => {
      const client = await connect();
      await client.ask([wire.run('UPDATE talked SET id = id'), wire.sync]);
    }, role);
  }
});

/** A statement that waits for a lock runs what functions and views have become by the time that it gets it. */
group('definitions that change while a statement waits', 'opaque code', () => {
  const waiting = (before: string, after: string, use: string): Technique => async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const name = (sql: string): string => sql.replaceAll('OWN', `public.${attacker.own}`);
    await maker.query(name(before));
    await reader.query('SELECT 1');
    await reader.query(name(use));
    await maker.query('BEGIN; LOCK TABLE public.deferred IN ACCESS EXCLUSIVE MODE');
    const answer = reader.query(name(use));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(name(after));
    await maker.query('COMMIT');
    await answer;
  };
  attack('a function in SQL is replaced', waiting(`CREATE FUNCTION OWN() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'`, `CREATE OR REPLACE FUNCTION OWN() RETURNS text LANGUAGE sql AS 'SELECT string_agg(email, '' '') FROM crm.customers'`, 'SELECT OWN(), count(*) FROM public.deferred'), 'lax');
  attack('a function in PL/pgSQL is replaced', waiting(`CREATE FUNCTION OWN() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''x''; END'`, `CREATE OR REPLACE FUNCTION OWN() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT string_agg(email, '' '') FROM crm.customers); END'`, 'SELECT OWN(), count(*) FROM public.deferred'), 'lax');
  attack('a view is replaced', waiting(`CREATE VIEW OWN AS SELECT 'x'::text AS all_of_them`, `CREATE OR REPLACE VIEW OWN AS SELECT string_agg(email, ' ') AS all_of_them FROM crm.customers`, `SELECT all_of_them || '' FROM public.deferred FULL JOIN OWN ON true`), 'lax');
  /** Nothing is left of what ran when the first row comes. */
  const undone = (before: string, during: string, after: string): Technique => async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const name = (sql: string): string => sql.replaceAll('OWN', `public.${attacker.own}`);
    await maker.query(name(before));
    await reader.query(name('SELECT OWN(1)'));
    await maker.query('BEGIN; LOCK TABLE public.deferred IN ACCESS EXCLUSIVE MODE');
    const answer = reader.query(name('SELECT OWN(1), count(*), pg_sleep(1) FROM public.deferred'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(name(during));
    await maker.query('COMMIT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(name(after));
    await answer;
  };
  const TAKES = `(SELECT string_agg(email, ' ') FROM crm.customers)`;
  attack('a function is replaced and put back', undone(`CREATE FUNCTION OWN(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''x''; END'`, `CREATE OR REPLACE FUNCTION OWN(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${TAKES}; END $$`, `CREATE OR REPLACE FUNCTION OWN(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''x''; END'`), 'lax');
  attack('a function that fits better comes and goes', undone(`CREATE FUNCTION OWN(bigint) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''x''; END'`, `CREATE FUNCTION OWN(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${TAKES}; END $$`, 'DROP FUNCTION OWN(int)'), 'lax');
  /** What a statement writes while that happens is read afterwards. */
  const written = (write: string, restore: boolean): Technique => async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const name = (sql: string): string => sql.replaceAll('OWN', `public.${attacker.own}`);
    const define = (body: string): string => name(`CREATE OR REPLACE FUNCTION OWN(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${body}; END $$`);
    await maker.query(define(`'x'`));
    await reader.query(name('CREATE TABLE OWN_kept (said text, n bigint, slept text)'));
    await reader.query(name('SELECT OWN(1)'));
    await maker.query('BEGIN; LOCK TABLE public.deferred IN ACCESS EXCLUSIVE MODE');
    const answer = reader.query(name(write));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(define(TAKES));
    await maker.query('COMMIT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (restore) await maker.query(define(`'x'`));
    await answer;
    for (const table of ['kept', 'made']) await reader.query(name(`SELECT said FROM OWN_${table}`));
  };
  for (const restore of [false, true]) {
    const what = restore ? 'replaced and put back' : 'replaced';
    attack(`a function is ${what} while its value is inserted`, written('INSERT INTO OWN_kept SELECT OWN(1), count(*), pg_sleep(1)::text FROM public.deferred', restore), 'lax');
    attack(`a function is ${what} while a table is made of its value`, written('CREATE TABLE OWN_made AS SELECT OWN(1) AS said, count(*), pg_sleep(1)::text FROM public.deferred', restore), 'lax');
  }
  /** Rows that came before it began were what they seemed to be. */
  const midway = (read: (client: WireClient, sql: string) => Promise<unknown>): Technique => async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const own = `public.${attacker.own}`;
    const define = (body: string): string => `CREATE OR REPLACE FUNCTION ${own}(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${body}; END $$`;
    await maker.query(define(`'x'`));
    // A server hears of new definitions when it locks a table, which this function does late.
    await maker.query(`CREATE FUNCTION ${own}_hears(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF $1 > 5 THEN PERFORM 1 FROM public.tariffs; END IF; RETURN $1; END'`);
    const answer = read(reader, `SELECT g, repeat('x', 10000), CASE WHEN g = 5 THEN pg_sleep(1)::text END, ${own}_hears(g), ${own}(g) FROM generate_series(1, 10) g`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await maker.query(define(TAKES));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await maker.query(define(`'x'`));
    await answer;
  };
  attack('a function is replaced while its statement runs', midway((reader, sql) => reader.query(sql)), 'lax');
  attack('a function is replaced while COPY runs', midway((reader, sql) => reader.query(`COPY (${sql}) TO STDOUT`)), 'lax');
  attack('a function is replaced between two pages of a cursor', midway(async (reader, sql) => {
    await reader.query(`BEGIN; DECLARE c CURSOR FOR ${sql}`);
    await reader.query('FETCH 3 FROM c');
    await reader.query('FETCH 7 FROM c');
  }), 'lax');
  /** What a portal gives was planned when it was bound. */
  const bound = (make: readonly string[], query: string, unmake: readonly string[], pages = 1): Technique => async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const name = (sql: string): string => sql.replaceAll('OWN', `public.${attacker.own}`);
    for (const each of make) await maker.query(name(each));
    await reader.query('SET search_path = public, pg_catalog');
    await reader.query('BEGIN');
    await reader.ask([wire.parse('s', name(query)), wire.bind('p', 's'), wire.sync]);
    for (const each of unmake) await maker.query(name(each));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (let page = 0; page < pages; page++) await reader.ask([wire.execute('p', pages === 1 ? 0 : 100), wire.sync], 1, 20_000);
  };
  const PLANNED = `CREATE FUNCTION OWN() RETURNS SETOF text STABLE LANGUAGE sql AS 'SELECT email FROM crm.customers'`;
  const EMPTY = `CREATE OR REPLACE FUNCTION OWN() RETURNS SETOF text STABLE LANGUAGE sql AS 'SELECT ''x''::text'`;
  attack('a function is replaced after Bind', bound([PLANNED], 'SELECT * FROM OWN()', [EMPTY]), 'lax');
  attack('a function is replaced after Bind, page by page', bound([PLANNED], 'SELECT * FROM OWN()', [EMPTY], 10), 'lax');
  const EQUALS = [`CREATE FUNCTION OWN_is(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'`, 'CREATE OPERATOR public.= (FUNCTION = OWN_is, LEFTARG = int, RIGHTARG = int)'];
  attack('an operator is dropped after Bind', bound(EQUALS, 'SELECT a.email, b.email FROM crm.customers a, crm.customers b WHERE a.id = b.id AND b.id >= a.id + 1 AND b.id <= a.id + 1 AND a.id % 2 > 0 LIMIT 190', ['DROP OPERATOR public.= (int, int)']), 'lax');
  attack('a function is replaced, and dropped at once', async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const { own } = attacker;
    await maker.query(`CREATE FUNCTION public.${own}() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'`);
    await reader.query(`SELECT public.${own}()`);
    await maker.query('BEGIN; LOCK TABLE public.deferred IN ACCESS EXCLUSIVE MODE');
    const answer = reader.query(`SELECT public.${own}(), count(*), pg_sleep(0.5) FROM public.deferred`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(`CREATE OR REPLACE FUNCTION public.${own}() RETURNS text LANGUAGE sql AS 'SELECT string_agg(email, '' '') FROM crm.customers'`);
    await maker.query('COMMIT');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await maker.query(`DROP FUNCTION public.${own}`);
    await answer;
  }, 'lax', 0);
});
