import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.ts';
import { reach } from '../../../src/catalog/reach.ts';
import { ReachIndex } from '../../../src/catalog/reach-index.ts';
import type { ClassDefinition, ResolvedReach, SearchPath } from '../../../src/catalog/reach-types.ts';
import { Analyser } from '../../../src/sql/analyser.ts';
import { CRM_SCHEMA } from './crm-schema.ts';
import { startServer, type TestServer } from './postgres-server.ts';
import { INTROSPECTION } from './introspection.ts';

const CLASSES: readonly ClassDefinition[] = [
  {
    name: 'customers',
    relations: [
      { pattern: 'crm.customers', subject: ['id'] },
      { pattern: 'crm.invoices', subject: ['customer_id'] },
      { pattern: 'crm.calls', subject: ['customer_id'] },
      { pattern: 'crm.contact_*', subject: ['customer_id'] },
      { pattern: 'crm.far_customers', subject: [] },
    ],
    functions: [{ pattern: 'crm.find_customer', reads: true }],
  },
  { name: 'staff', relations: [{ pattern: 'crm.staff', subject: [] }], functions: [] },
];

let server: TestServer;
let admin: Client;
let catalog: Catalog;
let analyser: Analyser;
let index: ReachIndex;

beforeAll(async () => {
  server = await startServer();
  admin = await server.connect();
  await admin.query(CRM_SCHEMA);
  analyser = await Analyser.create();
  catalog = new Catalog({
    connection: { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'secret', database: 'postgres' },
    analyse: (sql) => analyser.analyse(sql), readRoutine: (definition) => analyser.readRoutine(definition),
    refreshMs: 60_000,
  });
  index = new ReachIndex(await catalog.refresh(), { classes: CLASSES, trustedFunctions: ['public.trusted_*'] });
});

afterAll(async () => {
  await catalog?.close();
  await analyser?.close();
  await admin?.end();
  await server?.stop();
});

async function reachOf(sql: string, searchPath: SearchPath | 'any' = ['public'], local?: Parameters<typeof reach>[1]['local']): Promise<ResolvedReach> {
  const analysis = await analyser.analyse(sql);
  if (analysis.kind !== 'statements') throw new Error(`${sql}: ${analysis.kind}`);
  const [facts] = analysis.statements;
  if (facts === undefined) throw new Error(`${sql}: no statement`);
  return reach(facts, { index, searchPath: searchPath === 'any' ? undefined : searchPath, ...(local === undefined ? {} : { local }) });
}

/** `customers:2 staff:1`, with `+` for packing and `?` in front where the statement is opaque. */
async function summary(sql: string, searchPath: SearchPath | 'any' = ['public']): Promise<string> {
  const { classes, opaque } = await reachOf(sql, searchPath);
  return (opaque.length > 0 ? '?' : '') + classes.map((cls) => `${cls.className}:${cls.width}${cls.packs ? '+' : ''}`).join(' ');
}

async function categories(sql: string): Promise<string[]> {
  return [...(await reachOf(sql)).categories].sort();
}

const EVERYTHING = '?customers:1+ staff:1+';

