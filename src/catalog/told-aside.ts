/**
 * What a statement tells by what it leaves behind. Sizes of the relations that it fills: how many rows, and how many pages, went into each table and each of its indexes; everybody
 * may ask for these (pg_relation_size, pg_class.relpages and reltuples), and a table can have a partition for each digit of each customer. And how far a sequence, or
 * the session's generator of random numbers, has gone on.
 */

import type { StatementFacts } from '../sql/facts.ts';
import type { RelationRow } from './catalog-rows.ts';
import { RANDOM, SEQUENCE, SINK, type Tally } from './effects.ts';
import { tellsOfOnePerson } from './proofs.ts';
import type { ReachIndex } from './reach-index.ts';
import type { SearchPath } from './reach-types.ts';
import { runsOnce } from './repeats.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { closure } from './snapshot.ts';
import { maintains } from './statement-tally.ts';

/** A number, as far as a statement can be made to count in good time. */
const BYTES = 3;
/** Rows and pages, of a table, of what it keeps out of line and of each index. */
const BYTES_OF_EACH = 2 * BYTES;
const TABLE_AND_TOAST = 2;
const STORED: ReadonlySet<RelationRow['kind']> = new Set(['r', 'm', 't', 'f']);
const MAKES_A_TABLE: ReadonlySet<StatementFacts['kind']> = new Set(['create_table_as', 'select_into', 'create_matview']);

/** In bytes. */
export function asideBytes(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex, path: SearchPath): number {
  if ((facts.kind === 'explain' && !facts.explainAnalyze) || facts.kind === 'prepare' || isPaidByPeople(facts, tally, uses, index)) return 0;
  return (isOneStep(facts, tally) && runsOnce(facts, uses, index, path) ? 0 : filledBytes(facts, tally, uses, index)) + BYTES * ((tally.moves & SEQUENCE) + ((tally.moves & RANDOM) >> 1));
}

/** Classes only decide what is done, and a few times each time that it is: a row more or less of those that came. */
function isOneStep(facts: StatementFacts, tally: Tally): boolean {
  return (facts.kind === 'insert' || facts.kind === 'update' || facts.kind === 'delete') && tally.opaque.size === 0 && tally.copies.size === 0 && [...tally.classes.values()].every(({ width }) => width === 0);
}

/** All of it is of one person, whom the statement pays for, or comes from the client: nothing that runs by the way reads more. */
function isPaidByPeople(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  if (tally.opaque.size > 0 || tally.ownCopies.size > 0 || maintains(facts)) return false;
  const brings = (facts.kind === 'insert' && !facts.updatesOnConflict) || facts.kind === 'copy_from';
  const targets = uses.filter(({ use }) => use.mode === 'write').flatMap(({ relations }) => relations);
  return [...tally.classes].every(([name, { width }]) =>
    (brings && width === 0 && targets.every(({ oid }) => !index.writeEffects(oid).classes.has(name))) || tellsOfOnePerson(name, facts, tally, uses, index));
}

function filledBytes(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], { snapshot, members }: ReachIndex): number {
  const filled = new Set<number>();
  const fill = (oid: number): void => {
    if (oid !== SINK) for (const each of closure(oid, snapshot.children)) if (!members.declared.has(each)) filled.add(each);
  };
  const rebuilds = maintains(facts) || facts.kind === 'refresh_matview';
  for (const { use, relations } of uses) if (use.mode === 'write' || rebuilds) for (const { oid } of relations) fill(oid);
  // REINDEX and VACUUM of everything: whatever has expressions.
  if (rebuilds && uses.length === 0) for (const oid of snapshot.dependencies.place.keys()) fill(oid);
  for (const oid of tally.copies) fill(oid);
  let stored = MAKES_A_TABLE.has(facts.kind) ? TABLE_AND_TOAST * facts.defines.length : 0;
  for (const oid of filled) {
    if (STORED.has(snapshot.relations.get(oid)?.kind ?? 'v')) stored += TABLE_AND_TOAST + (snapshot.indexes.get(oid) ?? 0) + (facts.node === 'IndexStmt' ? 1 : 0);
  }
  return bytesOfFilled(stored);
}

export function bytesOfFilled(relations: number): number {
  return BYTES_OF_EACH * relations;
}
