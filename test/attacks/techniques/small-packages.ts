/** What fits into few bytes: numbers that are several people's hashes, and answers whose bytes are as short as they can be. With the default of `packed_unit_bytes`. */

import { attackSuite, statements, type Attacker } from '../../support/attack.ts';
import { rowsOf, wire, type WireClient } from '../../support/wire-client.ts';

export const smallPackages = attackSuite('small-packages', {
  sql: `
    CREATE TABLE public.empty_pages (id int);
    GRANT ALL ON public.empty_pages TO staff;
    CREATE VIEW crm.hashes AS SELECT id, ('x' || right(email, 8))::bit(32)::bigint AS h FROM crm.customers;
    GRANT SELECT ON crm.hashes TO staff;
  `,
});
const { attack, group } = smallPackages;
const HASH = `('x' || right(email, 8))::bit(32)`;
const token = (id: number, hash: string): string => `cnry-${String(id).padStart(6, '0')}-${hash.padStart(8, '0')} `;

/** A row holds the hashes of customers `first` to `first + people - 1`, as bytes that `bytes` makes of its values. */
function hashes(people: number, sql: string, bytes: (row: readonly (Buffer | null)[]) => Buffer, binary = false, from = 0): (attacker: Attacker, client?: WireClient) => Promise<void> {
  return async (attacker, on) => {
    const client = on ?? await attacker.connect();
    const answer = binary ? await client.ask([wire.parse('', sql), wire.bind('', '', true), wire.execute(''), wire.sync]) : await client.query(sql);
    let row = 0;
    for (const values of rowsOf(answer)) {
      const found = bytes(values);
      for (let at = 0; at < people && (at + 1) * 4 <= found.length; at++) decode(attacker, from + row * people + at, found.subarray(at * 4, at * 4 + 4));
      row++;
    }
  };
}
/** Which end of a number came first is nobody's business: ids beside it are tried. */
function decode(attacker: Attacker, near: number, hash: Buffer): void {
  for (let id = Math.max(1, near - 8); id <= near + 8; id++) attacker.decoded += token(id, hash.toString('hex'));
}
const first = (row: readonly (Buffer | null)[]): Buffer => row[0] ?? Buffer.alloc(0);

group('several hashes in one number', 'packing', () => {
  const pair = (fn: string): string => `${fn}(${HASH}::bigint << (32 * (id % 2)))`;
  for (const role of ['agent', 'lax'] as const) {
    attack('bit_or of shifted hashes, binary', hashes(2, `SELECT ${pair('bit_or')} FROM crm.customers GROUP BY id / 2 ORDER BY id / 2`, first, true), role);
    attack('bit_xor of shifted hashes, binary', hashes(2, `SELECT ${pair('bit_xor')} FROM crm.customers GROUP BY id / 2 ORDER BY id / 2`, first, true), role);
    attack('bit_or of three hashes in a bit string, binary', hashes(3, `SELECT bit_or((${HASH} || repeat('0', 64)::bit(64))::bit(96) >> (32 * (id % 3))) FROM crm.customers GROUP BY id / 3 ORDER BY id / 3`, (row) => first(row).subarray(4), true), role);
    attack('bit_or of three hashes in base64', hashes(3, `SELECT encode(substr(varbit_send(bit_or((${HASH} || repeat('0', 64)::bit(64))::bit(96) >> (32 * (id % 3)))), 5), 'base64') FROM crm.customers GROUP BY id / 3 ORDER BY id / 3`, (row) => Buffer.from(first(row).toString(), 'base64')), role);
    attack('a column of pairs for each of ten', hashes(20, `SELECT ${Array.from({ length: 10 }, (_, i) => `int8send(bit_or(${HASH}::bigint << (32 * (id % 2))) FILTER (WHERE id % 20 / 2 = ${i}))`).join(' || ')} FROM crm.customers GROUP BY id / 20 ORDER BY id / 20`, first, true), role);
    attack('bit_or over a view of numbers', hashes(2, 'SELECT bit_or(h << (32 * (id % 2))) FROM crm.hashes GROUP BY id / 2 ORDER BY id / 2', first, true), role);
    attack('bit_or over a sub-select of numbers', hashes(2, `SELECT bit_or(s.n) FROM (SELECT id, ${HASH}::bigint << (32 * (id % 2)) AS n FROM crm.customers) s GROUP BY s.id / 2 ORDER BY s.id / 2`, first, true), role);
    attack('bit_or over a CTE of numbers', hashes(2, `WITH s AS (SELECT id, ${HASH}::bigint << (32 * (id % 2)) AS n FROM crm.customers) SELECT bit_or(n) FROM s GROUP BY id / 2 ORDER BY id / 2`, first, true), role);
    attack('string_agg of hashes as bytes', hashes(5000, `SELECT string_agg(decode(right(email, 8), 'hex'), '' ORDER BY id) FROM crm.customers`, first, true), role);
    attack('string_agg of e-mail addresses, a hundred a row', statements(`SELECT string_agg(email, '') FROM crm.customers GROUP BY id / 100`), role);
  }
});

