import { describe, expect, it } from 'vitest';
import { allFacts, definesOf, factsOf, relationsOf } from './facts-of.ts';

type Case = readonly [sql: string, ...relations: string[]];

function check(cases: readonly Case[]): void {
  it.each(cases)('%s', (sql, ...relations) => {
    const facts = factsOf(sql);
    expect(relationsOf(facts).toSorted()).toEqual(relations.toSorted());
    expect(facts.opaque.filter((reason) => !/^(DO|CALL)/.test(reason))).toEqual([]);
  });
}

describe('relations that a query reads', () => {
  check([
    ['SELECT 1'],
    ['SELECT * FROM customers', 'read customers'],
    ['TABLE customers', 'read customers'],
    ['SELECT * FROM ONLY customers', 'read customers'],
    ['SELECT * FROM ONLY (customers)', 'read customers'],
    ['SELECT * FROM customers *', 'read customers'],
    ['SELECT FROM crm.customers c', 'read crm.customers'],
    ['SELECT * FROM mydb.crm.customers', 'read crm.customers'],
    ['SELECT * FROM (t2 JOIN customers USING (id))', 'read t2', 'read customers'],
    ['SELECT * FROM ((a CROSS JOIN b) JOIN (c NATURAL JOIN d) ON true) j', 'read a', 'read b', 'read c', 'read d'],
    ['SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) s', 'read a', 'read b'],
    ['SELECT (SELECT max(x) FROM a), EXISTS (SELECT FROM b), 1 IN (TABLE c), ARRAY(SELECT y FROM d), 2 > ALL (SELECT z FROM e)',
      'read a', 'read b', 'read c', 'read d', 'read e'],
    ['SELECT * FROM a LIMIT (SELECT n FROM b) OFFSET (SELECT m FROM c)', 'read a', 'read b', 'read c'],
    ['SELECT * FROM a ORDER BY (SELECT n FROM b), x USING <', 'read a', 'read b'],
    ['SELECT x FROM a GROUP BY GROUPING SETS ((x), ((SELECT n FROM b))) HAVING (SELECT true FROM c)', 'read a', 'read b', 'read c'],
    ['SELECT DISTINCT ON ((SELECT n FROM b)) x FROM a', 'read a', 'read b'],
    ['SELECT sum(x) OVER (PARTITION BY (SELECT n FROM b) ORDER BY (SELECT n FROM c) ROWS (SELECT 1 FROM d) PRECEDING) FROM a',
      'read a', 'read b', 'read c', 'read d'],
    ['SELECT sum(x) OVER w FROM a WINDOW w AS (ORDER BY (SELECT n FROM b))', 'read a', 'read b'],
    ['SELECT count(*) FILTER (WHERE (SELECT true FROM b)) FROM a', 'read a', 'read b'],
    ['SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (SELECT n FROM b)) FROM a', 'read a', 'read b'],
    ['SELECT f(VARIADIC ARRAY(SELECT n FROM b)), g(a => (SELECT n FROM c))', 'read b', 'read c'],
    ['SELECT CASE (SELECT n FROM a) WHEN (SELECT n FROM b) THEN (SELECT n FROM c) ELSE (SELECT n FROM d) END', 'read a', 'read b', 'read c', 'read d'],
    ['SELECT COALESCE((SELECT n FROM a), 1), GREATEST(1, (SELECT n FROM b)), NULLIF((SELECT n FROM c), 1)', 'read a', 'read b', 'read c'],
    ['SELECT ((SELECT r FROM a)).x, (ARRAY[(SELECT n FROM b)])[(SELECT n FROM c):(SELECT n FROM d)]', 'read a', 'read b', 'read c', 'read d'],
    ['SELECT ROW((SELECT n FROM a), 1) = (SELECT x, y FROM b)', 'read a', 'read b'],
    ['SELECT ((SELECT n FROM a) COLLATE "C")::text IS NULL', 'read a'],
    ['SELECT (SELECT n FROM a) BETWEEN (SELECT n FROM b) AND (SELECT n FROM c)', 'read a', 'read b', 'read c'],
    ['SELECT (SELECT b FROM a) IS TRUE, x IS NOT DISTINCT FROM (SELECT n FROM b) FROM c', 'read a', 'read b', 'read c'],
    ["SELECT (SELECT t FROM a) AT TIME ZONE 'x', EXTRACT(year FROM (SELECT d FROM b))", 'read a', 'read b'],
    ['VALUES (1, (SELECT n FROM a)), ((SELECT n FROM b), 2)', 'read a', 'read b'],
    ['SELECT * FROM (VALUES ((SELECT n FROM a))) v(x)', 'read a'],
    ['SELECT * FROM generate_series(1, (SELECT n FROM a))', 'read a'],
    ['SELECT * FROM ROWS FROM (f((SELECT n FROM a)), g((SELECT n FROM b))) WITH ORDINALITY', 'read a', 'read b'],
    ['SELECT * FROM a TABLESAMPLE bernoulli((SELECT n FROM b)) REPEATABLE ((SELECT n FROM c))', 'read a', 'read b', 'read c'],
    ["SELECT * FROM XMLTABLE('/x' PASSING (SELECT d FROM a) COLUMNS c text PATH 'y' DEFAULT (SELECT n FROM b))", 'read a', 'read b'],
    ["SELECT * FROM JSON_TABLE((SELECT j FROM a), '$' PASSING (SELECT n FROM b) AS p COLUMNS (c int PATH '$.c' DEFAULT (SELECT n FROM c) ON EMPTY, NESTED PATH '$.n' COLUMNS (d int)))",
      'read a', 'read b', 'read c'],
    ["SELECT XMLELEMENT(NAME x, XMLATTRIBUTES((SELECT n FROM a) AS y), (SELECT n FROM b)), XMLFOREST((SELECT n FROM c) AS z), XMLSERIALIZE(CONTENT (SELECT n FROM d) AS text)",
      'read a', 'read b', 'read c', 'read d'],
    ["SELECT JSON_OBJECT('k': (SELECT n FROM a)), JSON_ARRAY((SELECT n FROM b)), JSON_ARRAY(SELECT n FROM c), JSON((SELECT n FROM d)), JSON_SCALAR((SELECT n FROM e)), JSON_SERIALIZE((SELECT n FROM f))",
      'read a', 'read b', 'read c', 'read d', 'read e', 'read f'],
    ["SELECT JSON_QUERY((SELECT j FROM a), '$' PASSING (SELECT n FROM b) AS x DEFAULT (SELECT n FROM c) ON ERROR), JSON_VALUE((SELECT j FROM d), '$'), JSON_EXISTS((SELECT j FROM e), '$')",
      'read a', 'read b', 'read c', 'read d', 'read e'],
    ["SELECT JSON_OBJECTAGG((SELECT k FROM a): (SELECT v FROM b)), JSON_ARRAYAGG((SELECT n FROM c) ORDER BY (SELECT m FROM d)) FILTER (WHERE (SELECT true FROM e)) OVER (ORDER BY (SELECT x FROM f))",
      'read a', 'read b', 'read c', 'read d', 'read e', 'read f'],
    ["SELECT (SELECT j FROM a) IS JSON OBJECT", 'read a'],
    ['SELECT a FROM x UNION SELECT b FROM y INTERSECT (SELECT c FROM z EXCEPT ALL TABLE w ORDER BY 1 LIMIT 1)', 'read x', 'read y', 'read z', 'read w'],
    ['SELECT * FROM customers c FOR UPDATE OF c SKIP LOCKED', 'read customers'],
    ['((((SELECT * FROM a))))', 'read a'],
    ['SELECT "Customers".x FROM "Customers", U&"\\0063ustomers", "crm"."cus""tom"', 'read Customers', 'read customers', 'read crm.cus"tom'],
    ['SELECT * FROM CUSTOMERS, Crm.CuStomers', 'read customers', 'read crm.customers'],
    ["SELECT '\\' FROM customers; --'", 'read customers'],
    ['SELECT/**/*/*/**/*/FROM/*;*/customers--', 'read customers'],
  ]);
});

