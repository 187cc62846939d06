import { describe, expect, it } from 'vitest';
import { factsOf, functionsOf, operatorsOf, typesOf } from './facts-of.ts';

describe('functions', () => {
  it.each<readonly [sql: string, ...functions: string[]]>([
    ['SELECT f(g(x)), s.f(1), F(2), "F"(3)', 'f x2', 'g', 's.f', 'F'],
    ['SELECT db.s.f(1)', 's.f'],
    ['SELECT sum(x) OVER (), sum(x) FROM t', 'sum over', 'sum'],
    ['SELECT * FROM f(1), ROWS FROM (g(2), h(3))', 'f', 'g', 'h'],
    ['SELECT 1 ORDER BY f(1) LIMIT g(2)', 'f', 'g'],
    ['SELECT * FROM t TABLESAMPLE s(f(1))', 'f'],
    ['WITH x AS (SELECT f(1)) SELECT f(2) FROM x, x y', 'f x3'],
    ['CREATE TABLE t (x int DEFAULT f(), CHECK (g(x)))', 'f', 'g'],
    ['CREATE INDEX ON t (f(x)) WHERE g(y)', 'f', 'g'],
    ['CALL s.p(f(1))', 's.p', 'f'],
    ['INSERT INTO t VALUES (f()) ON CONFLICT (g(x)) DO NOTHING', 'f', 'g'],
    ['SELECT xmlagg(x ORDER BY y) FROM t', 'xmlagg'],
    ["SELECT EXTRACT(year FROM d), x AT TIME ZONE 'y', SUBSTRING(a FROM 2), a SIMILAR TO b, POSITION('a' IN b), TRIM(a), OVERLAY(a PLACING b FROM 1)",
      'pg_catalog.extract', 'pg_catalog.timezone', 'pg_catalog.substring', 'pg_catalog.similar_to_escape', 'pg_catalog.position', 'pg_catalog.btrim', 'pg_catalog.overlay'],
    ['SELECT COALESCE(a, b), GREATEST(1, 2), CURRENT_USER, CURRENT_DATE FROM t'],
    ['SELECT (r).f FROM t'],
  ])('%s', (sql, ...functions) => {
    expect(functionsOf(factsOf(sql)).toSorted()).toEqual(functions.toSorted());
  });
});

describe('operators', () => {
  it.each<readonly [sql: string, ...operators: string[]]>([
    ['SELECT a + b - -c', '+', '-'],
    ['SELECT a OPERATOR(s.@@) b', 's.@@'],
    ['SELECT a IN (1, 2), a NOT IN (3)', '<>', '='],
    ['SELECT a IN (SELECT 1)', '='],
    ['SELECT a < ANY (SELECT 1), a OPERATOR(s.~) ALL (ARRAY[1])', '<', 's.~'],
    ['SELECT a BETWEEN 1 AND 2', '<', '<=', '>', '>='],
    ["SELECT a LIKE 'x', a NOT ILIKE 'y', a SIMILAR TO 'z'", '!~~*', '~', '~~'],
    ['SELECT a IS DISTINCT FROM b, NULLIF(a, b)', '='],
    ['SELECT (a, b) < (c, d)', '<'],
    ['SELECT CASE a WHEN 1 THEN 2 END', '='],
    ['SELECT CASE WHEN a THEN 2 END'],
    ['SELECT * FROM a JOIN b USING (x)', '='],
    ['SELECT * FROM a NATURAL JOIN b', '='],
    ['SELECT * FROM t ORDER BY x USING OPERATOR(s.<<)', 's.<<'],
    ['CREATE TABLE t (x box, EXCLUDE USING gist (x WITH OPERATOR(s.&&), y WITH =))', '=', 's.&&'],
  ])('%s', (sql, ...operators) => {
    expect(operatorsOf(factsOf(sql))).toEqual(operators.toSorted());
  });
});

describe('types', () => {
  it.each<readonly [sql: string, ...types: string[]]>([
    ["SELECT a::int, CAST(b AS s.t[]), c::varchar(5), date 'x', x 'y'", 'pg_catalog.int4', 'pg_catalog.varchar', 's.t', 'date', 'x'],
    ['CREATE TABLE t (a regclass, b "T")', 'T', 'regclass'],
    ['CREATE FUNCTION f(a s.t) RETURNS SETOF u LANGUAGE sql AS $$$$', 's.t', 'u'],
    ['PREPARE p (t) AS SELECT 1', 't'],
    ['SELECT * FROM f() AS x(a s.t)', 's.t'],
    ["SELECT JSON_VALUE(j, '$' RETURNING s.t)", 's.t'],
    ["SELECT * FROM JSON_TABLE(j, '$' COLUMNS (a s.t))", 's.t'],
  ])('%s', (sql, ...types) => {
    expect(typesOf(factsOf(sql))).toEqual(types.toSorted());
  });
});

describe('shapes that put many rows into one value', () => {
  it.each([
    ['SELECT ARRAY(SELECT x FROM t)', true],
    ['SELECT JSON_ARRAY(SELECT x FROM t)', true],
    ['SELECT JSON_ARRAYAGG(x) FROM t', true],
    ["SELECT JSON_OBJECTAGG('a': x) FROM t", true],
    ['SELECT 1 WHERE EXISTS (SELECT cardinality(ARRAY(SELECT x FROM t)))', true],
    ['WITH RECURSIVE x(n) AS (SELECT 1 UNION SELECT n FROM x) SEARCH DEPTH FIRST BY n SET o SELECT * FROM x', true],
    ['SELECT ARRAY[x, y], ROW(x, y), JSON_ARRAY(x, y), JSON_OBJECT(\'a\': x), XMLELEMENT(NAME a, x), t FROM t', false],
    ['SELECT (SELECT x FROM t)', false],
  ])('%s: %s', (sql, packs) => {
    expect(factsOf(sql).packs).toBe(packs);
  });

  it.each([
    ['SELECT x FROM t GROUP BY x', true], ['SELECT 1 FROM t HAVING true', true], ['SELECT count(*) FROM t', true], ['SELECT sum(DISTINCT x) FROM t', true],
    ['SELECT sum(x) FILTER (WHERE y) FROM t', true], ['SELECT mode() WITHIN GROUP (ORDER BY x) FROM t', true], ['SELECT string_agg(x, y ORDER BY z) FROM t', true],
    ['SELECT JSON_ARRAYAGG(x) FROM t', true], ['SELECT * FROM (SELECT x FROM t GROUP BY CUBE (x)) s', true], ['SELECT sum(x) FROM t', false], ['SELECT x FROM t', false],
  ])('%s is grouped: %s', (sql, grouped) => {
    expect(factsOf(sql).grouped).toBe(grouped);
  });
});
