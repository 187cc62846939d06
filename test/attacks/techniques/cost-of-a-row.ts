/** Rows that describe more customers than they cost: packing, aggregates, window calls, columns, and rows of the class filled with others of it. */

import { attackSuite, CUSTOMERS, statements, type Attacker, type Technique } from '../../support/attack.ts';
import { rowsOf, wire } from '../../support/wire-client.ts';

// Packed values are counted by bytes: for the bound to be one on customers, a unit must be no longer than what tells a customer apart
// (docs/threat-model.md). The shortest that is tried here are hashes of four bytes.
export const costOfARow = attackSuite('cost-of-a-row');
const { attack, group } = costOfARow;

/** `id` and the hash of a token, from a number that has the hash in its last ten digits. */
function tokenOf(id: number, digits: string): string {
  return `cnry-${String(id).padStart(6, '0')}-${BigInt(digits).toString(16).padStart(8, '0')} `;
}

const HASH = `('x' || right(email, 8))::bit(32)::bigint`;

group('pages that are packed', 'packing', () => {
  const PAGES = Array.from({ length: 30 }, (_, i) => i * 100);
  attack('string_agg over pages of a hundred', statements(...PAGES.map((from) => `SELECT string_agg(email, '') FROM (SELECT email FROM crm.customers ORDER BY id LIMIT 100 OFFSET ${from}) t`)));
  attack('json_agg over pages of two people a row', statements(...PAGES.map((from) => `SELECT json_agg(t) FROM (SELECT a.email AS a, b.email AS b FROM crm.customers a JOIN crm.customers b ON b.id = a.id + 1 ORDER BY a.id LIMIT 100 OFFSET ${from}) t`)));
  attack('a page that is another one for each row beside it', statements('SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off', `SELECT string_agg(email, '') FROM generate_series(1, 100) g LEFT JOIN (SELECT email FROM crm.customers WHERE random() < 0.01 LIMIT 10) t ON true`));
  attack('a page whose rows hold more than they say', statements(`SELECT json_agg(t) FROM (SELECT c.json_agg FROM crm.customers c LIMIT 10) t`, `SELECT json_agg(t) FROM (SELECT string_agg(email, '') OVER () FROM crm.customers LIMIT 1) t`, `SELECT json_agg(t) FROM (SELECT email, (SELECT string_agg(d.email, '') FROM crm.customers d) FROM crm.customers LIMIT 1) t`));
  attack('a page beside the whole', statements(`SELECT json_agg(t), (SELECT string_agg(email, '') FROM crm.customers) FROM (SELECT email FROM crm.customers LIMIT 1) t`));
  attack('a page WITH TIES, and one without end', statements(`SELECT json_agg(t) FROM (SELECT email FROM crm.customers ORDER BY tariff FETCH FIRST 1 ROWS WITH TIES) t`, `SELECT json_agg(t) FROM (SELECT email FROM crm.customers LIMIT ALL) t`));
});

