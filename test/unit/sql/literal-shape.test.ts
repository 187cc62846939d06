import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyseText } from '../../../src/sql/analyse-text.ts';
import { Analyser } from '../../../src/sql/analyser.ts';
import type { Analysis } from '../../../src/sql/facts.ts';
import { literalsAreOnlyCompared } from '../../../src/sql/literal-places.ts';
import { literalShape } from '../../../src/sql/literal-shape.ts';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';

/** Texts that share a shape share facts: each short cut is held against PostgreSQL's own lexer and the full analysis. */

const parser = await createPostgresParser();

/** Operands and what may stand between them: all that can move where a literal begins or ends. */
const OPERANDS = [
  '1', '42', '0', '007', '1.5', '.5', '1.', '1e5', '0x1F', '1_000', '123456789', '1234567890', '99999999999999999999', "'x'", "'it''s'", "''", "'a' 'b'", "'a'\n'b'", "'a'\n\n  'b'", "'a' --c\n'b'", "'\\'", "'%x%'", "'é'", "e'x\\''", "E'x'", "x'1F'", "B'01'",
  "N'n'", "U&'d!0061' UESCAPE '!'", "date '2020-01-01'", "date'2020-01-01'", "interval '1' day", 'a', 'a1', 'a$1', 'é1', '"Quoted"', '"qu""oted"', '"1"', 'U&"x"', 't.a', 'f(1)', "f('x')", '$1', '$$5$$', '$tag$5$tag$', '(5)', '-5', '- 5', '+5', 'ARRAY[1,2]', "(ARRAY['a'])[1]", "'5'::int", 'x.1',
];
const BETWEEN = [', ', ',', ' , ', '\n,', ' + ', '+', '-', ' - ', '*', '/', '%', '^', '||', '=', '<', '>=', '<>', '!=', '@', '#', '&', '|', '~', ' AS x, ', ' x,', '::text,', '/* 5 */,', '/* /* 5 */ */,', ' --5\n,', "--'\n,", ' AND ', ' OR ', ' IN (1), ', '\f,', '\t,', '\r\n,', ' COLLATE "C", '];

const texts = fc.array(fc.tuple(fc.constantFrom(...OPERANDS), fc.constantFrom(...BETWEEN)), { minLength: 1, maxLength: 4 }).map((parts) => `SELECT ${parts.map(([operand, between], i) => (i === parts.length - 1 ? operand : operand + between)).join('')}`);

const constants = fc.oneof(fc.integer({ min: 0, max: 999_999_999 }).map(String), fc.constantFrom("'x'", "''", "'%a'", "'2020-01-01'", "'SELECT 1'", "'Customer 7'", '0', '1'));
const comparisons = fc.tuple(fc.constantFrom('id', 'c.id', '"Id"', 'crm.customers.id', 'lower(name)', 'ARRAY[id]'), fc.constantFrom('=', '<>', '!=', '<', '>=', '~', '||', 'LIKE', 'IN', 'BETWEEN', 'OPERATOR(pg_catalog.=)', 'IS DISTINCT FROM', '= ANY'), constants, constants)
  .map(([column, operator, one, two]) => (operator === 'IN' || operator === '= ANY' ? `${column} ${operator} (${one}, ${two})` : operator === 'BETWEEN' ? `${column} BETWEEN ${one} AND ${two}` : `${column} ${operator} ${one}`));
const statements = fc.tuple(
  fc.constantFrom('*', 'id, name', 'count(*)', "query_to_xml('SELECT 1', true, true, '')", "set_config('search_path', 'x', false)", 'id = 5', 'interval \'1 day\'', '(SELECT max(id) FROM t WHERE id < 5)', 'sum(id) FILTER (WHERE id > 3)'),
  fc.constantFrom('crm.customers', 'crm.customers c', 'crm.customers c JOIN crm.invoices i ON i.customer_id = c.id', 'generate_series(1, 5) g', 't TABLESAMPLE system (5)', 'LATERAL (SELECT 1 AS id) l'),
  fc.array(comparisons, { maxLength: 3 }),
  fc.constantFrom('', '', '', ' LIMIT 5', ' ORDER BY 1', ' GROUP BY 1', ' OFFSET 5', ' FOR UPDATE', ';', '; SELECT 1'),
).map(([columns, from, where, rest]) => `SELECT ${columns} FROM ${from}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}${rest}`);

