import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { MemoryDerivedStore } from './derived-store.ts';
import { checkCounters, checkGroups, checkPeople, checkRefund } from './check-request.ts';
import { PeopleWindow, sumStates } from './people.ts';
import { personTexts } from './person-table.ts';
import type { Admission, Counter, CounterState, CounterStore, Dismissal, GroupGrant, LeaseStamp, Reservation, ReserveGroup } from './store.ts';
import { add, MAX_UNITS, newWindow, stateAt, takeBack, validForMs, type SlidingWindow } from './window.ts';

export interface MemoryStoreOptions {
  /**
   * The store's clock in milliseconds. The default is monotonic: it can neither be set nor step, and where it stands still (a suspended
   * machine) units count for longer. Tests inject clocks that jump.
   */
  readonly nowMs?: () => number;
  /** Several processes ask it, and it cannot tell them apart: any of them may be giving back what it was granted. */
  readonly shared?: boolean;
}

/** Sweep when the map has doubled since the last sweep, but not below this size: keeps a sweep's cost O(1) a reservation on average. */
const MIN_SWEEP_SIZE = 1024;

/** Counters in process memory: the embedded default for one process. They are gone when the process is. */
export class MemoryStore implements CounterStore {
  readonly copies = new MemoryDerivedStore();
  readonly #clock: () => number;
  readonly #shared: boolean;
  readonly #windows = new Map<string, { readonly windowMs: number; readonly window: SlidingWindow }>();
  readonly #people = new Map<string, PeopleWindow>();
  readonly #subjectSecret = randomBytes(32);
  readonly #notes = new Map<string, Map<string, string>>();
  readonly #once = new Map<string, number>();
  #highWaterMs = 0;
  #sweepAt = MIN_SWEEP_SIZE;

  constructor(options: MemoryStoreOptions = {}) {
    this.#clock = options.nowMs ?? (() => performance.now());
    this.#shared = options.shared === true;
  }

  /** Counters held, for tests and metrics. */
  get size(): number {
    return this.#windows.size;
  }

  reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    return settle(() => this.#reserve(groups));
  }

  refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    return settle(() => {
      checkRefund(lease, groups);
      const { nowMs } = this.#now();
      for (const { units, counters } of groups) {
        for (const counter of counters) {
          const held = this.#find(counter);
          if (held === undefined) continue;
          stateAt(held, nowMs);
          takeBack(held, lease.grantedAtMs, units);
        }
      }
    });
  }

  admit(counters: readonly Counter[], people: Buffer): Promise<Admission> {
    return settle(() => this.#admit(counters, people));
  }

  dismiss(lease: LeaseStamp, dismissals: readonly Dismissal[]): Promise<void> {
    return settle(() => {
      this.#now();
      for (const { people, counters } of dismissals) {
        const taken = personTexts(people);
        for (const { key } of counters) for (const person of taken) this.#people.get(key)?.dismiss(person, lease.grantedAtMs);
      }
    });
  }

  sharedTexts(kind: string): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map(this.#notes.get(kind)));
  }

  shareText(kind: string, id: string, text: string | undefined): Promise<void> {
    const notes = this.#notes.get(kind) ?? new Map<string, string>();
    this.#notes.set(kind, notes);
    if (text === undefined) notes.delete(id);
    else notes.set(id, text);
    return Promise.resolve();
  }

  subjectSecret(): Promise<Buffer> {
    return Promise.resolve(this.#subjectSecret);
  }

  usage(counters: readonly Counter[]): Promise<readonly CounterState[]> {
    return settle(() => {
      checkCounters(counters);
      const { nowMs, behindMs } = this.#now();
      return counters.map((counter) => this.#state(counter, nowMs, behindMs));
    });
  }

  once(key: string, ttlMs: number): Promise<boolean> {
    return settle(() => {
      const { nowMs } = this.#now();
      const until = this.#once.get(key);
      if (until !== undefined && until > nowMs) return false;
      if (this.#once.size >= MIN_SWEEP_SIZE) {
        for (const [old, end] of this.#once) if (end <= nowMs) this.#once.delete(old);
      }
      this.#once.set(key, nowMs + ttlMs);
      return true;
    });
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #reserve(groups: readonly ReserveGroup[]): Reservation {
    checkGroups(groups);
    const { nowMs, behindMs } = this.#now();
    const amounts: number[] = [];
    let refused: { group: number; counter: number } | undefined;
    for (const [g, group] of groups.entries()) {
      let amount = group.want;
      for (const [c, counter] of group.counters.entries()) {
        // A count-only counter is limited by what a double counts exactly.
        const left = Math.max(0, (counter.limit ?? MAX_UNITS) - this.#state(counter, nowMs, 0).used);
        if (left < group.min) refused ??= { group: g, counter: c };
        amount = Math.min(amount, left);
      }
      amounts.push(amount);
    }
    if (refused === undefined) {
      for (const [g, group] of groups.entries()) {
        for (const counter of group.counters) add(this.#windowOf(counter, nowMs), nowMs, amounts[g] as number);
      }
    }
    const answer = groups.map(
      (group, g): GroupGrant => ({
        granted: refused === undefined ? (amounts[g] as number) : 0,
        counters: group.counters.map((counter) => this.#state(counter, nowMs, behindMs)),
      }),
    );
    if (refused !== undefined) {
      const lastMs = this.#shared ? this.#windows.get(groups[refused.group]?.counters[refused.counter]?.key ?? '')?.window.grantedAtMs : undefined;
      return { kind: 'refused', ...refused, groups: answer, sinceOthersMs: lastMs === undefined ? undefined : nowMs - lastMs };
    }
    const lease = { grantedAtMs: nowMs, validForMs: validForMs(groups.flatMap((group) => group.counters)) };
    return { kind: 'granted', lease, groups: answer };
  }

  #admit(counters: readonly Counter[], people: Buffer): Admission {
    checkPeople(counters, people);
    const { nowMs, behindMs } = this.#now();
    const seats = counters.map((counter) => {
      this.#windowOf(counter, nowMs); // Its being there keeps the set from the sweep.
      const window = this.#peopleOf(counter);
      window.count(nowMs);
      const units = this.#find(counter);
      return { counter, window, room: counter.limit === null ? Infinity : counter.limit - (units === undefined ? 0 : stateAt(units, nowMs).used) };
    });
    const fresh: number[] = [];
    let refused: number | undefined;
    for (const person of personTexts(people)) {
      const full = seats.findIndex(({ window, room }) => {
        const counted = window.count(nowMs);
        if (!window.has(person)) return counted >= room;
        return counted > room && !window.isAmongNewest(person, room);
      });
      if (full >= 0) {
        refused = full;
        break;
      }
      let bits = 0;
      for (const [c, { counter, window }] of seats.entries()) {
        if (!window.has(person)) bits += 2 ** c;
        window.grant(person, nowMs);
        if (counter.limit === null) window.shrink(counter.people ?? 1);
      }
      fresh.push(bits);
    }
    return {
      lease: { grantedAtMs: nowMs, validForMs: validForMs(counters) },
      admitted: fresh.length,
      fresh,
      refused,
      counters: counters.map((counter) => this.#state(counter, nowMs, behindMs)),
    };
  }

  #peopleOf(counter: Counter): PeopleWindow {
    let window = this.#people.get(counter.key);
    if (window === undefined) this.#people.set(counter.key, (window = new PeopleWindow(counter.windowMs)));
    return window;
  }

  /** The clock's high-water mark: after a step back the store's time stands still until the clock has caught up, so nothing expires early. */
  #now(): { nowMs: number; behindMs: number } {
    const clockMs = Math.floor(this.#clock());
    this.#highWaterMs = Math.max(this.#highWaterMs, clockMs);
    return { nowMs: this.#highWaterMs, behindMs: this.#highWaterMs - clockMs };
  }

  #find(counter: Counter): SlidingWindow | undefined {
    const held = this.#windows.get(counter.key);
    if (held !== undefined && held.windowMs !== counter.windowMs) throw new RangeError(`counter '${counter.key}' was used with another window`);
    return held?.window;
  }

  #state(counter: Counter, nowMs: number, behindMs: number): CounterState {
    const window = this.#find(counter);
    if (window === undefined) return { used: 0, nextFreeInMs: undefined };
    const units = stateAt(window, nowMs);
    const people = counter.people === undefined ? undefined : this.#people.get(counter.key);
    const state = people === undefined ? units : sumStates(units, people.stateAt(nowMs));
    return state.nextFreeInMs === undefined ? state : { used: state.used, nextFreeInMs: state.nextFreeInMs + behindMs };
  }

  #windowOf(counter: Counter, nowMs: number): SlidingWindow {
    const held = this.#find(counter);
    if (held !== undefined) return held;
    if (this.#windows.size >= this.#sweepAt) this.#sweep(nowMs);
    const window = newWindow(counter.windowMs);
    this.#windows.set(counter.key, { windowMs: counter.windowMs, window });
    return window;
  }

  #sweep(nowMs: number): void {
    for (const [key, { window }] of this.#windows) {
      if (stateAt(window, nowMs).used > 0 || (this.#people.get(key)?.count(nowMs) ?? 0) > 0) continue;
      this.#windows.delete(key);
      this.#people.delete(key);
    }
    this.#sweepAt = Math.max(MIN_SWEEP_SIZE, 2 * this.#windows.size);
  }
}

/** A fault rejects, as it does in a store behind a network. */
function settle<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
