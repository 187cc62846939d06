import { performance } from 'node:perf_hooks';
import type { DerivedStore } from '../quota/derived-store.ts';
import type { Admission, Counter, CounterState, CounterStore, Dismissal, LeaseStamp, Reservation, ReserveGroup } from '../quota/store.ts';
import type { PendingWork } from './pending-work.ts';

/** A counter store whose reservations are measured, and whose calls are waited for at the end. */
export class TimedStore implements CounterStore {
  readonly #store: CounterStore;
  readonly #observe: (seconds: number) => void;
  readonly #pending: PendingWork;

  /** `observe` is told the seconds that a reservation took. */
  constructor(store: CounterStore, pending: PendingWork, observe: (seconds: number) => void) {
    this.#store = store;
    this.#pending = pending;
    this.#observe = observe;
  }

  get copies(): DerivedStore {
    return this.#store.copies;
  }

  async reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    const startMs = performance.now();
    const answer = await this.#counted(this.#store.reserve(groups));
    this.#observe((performance.now() - startMs) / 1000);
    return answer;
  }

  refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    return this.#counted(this.#store.refund(lease, groups));
  }

  admit(counters: readonly Counter[], people: Buffer): Promise<Admission> {
    return this.#counted(this.#store.admit(counters, people));
  }

  dismiss(lease: LeaseStamp, dismissals: readonly Dismissal[]): Promise<void> {
    return this.#counted(this.#store.dismiss(lease, dismissals));
  }

  sharedTexts(kind: string): Promise<ReadonlyMap<string, string>> {
    return this.#store.sharedTexts(kind);
  }

  shareText(kind: string, id: string, text: string | undefined): Promise<void> {
    return this.#counted(this.#store.shareText(kind, id, text));
  }

  get reachable(): boolean {
    return this.#store.reachable !== false;
  }

  subjectSecret(): Promise<Buffer> {
    return this.#store.subjectSecret();
  }

  usage(counters: readonly Counter[]): Promise<readonly CounterState[]> {
    return this.#store.usage(counters);
  }

  once(key: string, ttlMs: number): Promise<boolean> {
    return this.#store.once(key, ttlMs);
  }

  ping(): Promise<void> {
    return this.#store.ping();
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #counted<T>(call: Promise<T>): Promise<T> {
    this.#pending.begin();
    try {
      return await call;
    } finally {
      this.#pending.end();
    }
  }
}
