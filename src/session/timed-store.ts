import { performance } from 'node:perf_hooks';
import type { Counter, CounterState, CounterStore, LeaseStamp, Reservation, ReserveGroup } from '../quota/store.ts';

export interface StoreObserver {
  /** Seconds that a reservation took, and what it told of each counter. */
  reserved(seconds: number, groups: readonly ReserveGroup[], answer: Reservation): void;
}

/** A counter store whose reservations are measured. */
export class TimedStore implements CounterStore {
  readonly #store: CounterStore;
  readonly #observer: StoreObserver;

  constructor(store: CounterStore, observer: StoreObserver) {
    this.#store = store;
    this.#observer = observer;
  }

  async reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    const startMs = performance.now();
    const answer = await this.#store.reserve(groups);
    this.#observer.reserved((performance.now() - startMs) / 1000, groups, answer);
    return answer;
  }

  refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    return this.#store.refund(lease, groups);
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
}
