/** Encryption on both sides, against a PostgreSQL that takes no plain text. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SSL_REQUEST_CODE, writeCancelRequest, writeSslRequest, writeStartupMessage } from '../../../src/protocol/startup.ts';
import { TestAuthority, type Certificate } from '../../support/certificates.ts';
import { makeCustomerBase, serverMajor, type TestPostgres } from '../../support/postgres.ts';
import { errorFields, handshake, openRaw, openTls, RawConnection } from '../../support/raw-login.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';

let authority: TestAuthority;
let stranger: TestAuthority;
let postgres: TestPostgres;
let certificate: Certificate;
let rowgate: TestRowgate;

function listenTls(mode: string, more = ''): string {
  return `tls: { cert: ${certificate.cert}, key: ${certificate.key}, mode: ${mode}${more} }`;
}

beforeAll(async () => {
  authority = new TestAuthority();
  stranger = new TestAuthority('Somebody else');
  certificate = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  postgres = await startTlsPostgres(authority, { certificate: authority.issue('db', { names: 'DNS:localhost' }) });
  await makeCustomerBase(postgres, 1000);
  rowgate = await startRowgate({ postgresPort: postgres.port, listen: listenTls('require'), upstream: `tls: { mode: verify-ca, ca: ${authority.ca} }` });
});

afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
  authority.remove();
  stranger.remove();
});

function tlsClient(target: TestRowgate = rowgate, more: object = {}): Client {
  return new Client({ host: 'localhost', port: target.port, user: 'agent', password: 'secret', database: 'postgres', ssl: { ca: readFileSync(authority.ca, 'utf8') }, ...more });
}

/** For statements whose TLS is of interest, not their login. */
async function ask(client: Client, sql = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'): Promise<unknown> {
  await client.connect();
  try {
    return Object.values((await client.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('TLS towards clients', () => {
  test('a client that asks for it is served, and the server sees an encrypted session, too', async () => {
    expect(await ask(tlsClient())).toBe(true);
    const start = (): unknown => rowgate.audit().find((record) => record['event'] === 'session_start');
    await expect.poll(start, { timeout: 10_000 }).toMatchObject({ tls: true, tls_version: 'TLSv1.3', auth_method: 'passthrough' });
  });

  test('a client that begins with TLS is served (sslnegotiation=direct)', async () => {
    expect(await ask(tlsClient(rowgate, { sslnegotiation: 'direct' }))).toBe(true);
  });

  test('TLS from the first byte without ALPN is refused', async () => {
    const raw = await openRaw(rowgate.port);
    raw.socket.removeAllListeners('data');
    const secure = new RawConnection(await handshake(raw.socket, { ca: readFileSync(authority.ca), servername: 'localhost' }));
    secure.startup('agent');
    await secure.end();
    expect(secure.received.length).toBe(0);
  });

  test('another protocol in ALPN is refused', async () => {
    const raw = await openRaw(rowgate.port);
    raw.socket.removeAllListeners('data');
    await expect(handshake(raw.socket, { ca: readFileSync(authority.ca), servername: 'localhost', ALPNProtocols: ['http/1.1'] })).rejects.toThrow(/no application protocol/i);
  });

  test('plain text is refused with what to do', async () => {
    const raw = await openRaw(rowgate.port);
    raw.startup('agent');
    const fields = errorFields(await raw.message());
    expect(fields).toMatchObject({ S: 'FATAL', C: '28000' });
    expect(fields['H']).toContain('sslmode=require');
    await raw.end();
  });

  test('TLS before 1.2 is refused', async () => {
    await expect(openTls(rowgate.port, { ca: readFileSync(authority.ca), servername: 'localhost', minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
  });

  test.each([0, 1, 2, 3])('words in plain text behind the request for TLS are never taken for the client\'s own (%i)', async (kind) => {
    const startup = writeStartupMessage(0, [['user', 'agent'], ['database', 'postgres']]);
    const stuffed = [startup, Buffer.from('Q\0\0\0\x0dSELECT 1\0'), writeSslRequest(), Buffer.from([0])][kind] as Buffer;
    const raw = await openRaw(rowgate.port);
    raw.send(writeSslRequest(), stuffed);
    const fields = errorFields(await raw.message());
    expect(fields).toMatchObject({ S: 'FATAL', C: '08P01', M: 'received unencrypted data after SSL request' });
    await raw.end();
  });

  test('words in plain text behind the answer are no handshake', async () => {
    const raw = await openRaw(rowgate.port);
    raw.send(writeSslRequest());
    expect((await raw.bytes(1)).toString()).toBe('S');
    raw.startup('agent');
    await raw.end();
    // A TLS alert at the most, no message of PostgreSQL's protocol.
    expect(raw.received.length === 0 || raw.received[0] === 0x15).toBe(true);
  });

  test('encryption cannot be asked for again inside of it', async () => {
    const secure = await openTls(rowgate.port, { ca: readFileSync(authority.ca), servername: 'localhost' });
    secure.send(writeSslRequest());
    expect(errorFields(await secure.message())).toMatchObject({ C: '08P01' });
    await secure.end();
  });

  test('a request for GSSAPI is answered with no, and TLS works afterwards', async () => {
    const raw = await openRaw(rowgate.port);
    const gss = writeSslRequest();
    gss.writeInt32BE(SSL_REQUEST_CODE + 1, 4);
    raw.send(gss);
    expect((await raw.bytes(1)).toString()).toBe('N');
    raw.send(writeSslRequest());
    expect((await raw.bytes(1)).toString()).toBe('S');
    raw.destroy();
  });

  test('handshakes that are cut, or no handshakes at all, leave nothing behind', async () => {
    for (const bytes of [Buffer.from([0x16]), Buffer.from([0x16, 3, 1, 0xff, 0xff]), Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5])]) {
      const raw = await openRaw(rowgate.port);
      raw.send(bytes);
      raw.socket.end();
      await raw.end();
    }
    expect(await ask(tlsClient())).toBe(true);
    expect(await rowgate.metrics()).toMatch(/^rowgate_tls_failures_total [1-9]/m);
  });

  test('large results and slow readers work over TLS', async () => {
    expect(await ask(tlsClient(), `SELECT length(repeat('x', 20000000))`)).toBe(20_000_000);
    const client = tlsClient();
    await client.connect();
    const { rows } = await client.query<{ x: string }>(`SELECT repeat(g::text, 1000) AS x FROM generate_series(1, 20000) g`);
    expect(rows.length).toBe(20_000);
    expect(rows.at(-1)?.x).toBe('20000'.repeat(1000));
    await client.end();
  });

  test.each(['plain', 'encrypted'])('a cancel request finds its statement (%s)', async (how) => {
    const client = tlsClient();
    await client.connect();
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const sleeping = client.query('SELECT pg_sleep(20)');
    const cut = expect(sleeping).rejects.toMatchObject({ code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const key = Buffer.alloc(8);
    key.writeInt32BE(processID, 0);
    key.writeInt32BE(secretKey, 4);
    const raw = how === 'plain' ? await openRaw(rowgate.port) : await openTls(rowgate.port, { ca: readFileSync(authority.ca), servername: 'localhost' });
    raw.send(writeCancelRequest(key));
    await raw.end();
    await cut;
    await client.end();
  });

  test('quotas hold over TLS, to the row', async () => {
    const client = tlsClient(rowgate, { user: 'agent_2' });
    await client.connect();
    await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await client.end();
    const end = (): unknown => rowgate.audit().find((record) => record['event'] === 'statement_end' && record['principal'] === 'agent_2');
    await expect.poll(end, { timeout: 10_000 }).toMatchObject({ rows: 200, decision: 'block' });
  });

  test('new certificates are used as soon as their files change, and broken ones are not', async () => {
    const own = authority.issue('localhost', { names: 'DNS:localhost' });
    const paths = { cert: join(authority.directory, 'live.crt'), key: join(authority.directory, 'live.key') };
    copyFileSync(own.cert, paths.cert);
    copyFileSync(own.key, paths.key);
    const target = await startRowgate({ postgresPort: postgres.port, listen: `tls: { cert: ${paths.cert}, key: ${paths.key}, mode: require }`, upstream: 'tls: { mode: require }' });
    const serial = async (): Promise<string> => {
      const raw = await openTls(target.port, { ca: readFileSync(authority.ca), servername: 'localhost' });
      const { serialNumber } = (raw.socket as unknown as { getPeerCertificate(): { serialNumber: string } }).getPeerCertificate();
      raw.destroy();
      return serialNumber;
    };
    try {
      const before = await serial();
      const next = authority.issue('localhost', { names: 'DNS:localhost' });
      // The certificate alone first: it does not belong to the old key, so the old pair stays.
      copyFileSync(next.cert, paths.cert);
      target.process.kill('SIGHUP');
      await expect.poll(() => target.log().some((line) => String(line['msg']).includes('cannot be used')), { timeout: 10_000 }).toBe(true);
      expect(await serial()).toBe(before);
      copyFileSync(next.key, paths.key);
      // Without a signal.
      await expect.poll(serial, { timeout: 20_000 }).not.toBe(before);
    } finally {
      await target.stop();
    }
  });

  test('psql logs in with sslmode=verify-full', () => {
    const result = spawnSync('psql', ['-XAt', '-c', 'SELECT 41 + 1', `host=localhost port=${rowgate.port} user=agent dbname=postgres sslmode=verify-full sslrootcert=${authority.ca} channel_binding=disable`], {
      encoding: 'utf8',
      env: { ...process.env, PGPASSWORD: 'secret' },
    });
    if (result.error !== undefined) return; // no psql on this machine
    expect(result.stderr).toBe('');
    expect(result.stdout.trim()).toBe('42');
  });
});

describe('where TLS is offered and not demanded', () => {
  test('both kinds of clients are served; the audit record tells them apart', async () => {
    const target = await startRowgate({ postgresPort: postgres.port, listen: listenTls('prefer'), upstream: 'tls: { mode: prefer }' });
    try {
      expect(await ask(tlsClient(target))).toBe(true);
      expect(await ask(tlsClient(target, { ssl: false }))).toBe(true);
      await expect.poll(() => target.audit().filter((record) => record['event'] === 'session_start').map((record) => record['tls']), { timeout: 10_000 }).toEqual([true, false]);
    } finally {
      await target.stop();
    }
  });

  test('a Unix socket is neither offered encryption nor refused for the lack of it', async () => {
    const directory = mkdtempSync('/tmp/rowgate-socket-');
    const target = await startRowgate({ postgresPort: postgres.port, listen: `${listenTls('require')}, socket: ${directory}`, upstream: 'tls: { mode: require }' });
    try {
      expect(await ask(tlsClient(target, { ssl: false, host: directory }))).toBe(true);
      await expect(ask(tlsClient(target, { host: directory }))).rejects.toThrow('does not support SSL');
    } finally {
      await target.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('without listen.tls, TLS from the first byte ends the connection', async () => {
    const target = await startRowgate({ postgresPort: postgres.port, upstream: 'tls: { mode: require }' });
    try {
      const raw = await openRaw(target.port);
      raw.send(Buffer.from([0x16, 3, 1, 0, 5]));
      await raw.end();
      expect(raw.received.length).toBe(0);
    } finally {
      await target.stop();
    }
  });
});

describe('TLS towards the server', () => {
  const unreachable = { code: '57P03' };

  async function tryUpstream(upstream: string): Promise<unknown> {
    const target = await startRowgate({ postgresPort: postgres.port, upstream });
    try {
      return await ask(tlsClient(target, { ssl: false }));
    } finally {
      await target.stop();
    }
  }

  test.each(['prefer', 'require'])('%s encrypts without looking at the certificate', async (mode) => {
    expect(await tryUpstream(`tls: { mode: ${mode} }`)).toBe(true);
  });

  test('disable is refused by a server that demands encryption, in its own words', async () => {
    await expect(tryUpstream('tls: { mode: disable }')).rejects.toMatchObject({ code: '28000', message: expect.stringContaining('no encryption') as unknown });
  });

  test('verify-ca and verify-full take a certificate that the authority signed', async () => {
    expect(await tryUpstream(`tls: { mode: verify-ca, ca: ${authority.ca} }`)).toBe(true);
    const target = await startRowgate({ postgresPort: postgres.port, upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`, upstreamHost: 'localhost' });
    try {
      expect(await ask(tlsClient(target, { ssl: false }))).toBe(true);
    } finally {
      await target.stop();
    }
  });

  test('verify-full refuses a certificate for another host', async () => {
    // The certificate is for localhost, the configuration says 127.0.0.1.
    await expect(tryUpstream(`tls: { mode: verify-full, ca: ${authority.ca} }`)).rejects.toMatchObject(unreachable);
  });

  test.each(['verify-ca', 'verify-full'])('%s refuses what another authority signed', async (mode) => {
    await expect(tryUpstream(`tls: { mode: ${mode}, ca: ${stranger.ca} }`)).rejects.toMatchObject(unreachable);
    await expect(tryUpstream(`tls: { mode: ${mode} }`)).rejects.toMatchObject(unreachable);
  });

  // PostgreSQL 17 is the first that takes it.
  test.skipIf(serverMajor < 17)('negotiation: direct begins with TLS', async () => {
    expect(await tryUpstream(`tls: { mode: verify-ca, ca: ${authority.ca}, negotiation: direct }`)).toBe(true);
  });

  test('a file that is not there is told at start', async () => {
    await expect(tryUpstream('tls: { mode: verify-full, ca: /nowhere/ca.crt }')).rejects.toThrow(/upstream\.tls\.ca: \/nowhere\/ca\.crt cannot be read \(ENOENT\)/);
  });
});