group('packing that only looks like one person\'s', 'packing', () => {
  const disguises = [
    ['a key compared under OR', `SELECT string_agg(email, '') FROM crm.customers WHERE id = 1 OR true`],
    ['a key compared in a sub-select', `SELECT string_agg(email, '') FROM crm.customers c WHERE EXISTS (SELECT FROM crm.customers d WHERE d.id = 1)`],
    ['a key compared in a CTE beside', `WITH one AS (SELECT id FROM crm.customers WHERE id = 1) SELECT string_agg(c.email, '') FROM crm.customers c, one`],
    ['a key pinned on the optional side', `SELECT string_agg(c.email, '') FROM crm.customers c LEFT JOIN crm.customers d ON d.id = c.id AND d.id = 1`],
    ['a key pinned for the table beside', `SELECT string_agg(c.email, '') FROM crm.customers c, crm.customers d WHERE d.id = 1`],
    ['a key pinned in another arm of UNION', `SELECT string_agg(email, '') FROM crm.customers WHERE id = 1 UNION ALL SELECT string_agg(email, '') FROM crm.customers`],
    ['an alias that hides the key', `SELECT string_agg(c.b, '') FROM (SELECT 1 AS id, email AS b FROM crm.customers) c WHERE c.id = 1`],
    ['columns renamed by position', `SELECT string_agg(c.email, '') FROM crm.customers AS c(nr, id) WHERE c.id IS NOT NULL`],
    ['grouped by the key, gathered by a window', `SELECT string_agg(string_agg(email, ''), '') OVER () FROM crm.customers GROUP BY id LIMIT 1`],
    ['grouped by the key inside, packed outside', `SELECT string_agg(s.e, '') FROM (SELECT id, string_agg(email, '') AS e FROM crm.customers GROUP BY id) s`],
    ['grouped by an alias named like the key', `SELECT tariff AS id, string_agg(email, '') FROM crm.customers GROUP BY tariff`],
    ['grouping sets beside the key', `SELECT string_agg(email, '') FROM crm.customers GROUP BY GROUPING SETS ((id), ())  ORDER BY 1 DESC LIMIT 5000`],
    ['grouped by the key, a scalar sub-select beside', `SELECT id, (SELECT string_agg(d.email, '') FROM crm.customers d) FROM crm.customers c GROUP BY id LIMIT 1`],
    ['a parameter for the key that a row gives', `SELECT (SELECT string_agg(c.email, '') FROM crm.customers c WHERE c.id = g) FROM generate_series(1, 2000) g`],
  ] as const;
  for (const [name, sql] of disguises) attack(name, statements(sql), 'agent', 0);
  attack("a key compared by an operator of one's own", async (attacker) => {
    const client = await attacker.connect();
    const type = `public.${attacker.own}_y`;
    await client.query(`CREATE TYPE ${type} AS (k int)`);
    await client.query(`CREATE FUNCTION ${type}_of(int) RETURNS ${type} IMMUTABLE LANGUAGE sql AS 'SELECT ROW($1)::${type}'`);
    await client.query(`CREATE CAST (int AS ${type}) WITH FUNCTION ${type}_of AS IMPLICIT`);
    await client.query(`CREATE FUNCTION ${type}_is(${type}, ${type}) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'`);
    await client.query(`CREATE OPERATOR public.= (FUNCTION = ${type}_is, LEFTARG = ${type}, RIGHTARG = ${type})`);
    for (let from = 1; from < 1501; from += 8) {
      await hashes(8, `SELECT string_agg(decode(right(email, 8), 'hex'), '' ORDER BY id) FROM crm.customers WHERE id = '(1)'::${attacker.own}_y AND id BETWEEN ${from} AND ${from + 7}`, first, true, from)(attacker, client);
    }
    await client.query(`DROP OPERATOR public.= (${type}, ${type})`);
  }, 'lax');
});
