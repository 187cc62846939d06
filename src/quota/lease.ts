import type { FlagCrossing, LeaseCredit, LeasePlan, LeaseRefusal } from './lease-plan.ts';
import { LeasePool, type Refund } from './lease-pool.ts';
import { DEFAULT_SIZES, type LeaseSizes } from './lease-size.ts';
import type { CounterState, LeaseStamp } from './store.ts';

/** One pool's part of the next reservation. `need` 0: useful, but the statement can go on without it. */
export interface Ask {
  readonly pool: number;
  readonly want: number;
  readonly need: number;
}

/**
 * The units that one statement holds: the arithmetic, without I/O or a clock. `trySpend` runs once a row and allocates nothing.
 *
 * Pool 2c counts rows of class c, pool 2c + 1 its bytes.
 */
export class Lease {
  readonly pools: readonly LeasePool[];
  /**
   * One array for three numbers a pool, since every statement makes one. What the next row may cost (the store's units and the statement's limits in
   * one number), from `#spentAt` on what was spent, and from `#pendingAt` on what the row that did not fit costs, or 0.
   */
  readonly #cells: Float64Array;
  readonly #spentAt: number;
  readonly #pendingAt: number;
  #deadlineMs = Infinity;

  constructor(plan: LeasePlan, sizes: LeaseSizes = DEFAULT_SIZES) {
    const pools: LeasePool[] = [];
    for (const { className, width, rows, bytes, prepaid } of plan.classes) {
      const bound = plan.rowBound === undefined ? Infinity : plan.rowBound * width;
      const pool = new LeasePool(className, 'rows', rows, { first: Math.min(sizes.firstRows * width, sizes.maxRowUnits), max: sizes.maxRowUnits, bound, minimum: 1 });
      if (prepaid !== undefined) pool.prepay(prepaid.units, prepaid.deadlineMs);
      pools.push(pool, new LeasePool(className, 'bytes', bytes, { first: sizes.firstBytes, max: sizes.maxBytes, bound: Infinity, minimum: 0 }));
    }
    this.pools = pools;
    this.#cells = new Float64Array(3 * pools.length);
    this.#spentAt = pools.length;
    this.#pendingAt = 2 * pools.length;
    this.#refresh();
  }

  /**
   * Spends one row in every class, or in none: `costs[c]` units of class c and `bytes` of each. False: pause and renew.
   * A cost that is not a number is never affordable, so that a fault upstream of here closes the gate.
   */
  trySpend(costs: ArrayLike<number>, bytes: number): boolean {
    const cells = this.#cells;
    const count = this.#spentAt;
    for (let pool = 0; pool < count; pool += 2) {
      const cost = costs[pool >> 1] as number;
      if (!(cost >= 0 && cost <= (cells[pool] as number) && bytes >= 0 && bytes <= (cells[pool + 1] as number))) return this.#fall(costs, bytes);
    }
    for (let pool = 0; pool < count; pool += 2) {
      const cost = costs[pool >> 1] as number;
      cells[pool] = (cells[pool] as number) - cost;
      cells[pool + 1] = (cells[pool + 1] as number) - bytes;
      cells[count + pool] = (cells[count + pool] as number) + cost;
      cells[count + pool + 1] = (cells[count + pool + 1] as number) + bytes;
    }
    return true;
  }

  /** What the next row of a class may cost. */
  availableUnits(classIndex: number): number {
    return this.#cells[2 * classIndex] as number;
  }

  availableBytes(classIndex: number): number {
    return this.#cells[2 * classIndex + 1] as number;
  }

  /** Something held is void: renew before spending more. Looked at once a chunk. */
  expired(nowMs: number): boolean {
    return nowMs >= this.#deadlineMs;
  }

  /** Units spent of a class by rows; the minimum charge is not in it. */
  spentUnits(classIndex: number): number {
    return this.#spentOf(2 * classIndex);
  }

  spentBytes(classIndex: number): number {
    return this.#spentOf(2 * classIndex + 1);
  }

  /** Units of a counter that are reserved and not spent. */
  heldUnits(counterKey: string): number {
    this.#settle();
    let units = 0;
    for (const pool of this.pools) if (pool.counters.some(({ counter }) => counter.key === counterKey)) units += pool.held;
    return units;
  }

  /** What is really used of each enforced limit, as far as this lease knows: units that are only held do not count. */
  usage(tell: (ruleId: string, used: number, limit: number) => void): void {
    this.#settle();
    for (const pool of this.pools) {
      if (!pool.answered) continue;
      for (let c = 0; c < pool.counters.length; c++) {
        const { counter, ruleId } = pool.counters[c] as LeasePool['counters'][number];
        if (counter.limit !== null) tell(ruleId, pool.reallyUsed(c, 0), counter.limit);
      }
    }
  }

  /** Before a statement runs: a row of one unit must be affordable in each class, or what it costs before it begins (`costs`), else it does not start. */
  expectFirstRow(costs?: ArrayLike<number>): void {
    this.#cells.fill(1, this.#pendingAt);
    for (let i = 0; i < (costs?.length ?? 0); i++) this.#cells[this.#pendingAt + 2 * i] = Math.max(1, costs?.[i] as number);
  }

