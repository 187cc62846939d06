// What is run against each target, and what one run of it yields.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BULK_TABLE, DATABASE, HOST, LOGIN, PEOPLE_LOGIN } from './servers.mjs';

/**
 * @typedef {object} Sample
 * @property {number} rows  protected rows that the client got
 * @property {number} bytes  bytes that the client got; 0 where nothing counts them
 * @property {number} work  queries, or GB
 * @property {number} seconds
 * @property {number} [p50us]
 * @property {number} [p99us]
 */
/**
 * @typedef {object} Workload
 * @property {string} key
 * @property {string} title
 * @property {'query' | 'GB'} unit  what `work` counts
 * @property {(port: number, direct?: boolean) => Promise<Sample>} run  TLS is for proxies: the database of the run has none
 */

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} [cwd]
 * @param {Record<string, string>} [env]
 */
async function output(command, args, cwd, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd, env: { ...process.env, ...env } });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${code}: ${err}${out}`);
  return out;
}

const TRIES = 5;

/**
 * @param {string} pgbench
 * @param {readonly string[]} args
 * @param {{ directory: string, cores?: readonly number[], env?: Record<string, string> }} how  `cores`: those that it may run on
 * @returns {Promise<{ done: number, tps: number }>} transactions
 */
export async function pgbenchRun(pgbench, args, { directory, cores, env = { PGSSLMODE: 'disable' } }) {
  const [command, before] = cores === undefined ? [pgbench, []] : ['taskset', ['-c', cores.join(','), pgbench]];
  for (let tries = 1; ; tries++) {
    const out = await output(command, [...before, ...args], directory, env);
    const done = Number(/number of transactions actually processed: (\d+)/.exec(out)?.[1]);
    const failed = Number(/number of failed transactions: (\d+)/.exec(out)?.[1] ?? 0);
    if (Number.isNaN(done) || failed > 0) throw new Error(`pgbench lost transactions: ${out}`);
    if (done > 0) return { done, tps: Number(/tps = ([\d.]+)/.exec(out)?.[1]) };
    // On a machine with much to do, a program that was just started may need all of a short run to begin.
    if (tries === TRIES) throw new Error(`pgbench got nothing done: ${out}`);
  }
}

/**
 * Fills pgbench's tables; they are made by the superuser, whom nothing limits.
 * @param {string} pgbench
 * @param {number} port
 * @param {number} scale
 */
export async function fillPgbench(pgbench, port, scale) {
  await output(pgbench, ['-i', '-I', 'dtgvp', '-q', '-s', String(scale), '-h', HOST, '-p', String(port), '-U', 'postgres', DATABASE]);
}

/**
 * @param {readonly number[]} sorted
 * @param {number} part
 */
function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/**
 * The third column of a transaction log is the time that the transaction took, in microseconds (documentation of pgbench, "Per-Transaction Logging").
 * @param {string} directory
 * @param {string} prefix
 */
function takeLatencies(directory, prefix) {
  /** @type {number[]} */
  const micros = [];
  for (const name of readdirSync(directory).filter((each) => each.startsWith(`${prefix}.`))) {
    const path = join(directory, name);
    for (const line of readFileSync(path, 'utf8').split('\n')) if (line !== '') micros.push(Number(line.split(' ')[2]));
    rmSync(path);
  }
  return micros.sort((a, b) => a - b);
}

/**
 * @param {{ pgbench: string, directory: string, seconds: number, bulkRows: number, repeats: number }} options
 * @returns {readonly Workload[]}
 */
export function workloads({ pgbench, directory, seconds, bulkRows, repeats }) {
  /** @param {number} clients @param {'simple' | 'prepared'} protocol @param {boolean} log @param {boolean} [tls] */
  const lookups = (clients, protocol, log, tls = false) => async (/** @type {number} */ port, direct = false) => {
    const args = ['-S', '-n', '-M', protocol, '-c', String(clients), '-T', String(seconds), '-h', HOST, '-p', String(port), '-U', LOGIN];
    const env = { PGSSLMODE: tls && !direct ? 'require' : 'disable' };
    const { done, tps } = await pgbenchRun(pgbench, [...args, ...(log ? ['-l', '--log-prefix=latency'] : []), DATABASE], { directory, env });
    const sample = { rows: done, bytes: 0, work: done, seconds: done / tps };
    if (!log) return sample;
    const micros = takeLatencies(directory, 'latency');
    return { ...sample, p50us: quantile(micros, 0.5), p99us: quantile(micros, 0.99) };
  };
  /** @param {string} sql @param {{ login?: string, tls?: boolean }} [how] */
  const bulk = (sql, { login = LOGIN, tls = false } = {}) => async (/** @type {number} */ port, direct = false) => {
    const reader = fileURLToPath(new URL('./bulk-reader.mjs', import.meta.url));
    const read = JSON.parse(await output(process.execPath, [reader, String(port), login, DATABASE, sql, String(repeats), tls && !direct ? 'tls' : 'plain']));
    if (read.rows !== bulkRows * repeats) throw new Error(`${sql}: ${read.rows} rows came instead of ${bulkRows * repeats}`);
    return { rows: read.rows, bytes: read.bytes, work: read.bytes / 1e9, seconds: read.seconds };
  };
  const rows = bulkRows.toLocaleString('en');
  return [
    { key: 'simple-16', title: 'pgbench -S, 16 clients, simple', unit: 'query', run: lookups(16, 'simple', false) },
    { key: 'prepared-16', title: 'pgbench -S, 16 clients, prepared', unit: 'query', run: lookups(16, 'prepared', false) },
    { key: 'simple-1', title: 'pgbench -S, 1 client, simple', unit: 'query', run: lookups(1, 'simple', true) },
    { key: 'select', title: `SELECT of ${rows} protected rows`, unit: 'GB', run: bulk(`SELECT * FROM ${BULK_TABLE}`) },
    { key: 'select-people', title: `SELECT of ${rows} protected rows, people counted`, unit: 'GB', run: bulk(`SELECT * FROM ${BULK_TABLE}`, { login: PEOPLE_LOGIN }) },
    { key: 'copy', title: `COPY TO STDOUT of ${rows} protected rows`, unit: 'GB', run: bulk(`COPY ${BULK_TABLE} TO STDOUT`) },
    { key: 'tls-prepared-16', title: 'pgbench -S, 16 clients, prepared, TLS to the proxy', unit: 'query', run: lookups(16, 'prepared', false, true) },
    { key: 'tls-select', title: `SELECT of ${rows} protected rows, TLS to the proxy`, unit: 'GB', run: bulk(`SELECT * FROM ${BULK_TABLE}`, { tls: true }) },
  ];
}
