/** One of several servers is in the hands of somebody else: what it can make of the logins that come to it. It wants into the other one, as they. */

import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ScramClient } from '../../../src/auth/scram-client.ts';
import { ScramServer } from '../../../src/auth/scram-server.ts';
import { formatVerifier, makeVerifier, newNonce, parseVerifier, type ScramKeys, type ScramVerifier } from '../../../src/auth/scram.ts';
import { readSaslInitialResponse, writeSasl, writeSaslContinue, writeSaslFinal, writeSaslInitialResponse, writeSaslResponse } from '../../../src/protocol/authentication.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { errorFields, openRaw, openTls, RawConnection } from '../../support/raw-login.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { startTlsPostgres } from '../../support/tls-postgres.ts';
import { message } from '../../support/wire-client.ts';

let authority: TestAuthority;
/** The one that matters: SCRAM, over TLS or without. */
let first: TestPostgres;
/** What the thief's server is in front of: its own logins, its own verifiers. */
let second: TestPostgres;
let thief: Thief;
let rowgate: TestRowgate;

/** What the thief does with a login of somebody else than Rowgate's own. */
type Plan = (login: RawConnection) => Promise<void>;

class Thief {
  readonly #server: Server;
  port = 0;
  plan: Plan = async () => undefined;
  /** The plan is over. */
  done: Promise<void> = Promise.resolve();

  constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
  }

  close(): void {
    this.#server.close();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => undefined);
    socket.once('data', (startup: Buffer) => {
      if (startup.includes('user\0agent\0')) {
        this.done = this.plan(new RawConnection(socket)).catch(() => undefined).finally(() => socket.destroy());
        return;
      }
      const server = connect(second.port, '127.0.0.1');
      server.on('error', () => socket.destroy());
      server.write(startup);
      socket.pipe(server).pipe(socket);
    });
  }
}

beforeAll(async () => {
  authority = new TestAuthority();
  [first, second] = await Promise.all([startTlsPostgres(authority, { certificate: authority.issue('db', { names: 'DNS:localhost' }), hba: 'host all all 127.0.0.1/32 scram-sha-256' }), startPostgres()]);
  for (const server of [first, second]) {
    await makeCustomerBase(server, 10);
    const admin = await server.connect();
    await admin.query("CREATE ROLE rowgate_auth LOGIN PASSWORD 'secret'; GRANT SELECT (rolname, rolpassword, rolvaliduntil) ON pg_authid TO rowgate_auth");
    await admin.end();
  }
  thief = new Thief();
  await thief.listen();
}, 120_000);
afterEach(() => rowgate.stop());
afterAll(async () => {
  thief.close();
  await first.stop();
  await second.stop();
  authority.remove();
});

