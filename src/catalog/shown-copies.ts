/** Copies that the catalog shows: what triggers and rules of a class fill, and what materialized views hold. Nobody has to remember them as long as it does. */

import { mergeDerived, sameDerived } from './derived-classes.ts';
import { NO_EFFECTS } from './effects.ts';
import { ReachIndex, type ReachPolicy } from './reach-index.ts';
import type { DerivedClass, DerivedRelations } from './reach-types.ts';
import type { Snapshot } from './snapshot.ts';

/** A copy may be copied on by further triggers; a chain longer than this is cut, which leaves its writes refused or charged as copies. */
const MOST_ROUNDS = 5;

/** The index over the policy's classes, the copies that are remembered, and those that the catalog shows. */
export function makeReachIndex(snapshot: Snapshot, policy: ReachPolicy): ReachIndex {
  let derived = new Map(policy.derived);
  let index = new ReachIndex(snapshot, policy);
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const more = new Map(derived);
    for (const [oid, classes] of filledBy(index)) {
      const held = index.members.classesOf.get(oid);
      const missing = classes.filter(({ className, packs }) => held?.has(className) !== true || (packs && !index.members.declared.has(oid)));
      if (missing.length > 0) more.set(oid, mergeDerived(more.get(oid) ?? [], missing));
    }
    if ([...more].every(([oid, classes]) => sameDerived(derived.get(oid) ?? [], classes))) break;
    derived = more;
    index = new ReachIndex(snapshot, { ...policy, derived });
  }
  return index;
}

/** Relations that triggers, and rules, fill with what stands in a class, or with what they read of one. */
function filledBy(index: ReachIndex): DerivedRelations {
  const { snapshot, members } = index;
  const filled = new Map<number, readonly DerivedClass[]>();
  for (const oid of new Set([...snapshot.triggers.keys(), ...snapshot.rules.keys(), ...snapshot.dependencies.fill.keys(), ...snapshot.dependencies.place.keys()])) {
    const { classes, copies, stores, storesPacked, steered = [] } = index.writeEffects(oid);
    const own = members.classesOf.get(oid);
    const row = own === undefined ? NO_EFFECTS : index.readEffects(oid);
    const given = own === undefined ? copies : new Set([...copies, ...stores, ...steered]);
    const holds = new Map([...classes, ...row.classes]);
    for (const target of given) {
      if (!snapshot.relations.has(target)) continue;
      const derived = [...holds].map(([className, effect]) => ({ className, width: Math.max(1, effect.width), packs: effect.packs || storesPacked }));
      filled.set(target, mergeDerived(filled.get(target) ?? [], derived));
    }
  }
  return filled;
}

/**
 * What `before` showed and `now` does not, or shows as less than it was: the trigger is gone, the function behind a materialized view is another, and what they have filled is there.
 * A relation that is gone itself is among them.
 */
export function noLongerShown(before: ReachIndex, now: ReachIndex): DerivedRelations {
  const shown = stored(now);
  return new Map([...stored(before)].flatMap(([oid, classes]) => {
    const lost = classes.filter(({ className, width, packs }) => shown.get(oid)?.some((copy) => copy.className === className && copy.width >= width && (copy.packs || !packs)) !== true);
    return lost.length === 0 ? [] : [[oid, lost] as const];
  }));
}

function stored(index: ReachIndex): DerivedRelations {
  const found = new Map(index.derived);
  for (const { oid, kind } of index.snapshot.relations.values()) {
    if (kind !== 'm') continue;
    const { classes, opaque } = index.readEffects(oid);
    const names = opaque.length > 0 ? index.classes.map(({ name }) => name) : [...classes.keys()];
    if (names.length > 0) found.set(oid, mergeDerived(found.get(oid) ?? [], names.map((className) => ({ className, width: 1, packs: true }))));
  }
  return found;
}
