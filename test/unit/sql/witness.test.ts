import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../src/sql/fact-collector.ts';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';
import { walk } from '../../../src/sql/walk.ts';
import { factsOf } from './facts-of.ts';

/** Two other implementations look at the same statements: another parser, and another walk over our parser's trees. What either finds, the facts must have. */

const require = createRequire(import.meta.url);
const { Parser } = require('node-sql-parser/build/postgresql') as { readonly Parser: new () => { tableList(sql: string, options: { database: string }): string[] } };
const { walkSqlAst } = require('@pgsql/traverse') as { readonly walkSqlAst: (tree: unknown, visit: (path: { tag: string; node: Record<string, unknown> }) => void) => void };

const witness = new Parser();
const parser = await createPostgresParser();

/** Bare names of the tables that node-sql-parser reports; undefined if it rejects the text. */
function witnessed(sql: string): string[] | undefined {
  try {
    return witness.tableList(sql, { database: 'postgresql' }).map((entry) => entry.split('::').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

const tables = ['customers', 'crm.invoices', 'contacts c', 'crm.calls AS k', 'orders'];
const expressions = [
  'x', '1', "'customers'", 'count(*)', '(SELECT max(x) FROM t1)', 'COALESCE((SELECT x FROM t2), 0)', 'CASE WHEN EXISTS (SELECT 1 FROM t3) THEN 1 ELSE 2 END',
  '1 + (SELECT x FROM t4 LIMIT 1)', 'f((SELECT x FROM t5))', 'sum(x) OVER (PARTITION BY y)',
];
const conditions = [
  'x = 1', 'x IN (SELECT y FROM u1)', 'NOT EXISTS (SELECT 1 FROM u2 WHERE u2.a = 1)', 'x > (SELECT min(y) FROM crm.u3)', 'a = 1 AND (b = 2 OR c IN (SELECT d FROM u4))',
  'x BETWEEN (SELECT y FROM u5) AND 9', "x LIKE 'a%'",
];
const sources = [
  ...tables, 'customers a JOIN crm.invoices b ON a.id = b.customer_id', 'customers LEFT JOIN orders ON customers.id = orders.cid', 'customers a, crm.calls b',
  '(SELECT * FROM customers) s', '(SELECT * FROM a1 UNION ALL SELECT * FROM a2) s', 'customers c JOIN (SELECT x FROM a3 WHERE y = 1) s ON s.x = c.id',
  'customers c CROSS JOIN LATERAL (SELECT * FROM a4 WHERE a4.x = c.id) l', '(VALUES (1)) v(x)', 'generate_series(1, 2) g',
];

function corpus(): string[] {
  const statements: string[] = [];
  for (const source of sources) {
    for (const [at, expression] of expressions.entries()) statements.push(`SELECT ${expression} FROM ${source} WHERE ${conditions[at % conditions.length] ?? 'true'}`);
    for (const condition of conditions) {
      statements.push(`SELECT * FROM ${source} WHERE ${condition} ORDER BY 1 LIMIT 5`);
      statements.push(`WITH w AS (SELECT * FROM ${source} WHERE ${condition}) SELECT * FROM w JOIN other ON w.x = other.x`);
    }
    statements.push(`SELECT x, count(*) FROM ${source} GROUP BY x HAVING count(*) > (SELECT n FROM h1)`);
    statements.push(`SELECT 1 FROM ${source} UNION SELECT 2 FROM last_one`);
    statements.push(`INSERT INTO target (a, b) SELECT x, y FROM ${source}`);
    statements.push(`CREATE TABLE made AS SELECT * FROM ${source}`);
    statements.push(`WITH a AS (SELECT 1), b AS (SELECT * FROM ${source}) SELECT * FROM a, b`);
  }
  for (const condition of conditions) {
    statements.push(`DELETE FROM target WHERE ${condition}`, `UPDATE target SET a = (SELECT x FROM v1) WHERE ${condition}`);
  }
  return statements;
}

describe('node-sql-parser', () => {
  it('reports no table that the facts lack', () => {
    const missing: string[] = [];
    let compared = 0;
    for (const sql of corpus()) {
      const names = witnessed(sql);
      if (names === undefined) continue;
      compared += 1;
      const facts = factsOf(sql);
      const ours = new Set(facts.relations.map((use) => use.name));
      const ctes = new Set([...sql.matchAll(/(?:WITH|,) (\w+) AS \(/g)].map((match) => match[1]));
      for (const name of names) if (!ours.has(name) && !ctes.has(name)) missing.push(`${name}: ${sql}`);
    }
    expect(missing).toEqual([]);
    expect(compared).toBeGreaterThan(250);
  });
});

/** Kinds and names that a walk sees, counted. */
function tally(visit: (see: (kind: string, node: Record<string, unknown>) => void) => void): Map<string, number> {
  const counts = new Map<string, number>();
  visit((kind, node) => {
    const name = kind === 'RangeVar' ? String(node['relname']) : '';
    const key = `${kind} ${kind === 'FuncCall' ? JSON.stringify(node['funcname']) : name}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  return counts;
}

function compareWalks(sql: string): string[] {
  const outcome = parser.parse(sql);
  if (outcome.kind !== 'tree') return [];
  return outcome.statements.flatMap(({ tree }) => {
    const theirs = tally((see) => walkSqlAst(tree, ({ tag, node }) => see(tag, node)));
    const ours = tally((see) => {
      expect(walk(tree, undefined, (kind, node) => {
        see(kind, node);
        return undefined;
      })).toBeUndefined();
    });
    return [...theirs].filter(([key, count]) => (ours.get(key) ?? 0) < count).map(([key]) => `${key}: ${sql}`);
  });
}

const odd = [
  'MERGE INTO t USING s ON true WHEN MATCHED AND f((SELECT 1 FROM a)) THEN UPDATE SET x = (SELECT n FROM b)',
  'CREATE TABLE n (x int CHECK (f(x) > (SELECT n FROM b)), EXCLUDE USING gist (x WITH =)) PARTITION BY RANGE (g(x))',
  "SELECT * FROM JSON_TABLE((SELECT j FROM a), '$' COLUMNS (c int DEFAULT (SELECT f(n) FROM c) ON EMPTY, NESTED PATH '$.n' COLUMNS (d s.t)))",
  "SELECT * FROM XMLTABLE('/x' PASSING (SELECT d FROM a) COLUMNS c text DEFAULT f((SELECT n FROM b)))",
  'SELECT sum(x) FILTER (WHERE f(y)) OVER (ORDER BY g(z)) FROM ONLY (a) JOIN (b JOIN c USING (x)) ON h(1)',
  'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT n FROM a; INSERT INTO b SELECT f(1); END',
  'CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO log SELECT f(1) FROM c; DELETE FROM d)',
  'ALTER TABLE a ATTACH PARTITION b FOR VALUES IN (f((SELECT 1 FROM c)))',
  "SELECT JSON_ARRAYAGG(f(x) ORDER BY (SELECT n FROM a)), JSON_OBJECT('k': (SELECT n FROM b)), JSON_QUERY(x, '$' PASSING f(1) AS y)",
];

describe('@pgsql/traverse', () => {
  it('sees no node that our walk does not', () => {
    expect([...corpus(), ...odd].flatMap(compareWalks)).toEqual([]);
  });
});

/** Nested queries that read exactly the tables `n0`, `n1` ... */
const query = fc.letrec<{ query: string; source: string; scalar: string }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant('SELECT * FROM @'),
    fc.constant('TABLE @'),
    fc.tuple(tie('scalar'), tie('source'), tie('scalar')).map(([target, source, condition]) => `SELECT ${target} FROM ${source} WHERE ${condition} > 1`),
    fc.tuple(tie('query'), tie('query')).map(([left, right]) => `(${left}) UNION ALL (${right})`),
    fc.tuple(tie('query'), tie('source')).map(([body, source]) => `WITH cte AS (${body}) SELECT 1 FROM ${source} CROSS JOIN cte q`),
    fc.tuple(tie('source'), tie('scalar')).map(([source, scalar]) => `SELECT 1 FROM ${source} ORDER BY ${scalar} LIMIT ${scalar}`),
  ),
  source: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant('@'),
    fc.constant('ONLY (@)'),
    fc.tuple(tie('source'), tie('source')).map(([left, right]) => `(${left} CROSS JOIN ${right})`),
    tie('query').map((inner) => `(${inner}) s`),
    tie('query').map((inner) => `LATERAL (${inner}) s`),
    tie('scalar').map((inner) => `generate_series(1, ${inner}) g`),
  ),
  scalar: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant('1'),
    tie('query').map((inner) => `(${inner})`),
    tie('query').map((inner) => `f(ARRAY(${inner}))`),
    tie('query').map((inner) => `CASE WHEN EXISTS (${inner}) THEN 1 END`),
    tie('scalar').map((inner) => `COALESCE(${inner}, -${inner})`),
  ),
}));

describe('generated queries', () => {
  it('give every table that was put in, as often as it was', () => {
    fc.assert(fc.property(query.query, (template) => {
      const names: string[] = [];
      const sql = template.replace(/@/g, () => {
        names.push(`n${names.length}`);
        return names.at(-1) ?? '';
      });
      fc.pre(sql.length < 20_000);
      const outcome = parser.parse(sql);
      if (outcome.kind !== 'tree') throw new Error(`${outcome.kind}: ${sql}`);
      const facts = collect(outcome.statements[0]?.tree ?? {});
      expect(facts.opaque).toEqual([]);
      expect(facts.relations.map((use) => use.name).toSorted()).toEqual(names.toSorted());
      expect(facts.relations.every((use) => use.mode === 'read' && use.times === 1)).toBe(true);
      expect(compareWalks(sql)).toEqual([]);
    }), { numRuns: 500 });
  });
});
