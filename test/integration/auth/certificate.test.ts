/** Client certificates: who may come in with which, and how Rowgate then logs in to the server; and what else a server may ask of Rowgate. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority, type Certificate } from '../../support/certificates.ts';
import { makeCustomerBase, type TestPostgres } from '../../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';

let authority: TestAuthority;
let staff: TestAuthority;
let stranger: TestAuthority;
let postgres: TestPostgres;
let own: Certificate;
let towardsServer: Certificate;

beforeAll(async () => {
  authority = new TestAuthority();
  staff = new TestAuthority('Staff CA');
  stranger = new TestAuthority('Somebody else');
  own = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  towardsServer = authority.issue('rowgate-proxy');
  postgres = await startTlsPostgres(authority, {
    certificate: authority.issue('db', { names: 'DNS:localhost' }),
    hba: [
      'hostssl all agent_cert 127.0.0.1/32 cert map=rowgate',
      'hostssl all agent_clear 127.0.0.1/32 password',
      'hostssl all agent_md5 127.0.0.1/32 md5',
      'hostssl all agent_trusted 127.0.0.1/32 trust',
      'hostssl all agent_rejected 127.0.0.1/32 reject',
      'hostssl all all 127.0.0.1/32 scram-sha-256',
    ].join('\n'),
    ident: 'rowgate rowgate-proxy agent_cert\n',
  });
  await makeCustomerBase(postgres, 1000);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE rowgate_auth LOGIN PASSWORD 'secret';
    GRANT SELECT (rolname, rolpassword, rolvaliduntil) ON pg_authid TO rowgate_auth;
    CREATE ROLE agent_anna LOGIN PASSWORD 'annas password' IN ROLE staff;
    CREATE ROLE agent_cert LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_clear LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_trusted LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_rejected LOGIN PASSWORD 'secret' IN ROLE staff;
    SET password_encryption = md5;
    CREATE ROLE agent_md5 LOGIN PASSWORD 'secret' IN ROLE staff;
  `);
  await admin.end();
});

afterAll(async () => {
  await postgres.stop();
  for (const each of [authority, staff, stranger]) each.remove();
});

function start(auth: string, upstreamTls = '', mode = `verify-client, client_ca: ${staff.ca}`): Promise<TestRowgate> {
  return startRowgate({
    postgresPort: postgres.port,
    upstreamHost: 'localhost',
    listen: `tls: { cert: ${own.cert}, key: ${own.key}, mode: ${mode} }`,
    upstream: `tls: { mode: verify-full, ca: ${authority.ca}${upstreamTls} }`,
    extra: `auth: { ${auth} }`,
  });
}

function usersFile(text: string): string {
  const file = join(authority.directory, `users-${Math.random().toString(36).slice(2)}.txt`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

async function whoami(target: TestRowgate, user: string, certificate?: Certificate, more: ClientConfig = {}): Promise<string> {
  const ssl = { ca: readFileSync(authority.ca, 'utf8'), ...(certificate === undefined ? {} : { cert: readFileSync(certificate.cert, 'utf8'), key: readFileSync(certificate.key, 'utf8') }) };
  const client = new Client({ host: 'localhost', port: target.port, user, database: 'postgres', ssl, ...more });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return String((await client.query<{ who: string }>('SELECT session_user AS who')).rows[0]?.who);
  } finally {
    await client.end();
  }
}

describe('auth.method: certificate', () => {
  let target: TestRowgate;

  beforeAll(async () => {
    const users = usersFile('# towards the server\nagent: secret\nagent_anna: annas password\nagent_clear: secret\nagent_md5: secret\nagent_2: wrong\n');
    target = await start(`method: certificate, upstream_users: ${users}, certificates: [{ cn: "([a-z]+)[.]staff", login: agent_$1 }, { email: "([a-z]+)@example[.]com", login: agent_$1 }, { dns: "agent[.]staff", login: agent }, { cn: "(clear|md5|trusted|cert|2|rejected)", login: "agent_$1" }, { uri: "spiffe://example/(.*)", login: $1 }]`, `, cert: ${towardsServer.cert}, key: ${towardsServer.key}`);
  });

  afterAll(() => target.stop());

  test('a name in the certificate says which login it may use, without a password', async () => {
    expect(await whoami(target, 'agent_anna', staff.issue('anna.staff'))).toBe('agent_anna');
    expect(await whoami(target, 'agent_anna', staff.issue('Anna', { names: 'email:anna@example.com' }))).toBe('agent_anna');
    expect(await whoami(target, 'agent', staff.issue('a', { names: 'DNS:other.staff,DNS:agent.staff' }))).toBe('agent');
    expect(await whoami(target, 'agent', staff.issue('a', { names: 'URI:spiffe://example/agent' }))).toBe('agent');
    await expect.poll(() => target.audit().find((record) => record['event'] === 'session_start'), { timeout: 10_000 }).toMatchObject({ principal: 'agent_anna', auth_method: 'certificate', tls: true });
  });

  test('quotas hold for it', async () => {
    const certificate = staff.issue('anna.staff');
    const client = new Client({ host: 'localhost', port: target.port, user: 'agent_anna', database: 'postgres', ssl: { ca: readFileSync(authority.ca, 'utf8'), cert: readFileSync(certificate.cert, 'utf8'), key: readFileSync(certificate.key, 'utf8') } });
    await client.connect();
    await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await client.end();
  });

  test.each([
    ['somebody else\'s name', 'agent', 'anna.staff', undefined],
    ['a longer name that holds a right one', 'agent_anna', 'x.anna.staff', undefined],
    ['a right name in the wrong field', 'agent_anna', 'a', 'DNS:anna.staff'],
    ['a name of another company', 'agent_anna', 'a', 'email:anna@example.com.evil.org'],
    ['a name that pretends to be two', 'agent_anna', 'a', '@alt\n[alt]\nURI.1 = "http://x/, email:anna@example.com"'],
  ])('%s is refused', async (_what, user, commonName, names) => {
    const certificate = staff.issue(commonName, names === undefined ? {} : { names });
    await expect(whoami(target, user, certificate)).rejects.toMatchObject({ code: '28000', message: `certificate authentication failed for user "${user}"` });
  });

  test('a certificate that nobody known signed is refused, and none at all, each with what to do', async () => {
    const refused = { code: '28000', message: 'connection requires a valid client certificate' };
    await expect(whoami(target, 'agent_anna', stranger.issue('anna.staff'))).rejects.toMatchObject(refused);
    await expect(whoami(target, 'agent_anna', stranger.selfSigned('anna.staff'))).rejects.toMatchObject(refused);
    // The authority of the server's certificates does not sign those of staff.
    await expect(whoami(target, 'agent_anna', authority.issue('anna.staff'))).rejects.toMatchObject(refused);
    await expect(whoami(target, 'agent_anna')).rejects.toMatchObject({ ...refused, detail: 'The client showed none.' });
    await expect(whoami(target, 'agent_anna', undefined, { ssl: false })).rejects.toMatchObject({ code: '28000' });
  });

  test('Rowgate answers what the server asks with the login\'s own password, or its own certificate', async () => {
    expect(await whoami(target, 'agent_clear', staff.issue('clear'))).toBe('agent_clear');
    expect(await whoami(target, 'agent_md5', staff.issue('md5'))).toBe('agent_md5');
    expect(await whoami(target, 'agent_trusted', staff.issue('trusted'))).toBe('agent_trusted');
    expect(await whoami(target, 'agent_cert', staff.issue('cert'))).toBe('agent_cert');
  });

  test('a password that is missing or wrong there is told, and nobody waits', async () => {
    await expect(whoami(target, 'temp', staff.issue('a', { names: 'URI:spiffe://example/temp' }))).rejects.toMatchObject({ code: '28000', hint: expect.stringContaining('auth.upstream_users') as unknown });
    await expect(whoami(target, 'agent_2', staff.issue('2'))).rejects.toMatchObject({ code: '28P01' });
    await expect(whoami(target, 'agent_rejected', staff.issue('rejected'))).rejects.toMatchObject({ code: '28000', message: expect.stringContaining('pg_hba.conf rejects connection') as unknown });
  });
});

describe('without rules', () => {
  test('the common name is the login', async () => {
    const target = await start(`method: certificate, upstream_users: ${usersFile('agent: secret\nagent_2: secret\n')}`);
    try {
      expect(await whoami(target, 'agent', staff.issue('agent'))).toBe('agent');
      await expect(whoami(target, 'agent_2', staff.issue('agent'))).rejects.toMatchObject({ code: '28000' });
    } finally {
      await target.stop();
    }
  });
});

describe('a certificate and a password', () => {
  test('are both needed with scram', async () => {
    const target = await start(`method: scram, lookup: { user: rowgate_auth, password: secret }, certificates: [{ cn: "(.+)", login: $1 }]`);
    try {
      expect(await whoami(target, 'agent', staff.issue('agent'), { password: 'secret' })).toBe('agent');
      await expect(whoami(target, 'agent', staff.issue('agent'), { password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
      await expect(whoami(target, 'agent', staff.issue('agent_2'), { password: 'secret' })).rejects.toMatchObject({ code: '28000' });
      await expect(whoami(target, 'agent', undefined, { password: 'secret' })).rejects.toMatchObject({ code: '28000' });
    } finally {
      await target.stop();
    }
  });
});

describe('auth.method: scram towards a server that asks for something else', () => {
  let target: TestRowgate;

  beforeAll(async () => {
    target = await start('method: scram, lookup: { user: rowgate_auth, password: secret }', `, cert: ${towardsServer.cert}, key: ${towardsServer.key}`, 'require');
  });

  afterAll(() => target.stop());

  test.each(['agent_trusted', 'agent_cert'])('%s gets in, with the right password only', async (user) => {
    expect(await whoami(target, user, undefined, { password: 'secret' })).toBe(user);
    await expect(whoami(target, user, undefined, { password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
  });

  test('a password in clear cannot be given, which is said', async () => {
    await expect(whoami(target, 'agent_clear', undefined, { password: 'secret' })).rejects.toMatchObject({
      code: '28000', message: expect.stringContaining('a password in clear') as unknown, hint: expect.stringContaining('scram-sha-256') as unknown,
    });
  });

  test('a rejection comes in the server\'s own words', async () => {
    await expect(whoami(target, 'agent_rejected', undefined, { password: 'secret' })).rejects.toMatchObject({ code: '28000', message: expect.stringContaining('pg_hba.conf rejects connection') as unknown });
  });
});