group('aggregates', 'packing', () => {
  const collecting = [
    ['json_agg of rows', 'SELECT json_agg(c) FROM crm.customers c'],
    ['jsonb_agg of rows', 'SELECT jsonb_agg(c) FROM crm.customers c'],
    ['string_agg', `SELECT string_agg(email, '') FROM crm.customers`],
    ['array_agg', 'SELECT array_agg(email) FROM crm.customers'],
    ['array_agg of rows', 'SELECT array_agg(c) FROM crm.customers c'],
    ['xmlagg', 'SELECT xmlagg(xmlelement(name c, email)) FROM crm.customers'],
    ['json_object_agg', 'SELECT json_object_agg(id, email) FROM crm.customers'],
    ['JSON_ARRAYAGG', 'SELECT JSON_ARRAYAGG(email) FROM crm.customers'],
    ['JSON_OBJECTAGG', 'SELECT JSON_OBJECTAGG(id : email) FROM crm.customers'],
    ['JSON_ARRAY of a query', 'SELECT JSON_ARRAY(SELECT email FROM crm.customers)'],
    ['ARRAY of a sub-select', 'SELECT ARRAY(SELECT email FROM crm.customers)'],
    ['attribute notation of json_agg', 'SELECT c.json_agg FROM crm.customers c'],
    ['attribute notation of array_agg in a sub-select', 'SELECT (SELECT s.array_agg FROM crm.customers s)'],
    ['attribute notation on a part of the base', 'SELECT c.json_agg FROM crm.customers c WHERE id <= 1500'],
    ['percentile_disc over an array of fractions', `SELECT percentile_disc(ARRAY(SELECT g / 5000.0 FROM generate_series(1, 5000) g)) WITHIN GROUP (ORDER BY email) FROM crm.customers`],
    ['recursive CTE that concatenates', `WITH RECURSIVE r(id, all_of) AS (SELECT 0, '' UNION ALL SELECT r.id + 1, r.all_of || c.email FROM r JOIN crm.customers c ON c.id = r.id + 1 WHERE r.id < 1500) SELECT all_of FROM r ORDER BY id DESC LIMIT 1`],
    ['string_agg as a window function', `SELECT string_agg(email, '') OVER (ORDER BY id) FROM crm.customers ORDER BY id DESC LIMIT 1`],
    ['string_agg sliced into columns', `SELECT ${Array.from({ length: 1600 }, (_, i) => `substr(s, ${1 + i * 28}, 28)`).join(', ')} FROM (SELECT string_agg(email, '') s FROM crm.customers) a`],
    ['string_agg sliced into rows', `SELECT substr(s, i * 20 + 1, 20) FROM (SELECT string_agg(email, '') s FROM crm.customers) a, generate_series(0, 4999) i`],
    ['range_agg of ids with a token', `SELECT range_agg(int4range(id, id + 1)), string_agg(email, ',') FROM crm.customers`],
    ['GROUPING SETS', 'SELECT email FROM crm.customers GROUP BY GROUPING SETS ((email), (email, id))'],
    ['query_to_xml', `SELECT query_to_xml('SELECT email FROM crm.customers', true, true, '')`],
    ['table_to_xml', `SELECT table_to_xml('crm.customers', true, true, '')`],
    ['schema_to_xml', `SELECT schema_to_xml('crm', true, true, '')`],
    ['string_agg of part of the base, tokens shorter than packed_unit_bytes', `SELECT string_agg(email, '') FROM crm.customers WHERE id <= 318`],
    ['ts_stat', `SELECT * FROM ts_stat('SELECT email::tsvector FROM crm.customers')`],
    ['tsvector of all', `SELECT string_agg(email, ' ')::tsvector FROM crm.customers`],
    ['an ordered-set aggregate in a lateral join', `SELECT x.a FROM crm.customers c CROSS JOIN LATERAL (SELECT array_agg(d.email) a FROM crm.customers d WHERE d.id > c.id) x LIMIT 1`],
    ['1,000 max() FILTER in one row', `SELECT ${Array.from({ length: 1000 }, (_, i) => `max(email) FILTER (WHERE id = ${i + 1})`).join(', ')} FROM crm.customers`],
    ['1,000 scalar sub-selects in one row', `SELECT concat(${Array.from({ length: 90 }, (_, j) => `concat(${Array.from({ length: 12 }, (_, i) => `(SELECT email FROM crm.customers WHERE id = ${j * 12 + i + 1})`).join(', ')})`).join(', ')})`],
    ['whole rows of four copies side by side', 'SELECT a, b, c, d FROM crm.customers a, crm.customers b, crm.customers c, crm.customers d WHERE b.id = a.id + 1000 AND c.id = a.id + 2000 AND d.id = a.id + 3000'],
    ['a CTE read six times', `WITH t AS (SELECT id, email FROM crm.customers) SELECT a.email, b.email, c.email, d.email, e.email, f.email FROM t a, t b, t c, t d, t e, t f WHERE b.id = a.id + 800 AND c.id = a.id + 1600 AND d.id = a.id + 2400 AND e.id = a.id + 3200 AND f.id = a.id + 4000`],
    ['a view read twice', 'SELECT a.email, b.email FROM crm.active a JOIN crm.active b ON b.id = a.id + 2500'],
    ['a self-join of neighbours that looks like a key join', 'SELECT a.email, b.email FROM crm.customers a JOIN crm.customers b ON a.id = b.id + 2500'],
    ['a key join renamed by an alias list', 'SELECT a.email, b.email FROM crm.customers a JOIN crm.customers b(x, id, y, email, z) ON a.id::text = b.id OR a.id + 2500 = b.x'],
  ] as const;
  for (const [name, sql] of collecting) attack(name, statements(sql));

  attack('string_agg of the hashes alone, four bytes a customer, in binary', async (attacker) => {
    const client = await attacker.connect();
    for (let from = 1; from <= CUSTOMERS; from += 1500) {
      const answer = await client.ask([wire.parse('', `SELECT string_agg(decode(right(email, 8), 'hex'), '' ORDER BY id) FROM crm.customers WHERE id >= ${from} AND id < ${from + 1500}`), wire.bind('', '', true), wire.execute(''), wire.sync]);
      const packed = rowsOf(answer)[0]?.[0];
      for (let i = 0; packed !== undefined && packed !== null && i < packed.length; i += 4) attacker.decoded += tokenOf(from + i / 4, String(packed.readUInt32BE(i)));
    }
  });

  attack('sum of shifted numbers in one numeric', async (attacker) => {
    const client = await attacker.connect();
    const answer = await client.query(`SELECT sum(${HASH}::numeric * (10::numeric ^ (10 * (id - 1)))) FROM crm.customers WHERE id <= 600`);
    const digits = rowsOf(answer)[0]?.[0]?.toString().split('.')[0] ?? '';
    for (let id = 1; id * 10 <= digits.length; id++) attacker.decoded += tokenOf(id, digits.slice(digits.length - id * 10, digits.length - (id - 1) * 10));
  });

  attack('sum of shifted numbers, sliced into columns', async (attacker) => {
    const client = await attacker.connect();
    const slices = 1000;
    const columns = Array.from({ length: slices }, (_, i) => `substr(s, ${i * 20 + 1}, 20)`).join(', ');
    const count = slices * 2;
    const answer = await client.query(`SELECT ${columns} FROM (SELECT lpad(trunc(sum(${HASH}::numeric * (10::numeric ^ (10 * (id - 1)))))::text, ${count * 10}, '0') s FROM crm.customers WHERE id <= ${count}) a`);
    const digits = (rowsOf(answer)[0] ?? []).map((value) => value?.toString() ?? '').join('');
    for (let id = 1; id * 10 <= digits.length; id++) attacker.decoded += tokenOf(id, digits.slice(digits.length - id * 10, digits.length - (id - 1) * 10));
  });
});