describe('WITH', () => {
  check([
    ['WITH customers AS (SELECT 1) SELECT * FROM customers'],
    ['WITH customers AS (SELECT * FROM customers) SELECT * FROM customers', 'read customers'],
    ['WITH x AS (SELECT 1) SELECT * FROM public.x', 'read public.x'],
    ['WITH x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x, y', 'read y'],
    ['WITH y AS (SELECT 1), x AS (SELECT * FROM y) SELECT * FROM x'],
    ['WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT * FROM t) SELECT * FROM x', 'read t'],
    ['WITH RECURSIVE x AS (SELECT * FROM t UNION ALL SELECT * FROM x) SELECT * FROM x', 'read t'],
    ['WITH x AS (SELECT * FROM t) SELECT * FROM x UNION ALL SELECT * FROM x', 'read t x2'],
    ['WITH x AS (SELECT * FROM t) SELECT (SELECT max(n) FROM x a), (SELECT min(n) FROM x) FROM x JOIN x b USING (n)', 'read t x4'],
    ['WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a, a a2), c AS (SELECT * FROM b, b b2) SELECT * FROM c, c c2', 'read t x8'],
    ['WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a, u) SELECT * FROM a, b, b b2', 'read t x3', 'read u x2'],
    ['WITH unused AS (SELECT * FROM t) SELECT 1', 'read t'],
    ['WITH unused AS (SELECT * FROM a, a a2), a AS (SELECT 1) SELECT 1', 'read a', 'read a'],
    ['WITH a AS (SELECT * FROM t), unused AS (SELECT * FROM a, a a2) SELECT 1', 'read t x2'],
    ['WITH x AS (WITH y AS (SELECT * FROM t) SELECT * FROM y, y y2) SELECT * FROM x, x x2', 'read t x4'],
    ['WITH x AS (WITH unused AS (SELECT * FROM t) SELECT 1) SELECT * FROM x, x x2', 'read t x2'],
    ['WITH x AS (SELECT * FROM outer_t) SELECT * FROM (WITH x AS (SELECT * FROM inner_t) SELECT * FROM x) s, x', 'read outer_t', 'read inner_t'],
    ['WITH x AS (SELECT * FROM outer_t) SELECT * FROM (WITH x AS (SELECT * FROM x) SELECT * FROM x, x x2) s', 'read outer_t x2'],
    ['SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) s, x', 'read x'],
    ['(WITH x AS (SELECT 1) SELECT * FROM x) UNION SELECT * FROM x', 'read x'],
    ['WITH x AS (SELECT * FROM t) (SELECT * FROM x) UNION (SELECT * FROM x ORDER BY (SELECT n FROM x LIMIT 1))', 'read t x3'],
    ['WITH x AS MATERIALIZED (SELECT * FROM t) SELECT * FROM a WHERE id IN (SELECT id FROM x)', 'read t', 'read a'],
    ['WITH x AS (SELECT 1 AS id) DELETE FROM x WHERE id IN (SELECT id FROM x)', 'write x', 'read x'],
    ['WITH x AS (SELECT 1) INSERT INTO x SELECT * FROM x', 'write x'],
    ['WITH x AS (SELECT 1) UPDATE x SET a = 1 FROM x b', 'write x', 'read x'],
    ['WITH x AS (SELECT 1) MERGE INTO x USING x s ON true WHEN MATCHED THEN DELETE', 'write x', 'read x'],
    ['INSERT INTO x WITH x AS (SELECT 1) SELECT * FROM x', 'write x'],
    ['WITH d AS (DELETE FROM t RETURNING *) INSERT INTO archive SELECT * FROM d', 'write t', 'read t', 'write archive'],
    ['WITH u AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM u, u u2', 'write t x2', 'read t x2'],
    ['CREATE VIEW v AS WITH x AS (SELECT * FROM t) SELECT * FROM x', 'define v', 'read t'],
  ]);

  it('saturates the number of copies', () => {
    const doubling = Array.from({ length: 80 }, (_, at) => `c${at + 1} AS (SELECT * FROM c${at}, c${at} b)`).join(', ');
    expect(relationsOf(factsOf(`WITH c0 AS (SELECT * FROM t), ${doubling} SELECT * FROM c80`))).toEqual(['read t x1000000000']);
  });

  it('packs if a CTE reaches itself, and only then', () => {
    expect(factsOf('WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x) SELECT * FROM x').packs).toBe(true);
    expect(factsOf('WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM (WITH y AS (SELECT * FROM x) SELECT * FROM y) s) SELECT 1').packs).toBe(true);
    expect(factsOf('WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT 1').packs).toBe(true);
    expect(factsOf('WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x, y').packs).toBe(false);
    expect(factsOf('WITH x AS (SELECT * FROM x) SELECT * FROM x').packs).toBe(false);
  });
});

