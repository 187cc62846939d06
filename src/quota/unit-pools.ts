import type { LeaseDimension, PoolPlan } from './lease-plan.ts';
import { UnitPool, type PooledUnits, type UnitPoolSizes } from './unit-pool.ts';
import type { CounterState, CounterStore, LeaseStamp } from './store.ts';

export interface UnitPoolsOptions {
  readonly nowMs: () => number;
  /** The store failed in the background. */
  readonly onError?: (error: Error) => void;
}

/** What one statement wants of one pool. */
export interface PoolAsk {
  readonly plan: PoolPlan;
  readonly dimension: LeaseDimension;
  readonly want: number;
  readonly need: number;
}

export interface PoolGrant extends PooledUnits {
  readonly states: readonly CounterState[];
}

/** Units that nobody took for so long go back to the store: other processes may need them. */
const IDLE_MS = 1_000;
const SWEEP_MS = 250;

const SIZES: Readonly<Record<LeaseDimension, UnitPoolSizes>> = {
  rows: { first: 16, max: 65_536 },
  bytes: { first: 16_384, max: 67_108_864 },
};

/**
 * Units that this process holds ready, by the counters that they are counted in: a look-up takes its units from here and gives back what it does not
 * need, and the store is asked in the background, many statements at once. What lies here counts as used, so nothing can be delivered
 * twice; what a killed process held stays counted.
 */
export class UnitPools {
  readonly #store: CounterStore;
  readonly #options: UnitPoolsOptions;
  readonly #pools = new Map<string, UnitPool>();
  /** Finds the pool of a plan without building its key again. */
  readonly #keys = new WeakMap<PoolPlan, string>();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;
  /** The last that was heard of the store is that it failed. */
  #failing = false;

  constructor(store: CounterStore, options: UnitPoolsOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Units that lie here for a counter. */
  idle(counterKey: string): number {
    let units = 0;
    for (const pool of this.#pools.values()) if (counts(pool, counterKey)) units += pool.idle;
    return units;
  }

  /** What every ask needs, or nothing at all. At once: the store is not asked. */
  take(asks: readonly PoolAsk[], nowMs: number): readonly PoolGrant[] | undefined {
    // The store is away: nothing protected goes out on what it once granted (`store.on_outage`).
    if (this.#failing || this.#store.reachable === false) return undefined;
    for (const { plan, dimension, need } of asks) {
      const pool = this.#poolOf(plan, dimension);
      if (pool.has(need, nowMs)) continue;
      this.#refill(pool, nowMs);
      return undefined;
    }
    const taken: PoolGrant[] = [];
    for (const { plan, dimension, want, need } of asks) {
      const pool = this.#poolOf(plan, dimension);
      const { stamp, deadlineMs, units } = pool.take(want, need, nowMs) as PooledUnits;
      taken.push({ stamp, deadlineMs, units, states: pool.states ?? [] });
      this.#refill(pool, nowMs);
    }
    return taken;
  }

  /** How many of these units are kept here; the rest is the caller's to give back to the store. */
  put(plan: PoolPlan, dimension: LeaseDimension, stamp: LeaseStamp, deadlineMs: number, units: number, nowMs: number): number {
    if (this.#closed) return 0;
    const kept = this.#poolOf(plan, dimension).put(stamp, deadlineMs, units, nowMs);
    if (kept > 0) this.#watch();
    return kept;
  }

  /** The store told somebody how the counters stand. */
  note(plan: PoolPlan, dimension: LeaseDimension, states: readonly CounterState[]): void {
    this.#failing = false;
    this.#poolOf(plan, dimension).noteStates(states);
  }

  /** Gives the units of a counter that lie here back to the store, before anybody is refused. True if there were any. */
  async release(counterKey: string): Promise<boolean> {
    const pools = [...this.#pools.values()].filter((pool) => (pool.idle > 0 || pool.filling !== undefined) && counts(pool, counterKey));
    await Promise.all(pools.map(async (pool) => {
      await pool.filling;
      await this.#giveBack(pool, pool.drain(this.#options.nowMs(), true));
    }));
    return pools.length > 0;
  }

  /** Nothing is held back any more; resolves when the store has it all. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    await Promise.all([...this.#pools.values()].map(async (pool) => {
      await pool.filling;
      await this.#giveBack(pool, pool.drain(this.#options.nowMs(), true));
    }));
  }

  #poolOf(plan: PoolPlan, dimension: LeaseDimension): UnitPool {
    let key = this.#keys.get(plan);
    if (key === undefined) {
      key = keyOf(plan);
      this.#keys.set(plan, key);
    }
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new UnitPool(plan.counters, SIZES[dimension]);
      this.#pools.set(key, pool);
      this.#watch();
    }
    return pool;
  }

  #refill(pool: UnitPool, nowMs: number): void {
    const want = this.#closed ? 0 : pool.lacks(nowMs);
    if (want === 0) return;
    pool.filling = this.#fill(pool, want).finally(() => {
      pool.filling = undefined;
    });
  }

  async #fill(pool: UnitPool, want: number): Promise<void> {
    const counters = pool.counters.map(({ counter }) => counter);
    // Before the request, as for any lease: its life must not begin later than the store's own label.
    const askedAtMs = this.#options.nowMs();
    try {
      const answer = await this.#store.reserve([{ want, min: 1, counters }]);
      const [group] = answer.groups;
      if (group === undefined) return;
      this.#failing = false;
      pool.noteStates(group.counters);
      if (answer.kind !== 'granted') return;
      const nowMs = this.#options.nowMs();
      const deadlineMs = askedAtMs + answer.lease.validForMs;
      pool.filled(nowMs);
      const kept = this.#closed ? 0 : pool.put(answer.lease, deadlineMs, group.granted, nowMs);
      if (kept < group.granted) await this.#giveBack(pool, [{ stamp: answer.lease, deadlineMs, units: group.granted - kept }]);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #giveBack(pool: UnitPool, parcels: readonly PooledUnits[]): Promise<void> {
    const counters = pool.counters.map(({ counter }) => counter);
    await Promise.all(parcels.map(async ({ stamp, units }) => {
      try {
        await this.#store.refund(stamp, [{ units, counters }]);
      } catch (error) {
        this.#fail(error);
      }
    }));
  }

  /** A store that cannot answer is not to be outlived: until it answers again nothing is handed out. What lies here stays, and goes back then. */
  #fail(error: unknown): void {
    this.#failing = true;
    this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
  }

  #watch(): void {
    if (this.#sweeper !== undefined || this.#closed) return;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  #sweep(): void {
    const nowMs = this.#options.nowMs();
    for (const [key, pool] of this.#pools) {
      const unused = nowMs - pool.takenAtMs > IDLE_MS;
      void this.#giveBack(pool, pool.drain(nowMs, unused));
      if (unused && pool.filling === undefined) this.#pools.delete(key);
    }
    if (this.#pools.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

function counts(pool: UnitPool, counterKey: string): boolean {
  return pool.counters.some(({ counter }) => counter.key === counterKey);
}

/** Limits are part of it: units that were reserved under another limit are not handed out under this one. */
function keyOf({ counters }: PoolPlan): string {
  return counters.map(({ counter, flags }) => `${counter.key} ${counter.limit} ${flags.map(({ limit }) => limit).join(',')}`).join(';');
}
