/** Whom this process was granted, by the store's time, for putting them back into a store that has forgotten them. No I/O, no clock. */

import { peopleIn, PERSON_BYTES, PERSON_WORDS, personText, PersonTable, wordsOf } from './person-table.ts';
import { shapeOf } from './window.ts';

/** The people of one counter: keyed hashes, packed where many come, and as `personText` gives them where they are told again. */
export interface PeopleHistory {
  readonly isEmpty: boolean;
  /** `keep`: how many people the store holds at most: the newest. Returns when those who were known by name had been granted last; nothing where nobody is. */
  record(atMs: number, people: Buffer, keep: number): readonly number[];
  /** Forgets what cannot count any more at `nowMs`. */
  expire(nowMs: number): void;
  /** People of the grants at `atMs` who were not delivered. Returns of how many it is known to have been the only grant. */
  dismiss(atMs: number, people: Buffer): number;
  /** Those who were granted at `sinceMs` or later, each with the last time. */
  since(sinceMs: number): (readonly [person: string, lastMs: number])[];
}

interface Batch {
  readonly atMs: number;
  people: Buffer;
}

/** How far back a dismissal is looked for: one comes within a lease's life. */
const DISMISSAL_DEPTH = 1024;
const MIN_ENTRIES = 1024;
const NOBODY_KNOWN: readonly number[] = [];

/**
 * Grants of one counter as they came, not person by person: who was granted again stands in it twice until it is shortened, which keeps it within twice
 * what the store holds at most. A map of all people costs more at each grant than all else that is done about them.
 */
export class PeopleLog implements PeopleHistory {
  readonly #horizonMs: number;
  /** Oldest first. */
  #batches: Batch[] = [];
  #first = 0;
  #entries = 0;

  constructor(windowMs: number) {
    this.#horizonMs = shapeOf(windowMs).horizonMs;
  }

  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  record(atMs: number, people: Buffer, keep: number): readonly number[] {
    this.#batches.push({ atMs, people });
    this.#entries += peopleIn(people);
    this.expire(atMs);
    if (this.#entries > 2 * keep + MIN_ENTRIES) this.#shorten(keep);
    return NOBODY_KNOWN;
  }

  expire(nowMs: number): void {
    for (let batch = this.#batches[this.#first]; batch !== undefined && batch.atMs <= nowMs - this.#horizonMs; batch = this.#batches[++this.#first]) this.#entries -= peopleIn(batch.people);
    if (this.#first < DISMISSAL_DEPTH && this.#first < this.#batches.length) return;
    this.#batches.splice(0, this.#first);
    this.#first = 0;
  }

  dismiss(atMs: number, people: Buffer): number {
    const dismissed = new PersonTable();
    addAll(dismissed, people);
    const until = Math.max(this.#first, this.#batches.length - DISMISSAL_DEPTH);
    for (let i = this.#batches.length - 1; i >= until; i--) {
      const batch = this.#batches[i] as Batch;
      if (batch.atMs !== atMs) continue;
      const kept = only(batch.people, (words, at) => dismissed.find(words, at) < 0);
      this.#entries -= peopleIn(batch.people) - peopleIn(kept);
      batch.people = kept;
    }
    return 0;
  }

  since(sinceMs: number): (readonly [person: string, lastMs: number])[] {
    return this.#latest(sinceMs, Infinity).flatMap(({ atMs, people }) => Array.from({ length: peopleIn(people) }, (_, i) => [personText(people, i), atMs] as const));
  }

  /** Each person once, where they came last, and no more than the `keep` newest. Oldest first. */
  #latest(sinceMs: number, keep: number): Batch[] {
    const met = new PersonTable();
    const batches: Batch[] = [];
    for (let i = this.#batches.length - 1; i >= this.#first && met.size < keep; i--) {
      const { atMs, people } = this.#batches[i] as Batch;
      if (atMs < sinceMs) continue;
      const left = only(people, (words, at) => {
        const before = met.size;
        return before < keep && met.add(words, at) === before;
      });
      if (left.length > 0) batches.push({ atMs, people: left });
    }
    return batches.toReversed();
  }

  #shorten(keep: number): void {
    this.#batches = this.#latest(-Infinity, keep);
    this.#first = 0;
    this.#entries = this.#batches.reduce((sum, { people }) => sum + peopleIn(people), 0);
  }
}

function addAll(table: PersonTable, people: Buffer): void {
  const words = wordsOf(people);
  for (let at = 0; at < words.length; at += PERSON_WORDS) table.add(words, at);
}

/** Those of them who pass, asked from the last to the first. */
function only(people: Buffer, passes: (words: Int32Array, at: number) => boolean): Buffer {
  const words = wordsOf(people);
  const left = Buffer.allocUnsafeSlow(people.length);
  let from = left.length;
  for (let i = peopleIn(people) - 1; i >= 0; i--) {
    if (!passes(words, i * PERSON_WORDS)) continue;
    from -= PERSON_BYTES;
    people.copy(left, from, i * PERSON_BYTES, (i + 1) * PERSON_BYTES);
  }
  return from === 0 ? left : Buffer.from(left.subarray(from));
}
