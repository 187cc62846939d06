/**
 * Rows outside of a class that tell of it without holding a value of it: which of them are gone, which are locked, what a foreign key did to them.
 * Who joins a table of numbers with a class and deletes every row whose bit is not set has copied the class into what is left.
 */

import type { StatementFacts } from '../sql/facts.ts';
import type { RelationRow } from './catalog-rows.ts';
import type { Tally } from './effects.ts';
import { tellsOfOnePerson } from './proofs.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { closure, type Snapshot } from './snapshot.ts';

export interface Mark {
  /** None: a name that nobody knows yet. */
  readonly relations: readonly RelationRow[];
}

/** What the statement marks: rows that it deletes, locks, and changes by way of foreign keys. */
export function marksOf(facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex): readonly Mark[] {
  const targets = uses.filter(({ use }) => use.mode === 'write');
  const marks: Mark[] = facts.kind === 'delete' && targets.length === 1 ? targets.map((resolved) => mark(resolved, index)) : [];
  for (const position of facts.locks ?? []) {
    const resolved = uses[position];
    if (resolved !== undefined) marks.push(mark(resolved, index));
  }
  const cascaded = targets.flatMap(({ relations }) => relations.flatMap(({ oid }) => [...cascadedFrom(oid, facts, targets.length, index.snapshot)]));
  if (cascaded.length > 0) marks.push({ relations: cascaded });
  return marks;
}

function mark(resolved: ResolvedUse, { snapshot }: ReachIndex): Mark {
  return { relations: resolved.relations.flatMap((relation) => storedUnder(relation, snapshot)) };
}

/** By oid. */
export function markedOids(facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex): readonly number[] {
  return marksOf(facts, uses, index).flatMap(({ relations }) => relations.map(({ oid }) => oid));
}

/** Whether a mark stands outside of the class and can tell of more than one person of it. */
export function marksOutside(className: string, marks: readonly Mark[], facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  const outside = marks.some(({ relations }) => relations.length === 0 || relations.some(({ oid }) => index.members.classesOf.get(oid)?.has(className) !== true));
  return outside && !tellsOfOnePerson(className, facts, tally, uses, index);
}

/** A view's rows stand in the tables that it reads: there they are locked, deleted, written. */
export function storedUnder(relation: RelationRow, snapshot: Snapshot): readonly RelationRow[] {
  if (relation.kind !== 'v') return [relation];
  const found = new Map<number, RelationRow>();
  for (const oid of underViews(relation.oid, snapshot)) {
    const row = snapshot.relations.get(oid);
    if (row !== undefined && row.kind !== 'v') found.set(oid, row);
  }
  return [...found.values()];
}

/** A view, and every relation that it and the views in it read. */
function underViews(oid: number, snapshot: Snapshot): ReadonlySet<number> {
  const reached = new Set([oid]);
  for (const current of reached) {
    if (snapshot.relations.get(current)?.kind !== 'v') continue;
    for (const rule of snapshot.rules.get(current) ?? []) {
      for (const dependency of snapshot.dependencies.rule.get(rule.oid) ?? []) if (dependency.target === 'relation') reached.add(dependency.oid);
    }
  }
  return reached;
}

/** Relations whose rows the server changes because they refer to rows of the target, and those that refer to them. */
function cascadedFrom(target: number, facts: StatementFacts, targets: number, snapshot: Snapshot): readonly RelationRow[] {
  if (facts.kind === 'copy_from' || facts.kind === 'truncate' || (facts.kind === 'insert' && !facts.updatesOnConflict && targets === 1)) return [];
  const only = targets === 1 ? facts.kind : undefined;
  const reached = new Set<number>();
  const roots = [...underViews(target, snapshot)].flatMap((oid) => [...closure(oid, snapshot.children)]);
  const todo = [...roots];
  for (let current = todo.pop(); current !== undefined; current = todo.pop()) {
    for (const { referencing, columns, onDelete, onUpdate } of snapshot.cascades.get(current) ?? []) {
      // What a cascade changes further on depends on its own key: every column counts.
      const updates = onUpdate && (!roots.includes(current) || facts.assigns.some((column) => columns.includes(column)));
      if (!(onDelete && only !== 'update') && !(updates && only !== 'delete')) continue;
      for (const next of closure(referencing, snapshot.children)) {
        if (reached.has(next)) continue;
        reached.add(next);
        todo.push(next);
      }
    }
  }
  return [...reached].flatMap((oid) => snapshot.relations.get(oid) ?? []);
}
