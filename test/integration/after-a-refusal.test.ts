/** After a refusal the client never believes something that the server does not. */

import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
let admin: Client;
let agent: Client;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  admin = await postgres.connect();
});
afterAll(async () => {
  await admin.end();
  await postgres.stop();
});
beforeEach(async () => {
  await admin.query('TRUNCATE public.notes');
  rowgate = await startRowgate({ postgresPort: postgres.port });
  agent = await rowgate.connect();
});
afterEach(async () => {
  await agent.end().catch(() => undefined);
  await rowgate.stop();
});

async function notes(): Promise<number> {
  return ((await admin.query('SELECT count(*)::int AS n FROM public.notes')).rows[0] as { n: number }).n;
}

describe('in a transaction block', () => {
  for (const [how, everything] of [
    ['a cut mid-result', 'SELECT * FROM crm.customers'],
    ['a cut of a result that the server had sent whole', 'SELECT * FROM crm.customers LIMIT 201'],
    ['a refusal before the server', 'CREATE TABLE public.copy AS SELECT * FROM crm.customers'],
  ] as const) {
    for (const protocol of ['simple', 'extended'] as const) {
      test(`${how} fails the transaction, and COMMIT rolls back (${protocol} protocol)`, async () => {
        await agent.query('BEGIN');
        await agent.query(`INSERT INTO public.notes (body) VALUES ('before')`);
        const text = protocol === 'simple' ? everything : ({ text: everything, queryMode: 'extended' } as never);
        await expect(agent.query(text)).rejects.toMatchObject({ code: /53400|42501/ });
        await expect(agent.query(`INSERT INTO public.notes (body) VALUES ('after')`)).rejects.toMatchObject({ code: '25P02' });
        expect((await agent.query('COMMIT')).command).toBe('ROLLBACK');
        expect(await notes()).toBe(0);
        expect((await agent.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      });
    }
  }

  test('a savepoint taken before the refusal can be gone back to', async () => {
    await agent.query('BEGIN');
    await agent.query(`INSERT INTO public.notes (body) VALUES ('kept')`);
    await agent.query('SAVEPOINT s');
    await expect(agent.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await agent.query('ROLLBACK TO s');
    expect((await agent.query('COMMIT')).command).toBe('COMMIT');
    expect(await notes()).toBe(1);
  });
});

describe('in one Query text', () => {
  test('a refused statement takes the whole text with it', async () => {
    await expect(agent.query(`INSERT INTO public.notes (body) VALUES ('x'); CREATE TABLE public.copy AS SELECT * FROM crm.customers`)).rejects.toMatchObject({ code: '42501' });
    expect(await notes()).toBe(0);
  });

  test('statements behind a cut one give nothing', async () => {
    const results = agent.query(`SELECT * FROM crm.customers; SELECT 'behind' AS word`);
    await expect(results).rejects.toMatchObject({ code: '53400' });
    expect((await agent.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('without a transaction', () => {
  test('the cut never hits the next statement, 200 times over', async () => {
    for (let i = 0; i < 200; i++) {
      await agent.query('SELECT * FROM crm.customers').catch(() => undefined);
      expect((await agent.query(`SELECT ${i}::int AS i, pg_sleep(0.001)`)).rows).toMatchObject([{ i }]);
    }
  });

  test('changes that were through before the cut are told of', async () => {
    const failure = await agent.query(`UPDATE crm.customers SET tariff = tariff WHERE id <= 201 RETURNING *`).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: '53400', detail: expect.stringMatching(/already been carried out|units come free/) as string });
  });
});
