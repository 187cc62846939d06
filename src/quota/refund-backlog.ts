import type { Counted } from './grant-history.ts';
import { shapeOf } from './window.ts';

/** Bounds memory where the store stays away; what is over it stays counted. */
const MAX_ENTRIES = 10_000;

interface Owed {
  readonly atMs: number;
  readonly counters: Map<string, { readonly counter: Counted['counter']; units: number }>;
}

/**
 * Units that are to go back and of which it is certain that the store has not taken them back yet: the call was never sent, or the store answered
 * that it did nothing. Whatever may have been carried out does not come here, for a refund that is done twice takes somebody else's units.
 */
export class RefundBacklog {
  readonly #byTime = new Map<number, Owed>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False: there is no room, and these stay counted. */
  keep(atMs: number, counted: readonly Counted[]): boolean {
    if (this.#size + counted.length > MAX_ENTRIES) return false;
    const owed = this.#byTime.get(atMs) ?? { atMs, counters: new Map<string, { counter: Counted['counter']; units: number }>() };
    this.#byTime.set(atMs, owed);
    for (const { counter, units } of counted) {
      const known = owed.counters.get(counter.key);
      if (known !== undefined) known.units += units;
      else {
        owed.counters.set(counter.key, { counter, units });
        this.#size += 1;
      }
    }
    return true;
  }

  /** Takes the next out, oldest first. What no longer counts at `nowMs` of the store's clock is left out. */
  next(nowMs: number): { readonly atMs: number; readonly counted: readonly Counted[] } | undefined {
    for (const { atMs, counters } of [...this.#byTime.values()].toSorted((a, b) => a.atMs - b.atMs)) {
      this.#byTime.delete(atMs);
      this.#size -= counters.size;
      const counted = [...counters.values()].filter(({ counter }) => atMs >= nowMs - shapeOf(counter.windowMs).horizonMs);
      if (counted.length > 0) return { atMs, counted };
    }
    return undefined;
  }
}
