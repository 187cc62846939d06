import { describe, expect, test } from 'vitest';
import { definesAndRunsNothing, namesNothing } from '../../../src/session/catalog-independence.ts';
import { factsOf } from '../sql/facts-of.ts';

describe('names nothing', () => {
  test.each(['BEGIN', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'SELECT 1', `SELECT 'x'`, 'SELECT $1', 'SHOW search_path', `SET work_mem = '4MB'`, 'RESET ALL', 'VALUES (1), (2)'])('%s', (sql) => {
    expect(namesNothing(factsOf(sql))).toBe(true);
  });

  test.each(['COMMIT', 'SELECT * FROM t', 'SELECT f()', 'SELECT 1 + 1', `SELECT 'x'::mood`, 'SELECT (SELECT a FROM t)', 'TABLE t', 'EXECUTE a', 'FETCH c', 'DO $$ BEGIN END $$', 'CALL p()', 'ANALYZE', 'VACUUM', 'LOCK t', 'DISCARD ALL', 'PREPARE a AS SELECT 1', 'COPY t TO STDOUT', 'EXPLAIN SELECT f()'])('not %s', (sql) => {
    expect(namesNothing(factsOf(sql))).toBe(false);
  });
});

describe('defines and runs nothing', () => {
  test.each([
    'CREATE TABLE t (a int PRIMARY KEY, b timestamptz DEFAULT now(), CHECK (a > 0))', 'CREATE TABLE t () INHERITS (base)', 'CREATE TABLE t (LIKE base INCLUDING ALL)', 'CREATE TABLE t (a int REFERENCES base)', 'CREATE INDEX ON t (a)',
    'CREATE SCHEMA s', 'CREATE SEQUENCE s', `CREATE TYPE mood AS ENUM ('a')`, 'CREATE TYPE pair AS (a int, b int)', 'DROP TABLE t', `COMMENT ON TABLE t IS 'x'`, 'GRANT SELECT ON t TO public', 'CREATE ROLE r', 'GRANT r TO s',
  ])('%s', (sql) => {
    expect(definesAndRunsNothing(factsOf(sql))).toBe(true);
  });

  test.each([
    'CREATE TABLE t AS SELECT * FROM base', 'SELECT * INTO t FROM base', 'CREATE VIEW v AS SELECT * FROM base', 'CREATE MATERIALIZED VIEW v AS SELECT 1', 'CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM base', 'CREATE INDEX ON t (f(a))',
    'CREATE INDEX ON t (a) WHERE a > 0', 'ALTER TABLE t ADD COLUMN b int DEFAULT f()', 'ALTER TABLE t ALTER COLUMN a TYPE text USING f(a)', 'ALTER TABLE t VALIDATE CONSTRAINT c', 'REFRESH MATERIALIZED VIEW v',
    'CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO u SELECT new.*', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()', 'INSERT INTO t SELECT * FROM base', 'TRUNCATE t',
    'CREATE TABLE t PARTITION OF base FOR VALUES FROM (f()) TO (2)', 'DROP OWNED BY r', 'CREATE EXTENSION hstore', 'ANALYZE t', 'REINDEX TABLE t', 'CLUSTER t',
  ])('not %s', (sql) => {
    expect(definesAndRunsNothing(factsOf(sql))).toBe(false);
  });
});
