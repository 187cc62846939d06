/** A server that demands SCRAM over TLS, with logins of every kind, and a Rowgate before it that checks passwords itself. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { writeSaslInitialResponse, writeSaslResponse } from '../../../src/protocol/authentication.ts';
import { tlsServerEndPoint } from '../../../src/auth/channel-binding.ts';
import { ScramClient } from '../../../src/auth/scram-client.ts';
import { newNonce } from '../../../src/auth/scram.ts';
import { TestAuthority, type Certificate } from '../../support/certificates.ts';
import { makeCustomerBase, serverMajor, type TestPostgres } from '../../support/postgres.ts';
import { openTls, type RawConnection } from '../../support/raw-login.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';
import type { WireMessage } from '../../support/wire-client.ts';

export const LOOKUP = 'lookup: { user: rowgate_auth, password: secret }';

export let authority: TestAuthority;
export let postgres: TestPostgres;
/** Looks verifiers up in the server. */
export let rowgate: TestRowgate;
let certificate: Certificate;

/** Another Rowgate before the same server. */
export function start(auth: string, more: { certificate?: Certificate; mode?: string; extra?: string } = {}): Promise<TestRowgate> {
  const { cert, key } = more.certificate ?? certificate;
  return startRowgate({
    postgresPort: postgres.port,
    upstreamHost: 'localhost',
    listen: `tls: { cert: ${cert}, key: ${key}, mode: ${more.mode ?? 'require'} }`,
    upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`,
    extra: `auth: { method: scram, ${auth} }\n${more.extra ?? ''}`,
  });
}

/** Called by each file of tests, at its top. */
export function openScramSetting(): void {
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
}

export function options(more: ClientConfig = {}, target: TestRowgate = rowgate): ClientConfig {
  return { host: 'localhost', port: target.port, user: 'agent', password: 'secret', database: 'postgres', ssl: { ca: readFileSync(authority.ca, 'utf8') }, ...more };
}

export async function whoami(more: ClientConfig = {}, target: TestRowgate = rowgate): Promise<string> {
  const client = new Client(options(more, target));
  await client.connect();
  try {
    return String((await client.query<{ who: string }>('SELECT session_user || \' \' || ssl AS who FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0]?.who);
  } finally {
    await client.end();
  }
}

export function psql(conninfo: string, password = 'secret'): { readonly out: string; readonly err: string } | undefined {
  const result = spawnSync('psql', ['-XAt', '-c', 'SELECT session_user', `host=localhost port=${rowgate.port} dbname=postgres sslrootcert=${authority.ca} ${conninfo}`], { encoding: 'utf8', env: { ...process.env, PGPASSWORD: password } });
  return result.error === undefined ? { out: result.stdout.trim(), err: result.stderr.trim() } : undefined;
}

/** Over TLS, up to AuthenticationSASL. */
export async function openLogin(user: string, target: TestRowgate = rowgate): Promise<{ readonly raw: RawConnection; readonly asked: WireMessage | undefined; readonly binding: Buffer | undefined }> {
  const raw = await openTls(target.port, { ca: readFileSync(authority.ca), servername: 'localhost' });
  raw.startup(user);
  const shown = (raw.socket as unknown as { getPeerCertificate(): { raw: Buffer } }).getPeerCertificate().raw;
  return { raw, asked: await raw.message(), binding: tlsServerEndPoint(shown) };
}

/** Everything that the server says to a login with this password; nonces and salts as they are. */
export async function attempt(user: string, password: string, target: TestRowgate = rowgate): Promise<readonly WireMessage[]> {
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