describe('relations', () => {
  it.each([
    ['SELECT * FROM crm.customers', 'customers:1'],
    ['SELECT * FROM public.products', ''],
    ['SELECT * FROM products', ''],
    ['SELECT * FROM crm.contact_mail', 'customers:1'],
    ['SELECT * FROM crm.calls', 'customers:1'],
    ['SELECT * FROM crm.calls_2024', 'customers:1'],
    ['SELECT * FROM calls_2025', 'customers:1'],
    ['SELECT * FROM crm.vip', 'customers:1'],
    ['SELECT * FROM public.person', 'staff:1'],
    ['SELECT * FROM crm.staff', 'staff:1'],
    ['SELECT * FROM crm.customer_view', 'customers:1'],
    ['SELECT * FROM public.view_over_view', 'customers:2'],
    ['SELECT * FROM public.twice', 'customers:2'],
    ['SELECT * FROM public.twice a, public.twice b', 'customers:4'],
    ['SELECT * FROM public.packed', 'customers:1+'],
    ['SELECT * FROM public.product_view', ''],
    ['SELECT * FROM public.customer_copy', 'customers:1'],
    ['SELECT * FROM public.ticket', ''],
    ['SELECT * FROM shadow."odd.name*"', ''],
    ['TABLE crm.customers', 'customers:1'],
    ['COPY crm.customers TO STDOUT', 'customers:1'],
    ['COPY (SELECT * FROM crm.customers) TO STDOUT', 'customers:1'],
    ['DECLARE c CURSOR FOR SELECT * FROM crm.customers', 'customers:1'],
    ['WITH customers AS (SELECT 1) SELECT * FROM customers', ''],
    ['WITH x AS (SELECT * FROM crm.customers) SELECT * FROM x a, x b', 'customers:2'],
  ])('%s reaches "%s"', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });

  it('charges a TOAST table as its owner, packed', async () => {
    const { rows } = await admin.query(`SELECT reltoastrelid::regclass::text AS toast FROM pg_class WHERE oid = 'crm.customers'::regclass`);
    expect(await summary(`SELECT * FROM ${rows[0].toast}`)).toBe('customers:1+');
  });

  it('resolves unqualified names in the path, and in every schema where the path is not known', async () => {
    expect(await summary('SELECT * FROM customers', ['crm', 'public'])).toBe('customers:1');
    expect(await summary('SELECT * FROM customers', ['public'])).toBe(EVERYTHING);
    expect(await summary('SELECT * FROM customers', 'any')).toBe('customers:1');
    expect(await summary('SELECT * FROM products', ['shadow', 'public'])).toBe('');
  });

  it('charges every class for a name that is not there, and tells which', async () => {
    const result = await reachOf('SELECT * FROM nowhere.to_be_seen');
    expect(result.misses).toEqual(['relation "nowhere.to_be_seen"']);
    expect(result.opaque).toEqual(['relation "nowhere.to_be_seen" is not in the catalog']);
    expect(result.classes).toHaveLength(2);
  });

  it('takes the name of a new type for no relation', async () => {
    const made = [{ schema: undefined, name: 'mine', classes: [], onlyType: true }];
    expect((await reachOf("SELECT 'x'::mine", ['public'], made)).opaque).toEqual([]);
    expect((await reachOf('SELECT * FROM mine', ['public'], made)).opaque).not.toEqual([]);
  });

  it('takes a relation of the open transaction for what made it', async () => {
    const made = (classes: string[]) => [{ schema: undefined, name: 'mine', classes, onlyType: false }];
    expect((await reachOf('SELECT * FROM mine', ['public'], made([]))).classes).toEqual([]);
    expect((await reachOf('SELECT * FROM mine', ['public'], made(['customers']))).classes).toMatchObject([{ className: 'customers', packs: true }]);
  });

  it('does not mistake a name for a miss that the statement itself makes', async () => {
    const result = await reachOf('CREATE TEMP TABLE fresh (id serial, t text)');
    expect(result.misses).toEqual([]);
    expect(result.classes).toEqual([]);
  });

  it('covers by oid what lies beneath a view and a partitioned table', async () => {
    const { rows } = await admin.query(`SELECT 'crm.customers'::regclass::oid::int AS base, 'crm.calls_2024'::regclass::oid::int AS part, 'public.calls_2025'::regclass::oid::int AS other`);
    expect([...(await reachOf('SELECT * FROM public.view_over_view')).oids]).toContain(rows[0].base);
    const oids = (await reachOf('SELECT * FROM crm.calls')).oids;
    expect(oids.has(rows[0].part) && oids.has(rows[0].other)).toBe(true);
  });

  it('names the protected relations for the audit record', async () => {
    const result = await reachOf('SELECT * FROM public.view_over_view, products');
    expect(result.relations).toEqual(['public.products', 'public.view_over_view']);
    expect(result.classes[0]?.relations).toEqual(['crm.customers', 'crm.invoices']);
  });
});