describe('relations that a statement changes', () => {
  check([
    ['INSERT INTO t VALUES (1, (SELECT n FROM a)) RETURNING (SELECT n FROM b)', 'write t', 'read a', 'read b'],
    ['INSERT INTO t DEFAULT VALUES', 'write t'],
    ['INSERT INTO t SELECT * FROM s ON CONFLICT (id) WHERE (SELECT true FROM a) DO UPDATE SET x = (SELECT n FROM b) WHERE (SELECT true FROM c)',
      'write t', 'read s', 'read a', 'read b', 'read c'],
    ['UPDATE t SET x = (SELECT n FROM a), (y, z) = (SELECT p, q FROM b) FROM c WHERE EXISTS (TABLE d) RETURNING *',
      // The grammar repeats the sub-select for each column; that over-counts.
      'write t', 'read t', 'read a', 'read b', 'read b', 'read c', 'read d'],
    ['UPDATE t SET a[(SELECT n FROM i)] = 1 WHERE CURRENT OF c', 'write t', 'read t', 'read i'],
    ['DELETE FROM ONLY t USING a JOIN b USING (id) WHERE t.id = a.id', 'write t', 'read t', 'read a', 'read b'],
    ['MERGE INTO t USING (SELECT * FROM s) q ON t.id = q.id AND (SELECT true FROM a) WHEN MATCHED AND EXISTS (TABLE b) THEN UPDATE SET x = (SELECT n FROM c) WHEN NOT MATCHED THEN INSERT VALUES ((SELECT n FROM d)) RETURNING merge_action(), (SELECT n FROM e)',
      'write t', 'read t', 'read s', 'read a', 'read b', 'read c', 'read d', 'read e'],
    ['MERGE INTO t USING s ON true WHEN NOT MATCHED BY SOURCE THEN DELETE', 'write t', 'read t', 'read s'],
    ['TRUNCATE a, ONLY b CASCADE', 'write a', 'write b'],
    ['COPY t FROM STDIN WHERE x > 1', 'write t'],
    ['COPY t (a, b) TO STDOUT', 'read t'],
    ['COPY (SELECT * FROM a, b) TO STDOUT', 'read a', 'read b'],
    ['COPY (DELETE FROM t RETURNING *) TO STDOUT', 'write t', 'read t'],
    ['REFRESH MATERIALIZED VIEW CONCURRENTLY m', 'write m'],
  ]);
});

