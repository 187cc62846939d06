/**
 * Everything before a session: PROXY headers, requests for encryption, TLS, startup packets, cancel requests, and logins, with mutated bytes of the
 * client or of the server, on real sockets, through the whole of Rowgate. ROWGATE_FUZZ_LOGINS and ROWGATE_FUZZ_SEED make it longer or repeat it; it
 * prints how much it did.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatVerifier, makeVerifier } from '../../src/auth/scram.ts';
import type * as ServiceModule from '../../src/cli/service.ts';
import type * as ConfigFileModule from '../../src/cli/config-file.ts';
import type * as OpsLogModule from '../../src/audit/ops-log.ts';
import { TestAuthority } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { configText } from '../support/rowgate.ts';
import { drawCase, loginToken, type LoginCase, type LoginMix } from './login-case.ts';
import { recordClientHello, runLogin, type LoginOutcome } from './login-client.ts';
import { LoginServer } from './login-server.ts';
import { Random } from './random.ts';

const LOGINS = Number(process.env['ROWGATE_FUZZ_LOGINS'] ?? 12_000);
const SEED = Number(process.env['ROWGATE_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
/** The longest for one direction in a run without a number of logins of its own. */
const TIME_LIMIT_MS = process.env['ROWGATE_FUZZ_LOGINS'] === undefined ? 45_000 : 3_600_000;
/** Connections at a time. */
const LANES = 64;

const root = join(import.meta.dirname, '../..');
const compiled = <T>(path: string): Promise<T> => import(pathToFileURL(join(root, 'dist', path)).href) as Promise<T>;

interface Door extends Omit<LoginMix, 'direction'> {
  readonly name: string;
  readonly service: ServiceModule.Service;
  readonly server: LoginServer;
}

let postgres: TestPostgres;
let authority: TestAuthority;
let ca: string;
let clientHello: Buffer;
const doors: Door[] = [];
const directories: string[] = [];
const cases = new Map<string, LoginCase>();
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeAll(async () => {
  if (!existsSync(join(root, 'dist/cli/service.js'))) throw new Error('run `npm run build` first');
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
  const admin = await postgres.connect();
  await admin.query('CREATE ROLE wide_1 LOGIN; CREATE ROLE wide_2 LOGIN; CREATE ROLE agent_1 LOGIN; CREATE ROLE unknown LOGIN');
  const { rows } = await admin.query<{ oid: number }>("SELECT 'crm.customers'::regclass::oid::int AS oid");
  await admin.end();
  const customersOid = (rows[0] as { oid: number }).oid;
  authority = new TestAuthority();
  ca = readFileSync(authority.ca, 'utf8');
  clientHello = await recordClientHello();
  const shown = authority.issue('localhost', { names: 'DNS:localhost' });
  const ofServer = authority.issue('localhost', { names: 'DNS:localhost' });
  const verifier = await makeVerifier('secret', { iterations: 1 });
  const users = join(authority.directory, 'users.txt');
  writeFileSync(users, ['wide_1', 'wide_2', 'agent_1'].map((name) => `${name}: ${formatVerifier(verifier)}\n`).join(''));

  const open = async (name: string, mix: Omit<LoginMix, 'direction'>, more: { readonly listen?: string; readonly upstream?: string; readonly auth: string; readonly serverTls?: 'requested' | 'direct' }): Promise<void> => {
    const server = new LoginServer({
      postgresPort: postgres.port, customersOid, verifier, random: new Random(SEED), caseOf: (id) => cases.get(id),
      tls: more.serverTls === undefined ? undefined : { cert: readFileSync(ofServer.cert), key: readFileSync(ofServer.key), direct: more.serverTls === 'direct' },
    });
    const directory = mkdtempSync(join(tmpdir(), 'rowgate-fuzz-'));
    directories.push(directory);
    const path = join(directory, 'rowgate.yaml');
    writeFileSync(path, configText({
      postgresPort: await server.listen(), upstreamHost: 'localhost', port: await freePort(), adminPort: await freePort(), directory,
      ...(more.listen === undefined ? {} : { listen: more.listen }), ...(more.upstream === undefined ? {} : { upstream: more.upstream }),
      quotas: '[]\n  wide:\n    members: ["wide_*"]\n    quotas: [{ class: customers, window: 1h, rows: 1000000 }]',
      extra: `auth: ${more.auth}\nlimits: { auth_timeout: 12s, max_login_delay: 1s, max_unauthenticated: 10000 }\nlog: { level: fatal }`,
    }));
    const { Service } = await compiled<typeof ServiceModule>('cli/service.js');
    const { readConfigFile } = await compiled<typeof ConfigFileModule>('cli/config-file.js');
    const { createOpsLog } = await compiled<typeof OpsLogModule>('audit/ops-log.js');
    const read = readConfigFile(path);
    if (!read.ok) throw new Error(read.problems.join('\n'));
    const service = await Service.start({ config: read.config, configSha256: read.sha256, version: 'fuzz', log: createOpsLog('fatal'), reread: () => readConfigFile(path) });
    await service.gate.openCatalog('postgres');
    doors.push({ name, ...mix, service, server });
  };
  const listenTls = `tls: { cert: ${shown.cert}, key: ${shown.key} }`;
  const upstreamTls = (more = ''): string => `tls: { mode: verify-full, ca: ${authority.ca}${more} }`;
  await open('passthrough, plain text', { tls: false, proxied: false, checks: false }, { auth: '{ method: passthrough }' });
  await open('scram, TLS on both sides', { tls: true, proxied: false, checks: true }, { listen: listenTls, upstream: upstreamTls(), auth: `{ method: scram, users: ${users} }`, serverTls: 'requested' });
  await open('scram, behind a load balancer, direct TLS to the server', { tls: true, proxied: true, checks: true }, { listen: `${listenTls}, proxy_protocol: { from: [127.0.0.0/8] }`, upstream: upstreamTls(', negotiation: direct'), auth: `{ method: scram, users: ${users} }`, serverTls: 'direct' });
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
}, 120_000);

