import { describe, expect, it } from 'vitest';
import type { StatementFacts } from '../../../src/sql/facts.ts';
import { factsOf, relationsOf } from './facts-of.ts';

describe('kinds and categories', () => {
  it.each<readonly [sql: string, kind: StatementFacts['kind'], ...categories: string[]]>([
    ['SELECT 1', 'select'],
    ['TABLE t', 'select'],
    ['VALUES (1)', 'values'],
    ['SELECT 1 INTO t', 'select_into'],
    ['SELECT 1 INTO t UNION SELECT 2', 'select_into'],
    ['INSERT INTO t VALUES (1)', 'insert'],
    ['UPDATE t SET x = 1', 'update'],
    ['DELETE FROM t', 'delete'],
    ['MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE', 'merge'],
    ['CREATE TABLE t AS SELECT 1', 'create_table_as'],
    ['CREATE VIEW v AS SELECT 1', 'create_view'],
    ['CREATE SCHEMA s CREATE VIEW v AS SELECT 1', 'create_view'],
    ['CREATE SCHEMA s', 'ddl'],
    ['CREATE SCHEMA s CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()', 'code', 'code'],
    ['CREATE MATERIALIZED VIEW v AS SELECT 1', 'create_matview'],
    ['REFRESH MATERIALIZED VIEW v', 'refresh_matview'],
    ['COPY t TO STDOUT', 'copy_to', 'copy_out'],
    ["COPY t TO '/tmp/x'", 'copy_to', 'server_files'],
    ["COPY t TO PROGRAM 'curl'", 'copy_to', 'server_files'],
    ['COPY t FROM STDIN', 'copy_from'],
    ["COPY t FROM PROGRAM 'x'", 'copy_from', 'server_files'],
    ['DECLARE c CURSOR FOR SELECT 1', 'declare_cursor'],
    ['FETCH ALL FROM c', 'fetch'],
    ['MOVE BACKWARD 5 IN c', 'move'],
    ['CLOSE c', 'close_cursor'],
    ['PREPARE p AS SELECT 1', 'prepare'],
    ['EXECUTE p', 'execute'],
    ['DEALLOCATE p', 'deallocate'],
    ['DISCARD ALL', 'discard'],
    ['EXPLAIN SELECT 1', 'explain'],
    ["DO 'x'", 'do', 'code'],
    ['CALL p()', 'call'],
    ['SET x = 1', 'set'],
    ['RESET x', 'reset'],
    ['RESET ALL', 'reset'],
    ['SHOW ALL', 'show'],
    ['BEGIN', 'begin'],
    ['START TRANSACTION READ ONLY', 'begin'],
    ['COMMIT', 'commit'],
    ['END', 'commit'],
    ['ABORT', 'rollback'],
    ['SAVEPOINT a', 'savepoint'],
    ['RELEASE a', 'release'],
    ['ROLLBACK TO a', 'rollback_to'],
    ["PREPARE TRANSACTION 'x'", 'prepare_transaction'],
    ["COMMIT PREPARED 'x'", 'commit_prepared'],
    ["ROLLBACK PREPARED 'x'", 'rollback_prepared'],
    ['LISTEN a', 'listen'],
    ['UNLISTEN *', 'unlisten'],
    ["NOTIFY a, 'x'", 'notify'],
    ['LOCK t', 'lock'],
    ['TRUNCATE t', 'truncate'],
    ['VACUUM t', 'vacuum'],
    ['ANALYZE', 'analyze'],
    ['CHECKPOINT', 'other'],
    ['GRANT a TO b', 'other'],
    ['CREATE TABLE t (x int)', 'ddl'],
    ["CREATE TYPE t AS ENUM ('a')", 'ddl'],
    ['CREATE TYPE t AS (a int)', 'ddl'],
    ['CREATE TYPE t (INPUT = f, OUTPUT = g)', 'code', 'code'],
    ['CREATE TYPE t AS RANGE (SUBTYPE = int)', 'code', 'code'],
    ['CREATE DOMAIN d AS int', 'ddl'],
    ['CREATE DOMAIN d AS int CHECK (VALUE > 0)', 'ddl'],
    ['CREATE DOMAIN d AS int CHECK (f(VALUE))', 'ddl', 'code'],
    ['ALTER DOMAIN d ADD CHECK (f(VALUE))', 'ddl', 'code'],
    ['CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$', 'code', 'code'],
    ['CREATE PROCEDURE f() LANGUAGE sql AS $$SELECT 1$$', 'code', 'code'],
    ['ALTER FUNCTION f() SECURITY DEFINER', 'code', 'code'],
    ['ALTER FUNCTION f() RENAME TO g', 'code', 'code'],
    ['ALTER FUNCTION f() SET SCHEMA s', 'code', 'code'],
    ['CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)', 'code', 'code'],
    ['CREATE OPERATOR + (FUNCTION = f, LEFTARG = int)', 'code', 'code'],
    ['CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <', 'code', 'code'],
    ['CREATE CAST (a AS b) WITHOUT FUNCTION', 'code', 'code'],
    ["CREATE LANGUAGE l HANDLER h", 'code', 'code'],
    ['CREATE EXTENSION dblink', 'code', 'code'],
    ["CREATE CONVERSION c FOR 'a' TO 'b' FROM f", 'code', 'code'],
    ['CREATE TRANSFORM FOR t LANGUAGE l (FROM SQL WITH FUNCTION f(internal))', 'code', 'code'],
    ['CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()', 'code', 'code'],
    ['CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()', 'code', 'code'],
    ['CREATE RULE r AS ON INSERT TO t DO NOTHING', 'code', 'code'],
    ["LOAD 'x'", 'code', 'server_files', 'code'],
    ['ALTER SYSTEM SET x = 1', 'other', 'code'],
    ['CREATE SERVER s FOREIGN DATA WRAPPER w', 'ddl', 'remote'],
    ["ALTER SERVER s OPTIONS (SET host 'x')", 'ddl', 'remote'],
    ['ALTER SERVER s OWNER TO u', 'ddl', 'remote'],
    ['CREATE FOREIGN DATA WRAPPER w', 'ddl', 'remote', 'code'],
    ['CREATE USER MAPPING FOR u SERVER s', 'ddl', 'remote'],
    ['CREATE FOREIGN TABLE t (x int) SERVER s', 'ddl', 'remote'],
    ["ALTER FOREIGN TABLE t OPTIONS (SET table_name 'x')", 'ddl', 'remote'],
    ['IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y', 'ddl', 'remote'],
    ['CREATE PUBLICATION p FOR ALL TABLES', 'ddl', 'replication'],
    ["CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", 'ddl', 'replication'],
    ['ALTER SUBSCRIPTION s DISABLE', 'ddl', 'replication'],
    ['DROP PUBLICATION p', 'ddl', 'replication'],
    ["CREATE TABLESPACE t LOCATION '/x'", 'ddl', 'server_files'],
  ])('%s', (sql, kind, ...categories) => {
    const facts = factsOf(sql);
    expect(facts.kind).toBe(kind);
    expect([...facts.categories].toSorted()).toEqual(categories.toSorted());
    expect(facts.opaque.length > 0).toBe(categories.includes('opaque'));
  });

  it.each([
    ['CREATE TABLE t AS SELECT 1', true], ['SELECT 1 INTO t', true], ['EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1', true], ['CREATE VIEW v AS SELECT 1', true],
    ['CREATE SCHEMA s CREATE VIEW v AS SELECT 1', true], ['REFRESH MATERIALIZED VIEW m', true], ['SELECT 1', false], ['INSERT INTO t SELECT 1', false],
  ])('%s puts a query under a new name: %s', (sql, derives) => {
    expect(factsOf(sql).derives).toBe(derives);
  });

  it.each([
    ['SELECT 1 FOR UPDATE', true], ['SELECT * FROM (SELECT 1 FOR SHARE) s', true], ['WITH d AS (DELETE FROM t RETURNING *) TABLE d', true],
    ['EXPLAIN DELETE FROM t', true], ['PREPARE p AS INSERT INTO t VALUES (1)', true], ['COPY t FROM STDIN', true], ['TRUNCATE t', true],
    ['TABLE a UNION TABLE b FOR UPDATE', true], ['SELECT 1', false], ['COPY t TO STDOUT', false],
  ])('%s modifies: %s', (sql, modifies) => {
    expect(factsOf(sql).modifies).toBe(modifies);
  });

  it.each([['CREATE TABLE t ()', true], ['DROP FUNCTION f', true], ['DISCARD TEMP', true], ['GRANT a TO b', true], ['CREATE ROLE r', true], ['DO $$$$', false],
    ['DISCARD PLANS', false], ['SELECT 1', false], ['SET search_path = x', false], ['COMMENT ON TABLE t IS NULL', false]])('%s changes the catalog: %s', (sql, changes) => {
    expect(factsOf(sql).changesCatalog).toBe(changes);
  });
});

