/** One Rowgate before two servers: each database on its own, one quota over both, cancel requests to the right one, also by way of another process. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { startRowgate, type RowgateOptions, type TestRowgate } from '../../support/rowgate.ts';

let crm: TestPostgres;
let billing: TestPostgres;
let redis: TestRedis;
const running: TestRowgate[] = [];

beforeAll(async () => {
  [crm, billing] = await Promise.all([startPostgres(), startPostgres()]);
  await Promise.all([makeCustomerBase(crm, 500), makeCustomerBase(billing, 300)]);
  const admin = await billing.connect();
  await admin.query('CREATE DATABASE dwh_2024 TEMPLATE postgres');
  await admin.query('CREATE TABLE public.only_here (x int); GRANT SELECT ON public.only_here TO agent');
  await admin.end();
  redis = await startRedis();
});
afterAll(async () => {
  await Promise.all([crm.stop(), billing.stop(), redis.stop()]);
});
afterEach(async () => {
  for (const rowgate of running.splice(0)) await rowgate.stop();
});

async function start(options: Partial<RowgateOptions> = {}): Promise<TestRowgate> {
  const databases = `databases:
  billing: { host: 127.0.0.1, port: ${billing.port}, database: postgres }
  billing_too: { host: 127.0.0.1, port: ${billing.port}, database: postgres }
  "dwh_*": { host: 127.0.0.1, port: ${billing.port} }
  broken: { host: 127.0.0.1, port: ${billing.port}, database: nowhere }`;
  const rowgate = await startRowgate({ postgresPort: crm.port, extra: databases, ...options });
  running.push(rowgate);
  return rowgate;
}

function cancelPacket(pid: number, secret: number): Buffer {
  const packet = Buffer.alloc(16);
  [16, (1234 << 16) | 5678, pid, secret].forEach((value, i) => packet.writeInt32BE(value, i * 4));
  return packet;
}

function keyOf(client: Client): { readonly pid: number; readonly secret: number } {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  return { pid: processID, secret: secretKey };
}

async function cancelAt(rowgate: TestRowgate, pid: number, secret: number): Promise<void> {
  const canceller = await RawClient.open(rowgate.port);
  canceller.socket.write(cancelPacket(pid, secret));
  expect((await canceller.untilClosed()).length).toBe(0);
}

async function cancelled(client: Client, cancel: () => Promise<void>): Promise<unknown> {
  const answer = client.query('SELECT pg_sleep(30)').then(() => 'finished', (error: { code: string }) => error.code);
  await sleep(200);
  await cancel();
  return answer;
}

describe('databases', () => {
  test('are on the server that the configuration names, under the name that it has there', async () => {
    const rowgate = await start();
    const addressOf = async (database: string): Promise<unknown> => {
      const client = await rowgate.connect('agent', { database });
      const { rows } = await client.query('SELECT inet_server_port() AS port, current_database() AS name');
      await client.end();
      return rows[0];
    };
    expect(await addressOf('postgres')).toEqual({ port: crm.port, name: 'postgres' });
    expect(await addressOf('billing')).toEqual({ port: billing.port, name: 'postgres' });
    expect(await addressOf('dwh_2024')).toEqual({ port: billing.port, name: 'dwh_2024' });
    await expect.poll(() => rowgate.audit().filter((record) => record['event'] === 'session_start').map((record) => record['database'])).toEqual(['postgres', 'billing', 'dwh_2024']);
  });

  test('have one quota of a login over all of them', async () => {
    const rowgate = await start();
    const [first, second, third] = [await rowgate.connect(), await rowgate.connect('agent', { database: 'billing' }), await rowgate.connect('agent', { database: 'billing_too' })];
    expect((await first.query('SELECT * FROM crm.customers LIMIT 120')).rows).toHaveLength(120);
    expect((await second.query('SELECT * FROM crm.customers LIMIT 60')).rows).toHaveLength(60);
    await expect(third.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await expect.poll(async () => /rowgate_units_total\{role="support",class="customers"\} (\d+)/.exec(await rowgate.metrics())?.[1]).toBe('200');
    for (const client of [first, second, third]) await client.end();
  });

  test('are understood by their own catalog, whatever a table of that name is elsewhere', async () => {
    const admin = await crm.connect();
    await admin.query('CREATE VIEW public.only_here AS SELECT * FROM crm.customers; GRANT SELECT ON public.only_here TO agent');
    await admin.end();
    const rowgate = await start({ quotas: '[{ class: customers, window: 1h, rows: 10, action: block }]' });
    const [there, here] = [await rowgate.connect('agent', { database: 'billing' }), await rowgate.connect()];
    expect((await there.query('SELECT * FROM only_here')).rows).toEqual([]);
    await expect(here.query('SELECT * FROM only_here')).rejects.toMatchObject({ code: '53400' });
    await there.end();
    await here.end();
  });

  test('that do not exist give the server\'s error', async () => {
    const rowgate = await start();
    await expect(rowgate.connect('agent', { database: 'missing' })).rejects.toMatchObject({ severity: 'FATAL', code: '3D000', message: 'database "missing" does not exist' });
    await expect(rowgate.connect('agent', { database: 'broken' })).rejects.toMatchObject({ severity: 'FATAL', code: '3D000' });
  });

  test('that nothing names do not exist, where the file has no server for the rest', async () => {
    const rowgate = await start({ noUpstream: true });
    await expect(rowgate.connect('agent')).rejects.toMatchObject({ severity: 'FATAL', code: '3D000', message: 'database "postgres" does not exist' });
    const client = await rowgate.connect('agent', { database: 'billing' });
    await client.end();
  });

  test('are refused to logins with limits as upstream.databases says', async () => {
    const rowgate = await start({ upstream: 'databases: [postgres]' });
    await expect(rowgate.connect('agent', { database: 'billing' })).rejects.toMatchObject({ code: '42501' });
    await (await rowgate.connect('dba', { database: 'billing' })).end();
    await (await rowgate.connect()).end();
  });

  test('of a server that is away take nothing from those of the other', async () => {
    const gone = await startPostgres();
    await gone.stop();
    const rowgate = await startRowgate({ postgresPort: crm.port, extra: `databases: { billing: { host: 127.0.0.1, port: ${gone.port} } }` });
    running.push(rowgate);
    await expect(rowgate.connect('agent', { database: 'billing' })).rejects.toMatchObject({ code: '57P03' });
    await (await rowgate.connect()).end();
    expect((await fetch(`http://127.0.0.1:${rowgate.adminPort}/readyz`)).status).toBe(200);
  });
});

describe('a cancel request', () => {
  test('finds the server that gave its key', async () => {
    const rowgate = await start();
    for (const database of ['postgres', 'billing']) {
      const client = await rowgate.connect('agent', { database });
      const { pid, secret } = keyOf(client);
      expect(await cancelled(client, () => cancelAt(rowgate, pid, secret))).toBe('57014');
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      await client.end();
    }
  });

  test('with a wrong key reaches no server', async () => {
    const rowgate = await start();
    const client = await rowgate.connect();
    const { pid, secret } = keyOf(client);
    await cancelAt(rowgate, pid, secret ^ 1);
    await cancelAt(rowgate, pid + 1, secret);
    await expect.poll(() => rowgate.metrics()).toContain('rowgate_cancel_requests_refused_total 2');
    expect(await rowgate.metrics()).toContain('rowgate_cancel_requests_total 2');
    await client.end();
  });

  test('of a session that has ended reaches no server', async () => {
    const rowgate = await start();
    const client = await rowgate.connect();
    const { pid, secret } = keyOf(client);
    await client.end();
    await expect.poll(() => rowgate.audit().some((record) => record['event'] === 'session_end')).toBe(true);
    await cancelAt(rowgate, pid, secret);
    await expect.poll(() => rowgate.metrics()).toContain('rowgate_cancel_requests_refused_total 1');
  });

  test('finds its server by way of another process', async () => {
    const store = `{ redis: "${redis.url}", prefix: "cancel-${Date.now()}:" }`;
    const [first, second] = [await start({ store }), await start({ store })];
    for (const database of ['postgres', 'billing']) {
      const client = await first.connect('agent', { database });
      const { pid, secret } = keyOf(client);
      expect(await cancelled(client, () => cancelAt(second, pid, secret))).toBe('57014');
      await client.end();
      await expect.poll(() => first.audit().filter((record) => record['event'] === 'session_end' && record['database'] === database).length).toBe(1);
      await sleep(100);
      await cancelAt(second, pid, secret);
    }
    await expect.poll(() => second.metrics()).toContain('rowgate_cancel_requests_refused_total 2');
  });

  test('with guessed keys is not looked up without end', async () => {
    const rowgate = await start({ store: `{ redis: "${redis.url}", prefix: "guess-${Date.now()}:" }` });
    const client = await rowgate.connect();
    const { pid } = keyOf(client);
    await Promise.all(Array.from({ length: 150 }, (_, i) => cancelAt(rowgate, pid, i + 1)));
    await expect.poll(() => rowgate.metrics()).toContain('rowgate_cancel_requests_refused_total 150');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });
});
