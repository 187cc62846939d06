/** What the run prints: what was done to the fleet, what arrived, and what crashes cost honest people. */

import type { Load } from './load.ts';

/** Rows that arrived and units that were counted, of the principals of a role. */
export interface Total {
  readonly role: string;
  readonly delivered: number;
  readonly counted: number;
}

export interface Report {
  readonly seconds: number;
  readonly customers: number;
  readonly seed: number;
  readonly sessions: number;
  readonly injected: readonly string[];
  readonly table: readonly Record<string, string | number>[];
  readonly load: Load;
  readonly lagMs: number;
  /** Of the same work without faults; nothing was counted if there was none. */
  readonly calm: readonly Total[];
  /** Of the time with faults. */
  readonly totals: readonly Total[];
}

export function difference(after: readonly Total[], before: readonly Total[]): readonly Total[] {
  return after.map(({ role, delivered, counted }, i) => ({ role, delivered: delivered - (before[i]?.delivered ?? 0), counted: counted - (before[i]?.counted ?? 0) }));
}

/**
 * Units that crashes cost: what was counted beyond what arrived, less what the same work counts so without faults (a statement that finds nothing costs a unit, too).
 * Undefined without a run to compare with.
 */
export function lostToCrashes(faulty: Total, calm: Total | undefined): number | undefined {
  if (calm === undefined || calm.delivered === 0) return undefined;
  return Math.max(0, faulty.counted - faulty.delivered * (calm.counted / calm.delivered));
}

export function report({ seconds, customers, seed, sessions, injected, table, load, lagMs, calm, totals }: Report): void {
  const sum = [...load.statements.values()].reduce((a, b) => a + b, 0);
  const counts = (map: ReadonlyMap<string, number>): string => [...map].toSorted((a, b) => b[1] - a[1]).map(([key, count]) => `${key} ${count}`).join(', ');
  console.log([
    `${seconds.toFixed(0)} s with faults, ${sessions} sessions, ${customers} customers, seed ${seed}`,
    ...injected,
    `${load.logins} logins, ${sum} statements: ${counts(load.statements)}`,
    `connections that were lost: ${load.lost}; errors: ${counts(load.errors)}; event loop of the clients: at most ${lagMs.toFixed(0)} ms late`,
    ...totals.flatMap((total, i) => costLines(total, calm[i], injected.length)),
    'delivered: most that arrived in any interval of the window. counted: most that a counter was seen to hold; above the limit where something was counted twice',
    '(a journal that was read back counts people again who are known to Redis, and a slice that was told in part is told whole): too much, never too little, and nothing is granted above the limit',
    ...tableLines(table),
  ].join('\n'));
}

function costLines(total: Total, calm: Total | undefined, faults: number): string[] {
  const lines = [`${total.role}: ${total.delivered} rows arrived, ${total.counted} units were counted; ${beyond(total)} counted and not delivered`];
  const lost = lostToCrashes(total, calm);
  if (calm !== undefined && lost !== undefined) {
    lines.push(`  without faults: ${calm.delivered} rows arrived, ${calm.counted} units were counted; ${beyond(calm)} counted and not delivered`);
    lines.push(`  lost to crashes: ${lost.toFixed(0)} units, ${percent(lost, total.counted)} of what was counted, ${(lost / Math.max(1, faults)).toFixed(0)} a fault`);
  }
  return lines;
}

function beyond({ delivered, counted }: Total): string {
  return `${counted - delivered} (${percent(counted - delivered, counted)})`;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
}

function tableLines(rows: readonly Record<string, string | number>[]): string[] {
  const heads = Object.keys(rows[0] ?? {});
  const widths = heads.map((head) => Math.max(head.length, ...rows.map((row) => String(row[head]).length)));
  const line = (cells: readonly (string | number)[]): string => cells.map((cell, i) => String(cell).padEnd(widths[i] as number)).join('  ');
  return [line(heads), ...rows.map((row) => line(heads.map((head) => row[head] as string | number)))];
}
