// The same work against each target in turn, and what the kernel's accounts and Rowgate's own counts say of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryPerSession } from './idle-sessions.mjs';
import { cpuSeconds } from './processes.mjs';
import { stalls } from './stall.mjs';

/** The servers' last writes and the ends of sessions belong to the workload that caused them. */
const SETTLE_MS = 200;
/** Open and closed before memory is measured. */
const WARMING_SESSIONS = 20;
/** A just-in-time compiler needs about ten seconds of small statements until it is done with them. */
const WARMING_RUNS = 2;

/** @typedef {{ port: number, pid?: number, counted?: import('./servers.mjs').RowgateServer['counted'] }} Target  without `pid`: a direct connection */

/**
 * Runs a workload once and takes the accounts before and after.
 * @param {import('./workloads.mjs').Workload} workload
 * @param {Target} target
 * @param {{ postgres: { pid: number }, redis: { pid: number } }} servers
 * @returns {Promise<{ sample: import('./workloads.mjs').Sample, measure: import('./report.mjs').Measure }>}
 */
async function measured(workload, target, { postgres, redis }) {
  const accounts = () => [target.pid === undefined ? 0 : cpuSeconds(target.pid), cpuSeconds(redis.pid), cpuSeconds(postgres.pid)];
  const before = accounts();
  const sample = await workload.run(target.port, target.pid === undefined);
  await sleep(SETTLE_MS);
  const after = accounts();
  const scale = workload.unit === 'query' ? 1e6 : 1;
  const [cpu, redisCpu, databaseCpu] = after.map((seconds, i) => ((seconds - before[i]) * scale) / sample.work);
  const perSecond = workload.unit === 'query' ? sample.work / sample.seconds : (sample.work * 1000) / sample.seconds;
  return { sample, measure: { perSecond, cpu: target.pid === undefined ? null : cpu, redisCpu, databaseCpu, p50us: sample.p50us, p99us: sample.p99us } };
}

/**
 * What Rowgate counted must be what clients got.
 * @param {string} title
 * @param {{ rows: number, units: number }} before
 * @param {{ rows: number, units: number }} after
 * @param {import('./workloads.mjs').Sample} sample
 */
function checkCounts(title, before, after, sample) {
  const rows = after.rows - before.rows;
  const units = after.units - before.units;
  // Each row of these tables is smaller than a unit.
  if (rows !== sample.rows || units !== sample.rows) throw new Error(`${title}: clients got ${sample.rows} rows, Rowgate counted ${rows} rows and ${units} units`);
}

/**
 * @param {readonly import('./workloads.mjs').Workload[]} list
 * @param {{ rounds: number, warmUp: boolean, servers: { postgres: { pid: number }, redis: { pid: number } }, targets: Record<string, Target> }} how
 */
export async function compare(list, { rounds, warmUp, servers, targets }) {
  const names = Object.keys(targets);
  /** @type {import('./report.mjs').Measures} */
  const measures = Object.fromEntries(list.map(({ key }) => [key, Object.fromEntries(names.map((name) => [name, []]))]));
  // Round 0 warms caches and compilers up and is not counted.
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    for (const workload of list) {
      for (const name of names) {
        const target = targets[name];
        if (round === 0 && target.counted !== undefined) for (let i = 1; i < WARMING_RUNS; i++) await measured(workload, target, servers);
        const before = await target.counted?.();
        const { sample, measure } = await measured(workload, target, servers);
        if (before !== undefined) checkCounts(workload.title, before, await target.counted(), sample);
        if (round > 0) measures[workload.key][name].push(measure);
        console.error(`${roundName(round, rounds)}: ${workload.key} ${name}: ${Math.round(measure.perSecond)} ${workload.unit === 'query' ? 'queries' : 'MB'}/s`);
      }
    }
  }
  return measures;
}

/** @param {number} round @param {number} rounds */
export function roundName(round, rounds) {
  return round === 0 ? 'warm-up' : `round ${round} of ${rounds}`;
}

/**
 * @param {number} rounds
 * @param {Record<string, Target>} targets
 * @returns {Promise<Record<string, import('./stall.mjs').Stalls[]>>}
 */
export async function compareStalls(rounds, targets) {
  /** @type {Record<string, import('./stall.mjs').Stalls[]>} */
  const found = Object.fromEntries(Object.keys(targets).map((name) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [name, { port }] of Object.entries(targets)) found[name].push(await stalls(port));
    console.error(`${roundName(round, rounds)}: stall`);
  }
  return found;
}

/**
 * In fresh processes: one that has worked hard keeps free memory that new sessions are then put in.
 * @template {string} T
 * @param {number} sessions
 * @param {Record<T, () => Promise<import('./servers.mjs').Server>>} starts
 * @returns {Promise<Record<T, number>>} bytes a session
 */
export async function compareMemory(sessions, starts) {
  const found = /** @type {Record<T, number>} */ ({});
  for (const name of /** @type {T[]} */ (Object.keys(starts))) {
    const server = await starts[name]();
    try {
      await memoryPerSession(server, WARMING_SESSIONS);
      found[name] = await memoryPerSession(server, sessions);
      console.error(`memory: ${sessions} idle sessions, ${name}: ${(found[name] / 1024).toFixed(1)} KiB each`);
    } finally {
      await server.stop();
    }
  }
  return found;
}
