/**
 * What the server keeps of its own work, for everybody to read: how often relations were scanned, and which rows and relations are locked. A statement can be
 * written so that these say what stands in a class. Reading them is free until one has run that could have been; see docs/adr/0011-the-servers-own-bookkeeping.md.
 */

/** `counters`: cumulative statistics of relations, indexes, sequences and functions. `locks`: pg_locks. */
export type Ledger = 'counters' | 'locks';

export const LEDGERS: readonly Ledger[] = ['counters', 'locks'];
export const NO_LEDGERS: ReadonlySet<Ledger> = new Set();

/** A statement over a class that scans at no more places than these tells little by their counters: a number of two or three bytes each. */
export const MOST_COUNTERS = 8;
/** An index has counters of its own. These come with the table. */
export const INDEXES_OF_A_TABLE = 4;

/** What a statement leaves in the server's books that can say what it has read. */
export interface BookTraces {
  /** Relations, indexes and places that it may scan as often as a class says; Infinity: nobody can tell. */
  readonly counters: number;
  /** It locks relations whose names are worked out. */
  readonly locks: boolean;
}

export const NO_TRACES: BookTraces = { counters: 0, locks: false };
export const UNKNOWN_TRACES: BookTraces = { counters: Infinity, locks: true };

export function bothTraces(a: BookTraces, b: BookTraces): BookTraces {
  if (b === NO_TRACES) return a;
  return a === NO_TRACES ? b : { counters: a.counters + b.counters, locks: a.locks || b.locks };
}

/** Views of one row for each relation, index, sequence or function. Those of the database and the server as a whole hold a few numbers, whatever statements do. */
const COUNTERS_OF_EACH = /^pg_stat(io)?_(all|sys|user)_(tables|indexes|sequences|functions)$/;
/** pg_stat_have_stats tells whether anything was counted at all (it is not for everybody unless it is granted). */
const COUNTER_FUNCTIONS = /^pg_stat_have_stats$|^pg_stat_get_(numscans|lastscan|tuples_\w+|blocks_(fetched|hit)|live_tuples|dead_tuples|mod_since_analyze|ins_since_vacuum|function_\w+)$/;

/** Which book a relation of pg_catalog shows. */
export function shownByRelation(name: string): Ledger | undefined {
  if (COUNTERS_OF_EACH.test(name)) return 'counters';
  return name === 'pg_locks' ? 'locks' : undefined;
}

/** Which book a function of initdb's shows. */
export function shownByFunction(name: string): Ledger | undefined {
  if (COUNTER_FUNCTIONS.test(name)) return 'counters';
  return name === 'pg_lock_status' ? 'locks' : undefined;
}
