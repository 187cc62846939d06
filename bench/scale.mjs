// Beyond one machine: what an operation costs Redis is measured, the rest is simulated. `node bench/scale.mjs`, after `npm run build`.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startRedis } from './servers.mjs';
import { findTools } from './tools.mjs';

const dist = new URL('../dist', import.meta.url).pathname;
const { RedisStore } = await import(pathToFileURL(join(dist, 'quota/redis-store.js')).href);

const PRINCIPALS = 10_000;
const ROWGATES = 50;
const HOUR_MS = 3_600_000;
/** As config/rowgate.yaml counts: an hour and a day of rows, and the role's day. */
const counters = (/** @type {number} */ who) => [
  { key: `customers:rows:${HOUR_MS}:p:agent_${who}`, windowMs: HOUR_MS, limit: 1e9 },
  { key: `customers:rows:${24 * HOUR_MS}:p:agent_${who}`, windowMs: 24 * HOUR_MS, limit: 1e9 },
  { key: `customers:rows:${24 * HOUR_MS}:r:support`, windowMs: 24 * HOUR_MS, limit: 1e12 },
];
const SLICES = 60;
/** People of a login's month, as config/rowgate.yaml limits them, and the logins that are filled to that limit to measure them. */
const PEOPLE = 2000;
const FILLED = 200;
const month = (/** @type {number} */ who) => ({ key: `{customers}:subjects:${30 * 24 * HOUR_MS}:p:agent_${who}`, windowMs: 30 * 24 * HOUR_MS, limit: PEOPLE, people: PEOPLE });
const person = (/** @type {number} */ who, /** @type {number} */ n) => createHash('sha256').update(`${who} ${n}`).digest().subarray(0, 16);

const directory = mkdtempSync(join(tmpdir(), 'rowgate-scale-'));
const redis = await startRedis({ command: findTools(false)['redis-server'], directory });
const cli = (/** @type {string[]} */ ...args) => execFileSync('redis-cli', ['-p', String(redis.port), ...args], { encoding: 'utf8' });
const info = (/** @type {string} */ section, /** @type {string} */ key) => Number(new RegExp(`^${key}:([\\d.]+)`, 'm').exec(cli('INFO', section))?.[1] ?? NaN);
const cpuUs = () => 1e6 * (info('cpu', 'used_cpu_user') + info('cpu', 'used_cpu_sys'));

/** 64 calls are under way at a time, as from many processes. @param {number} times @param {(i: number) => Promise<unknown>} call */
async function costUs(times, call) {
  const before = cpuUs();
  for (let i = 0; i < times; i += 64) await Promise.all(Array.from({ length: Math.min(64, times - i) }, (_, k) => call(i + k)));
  return (cpuUs() - before) / times;
}

/** Waiting before one server, calls at random times (Lindley). @param {number} callsPerSecond @param {number} serviceUs */
function waiting(callsPerSecond, serviceUs) {
  if (callsPerSecond * serviceUs >= 1e6) return undefined;
  const waits = new Float64Array(300_000);
  let wait = 0;
  for (let i = 0; i < waits.length; i++) {
    waits[i] = wait;
    wait = Math.max(0, wait + serviceUs + (1e6 / callsPerSecond) * Math.log(1 - Math.random()));
  }
  waits.sort();
  return { p50: waits[waits.length / 2] ?? 0, p99: waits[Math.floor(waits.length * 0.99)] ?? 0 };
}