group('window calls', 'width', () => {
  attack('lag() beside the row itself', statements('SELECT email, lag(email, 2500) OVER (ORDER BY id) FROM crm.customers ORDER BY id DESC'));
  attack('lead() of the whole row', statements('SELECT c, lead(c, 2500) OVER (ORDER BY id) FROM crm.customers c'));
  attack('first_value and nth_value', statements('SELECT email, nth_value(email, 2) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM crm.customers'));
  attack('one lag(), nested in sub-selects four deep', statements(
    `SELECT b || lag(b, 8) OVER () FROM (SELECT a || lag(a, 4) OVER () b FROM (SELECT email || lag(email, 2) OVER () a FROM (SELECT id, email || lag(email, 1) OVER () email FROM crm.customers) p) q) r`));
  attack('lag() inside a view-like CTE that is read once', statements('WITH w AS MATERIALIZED (SELECT email || lag(email, 2500) OVER (ORDER BY id) e FROM crm.customers) SELECT e FROM w WHERE e IS NOT NULL'));
});

group('joined by what says that they are equal', 'width', () => {
  const four = (from: string, where: string): string => `SELECT a.email, b.email, c.email, d.email FROM ${from} WHERE ${where} ${['b', 'c', 'd'].map((name, i) => `${name}.id >= a.id + ${i + 1} AND ${name}.id <= a.id + ${i + 1}`).join(' AND ')} AND a.id % 4 > 0 AND a.id % 4 < 2 LIMIT 190`;
  const own = (types: string): ((attacker: Attacker) => string)[] => [
    (attacker) => `CREATE FUNCTION public.${attacker.own}_is(${types}) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'`,
    (attacker) => `CREATE OPERATOR public.= (FUNCTION = public.${attacker.own}_is, LEFTARG = ${types.split(', ')[0]}, RIGHTARG = ${types.split(', ')[1]})`,
  ];
  const inFront = 'SET search_path = public, pg_catalog';
  const [A, ...OTHERS] = ['a', 'b', 'c', 'd'].map((name) => `crm.customers ${name}`);
  const joined = four([A, ...OTHERS].join(', '), 'a.id = b.id AND a.id = c.id AND a.id = d.id AND');
  attack("an operator of one's own in front", statements(...own('int, int'), inFront, joined, 'DROP OPERATOR public.= (int, int)'), 'lax');
  attack("an operator of one's own in front, JOIN USING", statements(...own('int, int'), inFront, four(`${A} ${OTHERS.map((other) => `JOIN ${other} USING (id)`).join(' ')}`, ''), 'DROP OPERATOR public.= (int, int)'), 'lax');
});

