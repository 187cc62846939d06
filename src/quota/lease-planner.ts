import type { ClassReach } from '../catalog/reach-types.ts';
import type { CompiledQuota, QuotaDimension } from '../policy/types.ts';
import type { FlagLimit, LeaseCounter, LeaseCredit, LeasePlan, PoolPlan } from './lease-plan.ts';

/** The counter of one window length: everyone who shares it shares its key. Names come last and escaped, so that no login can spell another's key. */
export function counterKey(quota: Pick<CompiledQuota, 'className' | 'dimension' | 'window' | 'scope' | 'role'>, principal: string): string {
  const owner = quota.scope === 'role' ? `r:${encodeURIComponent(quota.role)}` : `p:${encodeURIComponent(principal)}`;
  return `${encodeURIComponent(quota.className)}:${quota.dimension}:${quota.window}:${owner}`;
}

/** What a statement must lease, from the quotas of its principal and the classes that it reaches. `subjects` quotas are not leased by the row. */
export function planLease(
  principal: string,
  quotas: ReadonlyMap<string, readonly CompiledQuota[]>,
  reach: readonly Pick<ClassReach, 'className' | 'width'>[],
  rowBound: number | undefined,
  credits: readonly LeaseCredit[] = [],
): LeasePlan {
  const classes = reach.map(({ className, width }) => {
    const own = quotas.get(className) ?? [];
    const prepaid = credits.find((credit) => credit.className === className);
    return { className, width, rows: planPool(principal, own, 'rows'), bytes: planPool(principal, own, 'bytes'), prepaid };
  });
  return { classes, rowBound };
}

function planPool(principal: string, quotas: readonly CompiledQuota[], dimension: QuotaDimension): PoolPlan {
  const byKey = new Map<string, { windowMs: number; limit: number | null; ruleId: string; flags: FlagLimit[] }>();
  const statement: PoolPlan['statement'][number][] = [];
  for (const quota of quotas) {
    if (quota.dimension !== dimension) continue;
    const { ruleId, limit, action } = quota;
    if (quota.window === 'statement') {
      statement.push({ ruleId, limit, enforced: action !== 'flag' });
      continue;
    }
    const key = counterKey(quota, principal);
    const entry = byKey.get(key) ?? { windowMs: quota.window, limit: null, ruleId, flags: [] };
    byKey.set(key, entry);
    // Rules on the same units share a counter: the tightest of those that block is its limit, the others can never bite before it.
    if (action === 'flag') {
      entry.flags.push({ ruleId, limit });
    } else if (entry.limit === null || limit < entry.limit) {
      entry.limit = limit;
      entry.ruleId = ruleId;
    }
  }
  const counters = [...byKey].map(
    ([key, { windowMs, limit, ruleId, flags }]): LeaseCounter => ({ counter: { key, windowMs, limit }, ruleId, flags }),
  );
  return { counters, statement };
}
