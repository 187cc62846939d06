/** Which decisions of a trigger's body can make the row another one, or none: the branches, turns of loops and handlers under which it is set, or returned or not. */

import type { RawNode } from './dialect.ts';
import { isNode, text, unwrap } from './tree.ts';

export interface Guards {
  /** Names that are set under one of them; the row's, if what is returned differs. */
  readonly guarded: ReadonlySet<string>;
  /** Expressions that decide what is set at all, be it a variable. Others only decide whether there is an error. */
  readonly deciders: ReadonlySet<RawNode>;
}

export const NO_GUARDS: Guards = { guarded: new Set(), deciders: new Set() };

/** `assigns`: names that a node of this kind sets; `row`: the row's. */
export function guardsOf(root: RawNode, loops: ReadonlySet<string>, assigns: (kind: string, node: RawNode) => readonly string[], row: string): Guards {
  const returned = new Set<string>();
  for (const [kind, node] of nodesIn(root)) if (kind === 'PLpgSQL_stmt_return') returned.add(text(unwrap(node['expr'], 'PLpgSQL_expr'), 'query')?.toLowerCase() ?? `#${String(node['retvarno'])}`);
  const deciders = new Set<RawNode>();
  const guarded = new Set<string>();
  for (const [kind, guard] of nodesIn(root)) {
    const handles = kind === 'PLpgSQL_stmt_block' && guard['exceptions'] !== undefined;
    if (!handles && !loops.has(kind) && kind !== 'PLpgSQL_stmt_if' && kind !== 'PLpgSQL_stmt_case') continue;
    let sets = false;
    for (const [inner, node] of nodesIn(guard)) {
      const returns = inner === 'PLpgSQL_stmt_return';
      const names = returns ? [] : assigns(inner, node);
      for (const name of names) guarded.add(name);
      if (returns && returned.size > 1) guarded.add(row);
      sets ||= names.length > 0 || returns || inner === 'PLpgSQL_stmt_exit';
    }
    if (sets) for (const expression of expressionsIn(guard)) deciders.add(expression);
  }
  return { guarded, deciders };
}

function* nodesIn(value: unknown): Generator<readonly [string, RawNode]> {
  if (Array.isArray(value)) {
    for (const each of value) yield* nodesIn(each);
    return;
  }
  if (!isNode(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key.startsWith('PLpgSQL_') && isNode(inner)) yield [key, inner];
    yield* nodesIn(inner);
  }
}

function* expressionsIn(guard: RawNode): Generator<RawNode> {
  for (const [kind, node] of nodesIn(guard)) if (kind === 'PLpgSQL_expr') yield node;
}
