/** What `a.x = b.y` and `a.x = 5` prove, where users may have operators, types and casts of their own. */

import type { ColumnOfUse, StatementFacts } from '../sql/facts.ts';
import { FIRST_USER_OID, type OperatorRow } from './catalog-rows.ts';
import type { ReachIndex } from './reach-index.ts';
import type { Snapshot } from './snapshot.ts';

/** Columns that equal one value each. A cast to a type of PostgreSQL's own is one to another type where somebody has given that the name, and put its schema in front. */
export function pinsOf(facts: StatementFacts, { snapshot }: ReachIndex): readonly ColumnOfUse[] {
  return facts.pins?.filter(({ cast }) => cast === undefined || !snapshot.typesByName.has(cast)) ?? [];
}

/** Whether `=` between a column and a constant can mean something else than that two values are equal: a user's operator may say so of anything. */
export function equalityIsUnsure({ snapshot }: ReachIndex): boolean {
  return operatorsOfUsers(snapshot).some(({ left, right }) => left < FIRST_USER_OID || right < FIRST_USER_OID);
}

/** The same of a column whose type is a user's. */
export function columnIsUnsure(relation: number, column: string, { snapshot }: ReachIndex): boolean {
  const type = typeOf(relation, column, snapshot);
  return type >= FIRST_USER_OID && operatorsOfUsers(snapshot).some(({ left, right }) => left === type || right === type);
}

/** The same between two columns. Where they are of one type, no operator comes before that of the type but another one that takes it (`oper_select_candidate`, src/backend/parser/parse_oper.c). */
export function columnsAreUnsure([left, leftColumn]: readonly [number, string], [right, rightColumn]: readonly [number, string], { snapshot }: ReachIndex): boolean {
  const operators = operatorsOfUsers(snapshot);
  if (operators.length === 0) return false;
  const type = typeOf(left, leftColumn, snapshot);
  return type !== typeOf(right, rightColumn, snapshot) || operators.some((operator) => operator.left === type || operator.right === type);
}

/** Named `=`. Those over base types (citext, geometry) are none that just anybody makes. */
function operatorsOfUsers(snapshot: Snapshot): readonly OperatorRow[] {
  return (snapshot.operatorsByName.get('=') ?? []).filter(({ left, right }) => [left, right].some((type) => snapshot.types.get(type)?.kind !== 'b'));
}

function typeOf(relation: number, column: string, snapshot: Snapshot): number {
  const columns = snapshot.columns.get(relation);
  return columns?.types[columns.names.indexOf(column)] ?? 0;
}
