import { PeopleLog, type PeopleHistory } from './people-log.ts';
import { PeopleTimes } from './people-times.ts';
import type { Counter } from './store.ts';
import { add, advance, filledSlices, newWindow, shapeOf, stateAt, takeBack, type SlidingWindow } from './window.ts';

/** Units that were counted in the past, for putting them back into a store that has forgotten them. */
export interface PastUse {
  readonly counter: CountedKey;
  readonly filled: readonly { readonly slice: number; readonly units: number }[];
}

/** What of a counter says where its units are counted: its limit may change from call to call. */
export type CountedKey = Pick<Counter, 'key' | 'windowMs'>;

export interface Counted {
  readonly counter: CountedKey;
  readonly units: number;
}

/** People who were admitted in the past, each with the time of the last grant. */
export interface PastPeople {
  readonly counter: CountedKey;
  /** Keyed hashes as `personText` gives them. */
  readonly people: readonly (readonly [person: string, lastMs: number])[];
}

interface RecentGrant {
  readonly sequence: number;
  readonly grantedAtMs: number;
  readonly units: Map<string, { readonly counter: CountedKey; units: number }>;
}

const MIN_SWEEP_SIZE = 1024;
/** Grants that are remembered one by one. A replica lags by fewer, so that what it lacks is put back to the unit. */
const RECENT_GRANTS = 2048;
/** How far back a refund is looked for: one comes within a lease's life. */
const REFUND_DEPTH = 256;

/**
 * What one process was granted, by the store's own time: the second copy that lets a Redis which was emptied, restored from an old snapshot
 * or replaced by a lagging replica be refilled. As bounded as the counters themselves.
 */
export class GrantHistory {
  readonly #held = new Map<string, { readonly counter: CountedKey; readonly window: SlidingWindow }>();
  readonly #people = new Map<string, { readonly counter: CountedKey; readonly people: PeopleHistory }>();
  readonly #recent: RecentGrant[] = [];
  /** Where the oldest of `#recent` stands: shifting an array of this size at every grant would cost more than it holds. */
  #first = 0;
  /** Grants up to this one are known by their slices only. */
  #forgotten = 0;
  readonly #byPerson: boolean;
  #latestMs = 0;
  #sweepAt = MIN_SWEEP_SIZE;

  /** `byPerson`: whoever is granted again is known (`recordPeople`), at the price of a map of all people. */
  constructor(byPerson: boolean) {
    this.#byPerson = byPerson;
  }

