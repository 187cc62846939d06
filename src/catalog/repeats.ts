/** Whether code that a statement calls, or a trigger that it fires, runs once, or for each of any number of rows. */

import type { StatementFacts } from '../sql/facts.ts';
import { columnIsUnsure, equalityIsUnsure, pinsOf } from './equality.ts';
import { resolveFunctions, resolveOperators } from './names.ts';
import type { ReachIndex } from './reach-index.ts';
import type { SearchPath } from './reach-types.ts';
import type { ResolvedUse } from './resolved-use.ts';

/** Questions about a class that code without loops may ask before its writes count as a copy. A few are how checks are written, and tell a bit each. */
export const MOST_QUESTIONS = 4;

/** What the statement reads is a row each at most, and nothing in the text makes rows. */
export function runsOnce(facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, path: SearchPath): boolean {
  if (facts.mayRepeat === true || facts.packs) return false;
  if (equalityIsUnsure(index) || facts.operators.some((use) => resolveOperators(index.snapshot, use, path).some(({ function: fn }) => index.snapshot.functions.get(fn)?.returnsSet === true))) return false;
  if (facts.attributes.some((name) => index.snapshot.functionsByName.get(name)?.some((fn) => fn.returnsSet === true))) return false;
  // A set that comes of the code itself is one run of it; any other may feed it.
  const sets = facts.functions.filter((use) => resolveFunctions(index.snapshot, use, path).some((fn) => fn.returnsSet === true));
  if (sets.length > 0) return uses.length === 0 && facts.functions.length === 1 && sets.every((use) => use.times === 1 && resolveFunctions(index.snapshot, use, path).every((fn) => (index.functions.of(fn).effects.questions ?? 0) > 0));
  // What UPDATE and DELETE write to they read, too; what an INSERT adds comes of what is read.
  return uses.every((resolved, position) => resolved.use.mode !== 'read' || (resolved.use.times === 1 && isOneRow(position, resolved, facts, index)));
}

/** The statement says what a unique key of the table is equal to. */
function isOneRow(position: number, { relations, local }: ResolvedUse, facts: StatementFacts, index: ReachIndex): boolean {
  const { snapshot } = index;
  const [relation, ...others] = relations;
  if (relation === undefined || others.length > 0 || local.length > 0) return false;
  // A key of an ordinary table says nothing of what inherits from it; one of a partitioned table does.
  if (relation.kind !== 'p' && (relation.kind !== 'r' || (snapshot.children.get(relation.oid)?.length ?? 0) > 0)) return false;
  const pinned = new Set(pinsOf(facts, index).flatMap(({ use, column }) => (use === position ? [column] : [])));
  return (snapshot.uniqueKeys.get(relation.oid) ?? []).some((columns) => columns.every((column) => pinned.has(column) && !columnIsUnsure(relation.oid, column, index)));
}
