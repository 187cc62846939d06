import { describe, expect, it } from 'vitest';
import { withoutPinsBy } from '../../../src/sql/exact-types.ts';
import { factsOf, linksOf } from './facts-of.ts';

type Case = readonly [sql: string, ...links: string[]];

function check(cases: readonly Case[]): void {
  it.each(cases)('%s', (sql, ...links) => {
    expect(linksOf(factsOf(sql)).toSorted()).toEqual(links.toSorted());
  });
}

describe('equalities that link two relations', () => {
  check([
    ['SELECT * FROM c, i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['SELECT * FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id', 'crm.invoices.customer_id = crm.customers.id'],
    ['SELECT * FROM customers JOIN s.i ON customers.id = s.i.cid', 'customers.id = s.i.cid'],
    ['SELECT * FROM c, i, d WHERE c.x > 1 AND (c.id = i.cid AND (i.z = 3 AND i.cid = d.cid))', 'c.id = i.cid', 'i.cid = d.cid'],
    ['SELECT * FROM c a JOIN c b ON a.id = b.id', 'c#0.id = c#1.id'],
    ['SELECT * FROM c LEFT JOIN i ON c.id = i.cid AND i.paid', 'c.id = i.cid'],
    ['SELECT * FROM c RIGHT JOIN i ON c.id = i.cid', 'c.id = i.cid'],
    ['SELECT * FROM c FULL JOIN i ON c.id = i.cid', 'c.id = i.cid'],
    ['SELECT * FROM c JOIN i USING (id)', 'c.id = i.id'],
    ['SELECT * FROM c JOIN i USING (id) JOIN d USING (id)', 'c.id = i.id', 'c.id = d.id'],
    ['SELECT * FROM c LEFT JOIN i USING (id) LEFT JOIN d USING (id)', 'c.id = i.id', 'c.id = d.id'],
    ['SELECT * FROM c RIGHT JOIN i USING (id) JOIN d USING (id)', 'c.id = i.id', 'i.id = d.id'],
    ['SELECT * FROM c LEFT JOIN i ON c.id = i.cid LEFT JOIN d ON d.iid = i.id', 'c.id = i.cid', 'd.iid = i.id'],
    ['SELECT (SELECT i.x FROM i WHERE i.cid = c.id) FROM c', 'i.cid = c.id'],
    ['SELECT * FROM c WHERE EXISTS (SELECT FROM i WHERE i.cid = c.id AND i.open)', 'i.cid = c.id'],
    ['SELECT * FROM c, LATERAL (SELECT * FROM i WHERE i.cid = c.id LIMIT 1) l', 'i.cid = c.id'],
    ['SELECT * FROM f(), c, i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['SELECT * FROM c TABLESAMPLE system (1), i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['UPDATE c SET x = 1 FROM i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['DELETE FROM c USING i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['MERGE INTO c USING i ON c.id = i.cid WHEN MATCHED THEN DELETE', 'c.id = i.cid'],
    ['INSERT INTO t SELECT c.x FROM c, i WHERE c.id = i.cid', 'c.id = i.cid'],
    ['WITH x AS (SELECT * FROM c, i WHERE c.id = i.cid) SELECT * FROM x, x y', 'c.id = i.cid'],
    ['COPY (SELECT * FROM c, i WHERE c.id = i.cid) TO STDOUT', 'c.id = i.cid'],
  ]);
});

describe('equalities that hold for some rows only', () => {
  check([
    ['SELECT * FROM a, b'],
    ['SELECT * FROM a, b WHERE a.id = b.id OR true'],
    ['SELECT * FROM a, b WHERE NOT (a.id = b.id)'],
    ['SELECT * FROM a, b WHERE (a.id = b.id) IS NOT TRUE'],
    ['SELECT * FROM a, b WHERE a.id <> b.id'],
    ['SELECT * FROM a, b WHERE a.id IS NOT DISTINCT FROM b.id'],
    ['SELECT * FROM a, b WHERE CASE WHEN a.id = b.id THEN true ELSE true END'],
    ['SELECT * FROM a, b WHERE a.id OPERATOR(evil.=) b.id'],
    ['SELECT * FROM a, b WHERE a.id = b.id::text'],
    ['SELECT * FROM a, b WHERE (a.r).id = (b.r).id'],
    ['SELECT * FROM a, b WHERE a.id = a.id'],
    ['SELECT a.id = b.id FROM a, b'],
    ['SELECT * FROM a, b HAVING a.id = b.id'],
    ['SELECT * FROM a NATURAL JOIN b'],
    ['SELECT * FROM a, b WHERE EXISTS (SELECT 1 WHERE a.id = b.id)'],
    ['SELECT a.*, b.*, (SELECT 1 WHERE a.id = b.id) FROM a, b'],
    ['SELECT * FROM a, b WHERE EXISTS (SELECT 1 FROM t WHERE a.id = b.id) OR true'],
    // ON of an outer join does not filter the side that is kept.
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN t ON a.id = b.id'],
    ['SELECT * FROM t RIGHT JOIN (a CROSS JOIN b) ON a.id = b.id'],
    ['SELECT * FROM (a CROSS JOIN b) FULL JOIN t ON a.id = b.id'],
    ['SELECT * FROM t FULL JOIN (a CROSS JOIN b) ON a.id = b.id'],
    ['MERGE INTO t USING (a CROSS JOIN b) ON a.id = b.id WHEN NOT MATCHED THEN DO NOTHING'],
    ['SELECT * FROM (a FULL JOIN b USING (id)) JOIN t USING (id)', 'a.id = b.id'],
    ['SELECT (SELECT 1 FROM x LEFT JOIN t ON x.k = c.id) FROM c'],
  ]);
});

/** Each of these would make two people count as one through a third relation that is NULL in the rows that matter. */
describe('links never chain through something that can be absent', () => {
  check([
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN t ON t.x = a.id AND t.x = b.id', 't.x = a.id'],
    ['SELECT * FROM t RIGHT JOIN (a CROSS JOIN b) ON t.x = a.id AND t.x = b.id', 't.x = a.id'],
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN (t JOIN u ON t.x = u.x) ON t.x = a.id AND u.x = b.id', 't.x = u.x', 't.x = a.id'],
    ['SELECT * FROM (a CROSS JOIN b) FULL JOIN t ON t.x = a.id AND t.x = b.id', 't.x = a.id'],
    ['SELECT * FROM t FULL JOIN (a CROSS JOIN b) ON t.x = a.id AND t.x = b.id', 't.x = a.id'],
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN t ON t.x = a.id LEFT JOIN u ON u.x = t.x AND u.x = b.id', 't.x = a.id', 'u.x = t.x'],
    ['SELECT a.*, b.*, (SELECT t.x FROM t WHERE t.x = a.id AND t.x = b.id) FROM a, b', 't.x = a.id'],
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN LATERAL (SELECT * FROM t WHERE t.x = a.id AND t.x = b.id) s ON true', 't.x = a.id'],
    ['SELECT *, (SELECT 1 FROM t, u WHERE t.x = u.x AND t.x = a.id AND u.x = b.id) FROM a, b', 't.x = u.x', 't.x = a.id'],
    ['SELECT (SELECT 1 FROM x LEFT JOIN (t JOIN u ON t.k = c.id) ON x.k = t.k) FROM c', 'x.k = t.k'],
    ['MERGE INTO t USING (a CROSS JOIN b) ON t.x = a.id AND t.x = b.id WHEN NOT MATCHED THEN DO NOTHING', 't.x = a.id'],
    // WHERE filters every row, so here the chain holds.
    ['SELECT * FROM a CROSS JOIN b LEFT JOIN t ON t.x = a.id WHERE t.x = b.id', 't.x = a.id', 't.x = b.id'],
  ]);
});

describe('names that could mean something else', () => {
  check([
    ['WITH a AS (SELECT 1 AS id) SELECT * FROM a, b WHERE a.id = b.id'],
    ['WITH x AS (SELECT * FROM c) SELECT * FROM x a JOIN x b ON a.id = b.id'],
    ['SELECT * FROM customers a(x, id), customers b WHERE a.id = b.id'],
    ['SELECT * FROM a JOIN b(id, x) USING (id)'],
    ['SELECT * FROM a.t, b.t, c WHERE t.id = c.id'],
    ['SELECT * FROM a.t, b.t, c WHERE a.t.id = c.id'],
    ['SELECT * FROM s.t x, c WHERE s.t.id = c.id'],
    ['SELECT * FROM s.t, c WHERE z.t.id = c.id'],
    ['SELECT (SELECT 1 FROM i, c WHERE i.cid = c.id) FROM c'],
    ['SELECT (SELECT 1 FROM c, (SELECT 1 FROM i WHERE i.cid = c.id) s) FROM c'],
    ['SELECT (SELECT 1 FROM x JOIN y ON y.k = c.id, c) FROM c'],
    ['SELECT * FROM (a JOIN b ON true) AS c, d WHERE c.id = d.id'],
    ['SELECT * FROM c JOIN d USING (k) AS a, e WHERE a.k = e.k', 'c.k = d.k'],
    ['SELECT * FROM (SELECT * FROM a) c, d WHERE c.id = d.id'],
    ['SELECT * FROM c(), d WHERE c.id = d.id'],
    ['SELECT * FROM COALESCE(1), c, d WHERE c.id = d.id'],
    ["SELECT * FROM XMLTABLE('x' PASSING y COLUMNS id int), c, d WHERE c.id = d.id"],
    ['UPDATE c SET x = 1 FROM old WHERE c.id = old.id'],
    ['SELECT * FROM a, b WHERE a.* = b.*'],
    ['SELECT * FROM a, b WHERE id = b.id'],
    ['SELECT * FROM c WHERE EXISTS (WITH x AS (SELECT * FROM i WHERE i.cid = c.id) SELECT FROM x, x y)'],
    ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 FROM a, b WHERE a.id = b.id; END'],
  ]);
});

describe('columns that equal a constant', () => {
  const pinsOf = (sql: string): string[] => {
    const facts = factsOf(sql);
    return (facts.pins ?? []).map(({ use, column }) => `${facts.relations[use]?.name}.${column}`);
  };

  it.each([
    ['SELECT * FROM c WHERE c.id = 7', 'c.id'],
    ['SELECT * FROM c WHERE id = $1 AND x > 2', 'c.id'],
    [`SELECT * FROM c WHERE '7'::int = id`, 'c.id'],
    ['SELECT * FROM c, i WHERE c.id = 7 AND i.id = c.id', 'c.id'],
    ['SELECT (SELECT json_agg(i) FROM i WHERE i.cid = 7) FROM c', 'i.cid'],
  ])('are found in %s', (sql, pin) => {
    expect(pinsOf(sql)).toEqual([pin]);
  });

  it.each([
    'SELECT * FROM c WHERE id = 7 OR true', 'SELECT * FROM c WHERE NOT id = 7', 'SELECT * FROM c, i WHERE id = 7', 'SELECT * FROM c WHERE id = x', 'SELECT * FROM c WHERE id = f(7)',
    'SELECT * FROM c LEFT JOIN i ON c.id = 7', `SELECT * FROM c WHERE id = '7'::mine.int`, 'SELECT * FROM c AS c(x, id) WHERE id = 7', 'SELECT * FROM (SELECT 7 AS id, e FROM c) c WHERE c.id = 7',
    'SELECT * FROM c WHERE EXISTS (SELECT WHERE c.id = 7)', 'SELECT * FROM c, f() WHERE id = 7', 'SELECT * FROM c WHERE id OPERATOR(mine.=) 7', 'SELECT * FROM c WHERE id IN (7, 8)', 'SELECT * FROM c WHERE id = NULL',
    // Values of these equal several.
    "SELECT * FROM c WHERE id = '7'::float8", 'SELECT * FROM c WHERE id = 7::real', "SELECT * FROM c WHERE id = 'a'::char(3)", "SELECT * FROM c WHERE id = $1::timestamptz", "SELECT * FROM c WHERE id = '7'::own_domain",
  ])('are not seen in %s', (sql) => {
    expect(pinsOf(sql)).toEqual([]);
  });

  it('are those that equal a parameter where its type is known to equal one value', () => {
    const prepared = (types: string): number | undefined => {
      const { named } = factsOf(`PREPARE p${types} AS SELECT * FROM c WHERE id = $1`);
      return named?.kind === 'prepare' ? named.body.pins?.length : undefined;
    };
    expect([prepared(''), prepared('(bigint)'), prepared('(unknown, text)'), prepared('(int, float8)'), prepared('(float8)'), prepared('(own_domain)')]).toEqual([1, 1, 1, 1, 0, 0]);
    const inBody = (head: string): number | undefined => factsOf(`CREATE FUNCTION f${head} AS 'SELECT * FROM c WHERE id = $1'`).body?.statements[0]?.facts.pins?.length;
    expect([inBody('(int) RETURNS int LANGUAGE sql'), inBody('(bpchar) RETURNS int LANGUAGE sql')]).toEqual([1, 0]);
    const declared = factsOf('DECLARE d CURSOR FOR SELECT * FROM c, i WHERE c.id = $2 AND i.id = 7');
    const [first, second] = [[1], [2]].map((parameters) => withoutPinsBy(parameters, declared));
    expect(first?.pins).toHaveLength(2);
    expect([second?.pins, second?.named?.kind === 'declare' ? second.named.body.pins : undefined]).toEqual([[{ use: 1, column: 'id' }], [{ use: 1, column: 'id' }]]);
  });
});
