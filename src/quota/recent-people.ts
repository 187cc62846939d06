import type { LeaseCounter } from './lease-plan.ts';

const MAX_SETS = 2000;
/** A set forgets the older half when its newer one is as large as this. */
const HALF = 4096;

/** Whom one list of counters was asked about. */
export class RecentSet {
  #newer = new Map<string, number>();
  #older = new Map<string, number>();

  note(person: string, deadlineMs: number): void {
    // Two maps in turn: taking the oldest out of one at each new entry costs more the longer it goes on.
    if (this.#newer.size >= HALF) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(person, deadlineMs);
  }

  /** Milliseconds of the monotonic clock. */
  deadlineOf(person: string): number | undefined {
    return this.#newer.get(person) ?? this.#older.get(person);
  }
}

/**
 * Who was delivered a moment ago by a grant that still holds, in this process: the next statement about the same person needs no answer of the
 * store. Nothing is stretched by it, since a grant holds for every delivery within its life.
 */
export class RecentPeople {
  /** By the counters that the grant was made in: those of another login are others. */
  readonly #sets = new Map<string, RecentSet>();

  /** Limits are part of the name: what a higher one granted is not taken for a grant of the one that came after it. */
  of(counters: readonly LeaseCounter[]): RecentSet {
    const name = counters.map(({ counter }) => `${counter.key} ${counter.limit ?? ''}`).join('\n');
    let set = this.#sets.get(name);
    if (set === undefined) {
      if (this.#sets.size >= MAX_SETS) this.#sets.delete(this.#sets.keys().next().value ?? '');
      this.#sets.set(name, (set = new RecentSet()));
    }
    return set;
  }
}
