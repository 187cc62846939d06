import type { StatementFacts } from '../sql/facts.ts';
import type { Tally } from './effects.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ResolvedUse } from './resolved-use.ts';

/** Statements whose target is listed among what they read. */
const READ_THEIR_TARGET: ReadonlySet<StatementFacts['kind']> = new Set(['update', 'merge']);

/**
 * Whether rows of a class may stand under another person's key afterwards: a key is assigned, or rows of the class are put into a table of it that has
 * keys. Who counts people by their keys must not let that happen.
 */
export function rekeys(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  for (const oid of [...tally.stores, ...tally.copies]) if (index.keysOf(oid).length > 0) return true;
  if (facts.kind === 'delete' || facts.kind === 'truncate') return false;
  for (const { use, relations } of uses) {
    if (use.mode !== 'write') continue;
    for (const { oid, kind } of relations) {
      const keys = index.keysOf(oid);
      // Which column of such a view is a key is not known.
      if (kind === 'v' && keys.length === 0 && facts.assigns.length > 0 && index.readEffects(oid).classes.size > 0) return true;
      if (keys.some(({ columns }) => columns.some((column) => facts.assigns.includes(column)))) return true;
      if (keys.some(({ className }) => readings(uses, index, className) > (READ_THEIR_TARGET.has(facts.kind) ? 1 : 0))) return true;
    }
  }
  return false;
}

/** How many references of the statement read rows of the class; unlike the width, linked ones count each: keys can be changed afterwards. */
export function readings(uses: readonly ResolvedUse[], index: ReachIndex, className: string): number {
  let count = 0;
  for (const { use, relations } of uses) {
    if (use.mode === 'read' && relations.some((relation) => index.readEffects(relation.oid).classes.has(className))) count += use.times;
  }
  return count;
}