describe('width', () => {
  it.each([
    ['SELECT * FROM crm.customers a, crm.customers b, crm.customers c', 'customers:3'],
    ['SELECT * FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id', 'customers:1'],
    ['SELECT * FROM crm.customers c JOIN crm.invoices i ON i.id = c.id', 'customers:2'],
    ['SELECT * FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id JOIN crm.calls k ON k.customer_id = i.customer_id', 'customers:1'],
    ['SELECT * FROM crm.customers c, crm.invoices i WHERE i.customer_id = c.id OR true', 'customers:2'],
    ['SELECT count(*) FROM crm.customers', 'customers:1'],
    ['SELECT count(*), sum(id), max(name) FROM crm.customers', 'customers:3'],
    ['SELECT lag(name) OVER (), lead(name) OVER () FROM crm.customers', 'customers:3'],
    ['SELECT max(name), other FROM public.twice GROUP BY 2', 'customers:2'],
    ['SELECT json_agg(c) FROM crm.customers c', 'customers:1+'],
    ['SELECT string_agg(name, $$,$$) OVER () FROM crm.customers c', 'customers:1+'],
    ['SELECT ARRAY(SELECT name FROM crm.customers)', 'customers:1+'],
    ['SELECT c.json_agg FROM (SELECT 1) c', ''],
  ])('%s has "%s"', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });

  it.each(['SELECT c.json_agg FROM crm.customers c', 'SELECT (c).array_agg FROM crm.customers c'])('packs in attribute notation: %s', async (sql) => {
    expect((await reachOf(sql)).classes[0]?.packs).toBe(true);
  });

  it('sees that a statement aggregates, in the statement or beneath', async () => {
    expect((await reachOf('SELECT sum(id) FROM crm.customers')).classes[0]?.aggregated).toBe(true);
    expect((await reachOf('SELECT * FROM public.packed')).classes[0]?.aggregated).toBe(true);
    expect((await reachOf('SELECT * FROM crm.customers')).classes[0]?.aggregated).toBe(false);
  });
});