describe('queries inside of other statements', () => {
  check([
    ['EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM a', 'read a'],
    ['EXPLAIN UPDATE t SET x = 1', 'write t', 'read t'],
    ['PREPARE p (int) AS SELECT * FROM a WHERE id = $1', 'read a'],
    ['EXECUTE p(1)'],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT * FROM a', 'read a'],
    ['CREATE TABLE n AS SELECT * FROM a', 'define n', 'read a'],
    ['CREATE TABLE n AS TABLE a WITH NO DATA', 'define n', 'read a'],
    ['CREATE TEMP TABLE n AS EXECUTE p', 'define n'],
    ['SELECT * INTO n FROM a', 'define n', 'read a'],
    ['SELECT * INTO TEMP n FROM a UNION SELECT * FROM b', 'define n', 'read a', 'read b'],
    ['CREATE MATERIALIZED VIEW m AS SELECT * FROM a', 'define m', 'read a'],
    ['CREATE RECURSIVE VIEW v (n) AS SELECT n FROM a UNION SELECT n FROM v', 'define v', 'read a'],
    ['CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT * FROM a', 'define t', 'read a'],
    ['CREATE RULE r AS ON INSERT TO t WHERE EXISTS (TABLE b) DO ALSO (INSERT INTO log SELECT * FROM c; DELETE FROM d)',
      'define t', 'read b', 'write log', 'read c', 'write d', 'read d'],
    ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT n FROM a; INSERT INTO b VALUES (1); END', 'read a', 'write b'],
    ['CREATE FUNCTION f(x int DEFAULT (SELECT n FROM a)) RETURNS int RETURN (SELECT n FROM b)', 'read a', 'read b'],
    ['CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM a CREATE TABLE t (x int)', 'define v', 'read a', 'define t'],
    ['CALL p((SELECT n FROM a))', 'read a'],
    ['SELECT set_config($$x$$, (SELECT n FROM a), false)', 'read a'],
  ]);
});

