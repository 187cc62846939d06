/** auth.method: scram. Rowgate checks the password and logs in with the keys that the client proved; the server demands SCRAM over TLS. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSaslInitialResponse, writePasswordMessage, writeSaslInitialResponse, writeSaslResponse } from '../../../src/protocol/authentication.ts';
import { tlsServerEndPoint } from '../../../src/auth/channel-binding.ts';
import { ScramClient } from '../../../src/auth/scram-client.ts';
import { newNonce } from '../../../src/auth/scram.ts';
import { TestAuthority, type Certificate, type CertificateOptions } from '../../support/certificates.ts';
import { makeCustomerBase, serverMajor, type TestPostgres } from '../../support/postgres.ts';
import { errorFields, openTls, openRaw, type RawConnection } from '../../support/raw-login.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';
import type { WireMessage } from '../../support/wire-client.ts';

const LOOKUP = 'lookup: { user: rowgate_auth, password: secret }';

let authority: TestAuthority;
let postgres: TestPostgres;
let certificate: Certificate;
let rowgate: TestRowgate;

function start(auth: string, more: { certificate?: Certificate; mode?: string; extra?: string } = {}): Promise<TestRowgate> {
  const { cert, key } = more.certificate ?? certificate;
  return startRowgate({
    postgresPort: postgres.port,
    upstreamHost: 'localhost',
    listen: `tls: { cert: ${cert}, key: ${key}, mode: ${more.mode ?? 'require'} }`,
    upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`,
    extra: `auth: { method: scram, ${auth} }\n${more.extra ?? ''}`,
  });
}

beforeAll(async () => {
  authority = new TestAuthority();
  certificate = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  postgres = await startTlsPostgres(authority, { certificate: authority.issue('db', { names: 'DNS:localhost' }) });
  await makeCustomerBase(postgres, 1000);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE rowgate_auth LOGIN PASSWORD 'secret';
    GRANT SELECT (rolname, rolpassword, rolvaliduntil) ON pg_authid TO rowgate_auth;
    CREATE ROLE "agent_ü" LOGIN PASSWORD 'pässwört' IN ROLE staff;
    CREATE ROLE agent_prep LOGIN PASSWORD E'I\u00adX' IN ROLE staff;
    CREATE ROLE agent_odd LOGIN PASSWORD E'a\u0007b' IN ROLE staff;
    CREATE ROLE agent_old LOGIN PASSWORD 'secret' VALID UNTIL '2020-01-01';
    CREATE ROLE agent_none LOGIN;
    CREATE ROLE agent_moves LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_nologin PASSWORD 'secret';
    CREATE ROLE agent_guess LOGIN PASSWORD 'secret' IN ROLE staff;
    SET password_encryption = md5;
    CREATE ROLE agent_md5 LOGIN PASSWORD 'secret';
    SET password_encryption = 'scram-sha-256';
    ${serverMajor >= 16 ? 'SET scram_iterations = 10000;' : ''}
    CREATE ROLE agent_slow LOGIN PASSWORD 'secret' IN ROLE staff;
  `);
  await admin.end();
  rowgate = await start(LOOKUP);
});

afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
  authority.remove();
});

function options(more: ClientConfig = {}, target: TestRowgate = rowgate): ClientConfig {
  return { host: 'localhost', port: target.port, user: 'agent', password: 'secret', database: 'postgres', ssl: { ca: readFileSync(authority.ca, 'utf8') }, ...more };
}

async function whoami(more: ClientConfig = {}, target: TestRowgate = rowgate): Promise<string> {
  const client = new Client(options(more, target));
  await client.connect();
  try {
    return String((await client.query<{ who: string }>('SELECT session_user || \' \' || ssl AS who FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0]?.who);
  } finally {
    await client.end();
  }
}

function psql(conninfo: string, password = 'secret'): { readonly out: string; readonly err: string } | undefined {
  const result = spawnSync('psql', ['-XAt', '-c', 'SELECT session_user', `host=localhost port=${rowgate.port} dbname=postgres sslrootcert=${authority.ca} ${conninfo}`], { encoding: 'utf8', env: { ...process.env, PGPASSWORD: password } });
  return result.error === undefined ? { out: result.stdout.trim(), err: result.stderr.trim() } : undefined;
}

/** Over TLS, up to AuthenticationSASL. */
async function openLogin(user: string, target: TestRowgate = rowgate): Promise<{ readonly raw: RawConnection; readonly asked: WireMessage | undefined; readonly binding: Buffer | undefined }> {
  const raw = await openTls(target.port, { ca: readFileSync(authority.ca), servername: 'localhost' });
  raw.startup(user);
  const shown = (raw.socket as unknown as { getPeerCertificate(): { raw: Buffer } }).getPeerCertificate().raw;
  return { raw, asked: await raw.message(), binding: tlsServerEndPoint(shown) };
}

