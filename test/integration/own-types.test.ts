/** Types that a transaction made itself are known in it, if what they are made of is. */

import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 100);
  const admin = await postgres.connect();
  await admin.query(`CREATE FUNCTION public.leaks(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE current_setting('application_name'); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; CREATE SCHEMA own; GRANT ALL ON SCHEMA own TO staff`);
  await admin.end();
  rowgate = await startRowgate({ postgresPort: postgres.port });
});
afterAll(async () => {
  await rowgate?.stop();
  await postgres?.stop();
});

async function rolledBack<T>(target: TestRowgate, work: (agent: Client) => Promise<T>): Promise<T> {
  const agent = await target.connect();
  try {
    await agent.query('BEGIN');
    return await work(agent);
  } finally {
    await agent.query('ROLLBACK').catch(() => undefined);
    await agent.end();
  }
}

const TABLE = 'CREATE TABLE own.things (m own.mood, ps own.pair[], n own.positive)';
const MADE = ["CREATE TYPE own.mood AS ENUM ('sad', 'ok')", 'CREATE TYPE own.pair AS (a int, b own.mood)', 'CREATE DOMAIN own.positive AS int CHECK (value > 0)', TABLE];
const USED = "INSERT INTO own.things VALUES ('ok', ARRAY[(1, 'sad')::own.pair], 3) RETURNING m::text, n::own.positive";

test('enums, composite types and domains can be used at once, statement by statement', async () => {
  const rows = await rolledBack(rowgate, async (agent) => {
    for (const text of MADE) await agent.query(text);
    return (await agent.query(USED)).rows;
  });
  expect(rows).toEqual([{ m: 'ok', n: 3 }]);
});

test('and in one text', async () => {
  const rows = await rolledBack(rowgate, async (agent) => {
    await agent.query(MADE.join('; '));
    return (await agent.query(USED)).rows;
  });
  expect(rows).toEqual([{ m: 'ok', n: 3 }]);
});

test('a domain whose check runs code that is not known is refused', async () => {
  await expect(rolledBack(rowgate, (agent) => agent.query('CREATE DOMAIN public.leaky AS int CHECK (public.leaks(value))'))).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('rule support/deny/') as string });
});

test.each([
  ['a domain that runs code', 'CREATE DOMAIN public.leaky AS int CHECK (public.leaks(value))', 'SELECT 1::public.leaky'],
  ['a composite type with such a part', 'CREATE DOMAIN public.inner_leaky AS int CHECK (public.leaks(value)); CREATE TYPE public.leaky AS (a public.inner_leaky)', 'SELECT ROW(1)::public.leaky'],
  ['a type that got a constraint later', 'CREATE DOMAIN public.leaky AS int; ALTER DOMAIN public.leaky ADD CHECK (public.leaks(value))', 'SELECT 1::public.leaky'],
])('%s is not known, and each use of it costs units', async (_, made, used) => {
  const lenient = await startRowgate({ postgresPort: postgres.port, role: 'deny: []', quotas: '[{ class: customers, window: 1h, rows: 4, action: block }]' });
  const refused = await rolledBack(lenient, async (agent) => {
    await agent.query(made);
    for (let i = 0; i < 8; i++) await agent.query(used);
  }).then(() => undefined, (error: unknown) => error);
  await lenient.stop();
  expect(refused).toMatchObject({ code: '53400' });
});

test('a new type hides no relation of its name from the catalog', async () => {
  const admin = await postgres.connect();
  try {
    const found = await rolledBack(rowgate, async (agent) => {
      await agent.query("CREATE TYPE public.shadow AS ENUM ('x')");
      await admin.query('CREATE SCHEMA IF NOT EXISTS later; GRANT USAGE ON SCHEMA later TO staff; CREATE VIEW later.shadow AS SELECT * FROM crm.customers; GRANT SELECT ON later.shadow TO staff');
      return agent.query('SELECT count(*) FROM later.shadow CROSS JOIN generate_series(1, 3)').then(() => rowgate.audit().filter((record) => record['event'] === 'statement_start' && JSON.stringify(record).includes('later.shadow')).length);
    });
    expect(found).toBeGreaterThan(0);
  } finally {
    await admin.query('DROP SCHEMA later CASCADE');
    await admin.end();
  }
});