group('rows of the class that take in others', 'derived copies', () => {
  const fresh = async ({ bed: { admin } }: Attacker): Promise<void> => {
    await admin.query(`DELETE FROM crm.customers WHERE id > ${CUSTOMERS}; UPDATE crm.customers SET name = 'Customer ' || id`);
  };
  const cleaned = (technique: Technique): Technique => async (attacker) => {
    await fresh(attacker);
    try {
      await technique(attacker);
    } finally {
      await fresh(attacker);
    }
  };

  attack('INSERT ON CONFLICT DO UPDATE doubles the names, shifted by a power of two', cleaned(async (attacker) => {
    const client = await attacker.connect();
    await client.query('UPDATE crm.customers SET name = email');
    for (let shift = 1; shift <= 16; shift *= 2) {
      await client.query(`INSERT INTO crm.customers SELECT id + ${shift}, name, msisdn, email, tariff FROM crm.customers WHERE id + ${shift} <= ${CUSTOMERS} ON CONFLICT (id) DO UPDATE SET name = customers.name || excluded.name`);
    }
    await client.query(`SELECT name FROM crm.customers WHERE id % 32 = 31`);
  }));

  attack('INSERT SELECT with lag() into the class itself', cleaned(async (attacker) => {
    const client = await attacker.connect();
    await client.query('UPDATE crm.customers SET name = email');
    for (let shift = 1; shift <= 16; shift *= 2) {
      await client.query(`INSERT INTO crm.customers SELECT id + ${CUSTOMERS * 10}, name || lag(name, ${shift}) OVER (ORDER BY id), msisdn, email, tariff FROM crm.customers WHERE id <= ${CUSTOMERS}`);
      await client.query(`DELETE FROM crm.customers WHERE id <= ${CUSTOMERS}`);
      await client.query(`UPDATE crm.customers SET id = id - ${CUSTOMERS * 10}`);
    }
    await client.query('SELECT name FROM crm.customers WHERE id % 32 = 31');
  }), 'agent', 0);

  attack('UPDATE RETURNING old and new', cleaned(statements('UPDATE crm.customers SET tariff = tariff RETURNING old.email, new.email')));
  attack('UPDATE RETURNING *', cleaned(statements('UPDATE crm.customers SET tariff = tariff RETURNING *')));
  attack('UPDATE FROM RETURNING both', cleaned(statements('UPDATE crm.customers a SET tariff = a.tariff FROM crm.customers b WHERE b.id = 5001 - a.id AND a.id <= 2500 RETURNING a.email, b.email')));
  attack('DELETE RETURNING in a transaction that rolls back', cleaned(statements('BEGIN; DELETE FROM crm.invoices', 'DELETE FROM crm.customers RETURNING email', 'ROLLBACK')));
  attack('INSERT ON CONFLICT DO UPDATE RETURNING', cleaned(statements(`INSERT INTO crm.customers SELECT id, name, msisdn, email, tariff FROM crm.customers ON CONFLICT (id) DO UPDATE SET tariff = excluded.tariff RETURNING customers.email`)));
  attack('MERGE RETURNING', cleaned(statements('MERGE INTO crm.customers t USING public.tariffs s ON t.tariff = s.name WHEN MATCHED THEN UPDATE SET tariff = t.tariff RETURNING merge_action(), old.email, t.*')));
  attack('data-modifying CTE that feeds a SELECT', cleaned(statements('WITH u AS (UPDATE crm.customers SET tariff = tariff RETURNING email) SELECT * FROM u')));
});
