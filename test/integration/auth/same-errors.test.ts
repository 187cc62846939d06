/** Logins that come to nothing: what reaches the client is what PostgreSQL itself says, in severity, SQLSTATE and words. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '../../support/certificates.ts';
import { freePort } from '../../support/free-port.ts';
import { makeCustomerBase, type TestPostgres } from '../../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';

const MAX_CONNECTIONS = 20;

let authority: TestAuthority;
let postgres: TestPostgres;
const rowgates = new Map<string, TestRowgate>();
type RowgateSettings = Parameters<typeof startRowgate>[0];
const settings = new Map<string, RowgateSettings>();
const staying: Client[] = [];

const FULL = { severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' };
const HBA = 'host all rejected 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256';

beforeAll(async () => {
  authority = new TestAuthority();
  const shown = authority.issue('localhost', { names: 'DNS:localhost' });
  postgres = await startTlsPostgres(authority, { certificate: authority.issue('db', { names: 'DNS:localhost' }), hba: HBA, flags: ['-c', `max_connections=${MAX_CONNECTIONS}`] });
  await makeCustomerBase(postgres, 10);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE rowgate_auth LOGIN PASSWORD 'secret'; GRANT SELECT (rolname, rolpassword, rolvaliduntil) ON pg_authid TO rowgate_auth;
    CREATE ROLE rejected LOGIN PASSWORD 'secret'; CREATE ROLE no_login PASSWORD 'secret'; CREATE ROLE no_password LOGIN; CREATE ROLE expired LOGIN PASSWORD 'secret' VALID UNTIL '2020-01-01';
    CREATE ROLE limited LOGIN PASSWORD 'secret' CONNECTION LIMIT 0;
  `);
  for (const each of ['CREATE DATABASE closed', 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC', 'CREATE DATABASE elsewhere', 'CREATE DATABASE full_up CONNECTION LIMIT 0', 'CREATE DATABASE shut ALLOW_CONNECTIONS false']) await admin.query(each);
  await admin.end();
  const limits = 'limits: { max_login_delay: 1s }';
  settings.set('passthrough', { postgresPort: postgres.port, extra: limits });
  settings.set('scram', {
    postgresPort: postgres.port, upstreamHost: 'localhost', listen: `tls: { cert: ${shown.cert}, key: ${shown.key}, mode: require }`, upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`,
    extra: `auth: { method: scram, lookup: { user: rowgate_auth, password: secret } }\n${limits}`,
  });
  for (const [method, each] of settings) rowgates.set(method, await startRowgate(each));
  // As long as somebody is in the database, the catalog keeps its own connection to it.
  for (const method of rowgates.keys()) {
    const client = clientOf(method, 'through', {});
    await client.connect();
    staying.push(client);
  }
}, 120_000);
afterAll(async () => {
  for (const client of staying) await client.end();
  for (const rowgate of rowgates.values()) await rowgate.stop();
  await postgres.stop();
  authority.remove();
});

function clientOf(method: string, way: 'directly' | 'through', config: ClientConfig): Client {
  const port = way === 'directly' ? postgres.port : (rowgates.get(method) as TestRowgate).port;
  const ssl = method === 'scram' ? { ca: readFileSync(authority.ca, 'utf8') } : false;
  const client = new Client({ host: 'localhost', port, user: 'agent', password: 'secret', database: 'postgres', ssl, ...config });
  return client.on('error', () => undefined);
}

async function failure(method: string, way: 'directly' | 'through', config: ClientConfig): Promise<unknown> {
  const client = clientOf(method, way, config);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return undefined;
  } catch (error) {
    const { code, message, severity, detail, hint } = error as { code: string; message: string; severity: string; detail?: string; hint?: string };
    return { severity, sqlstate: code, message, detail, hint };
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe.each(['passthrough', 'scram'])('%s', (method) => {
  test.each<[string, ClientConfig, string]>([
    ['a wrong password', { password: 'wrong' }, '28P01'],
    ['an unknown user', { user: 'nobody_here' }, '28P01'],
    ['a user with a name that needs care', { user: 'x"; DROP' }, '28P01'],
    ['a login without a password', { user: 'no_password' }, '28P01'],
    ['an expired password', { user: 'expired' }, '28P01'],
    ['an unknown database', { database: 'nowhere' }, '3D000'],
    ['an unknown database with a wrong password', { database: 'nowhere', password: 'wrong' }, '28P01'],
    ['a role that is no login', { user: 'no_login' }, '28000'],
    ['a login that pg_hba.conf rejects', { user: 'rejected' }, '28000'],
    ['a database that the login may not use', { database: 'closed' }, '42501'],
    ['a database that takes no connections', { database: 'shut' }, '55000'],
    ['a database that is full', { database: 'full_up' }, '53300'],
    ['a role that has all its connections', { user: 'limited' }, '53300'],
    ['a setting that is not there', { options: '-c nothing.such=1 -c no_such_setting=1' }, '42704'],
    ['a setting with a wrong value', { options: '-c work_mem=lots' }, '22023'],
  ])('%s', async (_what, config, sqlstate) => {
    const direct = await failure(method, 'directly', config);
    expect(direct).toMatchObject({ severity: 'FATAL', sqlstate });
    expect(await failure(method, 'through', config)).toEqual(direct);
  });

  test('too many connections', async () => {
    const taken: Client[] = [];
    try {
      const reserved = await refusedWhenFull(taken, 'agent_2', method, 'directly');
      expect(reserved).toMatchObject({ severity: 'FATAL', sqlstate: '53300', message: expect.stringContaining('remaining connection slots are reserved') as unknown });
      expect(await refusedWhenFull(taken, 'agent_2', method, 'through')).toEqual(reserved);
      const full = await refusedWhenFull(taken, 'dba', method, 'directly');
      expect(full).toMatchObject(FULL);
      expect(await refusedWhenFull(taken, 'dba', method, 'through')).toEqual(full);
    } finally {
      for (const each of taken) await each.end();
    }
  }, 60_000);

  // Which of the two gets the last place differs from method to method.
  test.each([0, 1])('%i places, and Rowgate wants one of its own, too', async (places) => {
    const taken: Client[] = [];
    const rowgate = await startRowgate(settings.get(method) as RowgateSettings);
    try {
      await take(taken, 'dba');
      for (let i = 0; i < places; i++) await taken.pop()?.end();
      expect(await failure(method, 'through', { user: 'dba', database: 'elsewhere', port: rowgate.port })).toMatchObject(FULL);
    } finally {
      for (const each of taken) await each.end();
      await rowgate.stop();
    }
  }, 60_000);
});

/** All places of the server. A connection that has just ended keeps its own for a moment. */
async function take(taken: Client[], user: string): Promise<void> {
  for (let refused = 0; refused < 3;) {
    const client = new Client({ host: 'localhost', port: postgres.port, user, password: 'secret', database: 'postgres' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      taken.push(client);
    } catch {
      refused++;
      await sleep(100);
    }
  }
}

/** Connections of the tests before come to their end late, and leave a place: it is taken, too. */
async function refusedWhenFull(taken: Client[], user: string, method: string, way: 'directly' | 'through'): Promise<unknown> {
  let seen: unknown;
  for (let attempt = 0; seen === undefined && attempt < 10; attempt++) {
    await take(taken, user);
    seen = await failure(method, way, {});
  }
  return seen;
}

describe('a server that is away', () => {
  const run = (command: string, ...args: readonly string[]): { readonly code: number | null; readonly out: string } | undefined => {
    const result = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, PGPASSWORD: 'secret', PGCONNECT_TIMEOUT: '10' } });
    return result.error === undefined ? { code: result.status, out: `${result.stdout}${result.stderr}`.trim() } : undefined;
  };

  test('is told of as of one that is not ready, so that libpq goes on to its next host and pg_isready says no', async () => {
    const away = await startRowgate({ postgresPort: await freePort() });
    try {
      await expect(away.connect()).rejects.toMatchObject({ severity: 'FATAL', code: '57P03', message: 'the database server cannot be reached through Rowgate' });
      const ready = run('pg_isready', '-h', '127.0.0.1', '-p', String(away.port));
      // 1: the server rejects connections.
      if (ready !== undefined) expect(ready.code).toBe(1);
      const next = run('psql', '-XAt', '-c', 'SELECT inet_server_port()', `host=127.0.0.1,127.0.0.1 port=${away.port},${postgres.port} user=agent dbname=postgres`);
      if (next !== undefined) expect(next).toEqual({ code: 0, out: String(postgres.port) });
    } finally {
      await away.stop();
    }
  });
});

