/**
 * Statements that are judged alike by any catalog. They need not wait for the one that a change has made necessary: without that, each statement of a
 * migration would have the whole catalog read for it.
 */

import type { StatementFacts, StatementKind } from '../sql/facts.ts';

/** COMMIT is none of them: what was deferred runs there. */
const NAMELESS_KINDS: ReadonlySet<StatementKind> = new Set(['begin', 'rollback', 'savepoint', 'release', 'rollback_to', 'set', 'reset', 'show', 'select', 'values']);

/** There is no name in it that a catalog could resolve. */
export function namesNothing({ kind, relations, functions, operators, types, attributes, named, body, opaque }: StatementFacts): boolean {
  return NAMELESS_KINDS.has(kind) && relations.length + functions.length + operators.length + types.length + attributes.length + opaque.length === 0 && named === undefined && body === undefined;
}

/** By the name of their node. A table is made empty, whatever expressions come with it; the others hold none. ALTER TABLE is none of them: it runs checks and defaults over rows. */
const DEFINITIONS: ReadonlySet<string> = new Set([
  'CreateStmt', 'IndexStmt', 'CreateSeqStmt', 'CreateSchemaStmt', 'CreateEnumStmt', 'CompositeTypeStmt', 'DropStmt', 'CommentStmt', 'GrantStmt', 'CreateRoleStmt', 'GrantRoleStmt',
]);

/** It puts no row anywhere and calls nothing. Of interest for a login without quotas alone: for all others it matters what a definition is of. */
export function definesAndRunsNothing({ node, relations, functions, operators, derives, modifies, evaluates, opaque }: StatementFacts): boolean {
  if (!DEFINITIONS.has(node) || derives || modifies || evaluates === true || opaque.length > 0) return false;
  if (relations.some(({ mode }) => mode !== 'define')) return false;
  return node === 'CreateStmt' || functions.length + operators.length === 0;
}