describe('relations that DDL names', () => {
  check([
    ['CREATE TABLE n (x int DEFAULT (SELECT n FROM a), CHECK (x > (SELECT n FROM b)), y int GENERATED ALWAYS AS ((SELECT n FROM c)) STORED, z int REFERENCES d, LIKE e)',
      'define n', 'read a', 'read b', 'read c', 'define d', 'define e'],
    ['CREATE TABLE n () INHERITS (a, s.b)', 'define n', 'define a', 'define s.b'],
    ['CREATE TABLE n PARTITION OF a FOR VALUES FROM ((SELECT n FROM b)) TO (MAXVALUE) PARTITION BY RANGE (f((SELECT n FROM c)))',
      'define n', 'define a', 'read b', 'read c'],
    ['CREATE FOREIGN TABLE n (x int) INHERITS (a) SERVER s', 'define n', 'define a'],
    ['ALTER TABLE a ATTACH PARTITION b DEFAULT', 'define a', 'define b'],
    ['ALTER TABLE a DETACH PARTITION b', 'define a', 'define b'],
    ['ALTER TABLE a INHERIT b', 'define a', 'define b'],
    ['ALTER TABLE a ALTER x TYPE int USING (SELECT n FROM b), ADD y int DEFAULT (SELECT n FROM c)', 'define a', 'read b', 'read c'],
    ['ALTER TABLE s.a RENAME TO b', 'define s.a'],
    ['ALTER TABLE a RENAME x TO y', 'define a'],
    ['ALTER VIEW a SET SCHEMA s', 'define a'],
    ['CREATE INDEX ON a ((lower((SELECT n FROM b)))) WHERE (SELECT true FROM c)', 'define a', 'read b', 'read c'],
    ['CREATE POLICY p ON a USING (EXISTS (TABLE b)) WITH CHECK (EXISTS (TABLE c))', 'define a', 'read b', 'read c'],
    ['ALTER POLICY p ON a USING (EXISTS (TABLE b))', 'define a', 'read b'],
    ['CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a FROM b FOR EACH ROW WHEN ((SELECT true FROM c)) EXECUTE FUNCTION f()', 'define a', 'define b', 'read c'],
    ['CREATE STATISTICS s ON x, y FROM a', 'define a'],
    ['CREATE PUBLICATION p FOR TABLE a WHERE (x > 1), b', 'define a', 'define b'],
    ['CREATE DOMAIN d AS int CHECK (VALUE > (SELECT n FROM a))', 'read a'],
    ['CREATE SEQUENCE s.q', 'define s.q'],
    ['DROP TABLE IF EXISTS a, s.b', 'define a', 'define s.b'],
    ['DROP VIEW v', 'define v'],
    ['DROP TRIGGER t ON s.a', 'define s.a'],
    ['DROP POLICY p ON a', 'define a'],
    ["COMMENT ON TABLE s.a IS 'x'", 'define s.a'],
    ["COMMENT ON COLUMN s.a.c IS 'x'", 'define s.a'],
    ["COMMENT ON CONSTRAINT k ON a IS 'x'", 'define a'],
    ["COMMENT ON DATABASE d IS 'x'"],
    ["SECURITY LABEL ON TABLE a IS 'x'", 'define a'],
    ['GRANT SELECT ON a, s.b TO u', 'define a', 'define s.b'],
    ['GRANT SELECT (c) ON a TO u', 'define a'],
    ['GRANT SELECT ON ALL TABLES IN SCHEMA s TO u'],
    ['LOCK TABLE a, ONLY b IN SHARE MODE', 'define a', 'define b'],
    ['VACUUM (ANALYZE) a, s.b (c)', 'define a', 'define s.b'],
    ['ANALYZE a', 'define a'],
    ['CLUSTER a USING i', 'define a'],
    ['REINDEX TABLE a', 'define a'],
    ['IMPORT FOREIGN SCHEMA s LIMIT TO (a, b) FROM SERVER x INTO y', 'define a', 'define b'],
  ]);

  it.each([
    ['CREATE TABLE s.n (x int)', ['s.n']],
    ['CREATE TABLE n PARTITION OF a DEFAULT', ['n']],
    ['CREATE TABLE n AS TABLE a', ['n']],
    ['SELECT 1 INTO n', ['n']],
    ['CREATE OR REPLACE VIEW v AS TABLE a', ['v']],
    ['ALTER TABLE s.a RENAME TO b', ['s.a', 's.b']],
    ['ALTER TABLE a RENAME x TO y', ['a']],
    ['ALTER TABLE a SET SCHEMA s', ['a', 's.a']],
    ['ALTER TABLE a ATTACH PARTITION b DEFAULT', ['a', 'b']],
    ['ALTER TABLE a OWNER TO u', ['a']],
    ['CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT 1', ['t']],
    ['EXPLAIN ANALYZE CREATE TABLE n AS TABLE a', ['n']],
    ['SELECT * FROM a', []],
  ])('defines: %s', (sql, names) => {
    expect(definesOf(factsOf(sql))).toEqual(names);
    expect(factsOf(sql).changesCatalog).toBe(names.length > 0);
  });
});

