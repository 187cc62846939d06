// What a second worker brings where the database is never what a run waits for: pgbench, a scripted server, and Rowgate with one worker or two.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { roundName } from './compare.mjs';
import { pin } from './cores.mjs';
import { cpuSeconds, endedChildrenSeconds } from './processes.mjs';
import { DATABASE, HOST, LOGIN } from './servers.mjs';
import { pgbenchRun } from './workloads.mjs';

/** The more that a process finds done at a turn of its loop, the less each costs: workers are compared with as many clients each. */
const CLIENTS_A_WORKER = 16;
/** Statements of a burst: their system calls are shared, so that the load costs little beside Rowgate. */
const BURST = 20;
const SETTLE_MS = 200;
/** CPU time that each process of Rowgate gets before anything counts, for each work: on a busy machine that is more than so many seconds. Compilers are done then. */
const WARM_CPU_SECONDS = 6;
const WARMING_RUNS = 10;

const LOOK_UP = '\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n';
const WORKS = /** @type {const} */ ([
  { key: 'single', title: 'one at a time', script: LOOK_UP, each: 1 },
  { key: 'bursts', title: `bursts of ${BURST}`, script: `\\startpipeline\n${LOOK_UP.repeat(BURST)}\\endpipeline\n`, each: BURST },
]);
/** Places are numbers of cores; everything runs on them: Rowgate, Redis, the scripted server and pgbench. */
const SETTINGS = /** @type {const} */ ([
  { key: 'oneCore', workers: 1, cores: 1 },
  { key: 'oneWorker', workers: 1, cores: 2 },
  { key: 'twoWorkers', workers: 2, cores: 2 },
]);

/** @typedef {{ perSecond: number, cpu: number, loadCpu: number }} WorkerMeasure  CPU in microseconds a statement: Rowgate's, and that of pgbench, the scripted server and Redis */
/** @typedef {{ key: string, title: string, measures: Record<(typeof SETTINGS)[number]['key'], WorkerMeasure[]> }} WorkerWork */

/**
 * @param {{ pgbench: string, directory: string, seconds: number, rounds: number, cores: readonly number[], warmUp: boolean,
 *   one: import('./servers.mjs').RowgateServer, two: import('./servers.mjs').RowgateServer, behind: readonly { pid: number }[] }} how
 *   `behind`: the servers that Rowgate uses
 * @returns {Promise<WorkerWork[]>}
 */
export async function compareWorkers({ pgbench, directory, seconds, rounds, cores, warmUp, one, two, behind }) {
  /** @type {WorkerWork[]} */
  const found = WORKS.map(({ key, title }) => ({ key, title, measures: { oneCore: [], oneWorker: [], twoWorkers: [] } }));
  for (const { key, script } of WORKS) writeFileSync(scriptPath(directory, key), script);
  /** @param {(typeof WORKS)[number]} work @param {import('./servers.mjs').RowgateServer} rowgate @param {number} clients @param {readonly number[]} places */
  const load = ({ key, each }, rowgate, clients, places) => {
    for (const { pid } of [rowgate, ...behind]) pin(pid, places);
    const args = ['-f', scriptPath(directory, key), '-n', '-M', 'prepared', '-c', String(clients), '-T', String(seconds), '-h', HOST, '-p', String(rowgate.port), '-U', LOGIN, DATABASE];
    return runOnce({ rowgate, behind, each, run: () => pgbenchRun(pgbench, args, { directory, cores: places }) });
  };
  for (const [workers, rowgate] of warmUp ? /** @type {const} */ ([[1, one], [2, two]]) : []) {
    for (const work of WORKS) {
      const begun = cpuSeconds(rowgate.pid);
      console.error(`warm-up: ${workers} worker(s), ${work.key}`);
      for (let i = 0; i < WARMING_RUNS && cpuSeconds(rowgate.pid) - begun < WARM_CPU_SECONDS * workers; i++) await load(work, rowgate, CLIENTS_A_WORKER * workers, cores);
    }
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [i, work] of WORKS.entries()) {
      for (const setting of SETTINGS) {
        const measure = await load(work, setting.workers === 1 ? one : two, CLIENTS_A_WORKER * setting.workers, cores.slice(0, setting.cores));
        found[i]?.measures[setting.key].push(measure);
        console.error(`${roundName(round, rounds)}: ${setting.workers} worker(s) on ${setting.cores} core(s), ${work.key}: ${Math.round(measure.perSecond)} statements/s, ${measure.cpu.toFixed(1)} + ${measure.loadCpu.toFixed(1)} µs`);
      }
    }
  }
  return found;
}

/** @param {string} directory @param {string} key */
function scriptPath(directory, key) {
  return join(directory, `workers-${key}.sql`);
}

/**
 * @param {{ rowgate: import('./servers.mjs').RowgateServer, behind: readonly { pid: number }[], run: () => Promise<{ done: number, tps: number }>, each: number }} how
 * @returns {Promise<WorkerMeasure>}
 */
async function runOnce({ rowgate, behind, run, each }) {
  const accounts = () => [cpuSeconds(rowgate.pid), endedChildrenSeconds() + behind.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)];
  const countedBefore = await rowgate.counted();
  const before = accounts();
  const { done, tps } = await run();
  await sleep(SETTLE_MS);
  const after = accounts();
  const statements = done * each;
  const counted = await rowgate.counted();
  if (counted.rows - countedBefore.rows !== statements) throw new Error(`clients got ${statements} rows, Rowgate counted ${counted.rows - countedBefore.rows}`);
  const [cpu = NaN, loadCpu = NaN] = after.map((value, i) => ((value - (before[i] ?? NaN)) * 1e6) / statements);
  return { perSecond: tps * each, cpu, loadCpu };
}