describe('functions, operators and types', () => {
  it.each([
    ['SELECT lower(title), now(), count(*) FROM products GROUP BY 1', ''],
    ['SELECT similarity(title, $$x$$) FROM products', ''],
    ['SELECT public.trusted_one(1)', ''],
    ['SELECT mystery(1)', EVERYTHING],
    ['SELECT * FROM public.mystery_view', EVERYTHING],
    ['SELECT * FROM public.xml_view', EVERYTHING],
    ['SELECT crm.find_customer(1)', 'customers:1'],
    ['SELECT crm.find_customer(1), crm.find_customer(2)', 'customers:2'],
    ['SELECT not_there(1)', EVERYTHING],
    [`SELECT query_to_xml('SELECT * FROM crm.customers', true, true, '')`, EVERYTHING],
    [`SELECT table_to_xml('crm.customers', true, true, '')`, EVERYTHING],
    [`SELECT * FROM ts_stat('SELECT 1')`, EVERYTHING],
    ['SELECT lo_get(1)', EVERYTHING],
    [`SELECT pgp_sym_encrypt('a', 'b')`, EVERYTHING],
    [`SELECT digest('a', 'sha256')`, ''],
    [`SELECT 1::public.checked`, EVERYTHING],
    [`SELECT 1::public.plain`, ''],
    [`SELECT ROW(1, 2)::public.pair`, EVERYTHING],
    [`SELECT 'good'::public.mood`, ''],
    [`SELECT 1::nothing_of_the_kind`, EVERYTHING],
    [`SELECT 'a' OPERATOR(public.<~~>) 'b'`, ''],
    [`SELECT 'a' <~~> 'b'`, ''],
    [`SELECT m <!!> 'b' FROM moods`, EVERYTHING],
    [`SELECT * FROM moods WHERE m = 'x'`, EVERYTHING],
    [`SELECT * FROM products WHERE title = 'x'`, ''],
    ['SELECT * FROM guarded', EVERYTHING],
    ['DO $$ BEGIN EXECUTE current_query(); END $$', EVERYTHING],
    ['CALL something()', EVERYTHING],
  ])('%s reaches "%s"', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });

  it.each([
    'SELECT * FROM products TABLESAMPLE SYSTEM (10)',
    `SELECT EXTRACT(epoch FROM now()), SUBSTRING(title FROM 1 FOR 2), OVERLAY(title PLACING 'x' FROM 1), TRIM(BOTH FROM title), POSITION('a' IN title), now() AT TIME ZONE 'UTC' FROM products`,
    `SELECT title COLLATE "C", title SIMILAR TO 'a%', title ILIKE 'x%', title IS NFC NORMALIZED, id BETWEEN SYMMETRIC 1 AND 2, id = ANY (ARRAY[1, 2]), (id, title) = (1, 'x'), id IS DISTINCT FROM 2, CURRENT_DATE FROM products`,
    `SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a int PATH '$')) j, XMLTABLE('/r' PASSING '<r/>' COLUMNS a text PATH '.') x, generate_series(1, 2) g, unnest(ARRAY[1]) WITH ORDINALITY u(a, b)`,
    `SELECT JSON_OBJECT('a': 1), JSON_ARRAY(1, 2), JSON_VALUE('{}', '$.a'), XMLELEMENT(NAME a, title), COALESCE(NULLIF(title, ''), 'x'), GREATEST(1, 2), CASE id WHEN 1 THEN 2 END, CAST(id AS text), ROW(1, 2) FROM products`,
    `SELECT id, rank() OVER (PARTITION BY title ORDER BY id), percentile_cont(0.5) WITHIN GROUP (ORDER BY id), count(*) FILTER (WHERE id > 1) FROM products GROUP BY GROUPING SETS ((1), ())`,
    `INSERT INTO products VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING *`,
    'CREATE TABLE fresh (id bigserial PRIMARY KEY, t varchar(10) NOT NULL DEFAULT lower(\'X\'), m public.mood, n numeric(10, 2)[], created timestamptz DEFAULT now())',
    'DROP TABLE IF EXISTS not_there',
    'BEGIN', 'SET statement_timeout = 1', 'SHOW ALL', 'LISTEN x', 'DISCARD ALL', 'EXPLAIN SELECT * FROM products',
  ])('%s is free', async (sql) => {
    const { opaque, classes } = await reachOf(sql);
    expect({ opaque, classes }).toEqual({ opaque: [], classes: [] });
  });

  it('counts an overload that another schema of the path offers', async () => {
    expect(await summary('SELECT lower(title) FROM public.products', ['shadow', 'public'])).toBe(EVERYTHING);
    expect(await summary('SELECT pg_catalog.lower(title) FROM public.products', ['shadow', 'public'])).toBe('');
  });

  it('puts functions that reach out of the database in their own category', async () => {
    expect(await categories(`SELECT pg_read_file('x')`)).toEqual(['packing', 'server_files']);
    expect(await categories(`SELECT * FROM dblink('x', 'y') AS t(a int)`)).toEqual(['packing', 'remote']);
    expect(await categories(`SELECT pg_create_logical_replication_slot('a', 'b')`)).toEqual(['packing', 'replication']);
    expect(await categories('SELECT * FROM public.far')).toEqual(['packing', 'remote']);
    // It may copy, too.
    expect(await categories('SELECT mystery(1)')).toEqual(['derived_copy', 'opaque', 'packing']);
  });

  it('knows a foreign table of a class for what it is', async () => {
    expect(await summary('SELECT * FROM crm.far_customers')).toBe('customers:1');
  });

  it('says when an error of class 42 can depend on data', async () => {
    expect((await reachOf('SELECT lower(name) FROM crm.customers')).pure).toBe(true);
    expect((await reachOf('SELECT name::regclass FROM crm.customers')).pure).toBe(false);
    expect((await reachOf(`SELECT has_table_privilege(name, 'select') FROM crm.customers`)).pure).toBe(false);
    expect((await reachOf('SELECT public.trusted_one(id) FROM crm.customers')).pure).toBe(false);
  });

  it('says what may be run twice', async () => {
    expect((await reachOf('SELECT * FROM crm.customers')).readOnly).toBe(true);
    expect((await reachOf(`SELECT nextval('ticket')`)).readOnly).toBe(false);
    expect((await reachOf('SELECT * FROM crm.customers FOR UPDATE')).readOnly).toBe(false);
    expect((await reachOf('INSERT INTO notes VALUES (1)')).readOnly).toBe(false);
  });
});

