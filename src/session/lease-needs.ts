/** What statements of one reach need of the counters, for one login: worked out once. */

import type { Reach } from '../catalog/reach-types.ts';
import type { CompiledClass, PrincipalPolicy } from '../policy/types.ts';
import type { LeasePlan } from '../quota/lease-plan.ts';
import { planLease } from '../quota/lease-planner.ts';

export interface LeaseNeeds {
  readonly classes: readonly CompiledClass[];
  /** Of a statement that may give any number of rows, and for which nothing is paid yet. */
  readonly plan: LeasePlan;
  /** Units that the statement costs before it begins, for each class: what it tells aside (`Reach.asideBytes`). */
  readonly aside: readonly number[] | undefined;
}

/** Logins send statements of few shapes, and a reach belongs to a shape. */
const needsByReach = new WeakMap<PrincipalPolicy, WeakMap<Reach, LeaseNeeds>>();

export function leaseNeeds(reach: Reach, principal: PrincipalPolicy): LeaseNeeds {
  let byReach = needsByReach.get(principal);
  if (byReach === undefined) needsByReach.set(principal, (byReach = new WeakMap()));
  let needs = byReach.get(reach);
  if (needs === undefined) {
    const classes = reach.classes.map((cls) => principal.classes.get(cls.className) as CompiledClass);
    needs = { classes, plan: planLease(principal, reach.classes, undefined), aside: asideUnits(reach.asideBytes ?? 0, classes) };
    byReach.set(reach, needs);
  }
  return needs;
}

export function asideUnits(bytes: number, classes: readonly CompiledClass[]): readonly number[] | undefined {
  return bytes === 0 ? undefined : classes.map(({ packedUnitBytes }) => Math.ceil(bytes / packedUnitBytes));
}
