import { setTimeout as sleep } from 'node:timers/promises';
import type { FlagCrossing, LeaseCredit, LeasePlan, LeaseRefusal, PoolPlan } from './lease-plan.ts';
import type { Refund } from './lease-pool.ts';
import { PATIENCE_MS, type Holder, type Neighbours } from './neighbours.ts';
import { DEFAULT_SIZES, type LeaseSizes } from './lease-size.ts';
import { Lease, type Ask } from './lease.ts';
import type { PoolAsk, PoolGrant, UnitPools } from './unit-pools.ts';
import { StoreUnavailableError, type CounterState, type CounterStore, type GroupGrant, type LeaseStamp, type ReserveGroup } from './store.ts';

export type LeaseOutcome =
  /** Go on. `flags`: events that are due, for the caller to raise once a window (`CounterStore.once`). */
  | { readonly kind: 'granted'; readonly flags: readonly FlagCrossing[] }
  /** Deliver nothing more. What was spent stays spent. */
  | { readonly kind: 'refused'; readonly refusal: LeaseRefusal; readonly flags: readonly FlagCrossing[] }
  /** The store cannot say: protected rows stop (promise 6). */
  | { readonly kind: 'unavailable'; readonly error: Error };

export interface LeasingOptions {
  /** A clock that never steps (`performance.now`): what a lease's life is measured by. */
  readonly nowMs: () => number;
  readonly sizes?: LeaseSizes;
  /** A refund failed: its units stay counted. */
  readonly onRefundError?: (error: Error) => void;
  /** The other leases of this process. */
  readonly neighbours?: Neighbours;
  /** Units that this process holds ready. */
  readonly pools?: UnitPools;
}

/** Units held ready are handed out in smaller parts than the store's: more of them cost nothing but the asking. */
const POOLED_PART = 16;
/** Units that another process does not need are back in the store within so long after they were granted, if its statement was a short one. */
const OTHERS_RETURN_MS = 1_500;
/** How long they are waited for, from one question to the next. Where no other process is at work, nobody waits. */
const OTHERS_WAITS_MS = [30, 100, 300, 800];
const GRANTED: LeaseOutcome = { kind: 'granted', flags: [] };

/** Brings a statement's lease its units. One reservation at a time; the session pauses its upstream while it waits. */
export class Leasing implements Holder {
  readonly lease: Lease;
  readonly #store: CounterStore;
  readonly #options: LeasingOptions;
  #inFlight: Promise<LeaseOutcome> | undefined;
  readonly #counterKeys: readonly string[];
  #closed = false;
  /** At the last refusal: how long ago another process had been granted units of the counter that refused. */
  #sinceOthersMs = Infinity;
  /** Units that are on their way back to the store. */
  #releasing = 0;

