/** What the run is about: PostgreSQL, Redis under Sentinel, four Rowgates with one policy, and networks between them that can fail. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startSentinels, type SentinelSetup } from '../support/redis-processes.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { RowgateProcess } from './rowgate-process.ts';

export interface Limit {
  readonly windowMs: number;
  readonly dimension: 'rows' | 'subjects';
  readonly scope: 'principal' | 'role';
  readonly limit: number;
}

export interface Group {
  readonly role: string;
  readonly principals: readonly string[];
  readonly limits: readonly Limit[];
}


/** Some are at their limit soon, so that anything that is forgotten shows; some are never, so that whatever fails finds units in use. */
export const GROUPS: readonly Group[] = [
  group('rows', 7, [
    { windowMs: 60_000, dimension: 'rows', scope: 'principal', limit: 200 },
    { windowMs: 120_000, dimension: 'rows', scope: 'principal', limit: 300 },
    { windowMs: 60_000, dimension: 'rows', scope: 'role', limit: 1200 },
  ]),
  group('people', 7, [
    { windowMs: 60_000, dimension: 'subjects', scope: 'principal', limit: 120 },
    { windowMs: 60_000, dimension: 'rows', scope: 'principal', limit: 400 },
  ]),
  group('heavy', 3, [{ windowMs: 60_000, dimension: 'rows', scope: 'principal', limit: 5000 }]),
  // Look-ups and pages alone, far from any limit: what they lose to crashes is what crashes cost honest people.
  group('honest', 3, [{ windowMs: 60_000, dimension: 'rows', scope: 'principal', limit: 20_000 }]),
];

function group(role: string, size: number, limits: readonly Limit[]): Group {
  return { role, limits, principals: Array.from({ length: size }, (_, i) => `${role}_${String(i + 1).padStart(2, '0')}`) };
}

export interface Fleet {
  readonly postgres: TestPostgres;
  readonly redis: SentinelSetup;
  /** Between Rowgates and PostgreSQL. */
  readonly upstream: TcpRelay;
  readonly rowgates: readonly { readonly process: RowgateProcess; /** Between clients and it. */ readonly clients: TcpRelay }[];
  /** Where the second Rowgate writes its audit log; undefined where no file system may be mounted. */
  readonly smallDisk: string | undefined;
  readonly directory: string;
  stop(): Promise<void>;
}

export async function startFleet(customers: number): Promise<Fleet> {
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-chaos-'));
  const postgres = await startPostgres();
  await makeCustomerBase(postgres, customers);
  const admin = await postgres.connect();
  const logins = [...GROUPS.flatMap(({ principals }) => principals), 'rows_late'];
  await admin.query(logins.map((login) => `CREATE ROLE ${login} LOGIN PASSWORD 'secret' IN ROLE staff`).join(';'));
  await admin.end();
  const redis = await startSentinels();
  const upstream = await TcpRelay.start(postgres.port);
  const smallDisk = mountSmallDisk(join(directory, 'small'));
  const starting = [1, 2, 3, 4].map(async (number) => {
    const home = join(directory, `rowgate-${number}`);
    mkdirSync(home);
    const [port, adminPort] = [await freePort(), await freePort()];
    const process = new RowgateProcess(`rowgate ${number}`, adminPort, home);
    const auditDirectory = number === 2 && smallDisk !== undefined ? smallDisk : home;
    writeFileSync(join(home, 'rowgate.yaml'), configText({ port, adminPort, upstreamPort: upstream.port, redis, home, auditDirectory, workers: number === 4 ? 2 : 1 }));
    await process.start();
    return { process, clients: await TcpRelay.start(port) };
  });
  const rowgates = await Promise.all(starting);
  return {
    postgres, redis, upstream, rowgates, smallDisk, directory,
    async stop() {
      await Promise.all(rowgates.map(async ({ process, clients }) => {
        await clients.stop();
        await process.end();
      }));
      await upstream.stop();
      await redis.stop();
      await postgres.stop();
      if (smallDisk !== undefined) spawnSync('umount', ['-l', smallDisk]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function mountSmallDisk(path: string): string | undefined {
  mkdirSync(path);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', path]).status === 0 ? path : undefined;
}

interface Place {
  readonly port: number;
  readonly adminPort: number;
  readonly upstreamPort: number;
  readonly redis: SentinelSetup;
  readonly home: string;
  readonly auditDirectory: string;
  readonly workers: number;
}

function configText({ port, adminPort, upstreamPort, redis, home, auditDirectory, workers }: Place): string {
  const quota = ({ windowMs, dimension, scope, limit }: Limit): string =>
    `      - { class: customers, window: ${windowMs / 60_000}m, ${dimension}: ${limit}, scope: ${scope}, action: block }`;
  const roles = GROUPS.map(({ role, limits }) => `  ${role}:
    members: ["${role}_*"]
    quotas:
${limits.map(quota).join('\n')}
      # Never due: its counter has everything of the run.
      - { class: customers, window: 24h, rows: 1000000000, action: flag }`);
  return `version: 1
workers: ${workers}
listen: { host: 127.0.0.1, port: ${port} }
upstream: { host: 127.0.0.1, port: ${upstreamPort} }
catalog: { user: rowgate, password: secret }
store:
  sentinel:
    master: rowgate
    nodes: [${redis.sentinels.map((sentinel) => `"127.0.0.1:${sentinel.port}"`).join(', ')}]
  journal: ${join(home, 'journal')}
audit: { file: ${join(auditDirectory, 'audit.ndjson')}, key: "0123456789abcdef0123456789abcdef" }
admin: { host: 127.0.0.1, port: ${adminPort}, token: chaos }
limits: { drain: 2s }
classes:
  customers:
    relations:
      crm.customers: { subject: id }
      crm.invoices: { subject: customer_id }
roles:
${roles.join('\n')}
`;
}

export function ruleOf(role: string, { windowMs, dimension, scope }: Pick<Limit, 'windowMs' | 'dimension' | 'scope'>): string {
  return `${role}/customers/${dimension}/${windowMs / 60_000}m${scope === 'role' ? '/role' : ''}`;
}

export function wholeRunRule(role: string): string {
  return `${role}/customers/rows/24h`;
}