/** Everything that the server says to a login with this password; nonces and salts as they are. */
async function attempt(user: string, password: string, target: TestRowgate = rowgate): Promise<readonly WireMessage[]> {
  const { raw, asked, binding } = await openLogin(user, target);
  const said: WireMessage[] = asked === undefined ? [] : [asked];
  const client = new ScramClient({ secret: { kind: 'password', password }, mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'], encrypted: true, channelBinding: binding, nonce: newNonce() });
  raw.send(writeSaslInitialResponse(client.mechanism, client.first()));
  const challenge = await raw.message();
  if (challenge !== undefined) said.push(challenge);
  if (challenge?.type === 'R') raw.send(writeSaslResponse(await client.final(challenge.body.subarray(4))));
  const answer = await raw.message();
  if (answer !== undefined) said.push(answer);
  raw.destroy();
  return said;
}

describe('logins whose passwords Rowgate checks', () => {
  test('work with a driver that binds to the certificate and with one that does not', async () => {
    expect(await whoami({ enableChannelBinding: true })).toBe('agent true');
    expect(await whoami()).toBe('agent true');
    const methods = (): unknown => rowgate.audit().filter((record) => record['event'] === 'session_start').map((record) => record['auth_method']);
    await expect.poll(methods, { timeout: 10_000 }).toEqual(['scram-sha-256-plus', 'scram-sha-256']);
  });

  test('work with psql that demands channel binding and a proven host, to a server that demands SCRAM', () => {
    const result = psql('user=agent sslmode=verify-full channel_binding=require');
    if (result === undefined) return; // no psql on this machine
    expect(result).toEqual({ out: 'agent', err: '' });
  });

  test.each(['prefer', 'disable'])('work with psql and channel_binding=%s', (binding) => {
    const result = psql(`user=agent sslmode=require channel_binding=${binding}`);
    if (result === undefined) return;
    expect(result).toEqual({ out: 'agent', err: '' });
  });

  test('work with psycopg2 where it is installed', () => {
    const script = `import psycopg2\nc = psycopg2.connect(host='localhost', port=${rowgate.port}, user='agent', password='secret', dbname='postgres', sslmode='verify-full', sslrootcert='${authority.ca}', channel_binding='require')\ncur = c.cursor()\ncur.execute('SELECT session_user')\nprint(cur.fetchone()[0])\n`;
    const result = spawnSync('/usr/bin/python3', ['-c', script], { encoding: 'utf8' });
    if (result.error !== undefined || result.stderr.includes('No module named')) return;
    expect(result.stderr).toBe('');
    expect(result.stdout.trim()).toBe('agent');
  });

  test.each([
    ['agent_ü', 'pässwört'],
    ['agent_prep', 'IX'],
    ['agent_odd', 'a\u0007b'],
    ['agent_slow', 'secret'],
  ])('work for %s with %j', async (user, password) => {
    expect(await whoami({ user, password })).toBe(`${user} true`);
  });

  test('quotas hold for them', async () => {
    const client = new Client(options({ user: 'agent_2' }));
    await client.connect();
    await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await client.end();
  });

  test('a new password works at once, and the old one does not', async () => {
    expect(await whoami({ user: 'agent_moves' })).toBe('agent_moves true');
    const admin = await postgres.connect();
    for (const password of ['one', 'two', 'three']) {
      await admin.query(`ALTER ROLE agent_moves PASSWORD '${password}'`);
      expect(await whoami({ user: 'agent_moves', password })).toBe('agent_moves true');
    }
    await admin.end();
    await expect(whoami({ user: 'agent_moves', password: 'two' })).rejects.toMatchObject({ code: '28P01' });
  });

  test('what the server itself refuses after the password comes in its own words', async () => {
    await expect(whoami({ user: 'agent_nologin' })).rejects.toMatchObject({ code: '28000', message: 'role "agent_nologin" is not permitted to log in' });
    await expect(whoami({ database: 'nowhere' })).rejects.toMatchObject({ code: '3D000', message: 'database "nowhere" does not exist' });
  });

  test('a cancel request finds its statement', async () => {
    const client = new Client(options());
    await client.connect();
    const cut = expect(client.query('SELECT pg_sleep(20)')).rejects.toMatchObject({ code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const raw = await openRaw(rowgate.port);
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE((1234 << 16) | 5678, 4);
    packet.writeInt32BE(processID, 8);
    packet.writeInt32BE(secretKey, 12);
    raw.send(packet);
    await raw.end();
    await cut;
    await client.end();
  });
});

describe('failed logins', () => {
  test('say the same for a wrong password, an unknown login and one that has no usable password', async () => {
    const shapes = new Map<string, readonly string[]>();
    for (const user of ['agent_guess', 'nobody_at_all', 'agent_md5', 'agent_none', 'agent_old']) {
      const said = await attempt(user, 'wrong');
      expect(said.map(({ type }) => type)).toEqual(['R', 'R', 'E']);
      const [asked, challenge, refusal] = said as [WireMessage, WireMessage, WireMessage];
      const text = challenge.body.toString('latin1', 4);
      const shape = text.replace(/^r=[^,]*/, (nonce) => `r=${nonce.length}`).replace(/s=[^,]*/, (s) => `s=${s.length}`);
      shapes.set(user, [asked.body.toString('latin1'), shape, refusal.body.toString('utf8').replaceAll(user, 'USER')]);
    }
    const [first, ...others] = [...shapes.values()];
    for (const other of others) expect(other).toEqual(first);
    expect(first?.[2]).toContain('C28P01\0Mpassword authentication failed for user "USER"');
  });

  test('show an unknown login the same salt each time, as a real one has', async () => {
    const saltOf = async (user: string): Promise<string> => /s=([^,]*)/.exec((await attempt(user, 'wrong'))[1]?.body.toString('latin1') ?? '')?.[1] ?? '';
    const first = await saltOf('nobody_1');
    expect(first.length).toBe(24);
    expect(await saltOf('nobody_1')).toBe(first);
    expect(await saltOf('nobody_2')).not.toBe(first);
    // Another process with the same certificate shows the same.
    const other = await start(LOOKUP);
    try {
      const again = /s=([^,]*)/.exec((await attempt('nobody_1', 'wrong', other))[1]?.body.toString('latin1') ?? '')?.[1];
      expect(again).toBe(first);
    } finally {
      await other.stop();
    }
  });

  test('are the right password of an expired or MD5 login, too', async () => {
    await expect(whoami({ user: 'agent_old' })).rejects.toMatchObject({ code: '28P01' });
    await expect(whoami({ user: 'agent_md5' })).rejects.toMatchObject({ code: '28P01' });
  });

  test('are counted and on record, with the reason that the client did not learn', async () => {
    await attempt('agent_none', 'wrong');
    const records = (): readonly Record<string, unknown>[] => rowgate.audit().filter((record) => record['event'] === 'login_failed' && record['principal'] === 'agent_none');
    await expect.poll(() => records().at(-1), { timeout: 10_000 }).toMatchObject({ sqlstate: '28P01', reason: 'the login has no password' });
    expect(await rowgate.metrics()).toMatch(/^rowgate_auth_failures_total [1-9]/m);
  });

  test('make the next attempt of the same login wait, and nobody else', async () => {
    const target = await start(LOOKUP, { extra: 'limits: { max_login_delay: 2s }' });
    try {
      for (let i = 0; i < 4; i++) await attempt('agent_guess', 'wrong', target);
      const began = performance.now();
      await attempt('agent_guess', 'wrong', target);
      // After four failures: 250 ms, doubled twice.
      expect(performance.now() - began).toBeGreaterThan(950);
      const waiting = whoami({ user: 'agent_guess' }, target);
      expect(await whoami({ user: 'agent' }, target)).toBe('agent true');
      // The right password works, after its wait, and takes the delay away.
      expect(await waiting).toBe('agent_guess true');
    } finally {
      await target.stop();
    }
  });
});

describe('what is no proper login', () => {
  const first = (data: string, mechanism = 'SCRAM-SHA-256'): Buffer => writeSaslInitialResponse(mechanism, Buffer.from(data));

  test('SCRAM-SHA-256-PLUS is offered first, on TLS', async () => {
    const { raw, asked } = await openLogin('agent');
    expect(asked?.body.toString('latin1', 4)).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');
    raw.destroy();
  });

  test('a client that could have bound and was not offered it finds its downgrade refused', async () => {
    const { raw } = await openLogin('agent');
    raw.send(first('y,,n=,r=abcdefgh'));
    expect(errorFields(await raw.message())).toMatchObject({ C: '28000', M: 'SCRAM channel binding negotiation error' });
    await raw.end();
  });

  test('a proof that is bound to another certificate is refused', async () => {
    const { raw } = await openLogin('agent');
    const client = new ScramClient({ secret: { kind: 'password', password: 'secret' }, mechanisms: ['SCRAM-SHA-256-PLUS'], encrypted: true, channelBinding: Buffer.alloc(32, 1), nonce: newNonce() });
    raw.send(writeSaslInitialResponse(client.mechanism, client.first()));
    const challenge = await raw.message();
    raw.send(writeSaslResponse(await client.final((challenge as WireMessage).body.subarray(4))));
    expect(errorFields(await raw.message())).toMatchObject({ C: '28000', M: 'SCRAM channel binding check failed' });
    await raw.end();
  });

  test.each([
    ['an unknown mechanism', (): Buffer => first('n,,n=,r=abc', 'SCRAM-SHA-1'), '08P01'],
    ['a length that does not fit', (): Buffer => Buffer.from('p\0\0\0\x17SCRAM-SHA-256\0\0\0\0\xffabc', 'latin1'), '08P01'],
    ['no mechanism at all', (): Buffer => Buffer.from('p\0\0\0\x08abcd', 'latin1'), '08P01'],
    ['an empty message', (): Buffer => first(''), '08P01'],
    ['a message of two megabytes', (): Buffer => first('n,,n=,r='.padEnd(2_000_000, 'x')), '08P01'],
    ['a query', (): Buffer => Buffer.from('Q\0\0\0\x0dSELECT 1\0', 'latin1'), '08P01'],
    ['a negative length', (): Buffer => Buffer.from('p\xff\xff\xff\xff', 'latin1'), '08P01'],
    ['a password in clear', (): Buffer => writePasswordMessage('secret'), '08P01'],
  ])('%s ends the login', async (_what, bytes, sqlstate) => {
    const { raw } = await openLogin('agent');
    raw.send(bytes());
    expect(errorFields(await raw.message())).toMatchObject({ S: 'FATAL', C: sqlstate });
    await raw.end();
  });

  test('statements that come before the password was checked are never run', async () => {
    const { raw } = await openLogin('agent');
    raw.send(first('n,,n=,r=abcdefgh'), Buffer.from('Q\0\0\0\x1cCREATE TABLE stolen(i int)\0'.replace('\x1c', String.fromCharCode(4 + 27)), 'latin1'));
    await raw.message();
    expect(errorFields(await raw.message())).toMatchObject({ C: '08P01' });
    await raw.end();
    const admin = await postgres.connect();
    expect((await admin.query(`SELECT to_regclass('stolen') AS t`)).rows).toEqual([{ t: null }]);
    await admin.end();
  });

  test('a client that wants to be asked first is asked', async () => {
    const { raw } = await openLogin('agent');
    const request = writeSaslInitialResponse('SCRAM-SHA-256', Buffer.alloc(0));
    request.writeInt32BE(-1, request.length - 4);
    expect(readSaslInitialResponse(request.subarray(5))).toEqual({ mechanism: 'SCRAM-SHA-256', data: undefined });
    raw.send(request);
    const empty = await raw.message();
    expect(empty?.body.readInt32BE(0)).toBe(11);
    raw.send(writeSaslResponse(Buffer.from('n,,n=,r=abcdefgh')));
    expect((await raw.message())?.body.toString('latin1', 4)).toMatch(/^r=abcdefgh/);
    raw.destroy();
  });

  test('logins that are begun and left are forgotten', async () => {
    const opened = await Promise.all(Array.from({ length: 20 }, () => openLogin('agent')));
    for (const { raw } of opened) raw.destroy();
    expect(await whoami()).toBe('agent true');
  });

  test('a login name that the server would cut is refused before anything is looked up', async () => {
    const { asked } = await openLogin('a'.repeat(64));
    expect(errorFields(asked)).toMatchObject({ C: '28000' });
  });
});

describe('certificates of every kind', () => {
  const kinds: readonly (readonly [string, CertificateOptions])[] = [
    ['RSA with SHA-256', { key: 'rsa' }],
    ['RSA with SHA-384', { key: 'rsa', digest: 'sha384' }],
    ['RSA with SHA-512', { key: 'rsa', digest: 'sha512' }],
    ['ECDSA with SHA-384', { digest: 'sha384' }],
    ['RSASSA-PSS', { key: 'rsa-pss', digest: 'sha384' }],
    ['Ed25519, which gives nothing to bind to', { key: 'ed25519' }],
  ];

  test.each(kinds)('psql and node-postgres log in to a Rowgate with %s', async (_what, kind) => {
    const own = authority.selfSigned('localhost', { names: 'DNS:localhost', ...kind });
    const target = await start(LOOKUP, { certificate: own });
    try {
      const bound = kind.key === 'ed25519' ? 'scram-sha-256' : 'scram-sha-256-plus';
      const ssl = { ca: readFileSync(own.cert, 'utf8') };
      // node-postgres knows RSASSA-PSS no more than it knows Ed25519.
      const enableChannelBinding = kind.key !== 'ed25519' && kind.key !== 'rsa-pss';
      expect(await whoami({ ssl, enableChannelBinding }, target)).toBe('agent true');
      if (enableChannelBinding) await expect.poll(() => target.audit().findLast((record) => record['event'] === 'session_start'), { timeout: 10_000 }).toMatchObject({ auth_method: bound });
      // libpq before version 16 cannot hash the certificate of RSASSA-PSS, and none can that of Ed25519.
      if (!enableChannelBinding) return;
      const result = spawnSync('psql', ['-XAt', '-c', 'SELECT 1', `host=localhost port=${target.port} user=agent dbname=postgres sslmode=verify-full sslrootcert=${own.cert} channel_binding=require`], { encoding: 'utf8', env: { ...process.env, PGPASSWORD: 'secret' } });
      if (result.error === undefined) expect({ out: result.stdout.trim(), err: result.stderr.trim() }).toEqual({ out: '1', err: '' });
    } finally {
      await target.stop();
    }
  });
});

describe('a file of users', () => {
  test('holds the verifiers; a changed line counts at once; rowgate users makes a line', async () => {
    const admin = await postgres.connect();
    const { rows } = await admin.query<{ v: string }>(`SELECT rolpassword AS v FROM pg_authid WHERE rolname = 'agent'`);
    const file = join(authority.directory, 'users.txt');
    writeFileSync(file, `# staff\nagent: ${rows[0]?.v ?? ''}\n`);
    const target = await start(`users: ${file}`);
    try {
      expect(await whoami({ enableChannelBinding: true }, target)).toBe('agent true');
      await expect(whoami({ user: 'agent_2' }, target)).rejects.toMatchObject({ code: '28P01' });
      const made = spawnSync(process.execPath, ['dist/cli/main.js', 'users', 'agent_2'], { encoding: 'utf8', input: 'a new one\n' });
      expect(made.stderr).toBe('');
      expect(made.stdout).toMatch(/^agent_2: SCRAM-SHA-256\$4096:/);
      writeFileSync(file, `agent: ${rows[0]?.v ?? ''}\n${made.stdout}`);
      // The server does not know it yet: the client learns nothing but that it failed.
      await expect(whoami({ user: 'agent_2', password: 'a new one' }, target)).rejects.toMatchObject({ code: '28000' });
      await admin.query(`ALTER ROLE agent_2 PASSWORD '${made.stdout.trim().slice('agent_2: '.length)}'`);
      expect(await whoami({ user: 'agent_2', password: 'a new one' }, target)).toBe('agent_2 true');
    } finally {
      await target.stop();
      await admin.query(`ALTER ROLE agent_2 PASSWORD 'secret'`);
      await admin.end();
    }
  });

  test('with a mistake in it is told at start, without its content', async () => {
    const file = join(authority.directory, 'broken.txt');
    writeFileSync(file, 'agent: my-password\n');
    const message = await start(`users: ${file}`).then(() => '', (error: unknown) => String(error));
    expect(message).toContain(`auth.users: ${file}:1: expected NAME: SCRAM-SHA-256$...`);
    expect(message).not.toContain('my-password');
  });
});

describe('passwords in clear', () => {
  test('are asked for from logins that are named, over TLS only, and reach the server as SCRAM', async () => {
    const target = await start(`${LOOKUP}, cleartext: [agent]`, { mode: 'prefer' });
    try {
      const { raw, asked } = await openLogin('agent', target);
      expect(asked?.body.readInt32BE(0)).toBe(3);
      raw.send(writePasswordMessage('wrong'));
      expect(errorFields(await raw.message())).toMatchObject({ C: '28P01', M: 'password authentication failed for user "agent"' });
      expect(await whoami({}, target)).toBe('agent true');
      await expect.poll(() => target.audit().findLast((record) => record['event'] === 'session_start'), { timeout: 10_000 }).toMatchObject({ auth_method: 'cleartext' });
      // Without TLS the same login is asked for SCRAM, and so is everybody else with it.
      const plain = await openRaw(target.port);
      plain.startup('agent');
      expect((await plain.message())?.body.readInt32BE(0)).toBe(10);
      plain.destroy();
      const other = await openLogin('agent_2', target);
      expect(other.asked?.body.readInt32BE(0)).toBe(10);
      other.raw.destroy();
    } finally {
      await target.stop();
    }
  });
});

describe('without a word from the source of verifiers', () => {
  test('nobody is let in, and the reason is said', async () => {
    const target = await start('lookup: { user: rowgate_auth, password: wrong }');
    try {
      await expect(whoami({}, target)).rejects.toMatchObject({ code: '57P03' });
    } finally {
      await target.stop();
    }
  });

  test('a connection that the server ended is opened again', async () => {
    const admin = await postgres.connect();
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rowgate_auth'`);
    await admin.end();
    expect(await whoami()).toBe('agent true');
  });
});
