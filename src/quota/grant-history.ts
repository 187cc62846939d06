import type { Counter } from './store.ts';
import { add, advance, filledSlices, newWindow, takeBack, type SlidingWindow } from './window.ts';

/** Units that were counted in the past, for putting them back into a store that has forgotten them. */
export interface PastUse {
  readonly counter: Counter;
  readonly filled: readonly { readonly slice: number; readonly units: number }[];
}

const MIN_SWEEP_SIZE = 1024;

/**
 * What one process was granted, by the store's own time: the second copy that lets a Redis which was emptied, restored from an old snapshot
 * or replaced by a lagging replica be refilled. As bounded as the counters themselves.
 */
export class GrantHistory {
  readonly #held = new Map<string, { readonly counter: Counter; readonly window: SlidingWindow }>();
  #latestMs = 0;
  #sweepAt = MIN_SWEEP_SIZE;

  record(grantedAtMs: number, counter: Counter, units: number): void {
    // Answers on one connection come in the order of their grants; after a reconnection an older one must not turn the window back.
    this.#latestMs = Math.max(this.#latestMs, grantedAtMs);
    let held = this.#held.get(counter.key);
    if (held === undefined || held.counter.windowMs !== counter.windowMs) {
      if (this.#held.size >= this.#sweepAt) this.#sweep();
      held = { counter, window: newWindow(counter.windowMs) };
      this.#held.set(counter.key, held);
    }
    add(held.window, this.#latestMs, units);
  }

  forget(grantedAtMs: number, counter: Counter, units: number): void {
    const held = this.#held.get(counter.key);
    if (held !== undefined && held.counter.windowMs === counter.windowMs) takeBack(held.window, grantedAtMs, units);
  }

  /** What was granted in the slice of `sinceMs` or later; the first slice may be told in part twice, never too little. */
  since(sinceMs: number): PastUse[] {
    const uses: PastUse[] = [];
    for (const { counter, window } of this.#held.values()) {
      advance(window, this.#latestMs);
      const filled = filledSlices(window, sinceMs);
      if (filled.length > 0) uses.push({ counter, filled });
    }
    return uses;
  }

  #sweep(): void {
    for (const [key, { window }] of this.#held) {
      advance(window, this.#latestMs);
      if (window.total === 0) this.#held.delete(key);
    }
    this.#sweepAt = Math.max(MIN_SWEEP_SIZE, 2 * this.#held.size);
  }
}
