import { describe, expect, it, test } from 'vitest';
import { keyColumns, keyIsText, readKey } from '../../../src/session/subject-keys.ts';

const [INT2, INT4, INT8, TEXT, VARCHAR, BPCHAR, BYTEA, DATE, NUMERIC, UUID, FLOAT8] = [21, 23, 20, 25, 1043, 1042, 17, 1082, 1700, 2950, 701];

function keyOf(type: number, format: number, value: Buffer | string, encoding = 'UTF8'): string | undefined {
  const bytes = Buffer.from(value as string, 'latin1');
  const framed = Buffer.concat([Buffer.from('xx'), typeof value === 'string' ? bytes : value, Buffer.from('yy')]);
  return readKey(type, format, framed, 2, framed.length - 2, encoding);
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('one person has one key', () => {
  test.each([
    ['5', [[INT2, 0, '5'], [INT4, 0, '5'], [INT8, 0, '5'], [INT2, 1, hex('0005')], [INT4, 1, hex('00000005')], [INT8, 1, hex('0000000000000005')], [NUMERIC, 0, '5'], [NUMERIC, 0, '5.00'], [TEXT, 0, '5'], [VARCHAR, 1, '5'], [BPCHAR, 0, '5    ']]],
    ['-7', [[INT4, 0, '-7'], [INT4, 1, hex('fffffff9')], [INT8, 1, hex('fffffffffffffff9')], [NUMERIC, 1, hex('0001 0000 4000 0000 0007')]]],
    // 12345678.9: digits 1234, 5678, 9000; the first has weight 1.
    ['12345678.9', [[NUMERIC, 0, '12345678.900'], [NUMERIC, 1, hex('0003 0001 0000 0003 04d2 162e 2328')]]],
    ['100000000', [[NUMERIC, 1, hex('0001 0002 0000 0000 0001')], [INT4, 0, '100000000']]],
    ['0', [[NUMERIC, 1, hex('0000 0000 0000 0000')], [NUMERIC, 0, '-0.00'], [INT4, 1, hex('00000000')]]],
    ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', [[UUID, 0, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], [UUID, 1, hex('a0eebc999c0b4ef8bb6d6bb9bd380a11')]]],
    ['\\xdeadbeef', [[BYTEA, 0, '\\xdeadbeef'], [BYTEA, 1, hex('deadbeef')]]],
    ['2026-11-23', [[DATE, 0, '2026-11-23'], [DATE, 1, hex('0000265f')]]],
  ] as const)('%s', (key, values) => {
    for (const [type, format, value] of values) expect([type, format, keyOf(type, format, value)]).toEqual([type, format, key]);
  });
});

it('is the value itself where that is said of its type', () => {
  const types = [INT2, INT4, INT8, TEXT, VARCHAR, BPCHAR, BYTEA, DATE, NUMERIC, UUID, FLOAT8].flatMap((type) => [[type, 0], [type, 1]] as const);
  const said = types.filter(([type, format]) => keyIsText(type, format));
  expect(said).toHaveLength(8);
  for (const [type, format] of said) for (const value of ['5', '-7', 'a b', 'ABC', '5.00 ', '', 'x'.repeat(40)]) expect([type, keyOf(type, format, value)]).toEqual([type, value]);
});

describe('two people have two keys', () => {
  test('spaces and letters are kept where the type keeps them', () => {
    expect(keyOf(TEXT, 0, 'a ')).not.toBe(keyOf(TEXT, 0, 'a'));
    expect(keyOf(TEXT, 0, 'A')).not.toBe(keyOf(TEXT, 0, 'a'));
    expect(keyOf(TEXT, 0, '')).toBe('');
  });

  test('the same bytes in two encodings are two texts', () => {
    expect(keyOf(TEXT, 0, '\xe8', 'LATIN2')).not.toBe(keyOf(TEXT, 0, '\xe8', 'LATIN1'));
  });
});

test.each([
  ['a float, whose text settings shorten', FLOAT8, 0, '1'],
  ['a date in another style', DATE, 0, '23.11.2026'],
  ['bytes in escape format', BYTEA, 0, 'abc'],
  ['NaN', NUMERIC, 0, 'NaN'],
  ['an integer of the wrong length', INT4, 1, hex('0005')],
  ['an enumeration', 99_999, 0, 'red'],
  ['a value of 2 kB', TEXT, 0, 'x'.repeat(2000)],
] as const)('no key: %s', (_, type, format, value) => {
  expect(keyOf(type, format, value)).toBeUndefined();
});

describe('which columns are keys', () => {
  // As in the catalog: one object a key, however often it is asked for.
  const keys = new Map([[10, [{ className: 'customers', columns: ['id'], attnums: [1] }]], [11, [{ className: 'customers', columns: ['tenant', 'no'], attnums: [2, 3] }]]]);
  const keysOf = (oid: number) => keys.get(oid) ?? [];
  const column = (tableOid: number, attributeNumber: number, format: number | undefined = 0) => ({ tableOid, attributeNumber, type: 23, format });
  const oids = new Set([10, 11]);

  it('takes every column that a table has as its key', () => {
    expect(keyColumns([column(10, 2), column(10, 1), column(0, 0), column(10, 1)], 'customers', 2, oids, keysOf)).toEqual([[1], [3]]);
  });

  it('wants all columns of a key, of one reference', () => {
    expect(keyColumns([column(11, 3), column(11, 1), column(11, 2)], 'customers', 1, oids, keysOf)).toEqual([[2, 0]]);
    expect(keyColumns([column(11, 3), column(11, 1)], 'customers', 1, oids, keysOf)).toEqual([]);
    expect(keyColumns([column(11, 3), column(11, 2)], 'customers', 2, oids, keysOf)).toEqual([]);
  });

  it('trusts no description of tables that the statement does not read, nor of unknown formats', () => {
    expect(keyColumns([column(10, 1)], 'customers', 1, new Set([11]), keysOf)).toEqual([]);
    expect(keyColumns([column(10, 1)], 'others', 1, oids, keysOf)).toEqual([]);
    expect(keyColumns([{ tableOid: 10, attributeNumber: 1, type: 23, format: undefined }], 'customers', 1, oids, keysOf)).toEqual([]);
  });
});