describe('COPY', () => {
  it.each([
    "COPY t TO STDOUT (DELIMITER '|')", "COPY t TO STDOUT (NULL 'x')", "COPY t TO STDOUT (FORMAT csv, QUOTE '''')", "COPY t TO STDOUT (FORMAT csv, ESCAPE 'x')", "COPY t TO STDOUT (ENCODING 'LATIN1')", "COPY t TO STDOUT CSV DELIMITER ';'",
  ])('%s is not plain', (sql) => {
    expect(factsOf(sql).copy?.plain).toBe(false);
  });


  it.each([
    ['COPY t TO STDOUT', 'client', 'text', false],
    ['COPY t TO STDOUT (FORMAT csv, HEADER)', 'client', 'csv', true],
    ["COPY t TO STDOUT WITH (HEADER 'off', FORMAT 'csv')", 'client', 'csv', false],
    ['COPY t FROM STDIN (HEADER match)', 'client', 'text', true],
    ['COPY t TO STDOUT (HEADER 1)', 'client', 'text', true],
    ['COPY t TO STDOUT (HEADER 0)', 'client', 'text', false],
    ['COPY t TO STDOUT CSV HEADER', 'client', 'csv', true],
    ['COPY BINARY t TO STDOUT', 'client', 'binary', false],
    ['COPY t TO STDOUT (FORMAT binary)', 'client', 'binary', false],
    ['COPY t TO STDOUT ("FORMAT" csv)', 'client', 'text', false],
    ["COPY t TO '/x' WITH BINARY", 'file', 'binary', false],
    ["COPY (SELECT 1) TO PROGRAM 'x'", 'program', 'text', false],
  ])('%s', (sql, endpoint, format, header) => {
    expect(factsOf(sql).copy).toEqual({ endpoint, format, header, plain: true });
  });
});

