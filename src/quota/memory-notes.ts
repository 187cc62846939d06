import type { Notes } from './store.ts';

/** Far above the keys of all sessions that a machine carries; what is over it is forgotten, oldest first. */
const MAX_NOTES = 200_000;

/** Notes for the workers of one primary process. */
export class MemoryNotes implements Notes {
  readonly #notes = new Map<string, { readonly value: string; readonly untilMs: number }>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  put(key: string, value: string, ttlMs: number): Promise<void> {
    // Set anew, so that the map's order is the order of writing.
    this.#notes.delete(key);
    this.#notes.set(key, { value, untilMs: this.#nowMs() + ttlMs });
    if (this.#notes.size > MAX_NOTES) {
      const [oldest] = this.#notes.keys();
      if (oldest !== undefined) this.#notes.delete(oldest);
    }
    return Promise.resolve();
  }

  get(key: string): Promise<string | undefined> {
    const note = this.#notes.get(key);
    return Promise.resolve(note === undefined || note.untilMs <= this.#nowMs() ? undefined : note.value);
  }

  drop(key: string): Promise<void> {
    this.#notes.delete(key);
    return Promise.resolve();
  }
}
