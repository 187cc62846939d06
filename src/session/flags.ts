/** Flags: each is on record once in its window, whichever process and however many statements raise it. */

import { performance } from 'node:perf_hooks';
import type { Flag } from '../audit/events.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { CounterStore } from '../quota/store.ts';

/** A flag that goes on is asked about in the store this often: it may be due again. */
const MEMORY_MS = 10_000;
/** More are forgotten, oldest first: the store is then asked once more. */
const MAX_KEYS = 10_000;

export interface FlagsParts {
  readonly store: CounterStore;
  readonly metrics: Metrics;
  readonly log: OpsLog;
}

export class Flags {
  readonly #parts: FlagsParts;
  readonly #record: (flag: Flag) => Promise<void>;
  /** Which this process has seen to lately: bounded, and only for so long that another process's word about them stays fresh. */
  readonly #untilMs = new Map<string, number>();

  constructor(parts: FlagsParts, record: (flag: Flag) => Promise<void>) {
    this.#parts = parts;
    this.#record = record;
  }

  /** `flag`: made only if nobody has raised it, as far as this process knows. */
  raise(flag: () => Flag, windowMs: number, key: string): void {
    const { store, metrics, log } = this.#parts;
    // Whoever raised it, the store need not be asked again for each statement.
    if (!this.#isNews(key, Math.min(windowMs, MEMORY_MS), performance.now())) return;
    const event = flag();
    store
      .once(`flag:${key}`, windowMs)
      .catch(() => true) // Better told twice than not at all.
      .then((first) => {
        if (!first) return undefined;
        metrics.count('flags', { rule: event.rule_id });
        log.warn({ rule: event.rule_id, principal: event.principal, session: event.session_id, reason: event.reason }, 'flag raised');
        return this.#record(event);
      })
      .catch(() => undefined); // The audit log tells of its own gaps.
  }

  #isNews(key: string, forMs: number, nowMs: number): boolean {
    if ((this.#untilMs.get(key) ?? -Infinity) > nowMs) return false;
    this.#untilMs.delete(key);
    this.#untilMs.set(key, nowMs + forMs);
    if (this.#untilMs.size > MAX_KEYS) this.#untilMs.delete(this.#untilMs.keys().next().value as string);
    return true;
  }
}