  /** Units of one grant, in the order of the answers. */
  record(sequence: number, grantedAtMs: number, counted: readonly Counted[]): void {
    const grant: RecentGrant = { sequence, grantedAtMs, units: new Map() };
    for (const { counter, units } of counted) {
      this.restore(grantedAtMs, counter, units);
      grant.units.set(counter.key, { counter, units });
    }
    this.#recent.push(grant);
    if (this.#recent.length - this.#first <= RECENT_GRANTS) return;
    this.#forgotten = Math.max(this.#forgotten, (this.#recent[this.#first] as RecentGrant).sequence);
    this.#first += 1;
    if (this.#first >= RECENT_GRANTS) {
      this.#recent.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Units of a grant whose number is not known any more. */
  restore(grantedAtMs: number, counter: CountedKey, units: number): void {
    this.#latestMs = Math.max(this.#latestMs, grantedAtMs);
    let held = this.#held.get(counter.key);
    if (held === undefined || held.counter.windowMs !== counter.windowMs) {
      if (this.#held.size >= this.#sweepAt) this.#sweep();
      held = { counter, window: newWindow(counter.windowMs) };
      this.#held.set(counter.key, held);
    }
    // Answers on one connection come in the order of their grants; after a reconnection an older one must not turn the window back.
    const { window } = held;
    add(window, window.total === 0 ? grantedAtMs : Math.max(grantedAtMs, window.newest * window.shape.sliceMs), units);
  }

  /** The time under which a grant is kept: an answer that comes late does not turn the clock back. */
  keptAtMs(grantedAtMs: number): number {
    return Math.max(this.#latestMs, grantedAtMs);
  }

  /** People of one admission; `keep`: how many of a counter the store holds at most. Returns when those who were known had been granted last. */
  recordPeople(grantedAtMs: number, counter: CountedKey, people: Buffer, keep: number): readonly number[] {
    this.#latestMs = Math.max(this.#latestMs, grantedAtMs);
    let held = this.#people.get(counter.key);
    if (held === undefined || held.counter.windowMs !== counter.windowMs) {
      if (this.#people.size >= this.#sweepAt) this.#sweep();
      held = { counter, people: this.#byPerson ? new PeopleTimes(counter.windowMs) : new PeopleLog(counter.windowMs) };
      this.#people.set(counter.key, held);
    }
    return held.people.record(this.#latestMs, people, keep);
  }

  /** Of how many of these people the grant at `grantedAtMs` is known to have been the only one. */
  forgetPeople(grantedAtMs: number, counter: CountedKey, people: Buffer): number {
    return this.#people.get(counter.key)?.people.dismiss(grantedAtMs, people) ?? 0;
  }

  peopleSince(sinceMs: number): PastPeople[] {
    const past: PastPeople[] = [];
    for (const { counter, people } of this.#people.values()) {
      people.expire(this.#latestMs);
      const granted = people.since(sinceMs);
      if (granted.length > 0) past.push({ counter, people: granted });
    }
    return past;
  }

  /** Everything up to this grant came from elsewhere (a journal) and is known by its slices only. */
  startAfter(sequence: number): void {
    this.#forgotten = Math.max(this.#forgotten, sequence);
  }

  forget(grantedAtMs: number, counter: CountedKey, units: number): void {
    const held = this.#held.get(counter.key);
    if (held !== undefined && held.counter.windowMs === counter.windowMs) takeBack(held.window, grantedAtMs, units);
    const until = Math.max(this.#first, this.#recent.length - REFUND_DEPTH);
    for (let i = this.#recent.length - 1; i >= until; i -= 1) {
      const grant = this.#recent[i] as RecentGrant;
      const part = grant.grantedAtMs === grantedAtMs ? grant.units.get(counter.key) : undefined;
      if (part === undefined || part.units < units) continue;
      part.units -= units;
      return;
    }
  }

  /** Units in the window, as far as this process took them. */
  used(counter: CountedKey): number {
    const held = this.#held.get(counter.key);
    return held === undefined || held.counter.windowMs !== counter.windowMs ? 0 : stateAt(held.window, this.#latestMs).used;
  }

  /** What was granted after the grant of this number, which was made at `sinceMs`. Exact for the latest grants; else the slice of `sinceMs` is told whole. */
  after(sequence: number, sinceMs: number): PastUse[] {
    return sequence >= this.#forgotten ? this.#recentAfter(sequence) : this.since(sinceMs);
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

  #recentAfter(sequence: number): PastUse[] {
    const slices = new Map<string, { counter: CountedKey; filled: Map<number, number> }>();
    for (let i = this.#first; i < this.#recent.length; i += 1) {
      const grant = this.#recent[i] as RecentGrant;
      if (grant.sequence <= sequence) continue;
      for (const { counter, units } of grant.units.values()) addSlice(slices, counter, grant.grantedAtMs, units);
    }
    return pastUses(slices);
  }

  #sweep(): void {
    for (const [key, { window }] of this.#held) {
      advance(window, this.#latestMs);
      if (window.total === 0) this.#held.delete(key);
    }
    for (const [key, { people }] of this.#people) {
      people.expire(this.#latestMs);
      if (people.isEmpty) this.#people.delete(key);
    }
    this.#sweepAt = Math.max(MIN_SWEEP_SIZE, 2 * Math.max(this.#held.size, this.#people.size));
  }
}

export function addSlice(slices: Map<string, { counter: CountedKey; filled: Map<number, number> }>, counter: CountedKey, atMs: number, units: number): void {
  if (units <= 0) return;
  const use = slices.get(counter.key) ?? { counter, filled: new Map<number, number>() };
  slices.set(counter.key, use);
  const slice = Math.floor(atMs / shapeOf(counter.windowMs).sliceMs);
  use.filled.set(slice, (use.filled.get(slice) ?? 0) + units);
}

export function pastUses(slices: ReadonlyMap<string, { readonly counter: CountedKey; readonly filled: ReadonlyMap<number, number> }>): PastUse[] {
  return [...slices.values()].map(({ counter, filled }) => ({ counter, filled: [...filled].map(([slice, units]) => ({ slice, units })) }));
}
