/** Who was counted in one sliding window: exact, each person once. No I/O, no clock. */

import type { CounterState } from './store.ts';
import { shapeOf } from './window.ts';

/**
 * Keyed hashes (`personText`) with the time of their last grant. Who was granted more than once has half a millisecond more: such a grant is never taken back, for
 * another session may have delivered by it. A person counts as long as anything that was granted then can share a window with a later
 * delivery: the window and a lease's life (docs/adr/0002-the-sliding-window.md).
 */
export class PeopleWindow {
  readonly #horizonMs: number;
  /** Oldest grant first, save within one millisecond. */
  readonly #last = new Map<string, number>();

  constructor(windowMs: number) {
    this.#horizonMs = shapeOf(windowMs).horizonMs;
  }

  /** How many count at `nowMs`. Forgets those who do not any more. */
  count(nowMs: number): number {
    const endMs = nowMs - this.#horizonMs;
    for (const [person, lastMs] of this.#last) {
      if (lastMs >= endMs + 1) break;
      if (lastMs <= endMs) this.#last.delete(person);
    }
    return this.#last.size;
  }

  /** Call after `count`. */
  has(person: string): boolean {
    return this.#last.has(person);
  }

  /** When a person who counts was granted last. Call after `count`. */
  lastOf(person: string): number | undefined {
    const lastMs = this.#last.get(person);
    return lastMs === undefined ? undefined : Math.floor(lastMs);
  }

  /** Whether a person who counts is among the `room` that were granted last. */
  isAmongNewest(person: string, room: number): boolean {
    const newest = [...this.#last].toSorted(([a, aMs], [b, bMs]) => bMs - aMs || (a < b ? 1 : -1)).slice(0, Math.max(0, room));
    return newest.some(([each]) => each === person);
  }

  /** Counts a person at `nowMs`, which is not before the latest call's. Call after `count`. */
  grant(person: string, nowMs: number): void {
    const lastMs = this.#last.get(person);
    if (lastMs !== undefined) this.#last.delete(person);
    this.#last.set(person, lastMs === undefined ? nowMs : Math.max(nowMs, Math.floor(lastMs)) + 0.5);
  }

  /** Takes back somebody whose only grant was at `grantedAtMs`; false if it was not. */
  dismiss(person: string, grantedAtMs: number): boolean {
    return this.#last.get(person) === grantedAtMs && this.#last.delete(person);
  }

  /** Forgets the oldest until `keep` are left. Call after `count`. */
  shrink(keep: number): void {
    for (const person of this.#last.keys()) {
      if (this.#last.size <= keep) return;
      this.#last.delete(person);
    }
  }

  /** How many count, and when the first of them stops. */
  stateAt(nowMs: number): CounterState {
    const used = this.count(nowMs);
    let firstMs: number | undefined;
    for (const lastMs of this.#last.values()) {
      if (firstMs !== undefined && lastMs >= firstMs + 1) break;
      firstMs = Math.min(firstMs ?? lastMs, lastMs);
    }
    return { used, nextFreeInMs: firstMs === undefined ? undefined : Math.ceil(firstMs) + this.#horizonMs - nowMs };
  }

  /** Those whose last grant was at `sinceMs` or later, with its time. */
  since(sinceMs: number): (readonly [person: string, lastMs: number])[] {
    return [...this.#last].filter(([, lastMs]) => lastMs >= sinceMs).map(([person, lastMs]) => [person, Math.floor(lastMs)] as const);
  }
}

/** What two parts of one counter say together. */
export function sumStates(a: CounterState, b: CounterState): CounterState {
  const nextFreeInMs = a.nextFreeInMs === undefined || b.nextFreeInMs === undefined ? (a.nextFreeInMs ?? b.nextFreeInMs) : Math.min(a.nextFreeInMs, b.nextFreeInMs);
  return { used: a.used + b.used, nextFreeInMs };
}