describe('named statements and cursors', () => {
  it.each([
    ['EXECUTE "P"', { kind: 'execute', name: 'P' }],
    ['EXPLAIN ANALYZE EXECUTE p', { kind: 'execute', name: 'p' }],
    ['CREATE TABLE t AS EXECUTE p', { kind: 'execute', name: 'p' }],
    ['EXPLAIN CREATE TABLE t AS EXECUTE p', { kind: 'execute', name: 'p' }],
    ['DEALLOCATE PREPARE p', { kind: 'deallocate', name: 'p' }],
    ['DEALLOCATE ALL', { kind: 'deallocate', name: undefined }],
    ['DEALLOCATE "all"', { kind: 'deallocate', name: 'all' }],
    ['FETCH 5 c', { kind: 'fetch', name: 'c', move: false }],
    ['MOVE c', { kind: 'fetch', name: 'c', move: true }],
    ['CLOSE ALL', { kind: 'close', name: undefined }],
    ['CLOSE "all"', { kind: 'close', name: 'all' }],
    ['DISCARD ALL', { kind: 'discard', what: 'all' }],
    ['DISCARD TEMPORARY', { kind: 'discard', what: 'temp' }],
    ['DISCARD PLANS', { kind: 'discard', what: 'plans' }],
    ['DISCARD SEQUENCES', { kind: 'discard', what: 'sequences' }],
  ])('%s', (sql, action) => {
    expect(factsOf(sql).named).toEqual(action);
  });

  it('carry the facts of their query', () => {
    const prepared = factsOf('PREPARE p AS SELECT count(*) FROM a').named;
    if (prepared?.kind !== 'prepare') throw new Error('no prepare');
    expect([prepared.name, prepared.body.kind, relationsOf(prepared.body), prepared.body.grouped]).toEqual(['p', 'select', ['read a'], true]);
    const declared = factsOf('DECLARE c SCROLL CURSOR WITH HOLD FOR TABLE a').named;
    if (declared?.kind !== 'declare') throw new Error('no declare');
    expect([declared.name, declared.hold, relationsOf(declared.body)]).toEqual(['c', true, ['read a']]);
    expect(factsOf('DECLARE c BINARY INSENSITIVE SCROLL CURSOR FOR TABLE a').named).toMatchObject({ hold: false });
  });

  it('EXPLAIN runs the statement only with ANALYZE', () => {
    expect(['', 'ANALYZE', '(ANALYZE)', '(ANALYZE off)', '(ANALYZE off, ANALYZE on)', '(VERBOSE)', "(ANALYZE 'true')"].map((options) => factsOf(`EXPLAIN ${options} SELECT 1`).explainAnalyze))
      .toEqual([false, true, true, false, true, false, true]);
  });
});

