/** auth.method: passthrough, where the server checks the password: what can be relayed, and what is refused with what to change. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority, type Certificate } from '../../support/certificates.ts';
import { makeCustomerBase, type TestPostgres } from '../../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';

let authority: TestAuthority;
let postgres: TestPostgres;
let shared: Certificate;
let rowgate: TestRowgate;
let withServersCertificate: TestRowgate;

beforeAll(async () => {
  authority = new TestAuthority();
  const certificate = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  shared = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  const copy = authority.copyOf(shared);
  postgres = await startTlsPostgres(authority, {
    certificate: copy,
    hba: 'hostssl all agent_ldap 127.0.0.1/32 password\nhostssl all agent_md5 127.0.0.1/32 md5\nhostssl all agent_trusted 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256',
  });
  await makeCustomerBase(postgres, 100);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE agent_ldap LOGIN PASSWORD 'secret';
    CREATE ROLE agent_trusted LOGIN;
    SET password_encryption = md5;
    CREATE ROLE agent_md5 LOGIN PASSWORD 'secret';
  `);
  await admin.end();
  const upstream = `tls: { mode: verify-full, ca: ${authority.ca} }`;
  const target = (own: Certificate, extra: string): Promise<TestRowgate> =>
    startRowgate({ postgresPort: postgres.port, upstreamHost: 'localhost', listen: `tls: { cert: ${own.cert}, key: ${own.key} }`, upstream, extra });
  rowgate = await target(certificate, '');
  withServersCertificate = await target(shared, 'auth: { cleartext: [agent_ldap] }');
});

afterAll(async () => {
  await rowgate.stop();
  await withServersCertificate.stop();
  await postgres.stop();
  authority.remove();
});

async function whoami(more: ClientConfig = {}, target = rowgate): Promise<string> {
  const client = new Client({ host: 'localhost', port: target.port, user: 'agent', password: 'secret', database: 'postgres', ssl: { ca: readFileSync(authority.ca, 'utf8') }, ...more });
  await client.connect();
  try {
    return String((await client.query<{ who: string }>('SELECT session_user AS who')).rows[0]?.who);
  } finally {
    await client.end();
  }
}

function psql(conninfo: string, target = rowgate): { readonly out: string; readonly err: string } | undefined {
  const result = spawnSync('psql', ['-XAt', '-c', 'SELECT session_user', `host=localhost port=${target.port} user=agent dbname=postgres sslrootcert=${authority.ca} connect_timeout=10 ${conninfo}`], { encoding: 'utf8', env: { ...process.env, PGPASSWORD: 'secret' } });
  return result.error === undefined ? { out: result.stdout.trim(), err: result.stderr.trim() } : undefined;
}

describe('with TLS on both sides', () => {
  test('a client that binds its login to its connection is told what to change', () => {
    const result = psql('sslmode=verify-full');
    if (result === undefined) return; // no psql on this machine
    expect(result.out).toBe('');
    expect(result.err).toContain('Set auth.method: scram in Rowgate\'s configuration. Until then, connect with channel_binding=disable.');
  });

  test('so is a driver that could bind', async () => {
    await expect(whoami({ enableChannelBinding: true })).rejects.toMatchObject({ code: '28000', hint: expect.stringContaining('auth.method: scram') as unknown });
  });

  test('it is on record', async () => {
    await whoami({ enableChannelBinding: true }).catch(() => undefined);
    await expect.poll(() => rowgate.audit().findLast((record) => record['event'] === 'login_failed'), { timeout: 10_000 }).toMatchObject({ reason: 'channel binding cannot be relayed', sqlstate: '28000' });
  });

  test('clients that do not bind log in', async () => {
    expect(await whoami()).toBe('agent');
    const result = psql('sslmode=verify-full channel_binding=disable');
    if (result !== undefined) expect(result).toEqual({ out: 'agent', err: '' });
  });

  test('a client in plain text to a server on TLS logs in', async () => {
    expect(await whoami({ ssl: false })).toBe('agent');
    const result = psql('sslmode=disable');
    if (result !== undefined) expect(result).toEqual({ out: 'agent', err: '' });
  });

  test('a bound login is relayed where Rowgate shows the server\'s own certificate', async () => {
    expect(await whoami({ enableChannelBinding: true }, withServersCertificate)).toBe('agent');
    const result = psql('sslmode=verify-full channel_binding=require', withServersCertificate);
    if (result !== undefined) expect(result).toEqual({ out: 'agent', err: '' });
  });

  test('MD5 and trust are relayed', async () => {
    expect(await whoami({ user: 'agent_md5' })).toBe('agent_md5');
    expect(await whoami({ user: 'agent_trusted' })).toBe('agent_trusted');
  });
});

describe('a server that asks for a password in clear', () => {
  test('does not get it from a login that auth.cleartext does not name', async () => {
    await expect(whoami({ user: 'agent_ldap' })).rejects.toMatchObject({ code: '28000', hint: expect.stringContaining('auth.cleartext') as unknown });
  });

  test('gets it from one that is named, over TLS only', async () => {
    expect(await whoami({ user: 'agent_ldap' }, withServersCertificate)).toBe('agent_ldap');
    await expect(whoami({ user: 'agent_ldap', ssl: false }, withServersCertificate)).rejects.toMatchObject({ code: '28000' });
  });
});

describe('wrong passwords', () => {
  test('come back in the server\'s own words, and make the next attempt wait', async () => {
    for (let i = 0; i < 3; i++) await expect(whoami({ user: 'agent_2', password: 'wrong' })).rejects.toMatchObject({ code: '28P01', message: 'password authentication failed for user "agent_2"' });
    const began = performance.now();
    expect(await whoami({ user: 'agent_2' })).toBe('agent_2');
    expect(performance.now() - began).toBeGreaterThan(450);
  });
});
