/** What is on record of a login: that it succeeded, that it failed and why, and that a session began and ended. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { errorFields, openRaw } from '../../support/raw-login.ts';
import { startRowgate, type RowgateOptions, type TestRowgate } from '../../support/rowgate.ts';
import { TestAuthority } from '../../support/certificates.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
});
afterAll(() => postgres.stop());
afterEach(() => rowgate.stop());

async function start(options: Partial<RowgateOptions> = {}): Promise<void> {
  rowgate = await startRowgate({ postgresPort: postgres.port, ...options });
}

const LOGIN_EVENTS = new Set(['login_succeeded', 'login_failed', 'session_start', 'session_end']);

function records(): readonly Record<string, unknown>[] {
  return rowgate.audit().filter(({ event }) => LOGIN_EVENTS.has(event as string));
}

const events = (): unknown => records().map(({ event }) => event);

async function attempt(config: ClientConfig = {}): Promise<unknown> {
  const client = new Client({ host: '127.0.0.1', port: rowgate.port, user: 'agent', password: 'secret', database: 'postgres', application_name: 'Report', ...config });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return 'in';
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('a login that succeeds', () => {
  test('is on record before its session, with who, whence, how and by which program', async () => {
    await start();
    expect(await attempt()).toBe('in');
    await expect.poll(events, { timeout: 10_000 }).toEqual(['login_succeeded', 'session_start', 'session_end']);
    const [login, session] = records();
    expect(login).toMatchObject({ principal: 'agent', database: 'postgres', application_name: 'Report', client_address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as unknown, tls: false, auth_method: 'passthrough' });
    expect(login?.['session_id']).toBe(session?.['session_id']);
  });

  test('and comes to nothing has both on record', async () => {
    await start();
    expect(await attempt({ database: 'nowhere' })).toBe('3D000');
    await expect.poll(events, { timeout: 10_000 }).toEqual(['login_succeeded', 'login_failed']);
    const [login, failure] = records();
    expect(failure).toMatchObject({ session_id: login?.['session_id'], principal: 'agent', database: 'nowhere', application_name: 'Report', reason: 'refused by the server', sqlstate: '3D000' });
  });

  test('of a role without a session left for it, too', async () => {
    await start({ extra: 'limits: { max_sessions_per_principal: 1 }' });
    const first = await rowgate.connect('agent');
    expect(await attempt()).toBe('53300');
    await expect.poll(() => records().filter(({ event }) => event === 'login_failed'), { timeout: 10_000 }).toEqual([expect.objectContaining({ sqlstate: '53300', application_name: 'Report' })]);
    await first.end();
  });

  test('of a replication connection has a session that says what it was', async () => {
    await start({ edit: (text) => text.replace('members: [dba, postgres]', 'members: [dba, postgres]\n    replication: true') });
    expect(await attempt({ user: 'dba', replication: 'database' } as ClientConfig)).toBe('in');
    await expect.poll(events, { timeout: 10_000 }).toEqual(['login_succeeded', 'session_start', 'session_end']);
    const [, began, ended] = records();
    expect(began).toMatchObject({ principal: 'dba', roles: ['dba'], replication: true, auth_method: 'passthrough' });
    expect(ended).toMatchObject({ session_id: began?.['session_id'], replication: true, rows: 0 });
    expect(ended?.['bytes']).toBeGreaterThan(50);
  });
});

describe('a login that fails', () => {
  test('for its password has that alone on record', async () => {
    await start();
    expect(await attempt({ password: 'wrong' })).toBe('28P01');
    await expect.poll(events, { timeout: 10_000 }).toEqual(['login_failed']);
    expect(records()[0]).toMatchObject({ principal: 'agent', sqlstate: '28P01', application_name: 'Report' });
    expect(await rowgate.metrics()).toContain('rowgate_auth_failures_total{sqlstate="28P01"} 1');
  });

  test('for want of a server is on record, and in the metric as what it is', async () => {
    await start({ extra: `databases: { away: { host: 127.0.0.1, port: ${await freePort()} } }` });
    expect(await attempt({ database: 'away' })).toBe('57P03');
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', database: 'away', reason: 'upstream unreachable', sqlstate: '57P03' }]);
    expect(await rowgate.metrics()).toContain('rowgate_auth_failures_total{sqlstate="57P03"} 1');
  });

  test('since its server hung up is', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await start({ extra: `databases: { rude: { host: 127.0.0.1, port: ${port} } }` });
    expect(await attempt({ database: 'rude' })).not.toBe('in');
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', reason: 'the server closed the connection' }]);
    server.close();
  });

  test('for a database that is on no server is', async () => {
    await start({ noUpstream: true, extra: `databases: { postgres: { host: 127.0.0.1, port: ${postgres.port} } }` });
    expect(await attempt({ database: 'nowhere' })).toBe('3D000');
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', database: 'nowhere', sqlstate: '3D000' }]);
  });

  test('for want of encryption is', async () => {
    const authority = new TestAuthority();
    const { cert, key } = authority.issue('localhost', { names: 'DNS:localhost' });
    await start({ listen: `tls: { cert: ${cert}, key: ${key}, mode: require }` });
    expect(await attempt()).toBe('28000');
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', principal: 'agent', reason: 'not encrypted' }]);
    authority.remove();
  });

  test('for what it says is', async () => {
    await start();
    const client = await openRaw(rowgate.port);
    client.startup('agent');
    await client.message();
    client.send(Buffer.from('Q\0\0\0\x05\0', 'latin1'));
    expect(errorFields(await client.message())).toMatchObject({ C: '08P01' });
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', sqlstate: '08P01' }]);
  });

  test('for its silence is', async () => {
    await start({ extra: 'limits: { auth_timeout: 1s }' });
    const client = await openRaw(rowgate.port);
    client.startup('agent');
    await client.end();
    await expect.poll(records, { timeout: 10_000 }).toMatchObject([{ event: 'login_failed', reason: 'authentication timed out' }]);
  });
});

test('a client that leaves to ask for a password has neither failed nor succeeded', async () => {
  await start();
  const client = await openRaw(rowgate.port);
  client.startup('agent');
  expect((await client.message())?.type).toBe('R');
  client.destroy();
  expect(await attempt()).toBe('in');
  await expect.poll(events, { timeout: 10_000 }).toEqual(['login_succeeded', 'session_start', 'session_end']);
});
