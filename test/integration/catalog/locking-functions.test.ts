/**
 * Which of the functions that are taken for harmless leave a lock on what they get the name or oid of: each is called with each kind of object, and pg_locks is looked into. Those that do must be
 * known to `locksNamed`, since which of several things is locked can spell what a row holds.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { builtinFunction } from '../../../src/catalog/builtin-functions.ts';
import { locksNamed, takesNames } from '../../../src/sql/traces.ts';
import { serverMajor, startPostgres, type TestPostgres } from '../../support/postgres.ts';

const THINGS = `
  CREATE SCHEMA l; SET search_path = l;
  CREATE SEQUENCE s; SELECT nextval('s');
  CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
  CREATE TABLE h (a int) PARTITION BY HASH (a); CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (modulus 2, remainder 0);
  CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0), c text); CREATE INDEX t_g ON t USING gin (to_tsvector('simple', c)); CREATE INDEX t_b ON t USING brin (a);
  CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE STATISTICS x ON (a + 1), b FROM t;
  CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a FROM l.t; END; CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
  CREATE TRIGGER w BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g(); CREATE POLICY o ON t USING (a > 0); CREATE RULE r AS ON INSERT TO t DO ALSO SELECT 1; CREATE OPERATOR l.%% (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
  CREATE FUNCTION l.leaves_locks(calls text[]) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE locks int; leaves boolean := false; call text;
    BEGIN
      FOREACH call IN ARRAY calls LOOP
        locks := 0;
        BEGIN
          EXECUTE call;
          SELECT count(*) INTO locks FROM pg_locks WHERE pid = pg_backend_pid() AND coalesce(relation, objid) >= 16384;
          RAISE EXCEPTION 'undo';
        EXCEPTION WHEN others THEN
          leaves := leaves OR locks > 0;
        END;
      END LOOP;
      RETURN leaves;
    END $$`;

const OBJECTS = `
  SELECT 'relation' AS kind, oid::int, relname::text AS name FROM pg_class WHERE relnamespace = 'l'::regnamespace
  UNION ALL SELECT 'type', oid::int, typname FROM pg_type WHERE typnamespace = 'l'::regnamespace AND typtype IN ('e', 'd')
  UNION ALL SELECT 'function', oid::int, proname FROM pg_proc WHERE pronamespace = 'l'::regnamespace
  UNION ALL SELECT 'constraint', oid::int, conname FROM pg_constraint WHERE connamespace = 'l'::regnamespace
  UNION ALL SELECT 'trigger', oid::int, tgname FROM pg_trigger WHERE tgrelid = 'l.t'::regclass
  UNION ALL SELECT 'rule', r.oid::int, rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class WHERE relnamespace = 'l'::regnamespace
  UNION ALL SELECT 'statistics', oid::int, stxname FROM pg_statistic_ext UNION ALL SELECT 'policy', oid::int, polname FROM pg_policy
  UNION ALL SELECT 'operator', oid::int, oprname FROM pg_operator WHERE oprnamespace = 'l'::regnamespace`;

const FUNCTIONS = `
  SELECT oid::int, proname::text AS name, (SELECT array_agg(t::regtype::text ORDER BY n) FROM unnest(proargtypes::oid[]) WITH ORDINALITY a (t, n)) AS types
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND pronargs BETWEEN 1 AND 6`;

const NAMING = new Set(['oid', 'regclass', 'text', 'name', 'cstring', 'regproc', 'regprocedure', 'regtype', 'text[]']);
const ADDRESSED = ['table', 'view', 'sequence', 'index', 'type', 'domain', 'function', 'rule', 'trigger', 'table constraint', 'statistics object', 'policy'];

interface Thing {
  readonly kind: string;
  readonly oid: number;
  readonly name: string;
}

function value(type: string, { kind, oid, name }: Thing): string {
  switch (type) {
    case 'oid': case 'regclass': case 'regproc': case 'regprocedure': case 'regtype': return `'${oid}'::${type}`;
    case 'text': case 'cstring': return `'l.${name}${kind === 'function' ? '()' : ''}'::${type}`;
    case 'name': return `'${name}'::name`;
    case 'text[]': return `ARRAY['l', '${name}']`;
    case 'integer': case 'smallint': case 'bigint': return `1::${type}`;
    case 'boolean': return 'true';
    case '"any"': return '1';
    default: return `NULL::${type}`;
  }
}

function calls(name: string, types: readonly string[], thing: Thing): string[] {
  const plain = types.map((type) => value(type, thing));
  if (name === 'satisfies_hash_partition') return [`${plain[0]}, 1, 0, 1`];
  if (name === 'pg_get_object_address') return ADDRESSED.flatMap((kind) => [`'${kind}', ARRAY['l', '${thing.name}'], '{}'`, `'${kind}', ARRAY['l.${thing.name}'], '{}'`, `'${kind}', ARRAY['l', 't', '${thing.name}'], '{}'`]);
  const [first, ...others] = types;
  // A column's name, or its table's class, stands in some places.
  const column = others.includes('text') ? [[plain[0], ...others.map((type) => (type === 'text' ? "'a'" : value(type, thing)))].join(', ')] : [];
  const classed = first === 'oid' && others.includes('oid') ? [['pg_class', 'pg_type', 'pg_proc', 'pg_constraint', 'pg_rewrite'].map((cls) => [`'${cls}'::regclass::oid`, ...others.map((type) => (type === 'integer' ? '0' : value(type, thing)))].join(', '))].flat() : [];
  return [plain.join(', '), ...column, ...classed];
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

test('harmless functions that lock what they are told of are known', async () => {
  const client = await postgres.connect();
  await client.query(THINGS);
  const things = (await client.query<Thing>(OBJECTS)).rows;
  const harmless = (await client.query<{ oid: number; name: string; types: readonly string[] }>(FUNCTIONS)).rows
    .filter(({ oid, name, types }) => builtinFunction(name, oid).kind === 'safe' && types.some((type) => NAMING.has(type)) && !name.startsWith('pg_sleep'));
  const found: string[] = [];
  for (const name of [...new Set(harmless.map((fn) => fn.name))].toSorted()) {
    const texts = harmless.filter((fn) => fn.name === name).flatMap(({ types }) => things.flatMap((thing) => calls(name, types, thing).map((args) => `SELECT pg_catalog."${name}"(${args})`)));
    // A transaction for each: locks of sequences outlive subtransactions.
    const { rows } = await client.query<{ leaves: boolean }>('SELECT l.leaves_locks($1) AS leaves', [texts]);
    if (rows[0]?.leaves === true) found.push(name);
  }
  await client.end();
  expect(found.filter((name) => !locksNamed(name) && !takesNames(name))).toEqual([]);
  if (serverMajor >= 18) {
    expect(found).toEqual([
      'currval', 'nextval', 'pg_get_function_sqlbody', 'pg_get_functiondef', 'pg_get_object_address', 'pg_get_partition_constraintdef', 'pg_get_ruledef', 'pg_get_viewdef', 'pg_partition_tree', 'pg_sequence_last_value', 'satisfies_hash_partition',
    ]);
  }
}, 120_000);
