// Calls of Redis for each statement, and what a look-up of one row waits longer. `node bench/round-trips.mjs [ROUNDS [STATEMENTS]]`, after `npm run build`.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE, HOST, LOGIN, startPostgres, startRedis, startRowgate } from './servers.mjs';
import { findTools } from './tools.mjs';
import { HeaderCounter, query, startup } from './wire.mjs';

const ROUNDS = Number(process.argv[2] ?? 5);
const STATEMENTS = Number(process.argv[3] ?? 1000);
const ROWS = 100_000;
/** Nobody reads an answer and asks again in no time: a pause as of a fast program, and one after which a lease is idle. */
const PAUSES_MS = [0, 20];

/** A session that asks one question after the other. @param {number} port */
async function session(port) {
  const socket = connect({ host: HOST, port, noDelay: true });
  await once(socket, 'connect');
  let wake = () => {};
  const counter = new HeaderCounter({ ready: () => wake(), failed: (text) => { throw new Error(text); } });
  socket.on('data', (chunk) => counter.push(chunk));
  /** @param {Buffer} bytes */
  const ask = (bytes) => new Promise((resolve) => {
    wake = () => resolve(undefined);
    socket.write(bytes);
  });
  await ask(startup(LOGIN, DATABASE));
  return { counter, ask, end: () => socket.destroy() };
}

/** @param {number} port @param {number} pauseMs @param {number} statements @returns {Promise<number[]>} */
async function lookUps(port, pauseMs, statements) {
  const { counter, ask, end } = await session(port);
  const took = [];
  for (let i = 0; i < statements; i++) {
    const bytes = query(`SELECT * FROM crm.customers WHERE id = ${1 + Math.floor(Math.random() * ROWS)}`);
    const startMs = performance.now();
    await ask(bytes);
    took.push(1000 * (performance.now() - startMs));
    if (pauseMs > 0) await sleep(pauseMs);
  }
  if (counter.rows !== statements) throw new Error(`${counter.rows} rows of ${statements}`);
  end();
  return took;
}

/** Calls of scripts, which is all that a statement does with Redis. @param {number} port */
function scriptCalls(port) {
  const text = execFileSync('redis-cli', ['-p', String(port), 'INFO', 'commandstats'], { encoding: 'utf8' });
  return [...text.matchAll(/^cmdstat_(?:evalsha|eval|fcall):calls=(\d+)/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
}

/** @param {readonly number[]} values @param {number} q */
const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(q * values.length) - 1)] ?? 0;
const median = (/** @type {readonly number[]} */ values) => quantile(values, 0.5);

const directory = mkdtempSync(join(tmpdir(), 'rowgate-round-trips-'));
// PostgreSQL runs as a user of its own.
chmodSync(directory, 0o755);
const running = [];
try {
  const tools = findTools(false);
  const postgres = await startPostgres({ directory, bulkRows: ROWS });
  running.push(postgres);
  const redis = await startRedis({ command: tools['redis-server'], directory });
  running.push(redis);
  const main = new URL('../dist/cli/main.js', import.meta.url).pathname;
  /** @param {string} name @param {number | undefined} redisPort */
  const rowgate = async (name, redisPort) => {
    const home = join(directory, name);
    mkdirSync(home);
    const server = await startRowgate({ main, directory: home, postgresPort: postgres.port, redisPort });
    running.push(server);
    return server;
  };
  const ways = [
    { name: 'direct', port: postgres.port },
    { name: 'Rowgate, memory', port: (await rowgate('memory', undefined)).port },
    { name: 'Rowgate, Redis', port: (await rowgate('redis', redis.port)).port },
  ];
  await sleep(3000); // an empty Redis settles first
  for (const { port } of ways) await lookUps(port, 0, STATEMENTS);
  console.log('| pause | way | p50, µs | p99, µs | added p50 | added p99 | calls of Redis a statement |\n| --- | --- | --- | --- | --- | --- | --- |');
  for (const pauseMs of PAUSES_MS) {
    const statements = pauseMs === 0 ? STATEMENTS : Math.ceil(STATEMENTS / 4);
    const rounds = ways.map(() => /** @type {{ p50: number, p99: number, calls: number }[]} */ ([]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, { port }] of ways.entries()) {
        const before = scriptCalls(redis.port);
        const startMs = performance.now();
        const took = await lookUps(port, pauseMs, statements);
        // Once a second each process looks whether Redis still knows it: that is no statement's.
        const beats = Math.round((performance.now() - startMs) / 1000);
        rounds[i]?.push({ p50: median(took), p99: quantile(took, 0.99), calls: Math.max(0, scriptCalls(redis.port) - before - beats) / statements });
      }
    }
    for (const [i, { name }] of ways.entries()) {
      const mine = rounds[i] ?? [];
      /** @param {'p50' | 'p99'} key */
      const added = (key) => (i === 0 ? '-' : String(Math.round(median(mine.map((each, round) => each[key] - (rounds[0]?.[round]?.[key] ?? 0))))));
      const calls = name.endsWith('Redis') ? median(mine.map((each) => each.calls)).toFixed(3) : '-';
      console.log(`| ${pauseMs} ms | ${name} | ${Math.round(median(mine.map((each) => each.p50)))} | ${Math.round(median(mine.map((each) => each.p99)))} | ${added('p50')} | ${added('p99')} | ${calls} |`);
    }
  }
} finally {
  for (const server of running.toReversed()) await server.stop();
  rmSync(directory, { recursive: true, force: true });
}