describe('writes', () => {
  it.each([
    [`INSERT INTO crm.customers VALUES (1)`, 'customers:1', []],
    [`UPDATE crm.customers SET name = 'x' WHERE id = 1`, 'customers:1', []],
    [`DELETE FROM crm.customers WHERE id = 1`, 'customers:1', []],
    [`DELETE FROM notes WHERE id IN (SELECT id FROM crm.customers)`, 'customers:1', ['derived_copy']],
    [`DELETE FROM crm.customers WHERE name = 'x'`, 'customers:1', []],
    [`SELECT 1 FROM notes n JOIN crm.customers c ON c.id = n.id FOR UPDATE`, 'customers:1', ['derived_copy']],
    [`SELECT 1 FROM notes n JOIN crm.customers c ON c.id = n.id FOR UPDATE OF c`, 'customers:1', []],
    [`SELECT 1 FROM (SELECT * FROM notes) n JOIN crm.customers c ON c.id = n.id FOR SHARE OF n`, 'customers:1', ['derived_copy']],
    [`SELECT name FROM crm.customers WHERE name = 'x' FOR UPDATE`, 'customers:1', []],
    [`SELECT nextval('s' || id) FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`SELECT nextval('s'), name FROM crm.customers`, 'customers:1', []],
    [`SELECT nextval('s'), nextval('t'::regclass), name FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`INSERT INTO crm.customers VALUES (nextval('s'), nextval('t'))`, 'customers:1', []],
    [`SELECT pg_cancel_backend(id) FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`CREATE POLICY p ON notes USING (EXISTS (SELECT FROM crm.customers c WHERE c.id = notes.id))`, 'customers:1', ['derived_copy']],
    [`INSERT INTO notes VALUES (1, 'x')`, '', []],
    [`INSERT INTO notes SELECT id, name FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`UPDATE notes SET body = c.name FROM crm.customers c`, 'customers:1', ['derived_copy']],
    [`WITH x AS (INSERT INTO notes SELECT id, name FROM crm.customers RETURNING 1) SELECT * FROM x`, 'customers:1', ['derived_copy']],
    [`MERGE INTO notes n USING crm.customers c ON n.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (c.id, c.name)`, 'customers:1', ['derived_copy']],
    [`CREATE TABLE stolen AS SELECT * FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`CREATE TEMP TABLE stolen AS TABLE crm.customers`, 'customers:1', ['derived_copy']],
    [`SELECT * INTO stolen FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`CREATE VIEW stolen AS SELECT * FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`CREATE MATERIALIZED VIEW stolen AS SELECT * FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`CREATE TABLE crm.contact_new AS SELECT * FROM crm.customers`, 'customers:1', []],
    [`CREATE TABLE crm.contact_new AS SELECT json_agg(c) FROM crm.customers c`, 'customers:1+', ['derived_copy', 'packing']],
    [`REFRESH MATERIALIZED VIEW customer_copy`, 'customers:1', []],
    [`ALTER TABLE crm.customers RENAME TO harmless`, 'customers:1', ['derived_copy']],
    [`ALTER TABLE crm.customers SET SCHEMA public`, 'customers:1', ['derived_copy']],
    [`ALTER TABLE crm.calls DETACH PARTITION crm.calls_2024`, 'customers:1', ['derived_copy']],
    [`UPDATE crm.customers a SET notes = (SELECT string_agg(name, ',') FROM crm.customers)`, 'customers:2+', ['derived_copy', 'packing']],
    [`UPDATE crm.customers a SET notes = a.notes || b.notes FROM crm.customers b`, 'customers:2', ['derived_copy']],
    [`INSERT INTO crm.contact_mail SELECT id, id, name FROM crm.customers`, 'customers:1', []],
    [`INSERT INTO triggered VALUES (1)`, EVERYTHING, ['derived_copy', 'opaque', 'packing']],
    [`INSERT INTO defaulted VALUES (DEFAULT)`, EVERYTHING, ['derived_copy', 'opaque', 'packing']],
    [`INSERT INTO ruled VALUES (1)`, 'customers:1+', ['derived_copy', 'packing']],
    [`SELECT pg_notify('x', name) FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`SELECT set_config('my.x', name, false) FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`SELECT pg_notify('x', 'y')`, '', []],
    [`SELECT pg_try_advisory_lock(id) FROM crm.customers`, 'customers:1', ['derived_copy']],
    [`WITH i AS (INSERT INTO crm.customers VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 1 RETURNING *) INSERT INTO notes SELECT id, name FROM i`, 'customers:1', ['derived_copy']],
    [`WITH d AS (DELETE FROM crm.customers RETURNING *) INSERT INTO notes SELECT id, name FROM d`, 'customers:1', ['derived_copy']],
    [`UPDATE answering SET id = 1`, EVERYTHING, ['derived_copy', 'opaque', 'packing']],
    [`TRUNCATE crm.invoices`, 'customers:1', []],
    [`COPY crm.customers FROM STDIN`, 'customers:1', []],
  ])('%s', async (sql, expected, found) => {
    expect(await summary(sql)).toBe(expected);
    expect(await categories(sql)).toEqual(found);
  });
});

