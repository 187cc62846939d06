/** What is a copy is known to every process, outlives a restart, and nothing is copied while it cannot be kept. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { Query, type Client } from 'pg';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let postgres: TestPostgres;
let redis: TestRedis;
let admin: Client;
const started: TestRowgate[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 2_000);
  redis = await startRedis();
  admin = await postgres.connect();
  await admin.query('CREATE TABLE public.inbox (body text); CREATE TABLE public.outbox (body text); GRANT ALL ON public.inbox, public.outbox TO staff');
});

afterAll(async () => {
  await admin?.end();
  for (const rowgate of started) await rowgate.stop();
  await redis?.stop();
  await postgres?.stop();
});

async function start(refresh = '2s', storePort = redis.port): Promise<TestRowgate> {
  const rowgate = await startRowgate({ postgresPort: postgres.port, store: `{ redis: "redis://127.0.0.1:${storePort}/0", timeout: 1s }`, role: 'deny: []', edit: (text) => text.replace('refresh: 2s', `refresh: ${refresh}`) });
  started.push(rowgate);
  return rowgate;
}

const ALL = `SELECT string_agg(email, ' ') AS all FROM`;

async function refusal(client: Client, sql: string, said: string[] = []): Promise<string | undefined> {
  const query = new Query<{ said?: string }>(sql);
  client.query(query).on('row', (row) => said.push(row.said ?? ''));
  return new Promise((resolve) => query.on('end', () => resolve(undefined)).on('error', (error) => resolve((error as { code?: string }).code)));
}

test('a function that a login with quotas makes another is another in the other processes, before they look by themselves', async () => {
  const [one, other] = [await start('10m'), await start('10m')];
  const maker = await one.connect('agent_3');
  const reader = await other.connect('agent');
  const define = (body: string): string => `CREATE OR REPLACE FUNCTION public.greeting() RETURNS text LANGUAGE sql STABLE AS $$ ${body} $$`;
  await admin.query(`GRANT CREATE ON SCHEMA public TO agent_3`);
  await maker.query(define(`SELECT 'hello'`));
  await expect.poll(() => reader.query('SELECT public.greeting()').then(({ rows }) => rows, () => []), { timeout: 5_000 }).toEqual([{ greeting: 'hello' }]);
  const used = async (): Promise<number> => (await reader.query<{ used: string }>(`SELECT * FROM rowgate.usage`)).rows.reduce((sum, row) => sum + Number(row.used), 0);
  const before = await used();
  await reader.query('SELECT public.greeting()');
  expect(await used()).toBe(before);
  await maker.query(define('SELECT max(email) FROM crm.customers'));
  await expect.poll(async () => {
    await reader.query('SELECT public.greeting()');
    return await used() > before;
  }, { timeout: 3_000, interval: 100 }).toBe(true);
  await maker.end();
  await reader.end();
  for (const rowgate of started.splice(0)) await rowgate.stop();
});

test('and ends statements of the other processes that may call it and are under way', async () => {
  const [one, other] = [await start('10m'), await start('10m')];
  const maker = await one.connect('agent_3');
  const reader = await other.connect('agent_2');
  await admin.query('GRANT CREATE ON SCHEMA public TO agent_3');
  const define = (body: string): string => `CREATE OR REPLACE FUNCTION public.slow_greeting(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${body}; END $$`;
  await maker.query(define(`'hello'`));
  await maker.query(`CREATE FUNCTION public.hears(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF $1 > 5 THEN PERFORM 1 FROM public.tariffs; END IF; RETURN $1; END'`);
  await sleep(1000);
  const seen: string[] = [];
  const answer = refusal(reader, `SELECT g, repeat('x', 10000), CASE WHEN g = 5 THEN pg_sleep(2)::text END, public.hears(g), public.slow_greeting(g) AS said FROM generate_series(1, 10) g`, seen);
  await sleep(400);
  await maker.query(define('(SELECT string_agg(email, $m$ $m$) FROM crm.customers)'));
  expect(await answer).toBe('42501');
  expect(seen.join('')).not.toContain('@');
  await maker.end();
  await reader.end();
  for (const rowgate of started.splice(0)) await rowgate.stop();
});

describe('copies', () => {
  test('are known to another process as soon as they are there, and after a restart', async () => {
    const [one, other] = [await start(), await start()];
    const maker = await one.connect('dba');
    const reader = await other.connect('agent');
    await reader.query('SELECT 1');
    await maker.query(`CREATE TABLE public.everybody AS SELECT email || '' AS email FROM crm.customers; GRANT ALL ON public.everybody TO public`);
    expect(await refusal(reader, `${ALL} public.everybody`)).toBe('53400');
    await maker.end();
    await reader.end();
    for (const rowgate of started.splice(0)) await rowgate.stop();

    const again = await start();
    const late = await again.connect('agent_2');
    expect(await refusal(late, `${ALL} public.everybody`)).toBe('53400');
    await admin.query('ALTER TABLE public.everybody RENAME TO nobody');
    expect(await refusal(late, `${ALL} public.nobody`)).toBe('53400');
    await late.end();
  });

  test('are known to another process before there is anything in a table that it knows as free', async () => {
    const [one, other] = [await start(), await start()];
    const maker = await one.connect('dba');
    const reader = await other.connect('agent_2');
    expect((await reader.query('SELECT body FROM public.outbox')).rows).toEqual([]);
    await maker.query('INSERT INTO public.outbox SELECT email FROM crm.customers');
    expect(await refusal(reader, 'SELECT body FROM public.outbox')).toBe('53400');
    await maker.end();
    await reader.end();
    for (const rowgate of started.splice(0)) await rowgate.stop();
  });

  test('are not made while they cannot be remembered, and other work goes on', async () => {
    const rowgate = started[0] ?? (await start());
    const client = await rowgate.connect('dba');
    await client.query('SELECT 1');
    await redis.kill();
    expect(await refusal(client, 'INSERT INTO public.inbox SELECT email FROM crm.customers')).toBe('57P03');
    expect(await refusal(client, 'CREATE TABLE public.more AS SELECT email FROM crm.customers')).toBe('57P03');
    expect((await client.query('SELECT count(*)::int AS n FROM public.tariffs')).rows).toEqual([{ n: 5 }]);
    expect((await admin.query('SELECT count(*)::int AS n FROM public.inbox')).rows).toEqual([{ n: 0 }]);
    await client.end();
  });

  test('a process that never heard from the store takes every table for a copy, until it has', async () => {
    const rowgate = await start();
    const client = await rowgate.connect('agent');
    expect(await refusal(client, `SELECT email FROM public.nobody`)).toBe('57P03');
    expect((await client.query(`SELECT count(*)::int > 0 AS some FROM pg_class`)).rows).toEqual([{ some: true }]);
    await redis.start();
    await expect.poll(() => refusal(client, 'SELECT name FROM public.tariffs'), { timeout: 15_000, interval: 50 }).toBeUndefined();
    await client.end();
  });

  test('and then refuses nobody for a table that is none', async () => {
    const way = await TcpRelay.start(redis.port);
    for (const rowgate of started.splice(0)) await rowgate.stop();
    const spender = await (await start()).connect('agent_3');
    expect(await refusal(spender, 'SELECT * FROM crm.customers')).toBe('53400');
    await spender.end();
    await way.refuse();
    for (let round = 0; round < 3; round++) {
      const client = await (await start('10m', way.port)).connect('agent_3');
      const codes: (string | undefined)[] = [];
      const done = expect.poll(async () => codes[codes.push(await refusal(client, 'SELECT name FROM public.tariffs')) - 1], { timeout: 15_000, interval: 0 }).toBeUndefined();
      await sleep(300);
      await way.accept();
      await done;
      expect([...new Set(codes)]).toEqual(['57P03', undefined]);
      await client.end();
      await way.refuse();
    }
  });
});