async function start(source: string): Promise<void> {
  rowgate = await startRowgate({
    postgresPort: first.port, upstreamHost: 'localhost', upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`,
    extra: `auth: { method: scram, ${source} }\ndatabases: { reports: { host: 127.0.0.1, port: ${thief.port}, database: postgres, tls: { mode: disable } } }`,
  });
}

const LOOKUP = 'lookup: { user: rowgate_auth, password: secret }';

async function verifierAt(server: TestPostgres): Promise<ScramVerifier> {
  const admin = await server.connect();
  const { rows } = await admin.query<{ rolpassword: string }>("SELECT rolpassword FROM pg_authid WHERE rolname = 'agent'");
  await admin.end();
  return parseVerifier(rows[0]?.rolpassword ?? '') as ScramVerifier;
}

async function setVerifier(server: TestPostgres, verifier: ScramVerifier): Promise<void> {
  const admin = await server.connect();
  await admin.query(`ALTER ROLE agent PASSWORD '${formatVerifier(verifier)}'`);
  await admin.end();
}

/** Hands the messages of the login on to the other server, and back. Resolves to how that one answered: let in, or the SQLSTATE. */
async function relay(login: RawConnection, how: 'over TLS' | 'in plain text'): Promise<string | undefined> {
  const other = how === 'over TLS' ? await openTls(first.port, { rejectUnauthorized: false }) : await openRaw(first.port);
  other.startup('agent');
  await other.message();
  login.send(writeSasl(['SCRAM-SHA-256']));
  try {
    for (let i = 0; i < 2; i++) {
      const said = await login.message(5_000);
      if (said?.type !== 'p') return 'nothing to pass on';
      other.send(message('p', said.body));
      const answer = await other.message(5_000);
      if (answer?.type === 'E') return errorFields(answer)['C'];
      login.send(message('R', answer?.body ?? Buffer.alloc(0)));
      if (answer?.body.readInt32BE(0) === 12) return 'in';
    }
    return undefined;
  } finally {
    other.destroy();
  }
}

async function tryIn(): Promise<unknown> {
  return rowgate.connect('agent', { database: 'reports' }).then(
    (client) => client.end().then(() => 'in'),
    (error: { code?: string }) => error.code,
  );
}

test('with its own verifier, the exchange cannot be passed on: the other server has another salt', async () => {
  await start(LOOKUP);
  let outcome: string | undefined = 'not asked';
  thief.plan = async (login) => {
    outcome = await relay(login, 'in plain text');
  };
  expect(await tryIn()).toBe('28000');
  await thief.done;
  expect(outcome).toBe('nothing to pass on');
});

test('with the other server\'s salt in its catalog, nobody can log in, and it is sent no proof', async () => {
  await start(LOOKUP);
  const own = await verifierAt(second);
  const { salt, iterations } = await verifierAt(first);
  const made = await makeVerifier('a guess', { salt, iterations });
  await setVerifier(second, made);
  let asked = false;
  thief.plan = async () => {
    asked = true;
  };
  expect(await tryIn()).toBe('28P01');
  expect(asked).toBe(false);
  await setVerifier(second, own);
});

test('the key that it learns of a login is of no use at the other server', async () => {
  await start(LOOKUP);
  const own = await verifierAt(second);
  let keys: ScramKeys | undefined;
  thief.plan = async (login) => {
    login.send(writeSasl(['SCRAM-SHA-256']));
    const server = new ScramServer({ verifier: own, genuine: true, nonce: newNonce(), mechanism: 'SCRAM-SHA-256', channelBinding: undefined });
    const challenge = server.step(readSaslInitialResponse((await login.message())?.body ?? Buffer.alloc(0)).data ?? Buffer.alloc(0));
    if (challenge.kind !== 'continue') return;
    login.send(writeSaslContinue(challenge.data));
    const proven = server.step((await login.message())?.body ?? Buffer.alloc(0));
    if (proven.kind !== 'proven') return;
    keys = proven.keys;
    login.send(writeSaslFinal(proven.data));
  };
  await tryIn();
  await thief.done;
  expect(keys).toBeDefined();
  const other = await openTls(first.port, { rejectUnauthorized: false });
  other.startup('agent');
  await other.message();
  const client = new ScramClient({ secret: { kind: 'keys', keys: keys as ScramKeys, verifier: await verifierAt(first) }, mechanisms: ['SCRAM-SHA-256'], encrypted: true, channelBinding: undefined, nonce: newNonce() });
  other.send(writeSaslInitialResponse(client.mechanism, client.first()));
  other.send(writeSaslResponse(await client.final((await other.message())?.body.subarray(4) ?? Buffer.alloc(0))));
  expect(errorFields(await other.message())).toMatchObject({ C: '28P01' });
  other.destroy();
});

test('where both have the verifier of a file, a server on TLS refuses what is passed on, also from a connection in plain text', async () => {
  const users = join(authority.directory, 'users.txt');
  writeFileSync(users, `agent: ${formatVerifier(await verifierAt(first))}\n`);
  await start(`users: ${users}`);
  let outcome: string | undefined = 'not asked';
  thief.plan = async (login) => {
    outcome = await relay(login, 'over TLS');
  };
  expect(await tryIn()).not.toBe('in');
  await thief.done;
  expect(outcome).toBe('28000');
});

test('servers with verifiers of their own both let in who knows the password of each', async () => {
  await start(LOOKUP);
  thief.plan = async (login) => {
    // It behaves, for once.
    const server = connect(second.port, '127.0.0.1');
    server.on('error', () => undefined);
    const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0agent\0database\0postgres\0\0', 'latin1');
    startup.writeInt32BE(startup.length, 0);
    server.write(startup);
    login.socket.removeAllListeners('data');
    login.socket.pipe(server).pipe(login.socket);
    await once(login.socket, 'close');
  };
  expect(await tryIn()).toBe('in');
  const client = await rowgate.connect('agent');
  expect((await client.query('SELECT current_user AS who')).rows).toEqual([{ who: 'agent' }]);
  await client.end();
});