try {
  const store = await RedisStore.open({ redis: `redis://127.0.0.1:${redis.port}/0`, settleMs: 0, heartbeatMs: 0 });
  const one = (/** @type {number} */ who) => store.reserve([{ want: 16, min: 1, counters: counters(who) }]);
  await costUs(5000, (i) => one(i % 100));
  const emptyBytes = info('memory', 'used_memory');
  const reserveUs = await costUs(PRINCIPALS, one);
  const freshBytes = (info('memory', 'used_memory') - emptyBytes) / (PRINCIPALS - 100);
  const leases = [];
  for (let who = 0; who < 5000; who++) leases.push(await one(who));
  const refundUs = await costUs(leases.length, (who) => store.refund(leases[who].lease, [{ units: 15, counters: counters(who) }]));
  const bare = info('memory', 'used_memory');
  // A page of people a call, then one person a call, new and known, as look-ups do.
  const pageUs = await costUs((FILLED * (PEOPLE - 50)) / 50, (i) => store.admit([month(i % FILLED)], Buffer.concat(Array.from({ length: 50 }, (_, n) => person(i % FILLED, Math.floor(i / FILLED) * 50 + n)))));
  const newUs = await costUs(FILLED * 50, (i) => store.admit([month(i % FILLED)], person(i % FILLED, PEOPLE - 50 + Math.floor(i / FILLED))));
  const personBytes = (info('memory', 'used_memory') - bare) / (FILLED * PEOPLE);
  const againUs = await costUs(10_000, (i) => store.admit([month(i % FILLED)], person(i % FILLED, i % PEOPLE)));
  await store.close();
  // A counter that was in use all through its window: the hash of one principal with every slice, as the script writes it.
  const sample = cli('--scan', '--pattern', '*count:*agent_7').trim().split('\n');
  let fullBytes = 0;
  for (const key of sample) {
    const [field] = cli('HKEYS', key).split('\n').filter((each) => /^\d+$/.test(each));
    const base = Number(field ?? 1e6);
    for (let slice = 1; slice <= SLICES + 10; slice++) cli('HSET', key, String(base + slice), '16');
    fullBytes += Number(cli('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
  }
  console.log(`measured: reserve of 3 counters ${reserveUs.toFixed(0)} µs, refund ${refundUs.toFixed(0)} µs of Redis' CPU; a principal ${Math.round(freshBytes)} bytes when new, ${fullBytes} bytes with every slice of ${sample.length} counters in use`);
  console.log(`memory for ${PRINCIPALS} principals: ${(PRINCIPALS * freshBytes / 1e6).toFixed(0)} MB at first, ${(PRINCIPALS * fullBytes / 1e6).toFixed(0)} MB at most\n`);
  console.log(`people: admitting one who is new ${newUs.toFixed(0)} µs, one who is known ${againUs.toFixed(0)} µs, a page of 50 ${pageUs.toFixed(0)} µs (${(pageUs / 50).toFixed(1)} each); ${personBytes.toFixed(0)} bytes each`);
  console.log(`memory for the ${PEOPLE} people of a month of ${PRINCIPALS} principals: ${(PRINCIPALS * PEOPLE * personBytes / 1e9).toFixed(1)} GB at most\n`);
  console.log('| a statement of each of 10,000 principals every | statements/s | Redis operations/s | busy | waiting p50, ms | p99, ms | with people: operations/s | busy | waiting p99, ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  const meanUs = (reserveUs + refundUs) / 2;
  for (const everySeconds of [60, 10, 5, 2, 1.5, 1.2, 1, 0.5]) {
    // At worst: none finds units that a former statement left, each reserves and gives back. And a heartbeat a second of each process.
    const statements = PRINCIPALS / everySeconds;
    const operations = 2 * statements + ROWGATES;
    const queue = waiting(operations, meanUs);
    const cells = queue === undefined ? ['without end', 'without end'] : [(queue.p50 / 1000).toFixed(2), (queue.p99 / 1000).toFixed(2)];
    // Where people are counted, too, each statement about one asks once more.
    const peopleOperations = operations + statements;
    const peopleUs = (operations * meanUs + statements * newUs) / peopleOperations;
    const peopleQueue = waiting(peopleOperations, peopleUs);
    console.log(`| ${everySeconds} s | ${Math.round(statements)} | ${Math.round(operations)} | ${(100 * operations * meanUs / 1e6).toFixed(0)} % | ${cells.join(' | ')} | ${Math.round(peopleOperations)} | ${(100 * peopleOperations * peopleUs / 1e6).toFixed(0)} % | ${peopleQueue === undefined ? 'without end' : (peopleQueue.p99 / 1000).toFixed(2)} |`);
  }
  console.log(`\nOne Redis is full at ${Math.round(1e6 / meanUs)} operations/s, ${Math.round(5e5 / meanUs)} such statements/s; with people at ${Math.round(1e6 / (2 * meanUs + newUs))} statements/s.`);
} finally {
  await redis.stop();
  rmSync(directory, { recursive: true, force: true });
}