  constructor(store: CounterStore, plan: LeasePlan, options: LeasingOptions) {
    this.#store = store;
    this.#options = options;
    this.#counterKeys = counterKeys(plan);
    const sizes = options.sizes ?? DEFAULT_SIZES;
    // What one of many holds and does not need, the others are refused.
    this.lease = new Lease(plan, options.neighbours?.crowded(this.#counterKeys) === true ? { ...sizes, firstRows: 1 } : sizes);
    options.neighbours?.join(this, this.#counterKeys);
  }

  holds(counterKey: string): number {
    return this.#closed ? this.#releasing : this.lease.heldUnits(counterKey);
  }

  /** As `begin`, but at once, or undefined: then the store is to be asked. */
  beginNow(costs?: ArrayLike<number>): LeaseOutcome | undefined {
    this.lease.expectFirstRow(costs);
    return this.renewNow();
  }

  /** As `renew`, but at once, or undefined. */
  renewNow(): LeaseOutcome | undefined {
    const { lease } = this;
    const { pools } = this.#options;
    if (pools === undefined || this.#closed || this.#inFlight !== undefined || !lease.pendingIsSound) return undefined;
    const nowMs = this.#options.nowMs();
    if (lease.expired(nowMs)) return undefined;
    const local = lease.statementRefusal();
    if (local !== undefined) return { kind: 'refused', refusal: local, flags: [] };
    // Those that need something stand first.
    const asks = lease.asks();
    while (asks.length > 0 && (asks.at(-1) as Ask).need === 0) asks.pop();
    if (asks.length > 0) {
      const grants = pools.take(asks.map((ask) => this.#pooled(ask)), nowMs);
      if (grants === undefined) return undefined;
      for (let i = 0; i < asks.length; i++) {
        const { stamp, deadlineMs, units, states } = grants[i] as PoolGrant;
        lease.accept(asks[i] as Ask, stamp, deadlineMs, units, states);
      }
    }
    const flags = lease.crossings();
    lease.clearPending();
    return flags.length === 0 ? GRANTED : { kind: 'granted', flags };
  }

  #pooled({ pool, want, need }: Ask): PoolAsk {
    const { plan, dimension } = this.lease.pools[pool] as Lease['pools'][number];
    return { plan, dimension, want: Math.max(need, Math.ceil(want / POOLED_PART)), need };
  }

  /** The first reservation, to be started when the statement is forwarded. No protected row may go before it is granted. `costs`: units that it costs before it begins. */
  begin(costs?: ArrayLike<number>): Promise<LeaseOutcome> {
    this.lease.expectFirstRow(costs);
    return this.#exclusive();
  }

  /** After `trySpend` said no, or once `lease.expired`. */
  async renew(): Promise<LeaseOutcome> {
    // The first reservation may still be under way: its grant may be enough, and if not the row's cost is known by now.
    const before = await this.#inFlight;
    if (before !== undefined && before.kind !== 'granted') return before;
    return this.#exclusive();
  }

  /**
   * Ends the lease and gives back what is left, without waiting. Returns what is paid for and unused: the credit that a DECLARE hands to its
   * cursor. A reservation that is still under way is given back when its answer comes, save the minimum charge.
   */
  close(): { credits: readonly LeaseCredit[]; flags: readonly FlagCrossing[] } {
    if (this.#closed) return { credits: [], flags: [] };
    this.#closed = true;
    this.lease.clearPending();
    const flags = this.lease.crossings();
    const { refunds, credits } = this.lease.close();
    const units = refunds.reduce((sum, refund) => sum + refund.units, 0);
    const rest = this.#pool(refunds);
    if (rest.length === 0) {
      this.#options.neighbours?.leave(this, this.#counterKeys, units);
    } else {
      this.#releasing = units;
      void this.#giveBack(rest).then(() => {
        this.#releasing = 0;
        this.#options.neighbours?.leave(this, this.#counterKeys, units);
      });
    }
    return { credits, flags };
  }

  /** Leaves what others of this process can use where they find it. Returns the rest, which is the store's. */
  #pool(refunds: readonly Refund[]): readonly Refund[] {
    const { pools, nowMs } = this.#options;
    if (pools === undefined || refunds.length === 0) return refunds;
    const now = nowMs();
    return refunds.flatMap((refund) => {
      const { pool: { plan, dimension }, stamp, deadlineMs, units } = refund;
      const kept = pools.put(plan, dimension, stamp, deadlineMs, units, now);
      return kept < units ? [{ ...refund, units: units - kept }] : [];
    });
  }

  #exclusive(): Promise<LeaseOutcome> {
    this.#inFlight ??= this.#obtain().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  async #obtain(): Promise<LeaseOutcome> {
    const { lease } = this;
    if (this.#closed) return { kind: 'unavailable', error: new Error('the lease is closed') };
    if (!lease.pendingIsSound) return { kind: 'unavailable', error: new RangeError('a row whose cost is not a whole number') };
    void this.#giveBack(lease.expire(this.#options.nowMs()));
    const local = lease.statementRefusal();
    if (local !== undefined) return { kind: 'refused', refusal: local, flags: [] };
    try {
      const asks = lease.asks();
      const refusal = await this.#reservePatiently(asks);
      if (this.#closed) return { kind: 'unavailable', error: new Error('the lease was closed') };
      if (refusal !== undefined) lease.clearPending();
      const flags = lease.crossings();
      lease.clearPending();
      return refusal === undefined ? { kind: 'granted', flags } : { kind: 'refused', refusal, flags };
    } catch (error) {
      return { kind: 'unavailable', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** As `#reserve`, but a refusal by units that neighbours only hold is not taken for the last word. */
  async #reservePatiently(asks: readonly Ask[]): Promise<LeaseRefusal | undefined> {
    const { neighbours, nowMs, pools } = this.#options;
    const giveUpAtMs = nowMs() + PATIENCE_MS;
    const othersWaitMs = [...OTHERS_WAITS_MS];
    for (;;) {
      const refusal = await this.#reserve(asks);
      const key = refusal?.counterKey;
      const leftMs = giveUpAtMs - nowMs();
      // What lies unused in this process is nobody's reason to be refused.
      if (refusal !== undefined && key !== undefined && !this.#closed && leftMs > 0 && (await pools?.release(key)) === true) continue;
      if (refusal === undefined || key === undefined || this.#closed || leftMs <= 0) return refusal;
      if (neighbours?.mayRelease(this, key) === true) {
        await neighbours.released(key, leftMs);
        continue;
      }
      // Nobody here has any. Where another process was granted some a moment ago, it may be giving back what its statements did not need.
      const waitMs = neighbours !== undefined && this.#sinceOthersMs < OTHERS_RETURN_MS ? othersWaitMs.shift() : undefined;
      if (waitMs === undefined) return refusal;
      await sleep(waitMs);
    }
  }

  async #reserve(asks: readonly Ask[]): Promise<LeaseRefusal | undefined> {
    if (asks.length === 0) return undefined;
    const groups = asks.map((ask) => this.#groupOf(ask));
    // Before the request: however late the answer, the units' life is never taken to start after the store's own label.
    const askedAtMs = this.#options.nowMs();
    const answer = await this.#store.reserve(groups);
    if (answer.kind === 'refused') {
      this.#sinceOthersMs = answer.sinceOthersMs ?? Infinity;
      const ask = asks[answer.group] as Ask;
      this.#note(asks, answer.groups);
      const refusal = this.lease.refusal(ask, answer.counter, (answer.groups[answer.group] as { counters: readonly CounterState[] }).counters);
      // Asks that the row needs come first, so that all of them were affordable: only a convenience was refused.
      return ask.need === 0 ? this.#reserve(asks.filter(({ need }) => need > 0)) : refusal;
    }
    const deadlineMs = askedAtMs + answer.lease.validForMs;
    this.#note(asks, answer.groups);
    for (const [g, ask] of asks.entries()) {
      const { granted, counters } = answer.groups[g] as { granted: number; counters: readonly CounterState[] };
      this.lease.accept(ask, answer.lease, deadlineMs, granted, counters);
    }
    if (this.#closed) void this.#giveBack(this.lease.close().refunds);
    const nowMs = this.#options.nowMs();
    // What was left from earlier may have become void while this answer was under way; it would be spent first.
    void this.#giveBack(this.lease.expire(nowMs));
    if (nowMs >= deadlineMs) throw new StoreUnavailableError('the answer came after its units were void');
    return undefined;
  }

  #note(asks: readonly Ask[], groups: readonly GroupGrant[]): void {
    for (const [g, ask] of asks.entries()) {
      const { plan, dimension } = this.lease.pools[ask.pool] as Lease['pools'][number];
      this.#options.pools?.note(plan, dimension, (groups[g] as GroupGrant).counters);
    }
  }

  #groupOf({ pool, want, need }: Ask): ReserveGroup {
    const counters = (this.lease.pools[pool] as Lease['pools'][number]).counters.map(({ counter }) => counter);
    return { want, min: Math.max(1, need), counters };
  }

  /** Resolves when the store has answered. */
  async #giveBack(refunds: readonly Refund[]): Promise<void> {
    const byStamp = new Map<LeaseStamp, Refund[]>();
    for (const refund of refunds) byStamp.set(refund.stamp, [...(byStamp.get(refund.stamp) ?? []), refund]);
    await Promise.all([...byStamp].map(async ([stamp, parts]) => {
      const groups = parts.map(({ pool, units }) => ({ units, counters: pool.counters.map(({ counter }) => counter) }));
      try {
        await this.#store.refund(stamp, groups);
      } catch (error) {
        this.#options.onRefundError?.(error instanceof Error ? error : new Error(String(error)));
      }
    }));
  }
}

/** Plans of a principal are the same over many statements. */
const keysOfPlans = new WeakMap<PoolPlan, readonly string[]>();

function keysOf(plan: PoolPlan): readonly string[] {
  let keys = keysOfPlans.get(plan);
  if (keys === undefined) keysOfPlans.set(plan, (keys = plan.counters.map(({ counter }) => counter.key)));
  return keys;
}

function counterKeys({ classes }: LeasePlan): readonly string[] {
  const [first] = classes;
  if (first !== undefined && classes.length === 1 && first.bytes.counters.length === 0) return keysOf(first.rows);
  return classes.flatMap(({ rows, bytes }) => [...keysOf(rows), ...keysOf(bytes)]);
}
