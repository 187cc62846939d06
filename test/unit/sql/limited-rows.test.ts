import { describe, expect, it } from 'vitest';
import { factsOf } from './facts-of.ts';

describe('rows that a statement is made of', () => {
  it.each([
    ['SELECT json_agg(t) FROM (SELECT a, b FROM x LIMIT 10) t', 10],
    ['SELECT json_agg(t) FROM (SELECT x.* FROM x JOIN y ON y.a = x.a WHERE b > 1 ORDER BY c LIMIT 7 OFFSET 5) t', 7],
    ['SELECT array_agg(u) FROM (SELECT row_to_json(t) FROM (SELECT * FROM x LIMIT 3) t) u', 3],
    ['SELECT json_agg(t) FROM (SELECT a FROM x LIMIT 0) t', 0],
  ])('%s', (sql, rows) => {
    expect(factsOf(sql).limited).toMatchObject({ rows });
  });

  it.each([
    'SELECT json_agg(a) FROM x LIMIT 10',
    'SELECT json_agg(t) FROM (SELECT a FROM x LIMIT $1) t',
    'SELECT json_agg(t) FROM (SELECT a FROM x LIMIT ALL) t',
    'SELECT json_agg(t) FROM (SELECT a FROM x ORDER BY a FETCH FIRST 3 ROWS WITH TIES) t',
    'SELECT json_agg(t) FROM (SELECT a || b FROM x LIMIT 10) t',
    'SELECT json_agg(t) FROM (SELECT a, count(*) FROM x GROUP BY a LIMIT 10) t',
    'SELECT json_agg(t) FROM (SELECT a FROM x UNION ALL SELECT a FROM y LIMIT 10) t',
    'SELECT json_agg(t) FROM (SELECT a FROM (SELECT a FROM x) x LIMIT 10) t',
    'SELECT json_agg(t) FROM (SELECT a FROM x LIMIT 10) t, y',
    'SELECT json_agg(t) FROM y JOIN (SELECT a FROM x LIMIT 10) t ON true',
    'SELECT json_agg(t) FROM y, LATERAL (SELECT a FROM x LIMIT 10) t',
    'WITH x AS (SELECT * FROM z) SELECT json_agg(t) FROM (SELECT a FROM x LIMIT 10) t',
    'SELECT json_agg(t) FROM (SELECT a FROM x LIMIT 10) t UNION ALL SELECT json_agg(a) FROM x',
    'SELECT (SELECT json_agg(t) FROM (SELECT a FROM x LIMIT 10) t) FROM y',
  ])('nothing is known of %s', (sql) => {
    expect(factsOf(sql).limited).toBeUndefined();
  });
});
