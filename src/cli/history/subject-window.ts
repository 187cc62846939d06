/** Distinct people in a sliding window, exactly, as far as a limit needs it. Pure. */

export class SubjectWindow {
  readonly #windowMs: number;
  /** More than this many are not remembered: past the limit it does not matter how far. */
  readonly #most: number;
  /** Key -> when it was last taken; in that order. */
  readonly #seen = new Map<string, number>();

  constructor(windowMs: number, most: number) {
    this.#windowMs = windowMs;
    this.#most = most;
  }

  count(nowMs: number): number {
    this.#forget(nowMs);
    return this.#seen.size;
  }

  /** How many of the keys would be new people. */
  fresh(keys: readonly string[]): number {
    let fresh = 0;
    for (const key of keys) if (!this.#seen.has(key)) fresh++;
    return fresh;
  }

  /** Takes note of the keys; of new ones, of at most `newOnes`. */
  add(keys: readonly string[], newOnes: number, nowMs: number): void {
    let left = Math.min(newOnes, this.#most - this.#seen.size);
    for (const key of keys) {
      if (!this.#seen.delete(key) && left-- <= 0) continue;
      this.#seen.set(key, nowMs);
    }
  }

  #forget(nowMs: number): void {
    for (const [key, atMs] of this.#seen) {
      if (atMs > nowMs - this.#windowMs) return;
      this.#seen.delete(key);
    }
  }
}
