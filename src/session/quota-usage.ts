/** How much of each quota is used: what the admin port and the employee's own question show. */

import { countersFor } from '../quota/counters.ts';
import type { CounterState, CounterStore } from '../quota/store.ts';
import type { CompiledQuota, PrincipalPolicy } from '../policy/types.ts';
import { formatSize } from '../policy/units.ts';
import { OWN_COLUMNS, type OwnAnswer } from './own-question.ts';

export interface QuotaUsage {
  readonly quota: CompiledQuota;
  /** Undefined for a quota on one statement: it begins anew each time. */
  readonly state: CounterState | undefined;
}

export async function quotaUsage(store: CounterStore, policy: PrincipalPolicy): Promise<readonly QuotaUsage[]> {
  const usage: QuotaUsage[] = [];
  for (const className of policy.quotas.keys()) {
    const counters = countersFor(policy, className);
    for (const quota of counters.statement) usage.push({ quota, state: undefined });
    for (const dimension of [counters.rows, counters.subjects, counters.bytes]) {
      const states = await store.usage(dimension.counters);
      for (const { quota, counter } of dimension.bindings) usage.push({ quota, state: states[counter] ?? { used: 0, nextFreeInMs: undefined } });
    }
  }
  return usage;
}

/** `SELECT * FROM rowgate.usage` */
export function usageAnswer(usage: readonly QuotaUsage[], nowMs: number): OwnAnswer {
  return {
    columns: OWN_COLUMNS.usage,
    rows: usage.map(({ quota, state }) => {
      const amount = (units: number): string => (quota.dimension === 'bytes' ? formatSize(units) : String(units));
      const nextFreeMs = state?.nextFreeInMs === undefined ? undefined : nowMs + state.nextFreeInMs;
      return [
        quota.className, quota.dimension, quota.windowText,
        state === undefined ? null : amount(state.used), amount(quota.limit), state === undefined ? amount(quota.limit) : amount(Math.max(0, quota.limit - state.used)),
        nextFreeMs === undefined ? null : new Date(Math.ceil(nextFreeMs / 1000) * 1000).toISOString().replace('.000Z', 'Z'),
        quota.scope === 'role' ? `role ${quota.role}` : 'you', quota.ruleId,
      ];
    }),
  };
}
