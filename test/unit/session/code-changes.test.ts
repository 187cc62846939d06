import { describe, expect, test } from 'vitest';
import { codeChange, CodeChanges } from '../../../src/session/code-changes.ts';
import { factsOf } from '../sql/facts-of.ts';

describe('a change of what a name calls', () => {
  test.each([['CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'f'], ['CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS $$ SELECT 1 $$', 'p']])('%s', (sql, functionName) => {
    expect(codeChange(factsOf(sql))).toEqual({ functionName });
  });

  test.each([
    'ALTER FUNCTION f() RENAME TO g', 'ALTER FUNCTION f() SET SCHEMA s', 'ALTER FUNCTION f() SET search_path = s', 'CREATE OPERATOR + (FUNCTION = f, LEFTARG = t, RIGHTARG = t)', 'CREATE AGGREGATE a(int) (SFUNC = f, STYPE = int)', 'CREATE CAST (t AS text) WITH FUNCTION f(t)',
    'CREATE DOMAIN d AS text CHECK (f(value))', 'ALTER DOMAIN d ADD CHECK (f(value))', 'CREATE EXTENSION hstore', `COMMIT PREPARED 'x'`,
  ])('%s: of whatever name', (sql) => {
    expect(codeChange(factsOf(sql))).toEqual({ functionName: undefined });
  });

  test.each(['DROP FUNCTION f()', 'CREATE TABLE t (a int)', 'ALTER TABLE t RENAME TO u', 'ALTER TABLE t RENAME COLUMN a TO b', 'ALTER TABLE t SET SCHEMA s', 'CREATE VIEW v AS SELECT 1', 'CREATE INDEX ON t (a)', 'COMMIT', 'SELECT f()'])('is not %s', (sql) => {
    expect(codeChange(factsOf(sql))).toBeUndefined();
  });
});

describe('whom it concerns', () => {
  const after = (functionName: string | undefined): CodeChanges => {
    const changes = new CodeChanges();
    changes.note({ functionName });
    return changes;
  };

  test('nobody who was judged after it', () => {
    expect(after('f').mayConcern(factsOf('SELECT f(a) FROM t'), false, 1)).toBe(false);
  });

  test('whoever calls code that is not the server\'s own, and of the others who name it', () => {
    expect(after('g').mayConcern(factsOf('SELECT f(a) FROM t'), false, 0)).toBe(true);
    expect(after('lower').mayConcern(factsOf('SELECT lower(a) FROM t'), true, 0)).toBe(true);
    expect(after('name').mayConcern(factsOf('SELECT t.name FROM t'), true, 0)).toBe(true);
    expect(after('upper').mayConcern(factsOf('SELECT lower(a) FROM t'), true, 0)).toBe(false);
  });

  test('everybody who names anything, if it is of whatever name; and who runs what another text says', () => {
    expect(after(undefined).mayConcern(factsOf('SELECT lower(a) FROM t'), true, 0)).toBe(true);
    expect(after(undefined).mayConcern(factsOf('SELECT 1'), true, 0)).toBe(false);
    expect(after('g').mayConcern(factsOf('FETCH 5 FROM c'), true, 0)).toBe(true);
  });

  test('more changes than are remembered concern everybody', () => {
    const changes = new CodeChanges();
    for (let i = 0; i < 300; i++) changes.note({ functionName: 'g' });
    expect(changes.mayConcern(factsOf('SELECT lower(a) FROM t'), true, 0)).toBe(true);
    expect(changes.mayConcern(factsOf('SELECT lower(a) FROM t'), true, 100)).toBe(false);
  });
});
