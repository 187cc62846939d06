// What Rowgate is to reach, and what a run found.
import { spread } from './report.mjs';

/** @typedef {import('./report.mjs').Spread} Spread */
/** @typedef {{ work: string, measure: string, goal: string, found: Spread | null, digits: number, met: boolean }} Goal */

const CPU = 'proxy CPU, Rowgate / PgBouncer';
/** By workload: the most that the ratio of CPU may be. */
const CPU_GOALS = { 'simple-16': 1.8, 'prepared-16': 1.6, select: 0.9, 'select-people': 1.5, copy: 0.9, 'tls-prepared-16': 1.5, 'tls-select': 1.5 };
const LATENCY_GOAL = 1.6;
const STALL_GOAL_MS = 20;
const MEMORY_GOAL_KIB = 40;
const WORKERS_GOAL = 1.7;

/**
 * @param {{ summary: ReturnType<typeof import('./report.mjs').summarise>, stalled?: Record<string, import('./stall.mjs').Stalls[]>, memory?: { sessions: number, rowgate: number },
 *   workers?: ReturnType<typeof import('./report.mjs').summariseWorkers> }} result
 * @returns {Goal[]}
 */
export function goals({ summary, stalled, memory, workers }) {
  /** @type {Goal[]} */
  const found = [];
  const most = (/** @type {string} */ work, /** @type {string} */ measure, /** @type {number} */ limit, /** @type {string} */ unit, /** @type {Spread | null} */ value, digits = 2) =>
    found.push({ work, measure, goal: `<= ${limit}${unit}`, found: value, digits, met: value !== null && value.median <= limit });
  for (const { key, title, ratios, addedLatency } of summary) {
    const limit = CPU_GOALS[/** @type {keyof typeof CPU_GOALS} */ (key)];
    if (limit !== undefined) most(title, CPU, limit, '', ratios.cpuToPgbouncer);
    if (addedLatency === undefined) continue;
    most(title, 'added latency p50, Rowgate / PgBouncer', LATENCY_GOAL, '', addedLatency.p50us.ratio);
    most(title, 'added latency p99, Rowgate / PgBouncer', LATENCY_GOAL, '', addedLatency.p99us.ratio);
  }
  if (stalled !== undefined) {
    const longest = stalled.rowgate.map(({ largeMs, deepMs, manyMs }) => Math.max(largeMs, deepMs, manyMs));
    most('a statement of 1 MB, one 5,000 deep, 100 at once', 'longest stall of another session', STALL_GOAL_MS, ' ms', spread(longest), 1);
  }
  if (memory !== undefined) most(`${memory.sessions} idle sessions`, 'memory a session', MEMORY_GOAL_KIB, ' KiB', spread([memory.rowgate / 1024]), 1);
  for (const { title, ratios } of workers ?? []) {
    const least = (/** @type {string} */ measure, /** @type {Spread | null} */ value) =>
      found.push({ work: `2 workers on 2 cores, ${title}`, measure, goal: `>= ${WORKERS_GOAL}`, found: value, digits: 2, met: value !== null && value.median >= WORKERS_GOAL });
    least('throughput / 1 worker on the same 2 cores', ratios.onTwoCores);
    least('throughput / 1 worker, a core for each and its load', ratios.perCore);
  }
  return found;
}