/** The same text with other literals. */
function withOthers(text: string, starts: readonly number[], choose: (at: number) => string): string {
  let result = '';
  let copied = 0;
  for (const [i, start] of starts.entries()) {
    const quoted = text[start] === "'";
    const end = quoted ? text.indexOf("'", start + 1) + 1 : start + (/^\d+/.exec(text.slice(start))?.[0].length ?? 0);
    result += text.slice(copied, start) + (quoted ? `'${choose(i)}'` : String(choose(i).length * 7919));
    copied = end;
  }
  return result + text.slice(copied);
}

function factsWithoutPlace(analysis: Analysis): unknown {
  return analysis.kind !== 'statements' ? analysis : analysis.statements.map((facts) => ({ ...facts, offset: 0, length: 0 }));
}

describe('the shape of a text', () => {
  it('has its literals where PostgreSQL has them', () => {
    let compared = 0;
    fc.assert(fc.property(texts, (text) => {
      const shape = literalShape(text);
      if (shape === undefined || parser.parse(text).kind !== 'tree') return;
      const tokens = parser.scan(text);
      if (tokens === undefined) return;
      compared++;
      expect(tokens.filter(({ name }) => name.endsWith('CONST')).map(({ start }) => start)).toEqual(shape.starts);
    }), { numRuns: 20_000 });
    expect(compared).toBeGreaterThan(2_000);
  });

  it.each([
    ['SELECT 1 -- 2', undefined], ['SELECT /* 1 */ 2', undefined], ["SELECT E'a'", undefined], ["SELECT U&'a'", undefined], ["SELECT date'2020-01-01'", undefined], ["SELECT 'it''s'", undefined], ["SELECT 'a'\n'b'", undefined],
    ["SELECT '\\'", undefined], ['SELECT $1, 2', undefined], ['SELECT $$1$$', undefined], ['SELECT 1.5', undefined], ['SELECT 1e5', undefined], ['SELECT 1234567890', undefined], ["SELECT 'é'", undefined], ['SELECT a1', undefined],
    ['SELECT a FROM t WHERE b = 12 AND c = \'x\'', 'SELECT a FROM t WHERE b = \u0001 AND c = \u0002'],
  ])('of %j is %j', (text, key) => {
    expect(literalShape(text)?.key).toBe(key);
  });

  it('is shared only where the full analysis of every text of it gives the same facts', () => {
    let shared = 0;
    fc.assert(fc.property(statements, fc.array(fc.constantFrom('', 'y', 'crm.customers', 'SELECT * FROM crm.customers', 'search_path', 'NULL', 'default', '%', 'a b c'), { minLength: 20, maxLength: 20 }), (text, others) => {
      const shape = literalShape(text);
      if (shape === undefined) return;
      let only = false;
      const analysis = analyseText(text, parser, (trees) => {
        only = literalsAreOnlyCompared(trees, shape.starts);
      });
      if (!only) return;
      shared++;
      const other = withOthers(text, shape.starts, (at) => others[at % others.length] ?? '');
      expect(literalShape(other)?.key).toBe(shape.key);
      expect(factsWithoutPlace(analyseText(other, parser))).toEqual(factsWithoutPlace(analysis));
    }), { numRuns: 8_000 });
    expect(shared).toBeGreaterThan(300);
  });

  it.each([
    ["SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT query_to_xml('SELECT * FROM crm.customers', true, true, '')"],
    ["SELECT set_config('work_mem', '1', false)", "SELECT set_config('search_path', '1', false)"],
    ['SELECT id FROM t LIMIT 1', 'SELECT id FROM t LIMIT 1000'],
    ['SELECT id FROM t WHERE id = 1; SELECT 1', 'SELECT id FROM t WHERE id = 2; SELECT 2'],
    ["SELECT id FROM t WHERE f('a') = 1", "SELECT id FROM t WHERE f('b') = 1"],
    ["SET search_path = 'a'", "SET search_path = 'b'"],
    ['SELECT id FROM t WHERE id = 5::int', 'SELECT id FROM t WHERE id = 6::int'],
  ])('is not shared by %j', async (one, other) => {
    const analyser = await Analyser.create();
    await analyser.analyse(one);
    await analyser.analyse(other);
    expect(analyser.counters).toMatchObject({ misses: 2, shapeHits: 0 });
    await analyser.close();
  });

  it('spares look-ups that differ in literals the parse, and keeps no text of them', async () => {
    const analyser = await Analyser.create();
    const first = await analyser.analyse("SELECT name FROM crm.customers WHERE id = 1 AND tariff IN ('a', 'b');");
    for (let id = 2; id < 100; id++) expect(analyser.analyse(`SELECT name FROM crm.customers WHERE id = ${id} AND tariff IN ('a', 'x${id}');`)).toBe(first);
    expect(analyser.counters).toMatchObject({ misses: 1, shapeHits: 98, cacheEntries: 0 });
    await analyser.close();
  });
});
