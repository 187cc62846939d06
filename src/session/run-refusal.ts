/** What an employee is told when a lease is refused in the middle of a run, or before it. */

import type { Reach } from '../catalog/reach-types.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import { quotaRefusal } from '../policy/quota-refusal.ts';
import type { PrincipalPolicy, Refusal } from '../policy/types.ts';
import type { LeaseRefusal } from '../quota/lease-plan.ts';
import { quotaOf } from '../quota/lease-planner.ts';

/** `costs`: of the row that was tried, for each class of the reach; `aside`: what the statement costs before it begins; `deliveredRows`: those that went before it. */
export function quotaRefusalOf(principal: PrincipalPolicy, refused: LeaseRefusal, { classes }: Reach, costs: ArrayLike<number>, aside: readonly number[] | undefined, deliveredRows: number): Refusal {
  const quota = quotaOf(principal, refused.className, refused.ruleId);
  // A plan only names rules of this principal; a fault here must close the gate, not open it.
  if (quota === undefined) return outageRefusal('store', principal);
  const at = classes.findIndex((each) => each.className === refused.className);
  return quotaRefusal({
    quota,
    used: refused.used,
    // What the row that was tried costs; before the first one, what the least would.
    unitsPerRow: refused.dimension === 'bytes' ? undefined : Math.max(classes[at]?.width ?? 1, costs[at] ?? 1),
    aside: refused.dimension === 'bytes' ? undefined : aside?.[at],
    deliveredRows,
    nextFreeInMs: refused.nextFreeInMs,
    nowMs: Date.now(),
    contact: principal.contact,
  });
}
