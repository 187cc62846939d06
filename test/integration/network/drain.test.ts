/** SIGTERM: what is idle ends at once, what is under way may end within limits, nothing new begins. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';

const ADMINISTRATOR = { sqlstate: '57P01', message: 'terminating connection due to administrator command' };

let postgres: TestPostgres;
let redis: TestRedis;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});
afterEach(() => rowgate.stop('SIGKILL'));

async function start(drain: string, store?: string): Promise<void> {
  rowgate = await startRowgate({ postgresPort: postgres.port, extra: `limits: { drain: ${drain} }`, ...(store === undefined ? {} : { store }) });
}

function endOf(client: Client): Promise<unknown> {
  return new Promise((resolve) => client.on('error', ({ code, message }: Error & { code?: string }) => resolve({ sqlstate: code, message })));
}

function exitOf(of: TestRowgate): Promise<readonly unknown[]> {
  return of.process.exitCode === null ? once(of.process, 'exit') : Promise.resolve([of.process.exitCode]);
}

/** An answer of /readyz serves for a second. */
async function stopping(): Promise<void> {
  await expect.poll(async () => (await fetch(`http://127.0.0.1:${rowgate.adminPort}/readyz`)).status, { timeout: 10_000 }).toBe(503);
}

/** The error that a statement under way ends with. */
function failureOf(query: Promise<unknown>): Promise<unknown> {
  return query.then(
    () => 'no error',
    ({ code, message }: { code: string; message: string }) => ({ sqlstate: code, message }),
  );
}

/** The audit file outlives the process. */
function auditOf(of: TestRowgate): readonly Record<string, unknown>[] {
  return readFileSync(join(of.directory, 'audit.ndjson'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('idle sessions end at once, a running statement comes to its end, and its session ends then', async () => {
  await start('20s');
  const [idle, running] = [await rowgate.connect(), await rowgate.connect('agent_2')];
  const [idleEnd, runningEnd, exit] = [endOf(idle), endOf(running), exitOf(rowgate)];
  const answer = running.query('SELECT id, pg_sleep(0.3) FROM crm.customers WHERE id <= 10');
  await new Promise((resolve) => setTimeout(resolve, 300));
  rowgate.process.kill('SIGTERM');
  expect(await idleEnd).toEqual(ADMINISTRATOR);
  await stopping();
  await expect(rowgate.connect()).rejects.toMatchObject({ code: '57P03', severity: 'FATAL', message: 'the database system is shutting down' });
  expect((await answer).rows).toHaveLength(10);
  expect(await runningEnd).toEqual(ADMINISTRATOR);
  expect((await exit)[0]).toBe(0);
  const audit = auditOf(rowgate);
  expect(audit.at(-1)).toMatchObject({ event: 'service_stop', reason: 'SIGTERM' });
  expect(audit.find((record) => record['event'] === 'statement_end')).toMatchObject({ principal: 'agent_2', rows: 10, units: 10 });
  expect(audit.filter((record) => record['event'] === 'session_end')).toHaveLength(2);
});

test('a transaction may go on to its end, with further statements', async () => {
  await start('20s');
  const client = await rowgate.connect();
  const [end, exit] = [endOf(client), exitOf(rowgate)];
  await client.query('BEGIN');
  await client.query(`INSERT INTO notes (body) VALUES ('kept')`);
  rowgate.process.kill('SIGTERM');
  await stopping();
  expect((await client.query(`INSERT INTO notes (body) VALUES ('kept')`)).rowCount).toBe(1);
  await client.query('COMMIT');
  expect(await end).toEqual(ADMINISTRATOR);
  expect((await exit)[0]).toBe(0);
  const admin = await postgres.connect();
  expect((await admin.query(`SELECT count(*)::int AS kept FROM notes WHERE body = 'kept'`)).rows).toEqual([{ kept: 2 }]);
  await admin.end();
});

test('a cancel request still finds its statement', async () => {
  await start('30s');
  const client = await rowgate.connect();
  const end = endOf(client);
  const failure = client.query('SELECT pg_sleep(60)').catch((error: { code: string }) => error.code);
  await new Promise((resolve) => setTimeout(resolve, 200));
  rowgate.process.kill('SIGTERM');
  await stopping();
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const canceller = await RawClient.open(rowgate.port);
  const packet = Buffer.alloc(16);
  [16, (1234 << 16) | 5678, processID, secretKey].forEach((value, i) => packet.writeInt32BE(value, i * 4));
  canceller.socket.write(packet);
  expect(await failure).toBe('57014');
  expect(await end).toEqual(ADMINISTRATOR);
});

test('what is not through in time is ended, what was not delivered is given back, and all of it is on record', async () => {
  const prefix = `drain-${process.pid}:`;
  await start('1s', `{ redis: "${redis.url}", prefix: "${prefix}" }`);
  const client = await rowgate.connect();
  client.on('error', () => undefined);
  const exit = exitOf(rowgate);
  // 16 rows and more are reserved ahead; few are delivered.
  const end = failureOf(client.query('SELECT id, pg_sleep(0.2) FROM crm.customers'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  rowgate.process.kill('SIGTERM');
  expect(await end).toEqual(ADMINISTRATOR);
  expect((await exit)[0]).toBe(0);
  const record = auditOf(rowgate).find((each) => each['event'] === 'statement_end') as { units: number };
  const second = await startRowgate({ postgresPort: postgres.port, store: `{ redis: "${redis.url}", prefix: "${prefix}" }` });
  const other = await second.connect();
  const { usage } = (await (await fetch(`http://127.0.0.1:${second.adminPort}/v1/usage`, { headers: { authorization: 'Bearer test-token' } })).json()) as { usage: { used: number }[] };
  expect(usage.map(({ used }) => used)).toEqual([record.units]);
  await other.end();
  await second.stop();
});

test('a second signal ends everything at once', async () => {
  await start('1h');
  const client = await rowgate.connect();
  client.on('error', () => undefined);
  const exit = exitOf(rowgate);
  const end = failureOf(client.query('SELECT pg_sleep(60)'));
  await new Promise((resolve) => setTimeout(resolve, 200));
  rowgate.process.kill('SIGTERM');
  await stopping();
  rowgate.process.kill('SIGINT');
  expect(await end).toEqual(ADMINISTRATOR);
  expect((await exit)[0]).toBe(0);
  expect(auditOf(rowgate).at(-1)).toMatchObject({ event: 'service_stop' });
});
