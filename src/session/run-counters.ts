/** Metrics of statements that ended. The series of what comes again and again are held: finding one by its labels costs more than all else that is counted. */

import type { AuditDecision, ClassUnits } from '../audit/events.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { CounterCell, RoleClassCounters } from '../metrics/plain-series.ts';
import type { Refusal } from '../policy/types.ts';
import { decisionOf, type RecordedRun } from './run-records.ts';

export interface CountedRun extends RecordedRun {
  readonly refusal: Refusal | undefined;
  readonly rows: number;
  readonly bytes: number;
}

/** Of one configuration: another one allows other labels. */
export class RunCounters {
  readonly #metrics: Metrics;
  readonly #statements = new Map<string, Map<AuditDecision, CounterCell>>();
  readonly #decisions = new Map<string, Map<AuditDecision, CounterCell>>();
  readonly #roleClasses = new Map<string, Map<string, RoleClassCounters>>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  count(run: CountedRun, units: readonly ClassUnits[]): void {
    const metrics = this.#metrics;
    const decision = decisionOf(run, run.refusal);
    const kind = run.statement.kind === 'known' ? run.statement.facts.kind : 'unparsed';
    held(this.#statements, kind, decision, () => metrics.counter('statements', { kind, decision })).value += 1;
    if (units.length === 0) return;
    const role = run.principal.roles[0] ?? 'unlisted';
    held(this.#decisions, role, decision, () => metrics.counter('decisions', { role, decision })).value += 1;
    if (run.reach.opaque.length > 0) metrics.count('opaqueStatements');
    for (const { class: className, units: spent } of units) {
      const counters = held(this.#roleClasses, role, className, () => metrics.roleClass(role, className));
      counters.rows += run.rows;
      counters.units += spent;
      counters.bytes += run.bytes;
    }
  }
}

function held<K, T>(series: Map<string, Map<K, T>>, first: string, second: K, find: () => T): T {
  let inner = series.get(first);
  if (inner === undefined) series.set(first, (inner = new Map()));
  let cell = inner.get(second);
  if (cell === undefined) inner.set(second, (cell = find()));
  return cell;
}
