/** What a statement leaves in the server besides the rows that it writes: locked rows, sequences that were moved, values of expressions in the catalog. */

import type { RawNode } from './dialect.ts';
import type { QueryLevel } from './key-links.ts';
import { constant, list, open, stringConstant, text, unwrap } from './tree.ts';

export interface FoundTraces {
  readonly locks: readonly number[];
  readonly draws: number;
  readonly evaluates: boolean;
  readonly locksByName: boolean;
  readonly indexes: number;
}

/** Constraints that are kept by an index. */
const INDEXED: ReadonlySet<string> = new Set(['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_EXCLUSION']);
/** Stands for every sequence. */
const ANY = '*';

/** Whether the built-in function does something to what it gets the name of as data. */
export function takesNames(functionName: string): boolean {
  return functionName === 'nextval';
}

/**
 * These keep a lock on what they are told of until the transaction ends (init_sequence, commands/sequence.c; AcquireRewriteLocks, rewrite/rewriteHandler.c; find_all_inheritors;
 * get_object_address). Found by calling each of the functions that look a name or an oid up, and looking into pg_locks.
 */
const LOCKING: ReadonlySet<string> = new Set([
  'currval', 'pg_sequence_last_value', 'pg_get_sequence_data', 'pg_get_viewdef', 'pg_get_ruledef', 'pg_get_functiondef', 'pg_get_function_sqlbody', 'pg_partition_tree',
  'pg_get_partition_constraintdef', 'pg_get_object_address', 'satisfies_hash_partition',
]);
/** Names that are written out: so many calls, each under a condition of its own, tell no more than so many bits. */
const MOST_NAMED = 8;

/** Whether the built-in function leaves a lock on what it gets the name of as data. */
export function locksNamed(functionName: string): boolean {
  return LOCKING.has(functionName);
}

export class Traces {
  readonly #locked: { readonly level: QueryLevel; readonly clause: RawNode }[] = [];
  readonly #sequences = new Set<string>();
  #evaluates = false;
  #locksByName = false;
  readonly #named = new Set<string>();
  #indexes = 0;

  /** FOR UPDATE, FOR SHARE: a row that is locked says so in its xmax, for ever, and passes others by who SKIP LOCKED. */
  lock(level: QueryLevel, clauses: readonly unknown[]): void {
    for (const clause of clauses) this.#locked.push({ level, clause: unwrap(clause, 'LockingClause') ?? {} });
  }

  /** nextval(): how often it was called is for everybody to read. Under one name that is a number like a count; which of several was called can spell anything. */
  draw(call: RawNode): void {
    this.#sequences.add(nameGiven(call) ?? ANY);
  }

  /** pg_locks shows for the rest of the transaction which relation these were given. */
  lockByName(call: RawNode): void {
    const given = list(call, 'args').map(writtenOut);
    if (given.includes(undefined)) this.#locksByName = true;
    else this.#named.add(JSON.stringify(given));
    if (this.#named.size > MOST_NAMED) this.#locksByName = true;
  }

  /** A partition's bounds are worked out when it is made, and so is the value that rows of old have of a column that is added. Everybody may read them in pg_class and pg_attribute. */
  see(kind: string, node: RawNode): void {
    if (kind === 'IndexStmt' || (kind === 'Constraint' && INDEXED.has(text(node, 'contype') ?? ''))) this.#indexes += 1;
    if (kind === 'PartitionBoundSpec' || (kind === 'AlterTableCmd' && text(node, 'subtype') === 'AT_AddColumn')) this.#evaluates = true;
  }

  /** `reads`: indexes of all relation uses that are read. */
  found(reads: () => readonly number[]): FoundTraces {
    const locks = new Set<number>();
    for (const { level, clause } of this.#locked) for (const use of lockedBy(level, clause) ?? reads()) locks.add(use);
    return { locks: [...locks], draws: this.#sequences.has(ANY) ? Math.max(2, this.#sequences.size) : this.#sequences.size, evaluates: this.#evaluates, locksByName: this.#locksByName, indexes: this.#indexes };
  }
}

/** A first argument that is written out. */
function nameGiven(call: RawNode): string | undefined {
  return stringConstant(withoutCasts(list(call, 'args')[0]));
}

function writtenOut(argument: unknown): string | undefined {
  return constant(withoutCasts(argument));
}

function withoutCasts(value: unknown): unknown {
  let bare = value;
  for (let cast = unwrap(bare, 'TypeCast'); cast !== undefined; cast = unwrap(bare, 'TypeCast')) bare = cast['arg'];
  return bare;
}

/** Undefined: any that the statement reads. The clause reaches into sub-selects and views of FROM (transformLockingClause, parser/analyze.c). */
function lockedBy(level: QueryLevel, clause: RawNode): readonly number[] | undefined {
  const named = list(clause, 'lockedRels').map((item) => text(open(item)?.body, 'relname') ?? '');
  const items = named.length > 0 ? named.map((name) => level.names.get(name)) : [...level.names.values()];
  if (level.unnamed && named.length === 0) return undefined;
  const uses: number[] = [];
  for (const item of items) {
    if (item?.use === undefined) return undefined;
    uses.push(item.use);
  }
  return uses;
}