afterAll(async () => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
  for (const { service, server } of doors) {
    await service.stop('test over');
    await server.close();
  }
  await postgres?.stop();
  authority?.remove();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}, 120_000);

describe.each(['client', 'server'] as const)('logins with mutated bytes of the %s', (direction) => {
  test('end no process, leave no socket open, let nobody in without a proof, and mix nobody up', async () => {
    const startedMs = performance.now();
    const failures: string[] = [];
    const counts = { connections: 0, mutated: 0, in: 0, honest: 0 };
    const lane = async (): Promise<void> => {
      while (counts.connections < LOGINS && performance.now() - startedMs < TIME_LIMIT_MS && failures.length < 20) {
        const number = counts.connections++;
        const door = doors[number % doors.length] as Door;
        const loginCase = drawCase(`${direction}${number}`, { ...door, direction }, (SEED + number * 7919) >>> 0);
        cases.set(loginCase.id, loginCase);
        const outcome = await runLogin(loginCase, { port: door.service.port, ca, clientHello });
        cases.delete(loginCase.id);
        counts.mutated += loginCase.mutated;
        if (outcome.gotIn) counts.in++;
        if (loginCase.honest) counts.honest++;
        for (const failure of check(door, loginCase, outcome)) failures.push(`seed ${SEED}, ${loginCase.id}, ${door.name}: ${failure} (${JSON.stringify({ ...loginCase, random: undefined, serverRandom: undefined })}, received ${JSON.stringify(outcome.received.slice(-200))})`);
      }
    };
    for (const { server } of doors) server.beOdd(direction === 'server' ? 0.1 : 0);
    await Promise.all(Array.from({ length: LANES }, lane));
    for (const { server } of doors) server.beOdd(0);
    process.stdout.write(`fuzz of logins, ${direction} side: ${counts.mutated} mutated messages in ${counts.connections} connections (${counts.honest} left alone, ${counts.in} sessions), ${Math.round((performance.now() - startedMs) / 1000)} s, seed ${SEED}, ${failures.length} failures\n`);
    expect(failures).toEqual([]);
    // Nobody is there any more, on either side of Rowgate; the catalog's own connection is.
    for (const { name, service, server } of doors) {
      await expect.poll(() => ({ name, connections: service.listener.connections.size, newcomers: service.gate.admission.unauthenticated, sessions: service.gate.sessions.size }), { timeout: 15_000 }).toEqual({ name, connections: 0, newcomers: 0, sessions: 0 });
      await expect.poll(() => server.clientSockets, { timeout: 15_000 }).toBe(0);
    }
    expect(unhandled).toEqual([]);
    expect(counts.mutated).toBeGreaterThan(500);
    expect(counts.in).toBeGreaterThan(50);
  }, TIME_LIMIT_MS + 120_000);
});

function* check(door: Door, loginCase: LoginCase, { received, toldOk, gotIn, closed }: LoginOutcome): Generator<string> {
  if (!closed) yield 'the connection was left open';
  if (received.includes('internal error of the proxy')) yield 'an internal error';
  for (const [token, id] of received.matchAll(/token-((?:client|server)\d+)-[0-9a-f]{12}-/g)) if (token !== loginCase.token && token === loginToken(id as string)) yield `it got what belongs to ${token}`;
  // Rowgate asks for the password itself: whatever is sent, and whatever the server says, nobody gets in without it.
  const known = loginCase.rightPassword && loginCase.user !== 'unknown';
  if (door.checks && !known && (toldOk || gotIn)) yield 'it was let in with a wrong password';
  if (!loginCase.honest) return;
  const mayEnter = door.checks ? known : loginCase.serverAsks !== 'scram' || loginCase.rightPassword;
  // Its server may have answered the request for encryption in an odd way.
  if (mayEnter && door.server.odd && received.includes('57P03')) return;
  if (mayEnter !== gotIn) yield mayEnter ? 'it kept to the protocol and did not get in' : 'it got in with a wrong password';
  if (mayEnter && !received.includes(loginCase.token)) yield 'it did not get its own session';
  if (!mayEnter && !received.includes('28P01')) yield 'its wrong password was not named';
}
