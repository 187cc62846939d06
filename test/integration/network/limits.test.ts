/** What clients can take of Rowgate, logged in or not, and what they read when there is no more. */

import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SMALL_MESSAGE_BYTES } from '../../../src/protocol/limits.ts';
import { writeStartupMessage } from '../../../src/protocol/startup.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { firstError, RawClient } from '../../support/raw-client.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { message, WireClient } from '../../support/wire-client.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 100);
});
afterAll(() => postgres.stop());
afterEach(() => rowgate.stop());

async function start(limits: string): Promise<void> {
  rowgate = await startRowgate({ postgresPort: postgres.port, extra: `limits: { ${limits} }` });
}

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no error',
    ({ code, message: text, severity }: { code: string; message: string; severity: string }) => ({ severity, sqlstate: code, message: text }),
  );
}

function endOf(client: Client): Promise<unknown> {
  return new Promise((resolve) => client.on('error', ({ code, message: text }: Error & { code?: string }) => resolve({ sqlstate: code, message: text })));
}

describe('sessions', () => {
  test('one more than max_sessions reads what PostgreSQL would say, and a place that is left is free', async () => {
    await start('max_sessions: 2');
    const [first, second] = [await rowgate.connect(), await rowgate.connect('agent_2')];
    expect(await failureOf(rowgate.connect())).toEqual({ severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' });
    await first.end();
    await expect.poll(() => failureOf(rowgate.connect('agent').then((client) => client.end()))).toBe('no error');
    await second.end();
  });

  test('one login cannot take all places', async () => {
    await start('max_sessions_per_principal: 2');
    const clients = [await rowgate.connect(), await rowgate.connect()];
    expect(await failureOf(rowgate.connect())).toEqual({ severity: 'FATAL', sqlstate: '53300', message: 'too many connections for role "agent"' });
    clients.push(await rowgate.connect('agent_2'));
    await expect.poll(() => rowgate.audit().find((record) => record['event'] === 'login_failed')).toMatchObject({ principal: 'agent', sqlstate: '53300' });
    for (const client of clients) await client.end();
  });

  test('the limit of a role says the same directly', async () => {
    await start('max_sessions: 10');
    const admin = await postgres.connect();
    await admin.query('ALTER ROLE agent CONNECTION LIMIT 0');
    const direct = await failureOf(postgres.connect('agent'));
    expect(direct).toEqual({ severity: 'FATAL', sqlstate: '53300', message: 'too many connections for role "agent"' });
    expect(await failureOf(rowgate.connect())).toEqual(direct);
    await admin.query('ALTER ROLE agent CONNECTION LIMIT -1');
    await admin.end();
  });

  test('an idle session ends as by idle_session_timeout, a busy one and one in a transaction do not', async () => {
    await start('idle_timeout: 1s');
    const [idle, busy, inTransaction] = [await rowgate.connect(), await rowgate.connect(), await rowgate.connect()];
    await inTransaction.query('BEGIN');
    const ended = endOf(idle);
    const slow = busy.query('SELECT pg_sleep(3)');
    expect(await ended).toEqual({ sqlstate: '57P05', message: 'terminating connection due to idle-session timeout' });
    await slow;
    expect((await inTransaction.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await busy.end();
    await inTransaction.end();
    await expect.poll(() => rowgate.audit().filter((record) => record['event'] === 'session_end').map((record) => record['reason'])).toContain('terminating connection due to idle-session timeout');
  });
});

describe('connections before the login', () => {
  test('a flood of silent ones uses up no session', async () => {
    await start('max_unauthenticated: 5, max_sessions: 3');
    const silent = await Promise.all(Array.from({ length: 40 }, () => RawClient.open(rowgate.port)));
    const client = await rowgate.connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await expect.poll(() => silent.filter((each) => each.closed).length).toBeGreaterThanOrEqual(35);
    const turnedAway = silent.find((each) => each.closed);
    expect(firstError(turnedAway?.received ?? Buffer.alloc(0))).toEqual({ severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' });
    for (const each of silent) each.socket.destroy();
    await client.end();
  });

  test('those that stop half-way through the login do not either', async () => {
    await start('max_unauthenticated: 5, max_sessions: 3');
    const startup = writeStartupMessage(0, [['user', 'agent'], ['database', 'postgres']]);
    const halfway = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(rowgate.port)));
    for (const each of halfway) each.socket.write(startup);
    const client = await rowgate.connect();
    await expect.poll(() => halfway.filter((each) => each.closed).length).toBeGreaterThanOrEqual(15);
    // What they held on the server is given back, too.
    const admin = await postgres.connect();
    await expect.poll(async () => Number((await admin.query(`SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'`)).rows[0].count)).toBeLessThan(12);
    await admin.end();
    for (const each of halfway) each.socket.destroy();
    await client.end();
  });

  test('a client that does not log in in time is let go', async () => {
    await start('auth_timeout: 1s');
    const silent = await RawClient.open(rowgate.port);
    expect(firstError(await silent.untilClosed())).toEqual({ severity: 'FATAL', sqlstate: '57014', message: 'canceling authentication due to timeout' });
  });
});

describe('messages', () => {
  const longSync = message('S', Buffer.alloc(SMALL_MESSAGE_BYTES + 1));

  test.each(['directly', 'through Rowgate'])('of a kind that is short end the session when they are not: %s', async (way) => {
    await start('max_sessions: 10');
    const client = await WireClient.connect({ port: way === 'directly' ? postgres.port : rowgate.port, user: 'agent' });
    client.send(longSync);
    await client.until('Z', client.messages.length, 10_000);
    expect(client.closed).toBe(true);
  });

  test.each(['directly', 'through Rowgate'])('of the greatest length are taken: %s', async (way) => {
    await start('max_sessions: 10');
    const client = await WireClient.connect({ port: way === 'directly' ? postgres.port : rowgate.port, user: 'agent' });
    // The server reads Sync with any content ("invalid message format" is an error of its own, and the session goes on).
    const answer = await client.ask([message('S', Buffer.alloc(SMALL_MESSAGE_BYTES))], 1);
    expect(client.closed).toBe(false);
    expect(answer.at(-1)?.type).toBe('Z');
    client.destroy();
  });

  test('a startup packet that is too long is refused at once', async () => {
    await start('startup_packet_bytes: 512');
    const client = await RawClient.open(rowgate.port);
    client.socket.write(writeStartupMessage(0, [['user', 'agent'], ['options', 'x'.repeat(600)]]));
    expect((await client.untilClosed()).length).toBe(0);
  });
});
