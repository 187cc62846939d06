/** What ops rely on: roles, flags, monitor mode, reload, audit, metrics, health. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type RowgateOptions, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let redis: TestRedis;
const running: TestRowgate[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});
afterEach(async () => {
  for (const rowgate of running.splice(0)) if (rowgate.process.exitCode === null) await rowgate.stop();
});

async function start(options: Partial<RowgateOptions> = {}): Promise<TestRowgate> {
  const rowgate = await startRowgate({ postgresPort: postgres.port, ...options });
  running.push(rowgate);
  return rowgate;
}

async function rowsOf(rowgate: TestRowgate, sql: string, user = 'agent'): Promise<number | string> {
  const client = await rowgate.connect(user);
  try {
    return (await client.query(sql)).rows.length;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await client.end();
  }
}

describe('who may take what', () => {
  test('a role without quotas gets everything, metered and on record', async () => {
    const rowgate = await start();
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers', 'dba')).toBe(1000);
    await expect.poll(() => rowgate.audit().find((record) => record['event'] === 'statement_end')).toMatchObject({ principal: 'dba', roles: ['dba'], rows: 1000, units: 1000, decision: 'allow' });
    expect(await rowgate.metrics()).toContain('rowgate_rows_total{role="dba",class="customers"} 1000');
  });

  test('a login in no role gets nothing protected, and everything else', async () => {
    const rowgate = await start();
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1', 'temp')).toBe('42501');
    expect(await rowsOf(rowgate, 'SELECT * FROM tariffs', 'temp')).toBe(5);
  });

  test('role membership in PostgreSQL counts', async () => {
    const rowgate = await start({ extra: 'trusted_functions: []' , role: 'errors: redact' });
    const text = readFileSync(rowgate.configPath, 'utf8').replace('members: [agent, "agent_*"]', 'members: [{ pg_role: staff }]');
    writeFileSync(rowgate.configPath, text);
    rowgate.process.kill('SIGHUP');
    await expect.poll(() => rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1', 'temp')).toBe(1);
  });

  test('the quota of a role is shared by its logins', async () => {
    const rowgate = await start({ quotas: '[{ class: customers, window: 1h, rows: 100, scope: role, action: block }]' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 60', 'agent')).toBe(60);
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 60', 'agent_2')).toBe('53400');
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1', 'agent_2')).toBe('53400');
  });

  test('a statement quota limits one statement, and terminate ends the session', async () => {
    const rowgate = await start({ quotas: '[{ class: customers, window: statement, rows: 50, action: terminate }]' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 50')).toBe(50);
    const client = await rowgate.connect();
    const closed = new Promise((resolve) => client.once('end', resolve));
    client.on('error', () => undefined);
    await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400', severity: 'FATAL' });
    await closed;
  });

  test('byte quotas count bytes', async () => {
    const rowgate = await start({ quotas: '[{ class: customers, window: 1h, bytes: 4KiB, action: block }]' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 10')).toBe(10);
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers')).toBe('53400');
  });

  test('replication connections are refused', async () => {
    const rowgate = await start();
    await expect(rowgate.connect('agent', { replication: 'database' } as never)).rejects.toMatchObject({ code: '42501' });
  });
});

test('a role with replication: true may replicate', async () => {
  const rowgate = await start();
  writeFileSync(rowgate.configPath, readFileSync(rowgate.configPath, 'utf8').replace('members: [dba, postgres]', 'members: [dba, postgres]\n    replication: true'));
  await expect.poll(() => rowgate.log().some((line) => String(line['msg']).startsWith('configuration reloaded'))).toBe(true);
  const client = await rowgate.connect('dba', { replication: 'database' } as never);
  expect((await client.query('IDENTIFY_SYSTEM')).rows[0]).toMatchObject({ dbname: 'postgres' });
  await client.end();
  await expect(rowgate.connect('agent', { replication: 'database' } as never)).rejects.toMatchObject({ code: '42501' });
});

describe('flag and monitor', () => {
  test('a flag quota delivers and raises one event in its window', async () => {
    const rowgate = await start({ quotas: '[{ class: customers, window: 1h, rows: 20, action: flag }]' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 30')).toBe(30);
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 30')).toBe(30);
    await expect.poll(() => rowgate.audit().filter((record) => record['event'] === 'flag').length).toBe(1);
    expect(rowgate.audit().find((record) => record['event'] === 'flag')).toMatchObject({ rule_id: 'support/customers/rows/1h', principal: 'agent' });
    expect(await rowgate.metrics()).toContain('rowgate_flags_total{rule="support/customers/rows/1h"} 1');
  });

  test('monitor mode turns every block into a flag', async () => {
    const rowgate = await start({ extra: 'mode: monitor' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers')).toBe(1000);
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1', 'temp')).toBe(1);
    await expect.poll(() => rowgate.audit().filter((record) => record['event'] === 'flag').map((record) => String(record['rule_id'])).toSorted()).toEqual(['support/customers/rows/1h', 'unlisted/block']);
  });
});

describe('reload', () => {
  test('a changed file takes effect at the next statement of an open session, and what was used stays used', async () => {
    const rowgate = await start();
    const client = await rowgate.connect();
    expect((await client.query('SELECT * FROM crm.customers LIMIT 150')).rows.length).toBe(150);
    writeFileSync(rowgate.configPath, readFileSync(rowgate.configPath, 'utf8').replace('rows: 200', 'rows: 160'));
    await expect.poll(() => rowgate.log().some((line) => String(line['msg']).startsWith('configuration reloaded'))).toBe(true);
    await expect(client.query('SELECT * FROM crm.customers LIMIT 11')).rejects.toMatchObject({ code: '53400' });
    await client.end();
    expect(await rowgate.metrics()).toContain('rowgate_config_last_reload_successful 1');
  });

  test('a broken file changes nothing and is told of', async () => {
    const rowgate = await start();
    writeFileSync(rowgate.configPath, readFileSync(rowgate.configPath, 'utf8').replace('rows: 200', 'rowz: 2'));
    rowgate.process.kill('SIGHUP');
    await expect.poll(() => rowgate.metrics()).toContain('rowgate_config_last_reload_successful 0');
    expect(rowgate.log().some((line) => JSON.stringify(line).includes('rowz'))).toBe(true);
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 100')).toBe(100);
  });
});

describe('counters in Redis', () => {
  const store = (): string => `{ redis: "${redis.url}", prefix: "test-${Date.now()}-${Math.random()}:" }`;

  test('survive a restart of Rowgate', async () => {
    const shared = store();
    const first = await start({ store: shared });
    expect(await rowsOf(first, 'SELECT * FROM crm.customers LIMIT 150')).toBe(150);
    await first.stop();
    const second = await start({ store: shared });
    expect(await rowsOf(second, 'SELECT * FROM crm.customers LIMIT 50')).toBe(50);
    expect(await rowsOf(second, 'SELECT * FROM crm.customers LIMIT 1')).toBe('53400');
  });

  test('are one quota for two processes', async () => {
    const shared = store();
    const [a, b] = [await start({ store: shared }), await start({ store: shared })];
    const counts = await Promise.all(Array.from({ length: 300 }, (_, i) => rowsOf(i % 2 === 0 ? a : b, `SELECT * FROM crm.customers WHERE id = ${i + 1}`)));
    const delivered = counts.filter((count) => count === 1).length;
    expect(delivered).toBeLessThanOrEqual(200);
    for (let i = delivered; i < 200; i++) expect(await rowsOf(i % 2 === 0 ? a : b, 'SELECT * FROM crm.customers LIMIT 1')).toBe(1);
    expect(await rowsOf(a, 'SELECT * FROM crm.customers LIMIT 1')).toBe('53400');
    expect(await rowsOf(b, 'SELECT * FROM crm.customers LIMIT 1')).toBe('53400');
  });

  test('survive a kill -9 in the middle of a result', async () => {
    const shared = store();
    const first = await start({ store: shared });
    const client = await first.connect();
    client.on('error', () => undefined);
    let rows = 0;
    const query = client.query('SELECT *, pg_sleep(0.01) FROM crm.customers').catch(() => undefined);
    (client as unknown as { connection: { on(event: string, listener: () => void): void } }).connection.on('dataRow', () => rows++);
    // The server sends what it has when 8 KiB are full.
    await expect.poll(() => rows, { timeout: 15_000 }).toBeGreaterThan(20);
    first.process.kill('SIGKILL');
    await query;
    const second = await start({ store: shared });
    let more = 0;
    while ((await rowsOf(second, 'SELECT * FROM crm.customers LIMIT 1')) === 1) more++;
    expect(rows + more).toBeLessThanOrEqual(200);
  });

  test('gone: protected rows stop within a second, unprotected work goes on, and it recovers by itself', async () => {
    const rowgate = await start({ store: store() });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1')).toBe(1);
    await redis.kill();
    const before = Date.now();
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1')).toBe('57P03');
    expect(Date.now() - before).toBeLessThan(1500);
    expect(await rowsOf(rowgate, 'SELECT * FROM tariffs')).toBe(5);
    expect((await fetch(`http://127.0.0.1:${rowgate.adminPort}/readyz`)).status).toBe(503);
    await redis.start();
    await expect.poll(() => rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1'), { timeout: 10_000, interval: 200 }).toBe(1);
  });
});

test('a database that nobody uses any more can be dropped', async () => {
  const rowgate = await start();
  const dba = await rowgate.connect('dba');
  await dba.query('CREATE DATABASE passing');
  const inside = await rowgate.connect('dba', { database: 'passing' });
  await inside.query('SELECT 1');
  await inside.end();
  await dba.query('DROP DATABASE passing');
  // A database that is used again after a pause is looked at again before anything is judged by what was known of it.
  await dba.end();
  await sleep(2500);
  const admin = await postgres.connect();
  await admin.query('CREATE VIEW public.made_meanwhile AS SELECT * FROM crm.customers; GRANT SELECT ON public.made_meanwhile TO staff');
  expect(await rowsOf(rowgate, 'SELECT * FROM made_meanwhile')).toBe('53400');
  await admin.query('DROP VIEW public.made_meanwhile');
  await admin.end();
});

describe('audit and health', () => {
  test('the start of a statement is on record before its first row, the end with what it took', async () => {
    const rowgate = await start();
    await rowsOf(rowgate, `SELECT * FROM crm.customers WHERE email = 'c7@example.cz'`);
    await expect.poll(() => rowgate.audit().filter((record) => String(record['event']).startsWith('statement')).length).toBe(2);
    const [startRecord, endRecord] = rowgate.audit().filter((record) => String(record['event']).startsWith('statement'));
    expect(startRecord).toMatchObject({ event: 'statement_start', principal: 'agent', roles: ['support'], database: 'postgres', statement_kind: 'select', sql: 'SELECT * FROM crm.customers WHERE email = $1' });
    expect(endRecord).toMatchObject({ event: 'statement_end', rows: 1, units: 1, decision: 'allow', relations: ['crm.customers'], classes: [{ class: 'customers', units: 1 }] });
    expect(JSON.stringify(rowgate.audit())).not.toContain('c7@example.cz');
    expect(statSync(`${rowgate.directory}/audit.ndjson`).mode & 0o777).toBe(0o600);
  });

  test('the head of the audit log is told by the admin port, and the file verifies up to it', async () => {
    const rowgate = await start();
    await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1');
    const { chain, seq, mac } = (await (await fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/audit/head`, { headers: { authorization: 'Bearer test-token' } })).json()) as { chain: string; seq: number; mac: string };
    const verified = spawnSync(process.execPath, ['dist/cli/main.js', 'audit', 'verify', '--head', `${chain}:${seq}:${mac}`, join(rowgate.directory, 'audit.ndjson')]);
    expect(verified.stdout.toString()).toContain('all records fit together');
    expect(verified.status).toBe(0);
  });

  test('a full disk stops protected rows, not the rest', async () => {
    const rowgate = await start({ audit: '{ file: /dev/full }' });
    expect(await rowsOf(rowgate, 'SELECT * FROM crm.customers LIMIT 1')).toBe('57P03');
    expect(await rowsOf(rowgate, 'SELECT * FROM tariffs')).toBe(5);
    expect((await fetch(`http://127.0.0.1:${rowgate.adminPort}/readyz`)).status).toBe(503);
  });

  test('health, sessions and usage are answered, the latter two with the token only', async () => {
    const rowgate = await start();
    const client = await rowgate.connect();
    await client.query('SELECT * FROM crm.customers LIMIT 3');
    const get = (path: string, token?: string): Promise<Response> => fetch(`http://127.0.0.1:${rowgate.adminPort}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/readyz')).status).toBe(200);
    expect((await get('/v1/sessions')).status).toBe(401);
    expect(await (await get('/v1/sessions', 'test-token')).json()).toMatchObject({ sessions: [{ principal: 'agent', rows: 3, units: 3 }] });
    await sleep(50);
    expect(await (await get('/v1/usage', 'test-token')).json()).toMatchObject({ usage: [{ rule_id: 'support/customers/rows/1h', used: 3, limit: 200 }] });
    await client.end();
  });

  test('SIGTERM ends sessions with 57P01 and the process with 0', async () => {
    const rowgate = await start();
    const client = await rowgate.connect();
    const failures: unknown[] = [];
    client.on('error', (error) => failures.push(error));
    const exit = new Promise((resolve) => rowgate.process.once('exit', resolve));
    rowgate.process.kill('SIGTERM');
    expect(await exit).toBe(0);
    await expect.poll(() => failures[0]).toMatchObject({ code: '57P01' });
  });
});
