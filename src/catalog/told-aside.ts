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
import type { ResolvedUse } from './resolved-use.ts';
import { closure } from './snapshot.ts';

/** A number, as far as a statement can be made to count in good time. */
const BYTES = 3;
/** Rows and pages, of a table, of what it keeps out of line and of each index. */
const BYTES_OF_EACH = 2 * BYTES;
const TABLE_AND_TOAST = 2;
const STORED: ReadonlySet<RelationRow['kind']> = new Set(['r', 'm', 't', 'f']);
const MAKES_A_TABLE: ReadonlySet<StatementFacts['kind']> = new Set(['create_table_as', 'select_into', 'create_matview']);

/** In bytes. 0 where no more than one person decides about it, whom the statement pays for. */
export function asideBytes(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): number {
  const reads = [...tally.classes].filter(([, { width }]) => width > 0);
  if (reads.every(([name]) => tellsOfOnePerson(name, facts, tally, uses, index))) return 0;
  return filledBytes(facts, tally, uses, index) + BYTES * ((tally.moves & SEQUENCE) + ((tally.moves & RANDOM) >> 1));
}

function filledBytes(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): number {
  const { snapshot, members } = index;
  const filled = new Set<number>();
  const fill = (oid: number): void => {
    if (oid !== SINK) for (const each of closure(oid, snapshot.children)) if (!members.declared.has(each)) filled.add(each);
  };
  if (facts.kind !== 'delete' && facts.kind !== 'truncate') {
    for (const { use, relations } of uses) if (use.mode === 'write' || facts.kind === 'refresh_matview') for (const { oid } of relations) fill(oid);
  }
  for (const oid of tally.copies) fill(oid);
  let relations = MAKES_A_TABLE.has(facts.kind) ? TABLE_AND_TOAST * facts.defines.length : 0;
  for (const oid of filled) {
    if (STORED.has(snapshot.relations.get(oid)?.kind ?? 'v')) relations += TABLE_AND_TOAST + (snapshot.indexes.get(oid) ?? 0);
  }
  return bytesOfFilled(relations);
}

export function bytesOfFilled(relations: number): number {
  return BYTES_OF_EACH * relations;
}
