import type { LeaseCounter } from './lease-plan.ts';
import type { CounterState, LeaseStamp } from './store.ts';

/** Sizes of one pool. */
export interface UnitPoolSizes {
  /** Held at first, doubled as long as it is used up quickly. */
  readonly first: number;
  readonly max: number;
}

export interface PooledUnits {
  readonly stamp: LeaseStamp;
  readonly deadlineMs: number;
  units: number;
}

/**
 * At most this part of what remains under the tightest limit (or until a flag is due) is held between statements. Less than `first`
 * of it, and nothing is: near a limit each statement asks the store for itself, so that the last units are there for whoever comes.
 */
const SHARE = 32;
/** A refill that comes sooner than this after the last one doubles the pool. */
const FAST_REFILL_MS = 250;
/** The part of a lease's life that must be left of units that are handed out. */
const LIFE_LEFT = 1 / 8;

/**
 * Units of one group of counters that this process has reserved and no statement holds. Arithmetic only: neither clock nor store.
 *
 * Units keep the deadline of their reservation wherever they go (docs/adr/0002), so that passing them from statement to statement makes
 * none of them live longer.
 */
export class UnitPool {
  readonly counters: readonly LeaseCounter[];
  readonly #sizes: UnitPoolSizes;
  readonly #parcels: PooledUnits[] = [];
  #idle = 0;
  #size: number;
  #states: readonly CounterState[] | undefined;
  #filledAtMs = -Infinity;
  /** A reservation for it that is under way. */
  filling: Promise<void> | undefined;
  takenAtMs = -Infinity;

  constructor(counters: readonly LeaseCounter[], sizes: UnitPoolSizes) {
    this.counters = counters;
    this.#sizes = sizes;
    this.#size = sizes.first;
  }

  get idle(): number {
    return this.#idle;
  }

  /** How the counters stand, without the units that lie here; undefined before the store has answered. */
  get states(): readonly CounterState[] | undefined {
    const idle = this.#idle;
    return idle === 0 ? this.#states : this.#states?.map(({ used, nextFreeInMs }) => ({ used: Math.max(0, used - idle), nextFreeInMs }));
  }

  /** Most units that may lie here now. */
  get room(): number {
    if (this.#states === undefined) return 0;
    let left = Infinity;
    for (let c = 0; c < this.counters.length; c++) {
      const { counter, flags } = this.counters[c] as LeaseCounter;
      const used = this.#states[c]?.used ?? 0;
      if (counter.limit !== null) left = Math.min(left, counter.limit - used);
      for (const flag of flags) if (used <= flag.limit) left = Math.min(left, flag.limit - used);
    }
    const share = left === Infinity ? Infinity : Math.floor((left + this.#idle) / SHARE);
    return share < this.#sizes.first ? 0 : Math.min(this.#size, share);
  }

  /** Whether `take` would give as much. */
  has(need: number, nowMs: number): boolean {
    for (const parcel of this.#parcels) if (parcel.units >= need && !faded(parcel, nowMs)) return true;
    return false;
  }

  /** `need` to `want` units of one reservation, or undefined. */
  take(want: number, need: number, nowMs: number): PooledUnits | undefined {
    let best: PooledUnits | undefined;
    for (const parcel of this.#parcels) {
      if (parcel.units >= need && !faded(parcel, nowMs) && parcel.units > (best?.units ?? 0)) best = parcel;
      if (best !== undefined && best.units >= want) break;
    }
    if (best === undefined) return undefined;
    const units = Math.min(want, best.units);
    best.units -= units;
    this.#idle -= units;
    this.takenAtMs = nowMs;
    if (best.units === 0) this.#parcels.splice(this.#parcels.indexOf(best), 1);
    return { stamp: best.stamp, deadlineMs: best.deadlineMs, units };
  }

  /** Takes units in as far as there is room and life in them; the rest is to go back to the store. */
  put(stamp: LeaseStamp, deadlineMs: number, units: number, nowMs: number): number {
    // An allowance for the time without the store is for those who ask, not for keeping.
    if (stamp.debt !== undefined || faded({ stamp, deadlineMs }, nowMs)) return 0;
    const kept = Math.min(units, Math.max(0, this.room - this.#idle));
    if (kept === 0) return 0;
    const same = this.#parcels.find((parcel) => parcel.stamp === stamp);
    if (same === undefined) this.#parcels.push({ stamp, deadlineMs, units: kept });
    else same.units += kept;
    this.#idle += kept;
    return kept;
  }

  /** Units to ask for beyond what a statement needs; 0 if there are enough, or a reservation is under way. */
  lacks(nowMs: number): number {
    if (this.filling !== undefined) return 0;
    const { room } = this;
    return this.#idle * 2 >= room && nowMs - this.#filledAtMs < FAST_REFILL_MS * 4 ? 0 : Math.max(0, room - this.#idle);
  }

  /** The store has told how the counters stand. */
  noteStates(states: readonly CounterState[]): void {
    this.#states = states;
  }

  /** The store has given units for this pool. */
  filled(nowMs: number): void {
    if (nowMs - this.#filledAtMs < FAST_REFILL_MS) this.#size = Math.min(this.#sizes.max, this.#size * 2);
    else if (nowMs - this.#filledAtMs > 8 * FAST_REFILL_MS) this.#size = Math.max(this.#sizes.first, this.#size / 2);
    this.#filledAtMs = nowMs;
  }

  /** What is void or close to it; all of it if `all`. */
  drain(nowMs: number, all: boolean): PooledUnits[] {
    const gone = this.#parcels.filter((parcel) => all || faded(parcel, nowMs));
    if (gone.length === 0) return gone;
    for (const parcel of gone) {
      this.#idle -= parcel.units;
      this.#parcels.splice(this.#parcels.indexOf(parcel), 1);
    }
    return gone;
  }
}

/** Too close to its end to be handed out. */
function faded({ stamp, deadlineMs }: Pick<PooledUnits, 'stamp' | 'deadlineMs'>, nowMs: number): boolean {
  return nowMs >= deadlineMs - LIFE_LEFT * stamp.validForMs;
}