describe('settings', () => {
  it.each<readonly [sql: string, ...settings: (readonly [name: string, value: string | undefined])[]]>([
    ["SET client_encoding = 'LATIN1'", ['client_encoding', 'LATIN1']],
    ['SET "Client_ENCODING" TO sjis', ['client_encoding', 'sjis']],
    ["SET NAMES 'latin1'", ['client_encoding', 'latin1']],
    ['SET NAMES DEFAULT', ['client_encoding', undefined]],
    ['SET LOCAL standard_conforming_strings = off', ['standard_conforming_strings', 'off']],
    ["SET TIME ZONE 'UTC'", ['timezone', 'UTC']],
    ["SET TIME ZONE INTERVAL '1' HOUR", ['timezone', undefined]],
    ['SET x.y = 1.5', ['x.y', '1.5']],
    ['SET work_mem = -1', ['work_mem', '-1']],
    ['SET search_path = a, "B", \'c d\', "e, f"', ['search_path', 'a, "B", "c d", "e, f"']],
    ["SET SCHEMA 's'", ['search_path', 's']],
    ['SET ROLE r', ['role', 'r']],
    ['SET SESSION AUTHORIZATION r', ['session_authorization', 'r']],
    ['RESET SESSION AUTHORIZATION', ['session_authorization', undefined]],
    ['SET x FROM CURRENT', ['x', undefined]],
    ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', ['transaction_isolation', 'serializable']],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', ['transaction_isolation', 'serializable']],
    ['START TRANSACTION ISOLATION LEVEL REPEATABLE READ', ['transaction_isolation', 'repeatable read']],
    ['SET TRANSACTION READ ONLY'],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE', ['default_transaction_isolation', 'serializable']],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', ['default_transaction_read_only', '1']],
    ['RESET x', ['x', undefined]],
    ['RESET ALL', ['*', undefined]],
    ['ALTER ROLE r SET x = 1', ['x', '1']],
    ['ALTER DATABASE d RESET ALL', ['*', undefined]],
    ["ALTER SYSTEM SET x = 'y'", ['x', 'y']],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = s AS 'x'", ['search_path', 's']],
    ['ALTER FUNCTION f() RESET x', ['x', undefined]],
    ["SELECT set_config('A.b', 'c', false)", ['a.b', 'c']],
    ["SELECT 1 WHERE pg_catalog.set_config('a', 'b', true) = ''", ['a', 'b']],
    ["SELECT set_config('a' || 'b', 'c', false)", ['*dynamic*', 'c']],
    ["SELECT set_config('abc'::char(1), 'c', false)", ['*dynamic*', 'c']],
    ["SELECT set_config(name, 'c', false) FROM pg_settings WHERE name = 'b'", ['*dynamic*', 'c']],
    ["SELECT set_config(name, 'c' || name, false) FROM pg_settings", ['*dynamic*', undefined]],
    ["SELECT set_config(VARIADIC ARRAY['a', 'b', 'false'])", ['*dynamic*', undefined]],
    ["SELECT set_config('a', (SELECT x FROM t), false)", ['a', undefined]],
    ["SELECT set_config('a', $1, false)", ['a', undefined]],
    ["SELECT set_config(is_local => false, setting_name => 'a', new_value => 'b')", ['*dynamic*', undefined]],
    ["UPDATE pg_catalog.pg_settings SET setting = 'x' WHERE name = 'y'", ['*dynamic*', undefined]],
    ['SELECT * FROM pg_settings'],
  ])('%s', (sql, ...settings) => {
    expect(factsOf(String(sql)).settings.map(({ name, value }) => [name, value])).toEqual(settings);
  });
});
