/** Operators and casts of users' own that run code: no text says that they are applied. */

import type { StatementFacts } from '../sql/facts.ts';
import { FIRST_USER_OID, type OperatorRow } from './catalog-rows.ts';
import type { Tally } from './effects.ts';
import { resolveFunctions, resolveOperators, resolveTypes } from './names.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ResolvedUse } from './resolved-use.ts';
import type { Scope } from './statement-tally.ts';

/**
 * Those whose functions are not trusted count where their operands' types can be present. Where other code of users' own is called, by whatever name, any type can be. What belongs to an extension nobody made for
 * the purpose; its operators (citext's `=`) have names that stand everywhere.
 */
export function addHidden(tally: Tally, facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, scope: Scope): void {
  const { snapshot, types } = index;
  const { hiddenOperators, hiddenCasts } = types;
  if (hiddenOperators.length === 0 && hiddenCasts.length === 0) return;
  const present = presentTypes(facts, uses, index, scope);
  const operators = facts.operators.flatMap((use) => resolveOperators(snapshot, use, scope.searchPath));
  const isOwn = (fn: number): boolean => snapshot.functions.get(fn)?.extension === null;
  const isPresent = (type: number): boolean => type < FIRST_USER_OID || present.has(type);
  // A function of a user's may return any type.
  const calls = facts.functions.some((use) => resolveFunctions(snapshot, use, scope.searchPath).some((fn) => fn.oid >= FIRST_USER_OID));
  const callsOwn = calls || uses.some(({ local }) => local.length > 0)
    || operators.some(({ left, right, function: fn }) => isOwn(fn) && isPresent(left) && isPresent(right))
    || facts.attributes.some((name) => snapshot.functionsByName.get(name)?.some((fn) => fn.oid >= FIRST_USER_OID && fn.extension === null && fn.soleArgument !== null));
  const possible = (type: number, fn: number): boolean => isPresent(type) || (isOwn(fn) ? callsOwn : calls);

  const named: ReadonlySet<OperatorRow> = new Set(operators);
  for (const operator of hiddenOperators) {
    if (named.has(operator) && possible(operator.left, operator.function) && possible(operator.right, operator.function)) tally.touch(types.effectsByTheWay(operator.function), 1);
  }
  for (const cast of hiddenCasts) {
    if (possible(cast.source, cast.function) && possible(cast.target, cast.function)) tally.touch(types.effectsByTheWay(cast.function), 1);
  }
}

/** Types of users' that values can be of: what is read and written and named, what these are made of, and what implicit casts make of anything. */
function presentTypes(facts: StatementFacts, uses: readonly ResolvedUse[], { snapshot, types }: ReachIndex, scope: Scope): ReadonlySet<number> {
  const present = new Set<number>(scope.present?.map(({ oid }) => oid));
  for (const { relations } of uses) {
    for (const relation of relations) {
      present.add(relation.rowType);
      for (const type of snapshot.columns.get(relation.oid)?.types ?? []) present.add(type);
    }
  }
  for (const use of facts.types) for (const type of resolveTypes(snapshot, use, scope.searchPath).types) present.add(type.oid);
  const implicit = snapshot.casts.filter((cast) => cast.implicit);
  for (let before = -1; before !== present.size;) {
    before = present.size;
    for (const type of present) if (type >= FIRST_USER_OID) for (const part of types.partsOf(type)) present.add(part);
    for (const { source, target } of implicit) if (source < FIRST_USER_OID || present.has(source)) present.add(target);
  }
  return present;
}
