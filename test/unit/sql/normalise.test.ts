import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalise } from '../../../src/sql/normalise.ts';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';

const parser = await createPostgresParser();

describe('normalised SQL', () => {
  it.each([
    ["SELECT 'secret', 12.5, $1, -7 FROM t", 'SELECT $2, $3, $1, -$4 FROM t'],
    ["SELECT 'a'\n  'secret'", 'SELECT $1'],
    ["SELECT E'\\'secret', N'secret', U&'secret!0041' UESCAPE '!'", 'SELECT $1, N$2, $3 UESCAPE $4'],
    ["SELECT x'5EC', b'101', 0x5EC, 0b11, 1_000, .5, 1e9", 'SELECT $1, $2, $3, $4, $5, $6, $7'],
    ['SELECT $$secret$$, $x$ secret $y$ $x$', 'SELECT $1, $2'],
    ['SELECT 1 -- secret\n, /* secret /* secret */ */ 2', 'SELECT $1 , $2'],
    ['-- secret\nSELECT 1', 'SELECT $1'],
    ['SELECT/* secret */a', 'SELECT a'],
    ['DO $$ secret $$', 'DO $1'],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'secret'", 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $1'],
    ["CREATE ROLE r PASSWORD 'secret' VALID UNTIL 'secret'", 'CREATE ROLE r PASSWORD $1 VALID UNTIL $2'],
    ["ALTER ROLE r ENCRYPTED PASSWORD 'secret'", 'ALTER ROLE r ENCRYPTED PASSWORD $1'],
    ["SET x = 'secret'", 'SET x = $1'],
    ["NOTIFY c, 'secret'", 'NOTIFY c, $1'],
    ["COPY t TO 'secret' WITH (DELIMITER 's', NULL 'secret')", 'COPY t TO $1 WITH (DELIMITER $2, NULL $3)'],
    ["CREATE USER MAPPING FOR u SERVER s OPTIONS (password 'secret')", 'CREATE USER MAPPING FOR u SERVER s OPTIONS (password $1)'],
    ["COMMENT ON TABLE t IS 'secret'", 'COMMENT ON TABLE t IS $1'],
    ["PREPARE TRANSACTION 'secret'", 'PREPARE TRANSACTION $1'],
    ['SELECT "it\'s", U&"d\\0061t" FROM "T"', 'SELECT "it\'s", U&"d\\0061t" FROM "T"'],
    ['SELECT é, a OPERATOR(pg_catalog.+) b ?| c, d::int[], f(x => 1, VARIADIC y), a[1:2], b->>\'secret\' FROM t', 'SELECT é, a OPERATOR(pg_catalog.+) b ?| c, d::int[], f(x => $1, VARIADIC y), a[$2:$3], b->>$4 FROM t'],
    ['', ''],
    ['  ;  ', ';'],
  ])('%j', (sql, expected) => {
    const { sql: normalised, fingerprint } = normalise(sql, parser);
    expect(normalised).toBe(expected);
    if (sql !== '') expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
  });

  it.each(["SELECT 'secret", 'SELECT $$secret', '/* secret', "SELEC 'secret'", "SELECT 1 'secret' 'x' FRM", "SELECT '\0secret'", 'SELECT U&\'\\secret\''])('shows nothing of %j, which does not parse', (sql) => {
    expect(normalise(sql, parser)).toEqual({ sql: `<unparsed, ${Buffer.byteLength(sql)} bytes>`, fingerprint: undefined });
  });

  it('never shows a literal, however it is quoted', () => {
    const secret = 'sEcReT99';
    const quoted = fc.constantFrom(`'${secret}'`, `E'\\\\${secret}'`, `$$${secret}$$`, `$a$${secret}'$a$`, `U&'${secret}'`, `N'${secret}'`, `'it''s ${secret}'`, `/*${secret}*/1`, `1--${secret}\n`, `'--${secret}'`, `$$/*${secret}$$`, `'a'\n'${secret}'`);
    fc.assert(fc.property(fc.array(quoted, { minLength: 1, maxLength: 6 }), fc.constantFrom(', ', ',', '||', ' || '), (literals, separator) => {
      const { sql } = normalise(`SELECT ${literals.join(separator)} FROM t`, parser);
      expect(sql).not.toContain(secret);
      expect(sql).toContain('FROM t');
    }), { numRuns: 300 });
  });

  it('parses again, to the same shape', () => {
    for (const sql of ["SELECT 'a' || 1, x FROM t WHERE y IN (1, 2) AND z BETWEEN 1 AND 2", 'INSERT INTO t VALUES (1, $$x$$)', 'SELECT(1)FROM t']) {
      expect(parser.parse(normalise(sql, parser).sql).kind).toBe('tree');
    }
  });
});