describe('names', () => {
  it('are cut to 63 bytes as the server cuts them, between characters', () => {
    const long = 'a'.repeat(100);
    expect(relationsOf(factsOf(`SELECT * FROM ${long}`))).toEqual([`read ${'a'.repeat(63)}`]);
    expect(relationsOf(factsOf(`SELECT * FROM "${'é'.repeat(40)}"`))).toEqual([`read ${'é'.repeat(31)}`]);
    expect(relationsOf(factsOf(`SELECT * FROM "${'a'.repeat(62)}é"`))).toEqual([`read ${'a'.repeat(62)}`]);
    expect(relationsOf(factsOf(`WITH ${long} AS (SELECT 1) SELECT * FROM ${long}b`))).toEqual([]);
    expect(factsOf(`PREPARE ${long} AS SELECT 1`).named).toMatchObject({ name: 'a'.repeat(63) });
  });

  it('are not folded beyond ASCII', () => {
    expect(relationsOf(factsOf('SELECT * FROM ÄB'))).toEqual(['read Äb']);
  });

  it('may be words of the object prototype', () => {
    expect(relationsOf(factsOf('WITH constructor AS (SELECT 1) SELECT * FROM constructor, __proto__, tostring, "hasOwnProperty"')))
      .toEqual(['read __proto__', 'read tostring', 'read hasOwnProperty']);
  });
});

describe('texts of several statements', () => {
  it('give facts for each, with its place in bytes', () => {
    const sql = "SELECT 'é' FROM a; ; DELETE FROM b -- ;\n;\n";
    const bytes = Buffer.from(sql);
    const facts = allFacts(sql);
    expect(facts.map((one) => one.kind)).toEqual(['select', 'delete']);
    expect(facts.map((one) => bytes.toString('utf8', one.offset, one.offset + one.length).trim()))
      .toEqual(["SELECT 'é' FROM a", 'DELETE FROM b -- ;']);
  });

  it.each(['', ' ', ';', ';;', '-- nothing', '/* nothing /* at all */ */', '\n\t;\n'])('%j holds none', (sql) => {
    expect(allFacts(sql)).toEqual([]);
  });
});
