/** From a principal's quotas on the classes that a statement reaches to the plan of its lease. Pure. */

import type { ClassReach } from '../catalog/reach-types.ts';
import type { CompiledQuota, PrincipalPolicy } from '../policy/types.ts';
import { countersFor, type DimensionCounters } from './counters.ts';
import type { LeaseCounter, LeaseCredit, LeasePlan, PoolPlan } from './lease-plan.ts';

export function planLease(
  principal: Quotas,
  reach: readonly Pick<ClassReach, 'className' | 'width'>[],
  rowBound: number | undefined,
  credits: readonly LeaseCredit[] = [],
): LeasePlan {
  return {
    rowBound,
    classes: reach.map(({ className, width }) => {
      const { rows, bytes } = poolPlansOf(principal, className);
      return { className, width, rows, bytes, prepaid: credits.length === 0 ? undefined : credits.find((credit) => credit.className === className) };
    }),
  };
}

interface PoolPlans {
  readonly rows: PoolPlan;
  readonly bytes: PoolPlan;
}

type Quotas = Pick<PrincipalPolicy, 'principal' | 'quotas'>;

/** They depend on nothing but the policy, which stays the same over many statements. */
const plansOf = new WeakMap<Quotas, Map<string, PoolPlans>>();

function poolPlansOf(principal: Quotas, className: string): PoolPlans {
  let plans = plansOf.get(principal);
  if (plans === undefined) {
    plans = new Map();
    plansOf.set(principal, plans);
  }
  const known = plans.get(className);
  if (known !== undefined) return known;
  const counters = countersFor(principal, className);
  const made: PoolPlans = {
    rows: poolPlan([counters.rows], counters.statement.filter((quota) => quota.dimension === 'rows')),
    bytes: poolPlan([counters.bytes], counters.statement.filter((quota) => quota.dimension === 'bytes')),
  };
  plans.set(className, made);
  return made;
}

/** What counts people, for each class of the reach that has such quotas. */
export interface PeoplePlan {
  /** Index in the reach. */
  readonly at: number;
  readonly className: string;
  readonly pool: PoolPlan;
}

export function planPeople(principal: Quotas, reach: readonly Pick<ClassReach, 'className'>[]): readonly PeoplePlan[] {
  return reach.flatMap(({ className }, at): PeoplePlan[] => {
    const { subjects, statement } = countersFor(principal, className);
    const pool = poolPlan([subjects], statement.filter((quota) => quota.dimension === 'subjects'));
    return pool.counters.length + pool.statement.length === 0 ? [] : [{ at, className, pool }];
  });
}

/** The quota that a rule id names. */
export function quotaOf(principal: PrincipalPolicy, className: string, ruleId: string): CompiledQuota | undefined {
  return principal.quotas.get(className)?.find((quota) => quota.ruleId === ruleId);
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
