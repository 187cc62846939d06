/**
 * The leases of one process by counter. A reservation that finds a counter used up, while neighbours hold units of it that they
 * have not spent, waits a moment: short statements give back what they did not need. Without it, a burst of look-ups at the
 * end of a quota would be refused units that nobody ever takes.
 */

export interface Holder {
  /** Reserved and unspent units of a counter. */
  holds(counterKey: string): number;
}

/** How long a statement waits for neighbours at most. */
export const PATIENCE_MS = 3_000;
/** Where more leases than this are open on a counter, each begins with its least need. */
const CROWD = 2;

export class Neighbours {
  readonly #holders = new Map<string, Set<Holder>>();
  readonly #waiting = new Map<string, (() => void)[]>();

  join(holder: Holder, counterKeys: Iterable<string>): void {
    for (const key of counterKeys) {
      const holders = this.#holders.get(key);
      if (holders === undefined) this.#holders.set(key, new Set([holder]));
      else holders.add(holder);
    }
  }

  /** Several statements draw on one of these counters at this moment. */
  crowded(counterKeys: Iterable<string>): boolean {
    for (const key of counterKeys) if ((this.#holders.get(key)?.size ?? 0) > CROWD) return true;
    return false;
  }

  /** `released`: units that went back to the store, as many waiters have reason to ask again. */
  leave(holder: Holder, counterKeys: Iterable<string>, released: number): void {
    for (const key of counterKeys) {
      const holders = this.#holders.get(key);
      holders?.delete(holder);
      if (holders?.size === 0) this.#holders.delete(key);
      this.#wake(key, holders === undefined || holders.size === 0 ? Infinity : Math.max(1, released));
    }
  }

  /** True if somebody else in this process may give units of this counter back. */
  mayRelease(holder: Holder, counterKey: string): boolean {
    for (const other of this.#holders.get(counterKey) ?? []) if (other !== holder && other.holds(counterKey) > 0) return true;
    return false;
  }

  /** Resolves when a neighbour has left, or after `ms`. */
  released(counterKey: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(counterKey) ?? [];
      this.#waiting.set(counterKey, waiting);
      const timer = setTimeout(resolve, ms);
      waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(key: string, count: number): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    for (const resolve of waiting.splice(0, Number.isFinite(count) ? count : waiting.length)) resolve();
    if (waiting.length === 0) this.#waiting.delete(key);
  }
}
