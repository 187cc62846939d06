import type { Counted, CountedKey } from './grant-history.ts';

/** What survives this process: a third copy of its grants, beside Redis and its own memory. */

export interface JournalPast {
  /** Number of the last grant, and the latest time of the store that was seen. */
  readonly sequence: number;
  readonly seenMs: number;
  readonly grants: readonly { readonly counter: CountedKey; readonly atMs: number; readonly units: number }[];
  readonly debt: readonly Counted[];
}

export interface GrantJournal {
  /** Who this process is to Redis: the same after a restart. */
  readonly member: number;
  past(domain: string): JournalPast | undefined;
  /** Resolves when the grant is as safe as ops want; undefined: nothing is to be waited for. */
  granted(domain: string, sequence: number, atMs: number, counted: readonly Counted[]): Promise<void> | undefined;
  refunded(domain: string, atMs: number, counted: readonly Counted[]): void;
  owed(domain: string, counted: readonly Counted[], sign: 1 | -1): void;
  close(): Promise<void>;
}
