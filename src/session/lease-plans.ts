/** From a principal's quotas on the classes that a statement reaches to the plan of its lease. Pure. */

import type { Reach } from '../catalog/reach-types.ts';
import { countersFor, type DimensionCounters } from '../policy/counters.ts';
import type { CompiledQuota, PrincipalPolicy } from '../policy/types.ts';
import type { LeaseCounter, LeaseCredit, LeasePlan, PoolPlan } from '../quota/lease-plan.ts';

export function leasePlan(reach: Reach, principal: PrincipalPolicy, prepaid: readonly LeaseCredit[], rowBound: number | undefined): LeasePlan {
  return {
    rowBound,
    classes: reach.classes.map((cls) => {
      const counters = countersFor(principal, cls.className);
      return {
        className: cls.className,
        width: cls.width,
        // Until subject keys are read from rows, each row counts as people not seen before: as many as it can describe.
        rows: poolPlan([counters.rows, counters.subjects], counters.statement.filter((quota) => quota.dimension !== 'bytes')),
        bytes: poolPlan([counters.bytes], counters.statement.filter((quota) => quota.dimension === 'bytes')),
        prepaid: prepaid.find((credit) => credit.className === cls.className),
      };
    }),
  };
}

function poolPlan(dimensions: readonly DimensionCounters[], statement: readonly CompiledQuota[]): PoolPlan {
  return {
    counters: dimensions.flatMap(leaseCounters),
    statement: statement.map((quota) => ({ ruleId: quota.ruleId, limit: quota.limit, enforced: quota.action !== 'flag' })),
  };
}

function leaseCounters({ counters, bindings }: DimensionCounters): readonly LeaseCounter[] {
  return counters.map((counter, index) => {
    const quotas = bindings.filter((binding) => binding.counter === index).map((binding) => binding.quota);
    const enforced = quotas.find((quota) => quota.action !== 'flag' && quota.limit === counter.limit);
    return {
      counter,
      ruleId: enforced?.ruleId ?? '',
      flags: quotas.filter((quota) => quota.action === 'flag').map((quota) => ({ ruleId: quota.ruleId, limit: quota.limit })),
    };
  });
}

/** The quota that a rule id names. */
export function quotaOf(principal: PrincipalPolicy, className: string, ruleId: string): CompiledQuota | undefined {
  return principal.quotas.get(className)?.find((quota) => quota.ruleId === ruleId);
}
