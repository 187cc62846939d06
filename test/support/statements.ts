/** Different statements whose answers depend on nothing but the data: the same bytes every time. */

const SHAPES: readonly ((i: number) => string)[] = [
  (i) => `SELECT * FROM crm.customers WHERE id = ${i}`,
  (i) => `SELECT id, name FROM crm.customers WHERE id BETWEEN ${i} AND ${i + 3} ORDER BY id`,
  (i) => `SELECT c.name, sum(i.amount) FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id WHERE c.id < ${1 + (i % 50)} GROUP BY c.id ORDER BY c.id`,
  (i) => `SELECT tariff, count(*) FROM crm.customers WHERE id > ${i} GROUP BY tariff ORDER BY tariff`,
  (i) => `WITH t AS (SELECT ${i} AS n) SELECT n, n * 2, repeat('ž', n % 7) FROM t`,
  (i) => `SELECT g, g % ${1 + (i % 9)}, md5(g::text) FROM generate_series(1, ${1 + (i % 40)}) g`,
  (i) => `SELECT ARRAY[${i}, ${i + 1}], ROW(${i}, 'x'), '{"a": ${i}}'::jsonb, NULL, true, ${i}.5::numeric`,
  (i) => `SELECT * FROM tariffs WHERE price > ${i} ORDER BY name`,
  (i) => `SELECT 1/${i % 3 === 0 ? 0 : i} AS quotient`,
  (i) => `SELECT no_such_column_${i} FROM tariffs`,
  (i) => `SELECT * FROM no_such_table_${i}`,
  (i) => `SELEC ${i}`,
  (i) => `SELECT '${i}'::text || E'\\n' || U&'\\0159' || $tag$ $${i} $tag$`,
  (i) => `EXPLAIN (COSTS OFF) SELECT * FROM crm.customers WHERE id = ${i}`,
  (i) => `SET statement_timeout TO ${10_000 + i}`,
  (i) => `SHOW work_mem /* ${i} */`,
  (i) => `VALUES (${i}), (${i * 2})`,
  (i) => `SELECT relname FROM pg_class WHERE oid < ${1300 + (i % 100)} ORDER BY oid -- ${i}`,
  (i) => `SELECT name, row_number() OVER (ORDER BY id) FROM crm.active WHERE id <= ${1 + (i % 5)} OR id = ${i} ORDER BY id`,
  (i) => `DELETE FROM notes WHERE id = -${i} RETURNING *`,
];

export function statements(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${(SHAPES[i % SHAPES.length] as (i: number) => string)(1 + Math.floor(i / SHAPES.length) * 3 + (i % 7))} /* ${i} */`);
}
