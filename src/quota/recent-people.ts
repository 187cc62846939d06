import type { LeaseCounter } from './lease-plan.ts';
import { PersonTable } from './person-table.ts';

const MAX_SETS = 2000;
/** A set forgets the older half when its newer one is as large as this. */
const HALF = 4096;

class Half {
  readonly #people = new PersonTable();
  #deadlines = new Float64Array(this.#people.room);

  get isFull(): boolean {
    return this.#people.size >= HALF;
  }

  set(words: Int32Array, at: number, deadlineMs: number): void {
    const index = this.#people.add(words, at);
    if (index >= this.#deadlines.length) {
      const longer = new Float64Array(this.#people.room);
      longer.set(this.#deadlines);
      this.#deadlines = longer;
    }
    this.#deadlines[index] = deadlineMs;
  }

  get(words: Int32Array, at: number): number | undefined {
    const index = this.#people.find(words, at);
    return index < 0 ? undefined : this.#deadlines[index];
  }

  clear(): void {
    this.#people.clear();
  }
}

/** Whom one list of counters was asked about. A person is the hash that begins at `words[at]`. */
export class RecentSet {
  #newer = new Half();
  #older = new Half();

  note(words: Int32Array, at: number, deadlineMs: number): void {
    // Two halves in turn: taking the oldest out of one at each new entry costs more the longer it goes on.
    if (this.#newer.isFull) {
      const oldest = this.#older;
      this.#older = this.#newer;
      oldest.clear();
      this.#newer = oldest;
    }
    this.#newer.set(words, at, deadlineMs);
  }

  /** Milliseconds of the monotonic clock. */
  deadlineOf(words: Int32Array, at: number): number | undefined {
    return this.#newer.get(words, at) ?? this.#older.get(words, at);
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
