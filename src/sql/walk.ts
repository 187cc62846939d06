import type { RawNode } from './dialect.ts';
import { NODE_TABLE } from './node-table.ts';
import { isNode } from './tree.ts';

/** Where a node stands: the kind of node and the field that hold it. Elements of nested lists stand in `List`.`items`. */
export interface Place {
  readonly kind: string;
  readonly field: string;
}

/** Contexts for a node's children: `rest` for every field that `fields` does not name. */
export interface Descent<C> {
  readonly rest: C;
  readonly fields?: Readonly<Record<string, C>>;
}

/** Called for every node. Returns the contexts of its children; undefined hands the node's own context on. There is no way to skip a child. */
export type Enter<C> = (kind: string, node: RawNode, context: C, place: Place) => Descent<C> | undefined;

/** A statement with more nodes than this is refused: 1 MiB of text has at most about a million. */
export const MAX_NODES = 4_000_000;

interface Pending<C> {
  /** Undefined: `value` is wrapped. */
  readonly bareKind: string | undefined;
  readonly value: unknown;
  readonly context: C;
  readonly place: Place;
}

/**
 * Visits every node of a parse tree, parents first and siblings in the order of the text, without recursion: a tree is as deep as a
 * statement is long. Fields are not listed by hand; whatever holds an object is a child. Returns undefined, or why the walk is not
 * complete: a shape or node kind that the table does not know, which may hide a table or a call.
 */
export function walk<C>(tree: unknown, context: C, enter: Enter<C>): string | undefined {
  const stack: Pending<C>[] = [{ bareKind: undefined, value: tree, context, place: { kind: 'RawStmt', field: 'stmt' } }];
  let visited = 0;
  for (let pending = stack.pop(); pending !== undefined; pending = stack.pop()) {
    if (!isNode(pending.value)) return `unexpected value in ${pending.place.kind}.${pending.place.field}`;
    let kind = pending.bareKind;
    let node = pending.value;
    if (kind === undefined) {
      const keys = Object.keys(node);
      // PostgreSQL prints a NULL list element, as in a plain DISTINCT, as {}.
      if (keys.length === 0) continue;
      kind = keys[0] ?? '';
      const body = node[kind];
      if (keys.length !== 1 || !isNode(body)) return `unexpected wrapper in ${pending.place.kind}.${pending.place.field}`;
      node = body;
    }
    const fields = NODE_TABLE.get(kind);
    if (fields === undefined) return `unknown node kind ${kind}`;
    visited += 1;
    if (visited > MAX_NODES) return 'the statement has too many parts';

    const descent = enter(kind, node, pending.context, pending.place);
    const names = Object.keys(node);
    for (let at = names.length - 1; at >= 0; at -= 1) {
      const field = names[at] ?? '';
      const value = node[field];
      if (typeof value !== 'object' || value === null) continue;
      if (!fields.has(field)) return `unknown field ${kind}.${field}`;
      const bareKind = fields.get(field);
      const childContext = descent === undefined ? pending.context : descent.fields?.[field] ?? descent.rest;
      const place = { kind, field };
      if (Array.isArray(value)) {
        for (let index = value.length - 1; index >= 0; index -= 1) stack.push({ bareKind, value: value[index], context: childContext, place });
      } else {
        stack.push({ bareKind, value, context: childContext, place });
      }
    }
  }
  return undefined;
}
