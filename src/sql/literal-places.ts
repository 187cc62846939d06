/**
 * Whether what a statement's text says (`StatementFacts`) can depend on the values of its literals. It cannot where each of them is compared with
 * a column by an ordinary operator in a plain query: facts hold names, operators and shapes, and no reader of trees looks at such a
 * constant. Everywhere else it may: LIMIT, arguments of functions, settings, type modifiers, ORDER BY 1.
 */

import type { ParsedStatement, RawNode } from './dialect.ts';
import { child, isNode, list, text, unwrap } from './tree.ts';

/** All of pg_catalog or not: the operator is a fact, its constant is none. */
const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=', '~~', '~~*']);
const KINDS: ReadonlySet<string> = new Set(['AEXPR_OP', 'AEXPR_IN', 'AEXPR_BETWEEN', 'AEXPR_LIKE', 'AEXPR_ILIKE']);

/** `starts`: where the literals of the (ASCII) text begin. */
export function literalsAreOnlyCompared(statements: readonly ParsedStatement[], starts: readonly number[]): boolean {
  const [only, ...more] = statements;
  if (only === undefined || more.length > 0 || unwrap(only.tree, 'SelectStmt') === undefined) return false;
  const places = new Set<number>();
  comparedConstants(only.tree, places);
  return starts.every((start) => places.has(start));
}

function comparedConstants(tree: RawNode, places: Set<number>): void {
  const pending: unknown[] = [tree];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (Array.isArray(value)) {
      pending.push(...(value as readonly unknown[]));
      continue;
    }
    if (!isNode(value)) continue;
    const comparison = unwrap(value, 'A_Expr');
    if (comparison !== undefined) noteComparison(comparison, places);
    for (const each of Object.values(value)) if (typeof each === 'object' && each !== null) pending.push(each);
  }
}

function noteComparison(expression: RawNode, places: Set<number>): void {
  const names = list(expression, 'name');
  const name = names.length === 1 ? text(unwrap(names[0], 'String'), 'sval') : undefined;
  if (name === undefined || !(COMPARISONS.has(name) || name === 'BETWEEN') || !KINDS.has(text(expression, 'kind') ?? '')) return;
  if (unwrap(expression['lexpr'], 'ColumnRef') === undefined) return;
  const right = child(expression, 'rexpr');
  const operands = unwrap(right, 'List') === undefined ? [right] : list(unwrap(right, 'List'), 'items');
  for (const operand of operands) {
    const constant = unwrap(operand, 'A_Const');
    // Zeros are left out of the tree, and so no location means the text's first byte: no constant stands there.
    const location = constant?.['location'];
    if (typeof location === 'number') places.add(location);
  }
}