  /** False if the waiting row's cost is no whole number: a fault of whoever computed it, for which nothing is asked. */
  get pendingIsSound(): boolean {
    for (let p = 0; p < this.pools.length; p++) {
      const cost = this.#pendingOf(p);
      if (!Number.isSafeInteger(cost) || cost < 0) return false;
    }
    return true;
  }

  /** The first statement limit that the pending row would break. */
  statementRefusal(): LeaseRefusal | undefined {
    for (let p = 0; p < this.pools.length; p++) {
      const pool = this.#pool(p);
      if (pool.statement.length === 0) continue;
      const spent = this.#spentOf(p);
      const rule = pool.statement.find(({ limit, enforced }) => enforced && spent + this.#pendingOf(p) > limit);
      if (rule === undefined) continue;
      const { className, dimension } = pool;
      return { ruleId: rule.ruleId, className, dimension, limit: rule.limit, used: spent, windowMs: 'statement', nextFreeInMs: undefined, counterKey: undefined };
    }
    return undefined;
  }

  /** What to ask the store for; the pools that need something first, then those that run low. */
  asks(): Ask[] {
    this.#settle();
    const asks: Ask[] = [];
    for (let p = 0; p < this.pools.length; p++) {
      const { want, need } = this.#pool(p).ask(this.#pendingOf(p), this.#spentOf(p));
      if (want > 0) asks.push({ pool: p, want, need });
    }
    return asks.length < 2 ? asks : asks.toSorted((a, b) => Math.sign(b.need) - Math.sign(a.need));
  }

  accept(ask: Ask, stamp: LeaseStamp, deadlineMs: number, granted: number, states: readonly CounterState[]): void {
    this.#settle();
    this.#pool(ask.pool).accept(stamp, deadlineMs, granted, states);
    this.#refresh();
  }

  refusal(ask: Ask, counter: number, states: readonly CounterState[]): LeaseRefusal {
    const pool = this.#pool(ask.pool);
    pool.noteStates(states);
    const { ruleId, counter: refused } = pool.counters[counter] as (typeof pool.counters)[number];
    return {
      ruleId,
      className: pool.className,
      dimension: pool.dimension,
      limit: refused.limit ?? Infinity,
      used: pool.reallyUsed(counter, 0),
      windowMs: refused.windowMs,
      nextFreeInMs: states[counter]?.nextFreeInMs,
      counterKey: refused.key,
    };
  }

  /** Drops what is void at `nowMs`. */
  expire(nowMs: number): Refund[] {
    if (!this.expired(nowMs)) return [];
    this.#settle();
    const refunds = this.pools.flatMap((pool) => pool.expire(nowMs));
    this.#refresh();
    return refunds;
  }

  /** Flags that what is spent, and the row that waits, have crossed since the last call. */
  crossings(): FlagCrossing[] {
    this.#settle();
    const crossings: FlagCrossing[] = [];
    for (let p = 0; p < this.pools.length; p++) {
      const pool = this.#pool(p);
      if (!pool.tells) continue;
      const { className, dimension } = pool;
      pool.crossings(this.#spentOf(p), this.#pendingOf(p), ({ ruleId, limit }, counter, used) => {
        crossings.push({ ruleId, className, dimension, limit, used, windowMs: counter?.counter.windowMs ?? 'statement', counterKey: counter?.counter.key });
      });
    }
    return crossings;
  }

  /** The row that waited goes, or never will. */
  clearPending(): void {
    this.#cells.fill(0, this.#pendingAt);
  }

  /** Ends the lease: nothing can be spent any more. */
  close(): { refunds: Refund[]; credits: LeaseCredit[] } {
    this.#settle();
    const refunds: Refund[] = [];
    const credits: LeaseCredit[] = [];
    for (const pool of this.pools) {
      const credit = pool.close(refunds);
      if (credit !== undefined) credits.push(credit);
    }
    this.#cells.fill(-1, 0, this.#spentAt);
    return { refunds, credits };
  }

  #fall(costs: ArrayLike<number>, bytes: number): false {
    for (let pool = 0; pool < this.pools.length; pool += 2) {
      this.#cells[this.#pendingAt + pool] = costs[pool >> 1] as number;
      this.#cells[this.#pendingAt + pool + 1] = bytes;
    }
    return false;
  }

  #settle(): void {
    for (let p = 0; p < this.pools.length; p++) this.#pool(p).settle(this.#spentOf(p));
  }

  #refresh(): void {
    this.#deadlineMs = Infinity;
    for (let p = 0; p < this.pools.length; p++) {
      const pool = this.#pool(p);
      const spent = this.#spentOf(p);
      this.#cells[p] = Math.min(pool.held, pool.statementRoom(spent));
      this.#deadlineMs = Math.min(this.#deadlineMs, pool.deadlineMs);
    }
  }

  #spentOf(pool: number): number {
    return this.#cells[this.#spentAt + pool] as number;
  }

  #pendingOf(pool: number): number {
    return this.#cells[this.#pendingAt + pool] as number;
  }

  #pool(index: number): LeasePool {
    return this.pools[index] as LeasePool;
  }
}
