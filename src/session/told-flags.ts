/** Which flags this process has seen to lately: bounded, and only for so long that another process's word about them stays fresh. */

/** More are forgotten, oldest first: the store is then asked once more. */
const MAX_KEYS = 10_000;

export class ToldFlags {
  readonly #untilMs = new Map<string, number>();

  /** True for the first of a key within `forMs`. */
  first(key: string, forMs: number, nowMs: number): boolean {
    if ((this.#untilMs.get(key) ?? -Infinity) > nowMs) return false;
    this.#untilMs.delete(key);
    this.#untilMs.set(key, nowMs + forMs);
    if (this.#untilMs.size > MAX_KEYS) this.#untilMs.delete(this.#untilMs.keys().next().value as string);
    return true;
  }
}
