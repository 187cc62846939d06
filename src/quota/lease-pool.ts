import type { FlagLimit, LeaseCounter, LeaseCredit, LeaseDimension, PoolPlan, StatementLimit } from './lease-plan.ts';
import { unitsToAsk } from './lease-size.ts';
import type { CounterState, LeaseStamp } from './store.ts';

/** Units of one reservation. Without a stamp they are paid for good (the minimum charge, a cursor's credit) and never refunded. */
export interface Parcel {
  readonly stamp: LeaseStamp | undefined;
  readonly deadlineMs: number;
  units: number;
}

export interface Refund {
  readonly stamp: LeaseStamp;
  readonly pool: LeasePool;
  readonly units: number;
  readonly deadlineMs: number;
}

/** The units of one class in one dimension that a statement holds, reservation by reservation, oldest spent first. */
export class LeasePool {
  readonly className: string;
  readonly dimension: LeaseDimension;
  readonly plan: PoolPlan;
  readonly counters: readonly LeaseCounter[];
  readonly statement: readonly StatementLimit[];
  /** Infinite if nothing limits or counts it in the store. */
  readonly metered: boolean;
  readonly #parcels: Parcel[] = [];
  /** Some limit is only told of when it is crossed. */
  readonly tells: boolean;
  #reported: Set<FlagLimit | StatementLimit> | undefined;
  readonly #maxUnits: number;
  readonly #bound: number;
  #size: number;
  #settled = 0;
  #states: readonly CounterState[] = [];
  #minimumDue: number;

  constructor(className: string, dimension: LeaseDimension, plan: PoolPlan, sizes: { first: number; max: number; bound: number; minimum: number }) {
    this.className = className;
    this.dimension = dimension;
    this.plan = plan;
    this.counters = plan.counters;
    this.statement = plan.statement;
    this.metered = plan.counters.length > 0;
    this.tells = plan.counters.some(({ flags }) => flags.length > 0) || plan.statement.some(({ enforced }) => !enforced);
    this.#size = sizes.first;
    this.#maxUnits = sizes.max;
    this.#bound = sizes.bound;
    this.#minimumDue = this.metered ? sizes.minimum : 0;
  }

