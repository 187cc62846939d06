/** Whom this process was granted, by the store's time, for putting them back into a store that has forgotten them. No I/O, no clock. */

import { shapeOf } from './window.ts';

/** The people of one counter. */
export interface PeopleHistory {
  readonly isEmpty: boolean;
  /** `keep`: how many people the store holds at most: the newest. Returns when those who were known by name had been granted last; nothing where nobody is. */
  record(atMs: number, people: readonly string[], keep: number): readonly number[];
  /** Forgets what cannot count any more at `nowMs`. */
  expire(nowMs: number): void;
  /** People of the grants at `atMs` who were not delivered. Returns of how many it is known to have been the only grant. */
  dismiss(atMs: number, people: ReadonlySet<string>): number;
  /** Those who were granted at `sinceMs` or later, each with the last time. */
  since(sinceMs: number): (readonly [person: string, lastMs: number])[];
}

interface Batch {
  readonly atMs: number;
  people: readonly string[];
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

  record(atMs: number, people: readonly string[], keep: number): readonly number[] {
    this.#batches.push({ atMs, people });
    this.#entries += people.length;
    this.expire(atMs);
    if (this.#entries > 2 * keep + MIN_ENTRIES) this.#shorten(keep);
    return NOBODY_KNOWN;
  }

  expire(nowMs: number): void {
    for (let batch = this.#batches[this.#first]; batch !== undefined && batch.atMs <= nowMs - this.#horizonMs; batch = this.#batches[++this.#first]) this.#entries -= batch.people.length;
    if (this.#first < DISMISSAL_DEPTH && this.#first < this.#batches.length) return;
    this.#batches.splice(0, this.#first);
    this.#first = 0;
  }

  dismiss(atMs: number, people: ReadonlySet<string>): number {
    const until = Math.max(this.#first, this.#batches.length - DISMISSAL_DEPTH);
    for (let i = this.#batches.length - 1; i >= until; i--) {
      const batch = this.#batches[i] as Batch;
      if (batch.atMs !== atMs) continue;
      const kept = batch.people.filter((person) => !people.has(person));
      this.#entries -= batch.people.length - kept.length;
      batch.people = kept;
    }
    return 0;
  }

  since(sinceMs: number): (readonly [person: string, lastMs: number])[] {
    return [...this.#latest(sinceMs)];
  }

  #latest(sinceMs: number): Map<string, number> {
    const latest = new Map<string, number>();
    for (let i = this.#first; i < this.#batches.length; i++) {
      const { atMs, people } = this.#batches[i] as Batch;
      if (atMs < sinceMs) continue;
      for (const person of people) {
        latest.delete(person);
        latest.set(person, atMs);
      }
    }
    return latest;
  }

  /** Each person once, and the newest of them only. */
  #shorten(keep: number): void {
    const newest = [...this.#latest(-Infinity)].slice(-keep);
    this.#batches = [];
    this.#first = 0;
    this.#entries = newest.length;
    for (const [person, atMs] of newest) {
      const last = this.#batches.at(-1);
      if (last?.atMs === atMs) (last.people as string[]).push(person);
      else this.#batches.push({ atMs, people: [person] });
    }
  }
}
