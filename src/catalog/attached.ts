/**
 * Code that a definition makes, or attaches to something: a function, a trigger, an operator. The open transaction may run it and take it back, and nothing in the catalog ever shows; so
 * the definition tells where it writes, and whether it reads a class.
 */

import type { RoutineBody, StatementFacts } from '../sql/facts.ts';
import { type Effects, Tally } from './effects.ts';
import { resolveFunctions, resolveRelations } from './names.ts';
import type { ReachIndex } from './reach-index.ts';
import type { Attached, SearchPath } from './reach-types.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { tallyStatement } from './statement-tally.ts';

const NONE: ReadonlySet<number> = new Set();

export const NOTHING_ATTACHED: Attached = { oids: new Set(), names: [], reads: false };

export function bothAttached(a: Attached, b: Attached | undefined): Attached {
  if (b === undefined || b === NOTHING_ATTACHED) return a;
  return a === NOTHING_ATTACHED ? b : { oids: new Set([...a.oids, ...b.oids]), names: [...a.names, ...b.names], reads: a.reads || b.reads };
}

/** Undefined if it can write nowhere, and no class has another name by it. */
export function attachedBy(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex, path: SearchPath): Attached | undefined {
  const oids = new Set<number>();
  const add = ({ copies, stores, steered = NONE }: Pick<Effects, 'copies' | 'stores' | 'steered'>): void => {
    for (const set of [copies, stores, steered]) for (const oid of set) if (!index.members.declared.has(oid)) oids.add(oid);
  };
  let reads = tally.classes.size > 0 || tally.opaque.size > tally.misses.size;
  add(tally);
  const relations = uses.flatMap((use) => use.relations.map(({ oid }) => oid));
  // What these write as they are is known already (`src/catalog/shown-copies.ts`).
  for (const oid of relations) {
    const { classes, steered = NONE } = index.writeEffects(oid);
    add({ copies: NONE, stores: NONE, steered });
    reads ||= steered.size > 0 && classes.size > 0;
  }
  for (const name of facts.attaches ?? []) {
    const functions = resolveFunctions(index.snapshot, name, path);
    // A trigger's function that the transaction has made itself may put anything into its row.
    let fillsRow = functions.length === 0;
    for (const fn of functions) {
      const { effects } = index.functions.of(fn);
      add(effects);
      reads ||= effects.classes.size > 0 || effects.opaque.length > 0;
      fillsRow ||= effects.feedsRow;
    }
    if (fillsRow && facts.node === 'CreateTrigStmt') for (const oid of relations) oids.add(oid);
  }
  if (facts.body !== undefined) {
    add(index.blockEffects(facts.body, undefined));
    reads ||= readsClass(facts.body, index);
  }
  const names = facts.body === undefined ? [] : unknownTargets(facts.body, index);
  return oids.size === 0 && names.length === 0 && !reads ? undefined : { oids, names, reads };
}

/** What it names and the catalog does not have was made in the transaction, which has told of it. */
function readsClass(body: RoutineBody, index: ReachIndex): boolean {
  return body.opaque.length > 0 || body.statements.some(({ facts }) => {
    const { tally } = tallyStatement(facts, index, { searchPath: body.searchPath, local: undefined });
    return tally.classes.size > 0 || tally.opaque.size > tally.misses.size;
  });
}

function unknownTargets(body: RoutineBody, { snapshot }: ReachIndex): Attached['names'] {
  const targets = body.statements.flatMap(({ facts }) => facts.relations.filter(({ mode }) => mode === 'write'));
  return targets.filter((use) => resolveRelations(snapshot, use, body.searchPath).length === 0).map(({ schema, name }) => ({ schema, name }));
}