  /** Units held; call after `settle`. */
  get held(): number {
    if (!this.metered) return Infinity;
    let units = 0;
    for (const parcel of this.#parcels) units += parcel.units;
    return units;
  }

  /** The store has told how its counters stand. */
  get answered(): boolean {
    return this.#states.length > 0;
  }

  /** What `spent` leaves under the tightest enforced statement limit. */
  statementRoom(spent: number): number {
    let room = Infinity;
    for (const { limit, enforced } of this.statement) if (enforced) room = Math.min(room, limit - spent);
    return room;
  }

  /** First moment at which something held is void. */
  get deadlineMs(): number {
    let deadlineMs = Infinity;
    for (const parcel of this.#parcels) deadlineMs = Math.min(deadlineMs, parcel.deadlineMs);
    return deadlineMs;
  }

  prepay(units: number, deadlineMs: number): void {
    if (!this.metered || units <= 0) return;
    this.#parcels.push({ stamp: undefined, deadlineMs, units });
    this.#minimumDue = 0;
  }

  /** Takes what was spent since the last call off the parcels. */
  settle(spent: number): void {
    let units = spent - this.#settled;
    this.#settled = spent;
    if (!this.metered) return;
    for (const parcel of this.#parcels) {
      const part = Math.min(parcel.units, units);
      parcel.units -= part;
      units -= part;
    }
    this.#removeEmpty();
  }

  /** Removes void parcels. They were not delivered and now never will be, so that their units may go back. */
  expire(nowMs: number): Refund[] {
    const refunds: Refund[] = [];
    for (const parcel of this.#parcels) {
      if (parcel.deadlineMs > nowMs) continue;
      if (parcel.stamp !== undefined && parcel.units > 0) refunds.push({ stamp: parcel.stamp, pool: this, units: parcel.units, deadlineMs: parcel.deadlineMs });
      parcel.units = 0;
    }
    this.#removeEmpty();
    return refunds;
  }

  /** Units to ask for so that a row that costs `cost` can go; `want` is 0 if nothing is to be asked. */
  ask(cost: number, spent: number): { want: number; need: number } {
    const need = this.metered ? Math.max(0, cost - this.held) : 0;
    const bound = Math.min(this.#bound - spent, this.statementRoom(spent)) - this.held;
    if (!this.metered || (need === 0 && (bound <= 0 || this.held >= this.#size / 2 || this.#remaining() === 0))) return { want: 0, need: 0 };
    const want = unitsToAsk({ size: this.#size, need: Math.max(1, need), remaining: this.#remaining(), flagRoom: this.#flagRoom(), bound: Math.max(0, bound) });
    return { want, need };
  }

  accept(stamp: LeaseStamp, deadlineMs: number, granted: number, states: readonly CounterState[]): void {
    this.#states = states;
    const minimum = Math.min(this.#minimumDue, granted);
    this.#minimumDue -= minimum;
    if (minimum > 0) this.#parcels.push({ stamp: undefined, deadlineMs, units: minimum });
    if (granted > minimum) this.#parcels.push({ stamp, deadlineMs, units: granted - minimum });
    this.#size = Math.min(this.#maxUnits, this.#size * 2);
  }

  noteStates(states: readonly CounterState[]): void {
    this.#states = states;
  }

  /** Ends the pool. Adds what may be given back to `refunds`; returns what is paid and unused. */
  close(refunds: Refund[]): LeaseCredit | undefined {
    let credit = 0;
    let creditDeadlineMs = Infinity;
    for (const { stamp, units, deadlineMs } of this.#parcels) {
      if (stamp !== undefined) {
        refunds.push({ stamp, pool: this, units, deadlineMs });
      } else {
        credit += units;
        creditDeadlineMs = Math.min(creditDeadlineMs, deadlineMs);
      }
    }
    this.#parcels.length = 0;
    return credit > 0 ? { className: this.className, units: credit, deadlineMs: creditDeadlineMs } : undefined;
  }

  /** Units of one counter that were really spent, `pending` being about to be. */
  reallyUsed(counter: number, pending: number): number {
    const state = this.#states[counter];
    if (state === undefined) return 0;
    let paid = 0;
    for (const { stamp, units } of this.#parcels) if (stamp === undefined) paid += units;
    // Paid units count whether a row uses them or not; a row that waits uses them first.
    return Math.max(0, state.used - (this.held - paid) + Math.max(0, pending - paid));
  }

  /** Flags that are due and were not told of before. */
  crossings(spent: number, pending: number, tell: (flag: FlagLimit | StatementLimit, counter: LeaseCounter | undefined, used: number) => void): void {
    for (let c = 0; c < this.counters.length; c++) {
      const counter = this.counters[c] as LeaseCounter;
      for (const flag of counter.flags) this.#tell(flag, counter, this.reallyUsed(c, pending), tell);
    }
    for (const flag of this.statement) if (!flag.enforced) this.#tell(flag, undefined, spent + pending, tell);
  }

  #tell(
    flag: FlagLimit | StatementLimit,
    counter: LeaseCounter | undefined,
    used: number,
    tell: (flag: FlagLimit | StatementLimit, counter: LeaseCounter | undefined, used: number) => void,
  ): void {
    if (used <= flag.limit || this.#reported?.has(flag) === true) return;
    (this.#reported ??= new Set()).add(flag);
    tell(flag, counter, used);
  }

  #remaining(): number {
    let remaining = Infinity;
    for (let c = 0; c < this.counters.length; c++) {
      const { counter } = this.counters[c] as LeaseCounter;
      const state = this.#states[c];
      if (state !== undefined && counter.limit !== null) remaining = Math.min(remaining, Math.max(0, counter.limit - state.used));
    }
    return remaining;
  }

  #flagRoom(): number {
    let room = Infinity;
    for (let c = 0; c < this.counters.length; c++) {
      const { flags } = this.counters[c] as LeaseCounter;
      const state = this.#states[c];
      for (const flag of flags) {
        if (state !== undefined && state.used <= flag.limit) room = Math.min(room, flag.limit - state.used);
      }
    }
    return room;
  }

  #removeEmpty(): void {
    let kept = 0;
    for (const parcel of this.#parcels) if (parcel.units > 0) this.#parcels[kept++] = parcel;
    this.#parcels.length = kept;
  }
}
