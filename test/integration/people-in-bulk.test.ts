/** Results of many chunks under a quota on people: rows are looked at ahead of their turn, and each must still be about whom it is about. */

import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { Random } from '../fuzz/random.ts';

const { Query } = pg;
/** More than one call of the store takes, and not a multiple of it. */
const LIMIT = 1_200;
const PEOPLE = 3_000;
let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, PEOPLE);
  const admin = await postgres.connect();
  await admin.query(`DO $$ BEGIN FOR i IN 1..20 LOOP EXECUTE format('CREATE ROLE agent_bulk_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret'); END LOOP; END $$`);
  await admin.end();
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: `[{ class: customers, window: 1h, subjects: ${LIMIT}, action: block }]` });
});
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});

/** Keys of the rows that came: every number of the columns `a` and `b`. */
function take(client: pg.Client, text: string, binary: boolean, into: Set<number>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const query = new Query({ text, rowMode: 'array', values: [], binary } as unknown as pg.QueryArrayConfig);
    query.on('row', (row: unknown) => {
      for (const key of (row as (number | string)[]).slice(0, 2)) if (typeof key === 'number') into.add(key);
    });
    query.on('end', () => resolve(undefined));
    query.on('error', (error) => resolve((error as pg.DatabaseError).code));
    client.query(query);
  });
}

function statement(random: Random): string {
  const width = random.pick([1, 20, 400, 3_000]);
  const from = 1 + random.below(PEOPLE);
  const to = from + random.below(1_500);
  const order = random.pick(['', ' ORDER BY 1', ' ORDER BY 1 DESC', ' ORDER BY md5(c.id::text)']);
  return random.pick([
    `SELECT c.id, 'x', rpad(c.name, ${width}) FROM crm.customers c WHERE c.id BETWEEN ${from} AND ${to}${order}`,
    // The same person again and again, near and far.
    `SELECT c.id, 'x', rpad('', ${width}) FROM crm.customers c, generate_series(1, 3) g WHERE c.id BETWEEN ${from} AND ${from + 300} ORDER BY ${random.pick(['g, 1', '1, g', 'md5(g || c.id::text)'])}`,
    // Two people a row.
    `SELECT c.id, d.id, rpad(d.name, ${width}) FROM crm.customers c JOIN crm.customers d ON d.id = ${PEOPLE + 1} - c.id WHERE c.id BETWEEN ${from} AND ${to}${order}`,
  ]);
}

test.each(Array.from({ length: 20 }, (_, i) => i + 1))('login %i gets rows about exactly as many people as are counted, and about no more than the quota', async (number) => {
  const random = new Random(number);
  const login = `agent_bulk_${number}`;
  const client = await rowgate.connect(login);
  const people = new Set<number>();
  let refused = 0;
  for (let i = 0; i < 12; i++) {
    const code = await take(client, statement(random), random.chance(0.5), people);
    expect(code === undefined || code === '53400', `statement ${i}: ${code}`).toBe(true);
    if (code !== undefined) refused++;
    expect(people.size).toBeLessThanOrEqual(LIMIT);
    const answer = await fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/usage?principal=${login}`, { headers: { authorization: 'Bearer test-token' } });
    const { usage } = (await answer.json()) as { usage: { used: number; dimension: string }[] };
    expect(usage.find(({ dimension }) => dimension === 'subjects')?.used).toBe(people.size);
  }
  await client.end();
  expect(refused).toBeGreaterThan(0);
  // A row about two people does not go where there is room for one.
  expect(people.size).toBeGreaterThanOrEqual(LIMIT - 1);
}, 60_000);
