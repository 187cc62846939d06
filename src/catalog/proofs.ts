/** What can be proven of a statement that packs or adds up, so that honest work of that kind stays cheap (docs/adr/0008-what-packed-values-cost.md). */

import type { ColumnOfUse, StatementFacts } from '../sql/facts.ts';
import type { Tally } from './effects.ts';
import { equalityIsUnsure, pinsOf } from './equality.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { keyOf, linkedGroups } from './width.ts';

/** Statements with more references are not looked into. */
const MOST_USES = 64;

/**
 * Whether all rows of the class that one value can take in are of one person: every reference stands in a group that is linked on the key, and the key is
 * pinned to a constant or parameter, or what the outermost SELECT groups by. Functions and views that bring the class add width that no reference has.
 */
export function isOfOnePerson(className: string, facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  const effect = tally.classes.get(className);
  if (effect === undefined || effect.packs || uses.length > MOST_USES || facts.modifies || equalityIsUnsure(index)) return false;
  const { width, groups } = linkedGroups(className, uses, facts.links, index);
  if (groups.length === 0 || width !== effect.width) return false;
  // Two references in two groups are two people, and cost two units: the width.
  if (groups.length === 1 && isKeyed(className, facts.groupedBy, groups[0] ?? [], uses, index)) return true;
  return groups.every((group) => isKeyed(className, pinsOf(facts, index), group, uses, index));
}

/** Whether the columns hold the whole key of one of the linked references. */
function isKeyed(className: string, columns: readonly ColumnOfUse[] | undefined, group: readonly number[], uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  return group.some((position) => {
    const key = keyOf(className, uses[position], index);
    return key !== undefined && key.every((name) => columns?.some(({ use, column }) => use === position && column === name) === true);
  });
}

/** The same of all that a statement can tell, whatever it gives back: the class is read once, of one person. */
export function tellsOfOnePerson(className: string, facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  const effect = tally.classes.get(className);
  if (effect === undefined || uses.length > MOST_USES || equalityIsUnsure(index)) return false;
  const { width, groups } = linkedGroups(className, uses, facts.links, index);
  const [group, ...others] = groups;
  return group !== undefined && others.length === 0 && width === effect.width && isKeyed(className, pinsOf(facts, index), group, uses, index);
}

/** How many rows of the class all that the statement gives can be made of, where a LIMIT in its FROM says so. */
export function mostRowsOf(className: string, facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): number | undefined {
  const { limited } = facts;
  const effect = tally.classes.get(className);
  if (limited === undefined || effect === undefined || effect.packs || effect.aggregated || effect.calls > 0 || tally.callsByAttribute || facts.modifies || uses.length > MOST_USES) return undefined;
  for (const [position, { relations, local }] of uses.entries()) {
    if (local.some((made) => made.classes.includes(className))) return undefined;
    if (!limited.uses.includes(position) && relations.some((relation) => index.readEffects(relation.oid).classes.has(className))) return undefined;
  }
  // Functions bring width that no reference has.
  if (effect.width === 0 || linkedGroups(className, uses, facts.links, index).width !== effect.width) return undefined;
  return Math.max(1, limited.rows * effect.width);
}

/** Whether sum() and its kin add up stored columns of the class's own tables. A table beside the class may hold numbers that were made for it. */
export function addsPlainColumns(className: string, facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  return facts.summed?.every((column) => {
    const { relations, local } = uses[column?.use ?? -1] ?? { relations: [], local: [] };
    const [relation, ...others] = relations;
    return relation !== undefined && others.length === 0 && local.length === 0 && (relation.kind === 'r' || relation.kind === 'p' || relation.kind === 'f')
      && index.members.declared.has(relation.oid) && index.members.classesOf.get(relation.oid)?.has(className) === true;
  }) === true;
}