describe('the system catalogs', () => {
  it.each(INTROSPECTION)('%s is free', async (_name, sql) => {
    const result = await reachOf(sql, ['public']);
    expect({ opaque: result.opaque, classes: result.classes }).toEqual({ opaque: [], classes: [] });
    expect((await reachOf(sql, 'any')).opaque).toEqual([]);
  });

  it.each([
    ['SELECT * FROM pg_stats', 'customers:1+ staff:1+'],
    ['SELECT most_common_vals FROM pg_catalog.pg_stats', 'customers:1+ staff:1+'],
    ['SELECT * FROM pg_statistic', 'customers:1+ staff:1+'],
    ['SELECT * FROM pg_stats_ext_exprs', 'customers:1+ staff:1+'],
    ['SELECT * FROM pg_largeobject', EVERYTHING],
    ['SELECT * FROM pg_authid', EVERYTHING],
    ['SELECT * FROM pg_stat_activity', ''],
    ['SELECT * FROM pg_locks', ''],
    ['SELECT * FROM pg_settings', ''],
    ['SELECT * FROM information_schema.columns', ''],
  ])('%s reaches "%s"', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });
});

describe('the index', () => {
  it('knows every relation that gives rows of a class', async () => {
    const { rows } = await admin.query<{ oid: number; name: string }>(`SELECT oid::int, oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND oid >= 16384`);
    const names = (className: string): string[] => rows.filter((row) => index.protectedOids.get(row.oid)?.includes(className)).map((row) => row.name).sort();
    expect(names('customers')).toEqual([
      'calls_2025', 'crm.calls', 'crm.calls_2024', 'crm.contact_mail', 'crm.customer_view', 'crm.customers', 'crm.far_customers', 'crm.invoices', 'crm.vip',
      'customer_copy', 'far', 'guarded', 'mystery_view', 'packed', 'twice', 'view_over_view', 'xml_view',
    ]);
  });

  it('takes a copy for what it is a copy of, by oid, under any name', async () => {
    const { rows } = await admin.query(`SELECT 'public.notes'::regclass::oid::int AS oid`);
    const known = new ReachIndex(index.snapshot, { classes: CLASSES, trustedFunctions: [], derived: new Map([[rows[0].oid, [{ className: 'customers', width: 1, packs: false }]]]) });
    const analysis = await analyser.analyse('SELECT * FROM notes');
    const facts = analysis.kind === 'statements' ? analysis.statements[0] : undefined;
    expect(reach(facts!, { index: known, searchPath: ['public'] }).classes).toMatchObject([{ className: 'customers', width: 1 }]);
    expect(known.protectedOids.get(rows[0].oid)).toEqual(['customers']);
  });

  it('tells the subject key of each table by oid and attribute number, inherited ones too', async () => {
    const { rows } = await admin.query(`SELECT oid::int, oid::regclass::text AS name FROM pg_class WHERE oid >= 16384`);
    const keys = new Map(rows.map((row) => [row.name, index.keysOf(row.oid)]));
    expect(keys.get('crm.customers')).toEqual([{ className: 'customers', columns: ['id'], attnums: [1] }]);
    expect(keys.get('crm.invoices')).toEqual([{ className: 'customers', columns: ['customer_id'], attnums: [2] }]);
    expect(keys.get('crm.calls_2024')).toEqual([{ className: 'customers', columns: ['customer_id'], attnums: [2] }]);
    expect(keys.get('crm.vip')).toEqual([{ className: 'customers', columns: ['id'], attnums: [1] }]);
  });
});
