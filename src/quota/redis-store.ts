import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCounters, checkGroups, checkRefund } from './check-request.ts';
import { GrantHistory, type PastUse } from './grant-history.ts';
import { RedisConnection, type ConnectionOptions } from './redis-connection.ts';
import { GRANTED, LOST, REFUSED, runScript, SETTLING, type ScriptName } from './redis-scripts.ts';
import { StoreUnavailableError, type Counter, type CounterState, type CounterStore, type GroupGrant, type LeaseStamp, type Reservation, type ReserveGroup } from './store.ts';
import { shapeOf, validForMs } from './window.ts';

export interface RedisStoreOptions extends ConnectionOptions {
  /** Put before every key. In a Redis Cluster it must hold a hash tag (`{rowgate}:`), for one statement's counters are reserved by one script. Default `rowgate:`. */
  readonly prefix?: string;
  /** How often this process looks whether Redis still knows its grants; 0: only when it reserves. Default 1000. */
  readonly heartbeatMs?: number;
  /** After Redis was found empty nobody is granted anything for this long, so that every process can come back and put in its own. Default 2000. */
  readonly settleMs?: number;
  /** Asked once if Redis is empty when this process starts: what the audit log knows of the past. Times are by the wall clock. */
  readonly history?: () => Promise<readonly { readonly counter: Counter; readonly atMs: number; readonly units: number }[]>;
}

/** Counters that are sent in one refill or usage call: bounds how long Redis is busy for one script. */
const BATCH_COUNTERS = 200;
/** Answers are late by less than a command's timeout; more is a step of a clock. */
const CLOCK_JUMP_MS = 2000;

class SettlingError extends StoreUnavailableError {}

/** Counters in Redis, shared by any number of processes. */
export class RedisStore implements CounterStore {
  readonly #connection: RedisConnection;
  readonly #options: RedisStoreOptions;
  readonly #prefix: string;
  readonly #settleMs: number;
  readonly #markKey: string;
  readonly #history = new GrantHistory();
  readonly #heartbeat: NodeJS.Timeout | undefined;
  #sequence = 0;
  /** Sequence and store time of the latest grant that this process was told of; Redis must not know less. */
  #acknowledged = 0;
  #seenMs = 0;
  #clockOffsetMs: number | undefined;
  #refilling: Promise<void> | undefined;

  private constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#prefix = options.prefix ?? 'rowgate:';
    this.#settleMs = options.settleMs ?? 2000;
    this.#markKey = `${this.#prefix}mark:${randomUUID()}`;
    this.#connection = new RedisConnection(options, () => void this.ping().catch(() => undefined));
    const heartbeatMs = options.heartbeatMs ?? 1000;
    if (heartbeatMs > 0) {
      this.#heartbeat = setInterval(() => void this.ping().catch(() => undefined), heartbeatMs);
      this.#heartbeat.unref();
    }
  }

  /** Resolves after the first attempt to connect, also if it failed: calls then reject until Redis is there. An empty Redis is given its time to settle. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const store = new RedisStore(options);
    await store.#connection.open();
    const giveUpAtMs = performance.now() + store.#settleMs + 1000;
    while (performance.now() < giveUpAtMs) {
      const settling = await store.ping().then(() => false, (error: unknown) => error instanceof SettlingError);
      if (!settling) break;
      await sleep(50);
    }
    return store;
  }

  async reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    checkGroups(groups);
    const counters = groups.flatMap((group) => group.counters);
    const args = [groups.length];
    for (const group of groups) {
      args.push(group.want, group.min, group.counters.length);
      for (const counter of group.counters) args.push(...shapeArgs(counter), counter.limit ?? -1);
    }
    const askedAtMs = performance.now();
    let sequence = 0;
    const answer = await this.#run('rowgateReserve', counters, () => [(sequence = ++this.#sequence), ...args]);
    if (answer[0] === REFUSED) {
      const [, group = 0, counter = 0] = answer;
      return { kind: 'refused', group, counter, groups: readGroups(groups, groups.map(() => 0), answer, 3) };
    }
    const grantedAtMs = answer[1] as number;
    const amounts = answer.slice(2, 2 + groups.length);
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
    this.#seenMs = Math.max(this.#seenMs, grantedAtMs);
    for (const [g, group] of groups.entries()) {
      for (const counter of group.counters) this.#history.record(grantedAtMs, counter, amounts[g] as number);
    }
    this.#watchClock(grantedAtMs - askedAtMs);
    return { kind: 'granted', lease: { grantedAtMs, validForMs: validForMs(counters) }, groups: readGroups(groups, amounts, answer, 2 + groups.length) };
  }

  async refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    checkRefund(lease, groups);
    const due = groups.flatMap(({ units, counters }) => (units > 0 ? counters.map((counter) => ({ units, counter })) : []));
    if (due.length === 0) return;
    const args = [lease.grantedAtMs, ...due.flatMap(({ units, counter }) => [units, ...shapeArgs(counter)])];
    await this.#run('rowgateRefund', due.map(({ counter }) => counter), () => args);
    for (const { units, counter } of due) this.#history.forget(lease.grantedAtMs, counter, units);
  }

  async usage(counters: readonly Counter[]): Promise<readonly CounterState[]> {
    checkCounters(counters);
    const states: CounterState[] = [];
    for (let from = 0; from < counters.length; from += BATCH_COUNTERS) {
      const batch = counters.slice(from, from + BATCH_COUNTERS);
      const answer = await this.#run('rowgateUsage', batch, () => batch.flatMap(shapeArgs));
      states.push(...readStates(batch.length, answer, 1));
    }
    return states;
  }

  async once(key: string, ttlMs: number): Promise<boolean> {
    return (await this.#connection.call((client) => client.set(`${this.#prefix}once:${key}`, '1', 'PX', Math.max(1, Math.ceil(ttlMs)), 'NX'))) === 'OK';
  }

  /** Also finds out whether Redis has forgotten anything, and puts it back. */
  async ping(): Promise<void> {
    await this.#run('rowgateUsage', [], () => []);
  }

  close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#connection.close();
    return Promise.resolve();
  }

  async #run(name: ScriptName, counters: readonly Counter[], args: () => readonly number[]): Promise<readonly number[]> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const answer = await this.#send(name, counters, args());
      if (answer[0] === SETTLING) throw new SettlingError(`Redis was empty: its counters are being put back, ${answer[1]} ms to go`);
      if (answer[0] !== LOST) return answer;
      // The script counted nothing, so that asking again is safe.
      await this.#refillOnce(answer[1] as number);
    }
    throw new StoreUnavailableError('Redis forgets its counters as fast as they are put back');
  }

  #send(name: ScriptName, counters: readonly Counter[], args: readonly number[]): Promise<readonly number[]> {
    const keys = [`${this.#prefix}clock`, this.#markKey, ...counters.map((counter) => this.#keyOf(counter))];
    return this.#connection.call((client) => runScript(client, name, keys, [this.#acknowledged, this.#seenMs, ...args]));
  }

  /** The window is part of the name: a slice's index means something in one window length only. */
  #keyOf(counter: Counter): string {
    return `${this.#prefix}count:${counter.windowMs}:${counter.key}`;
  }

  #refillOnce(sinceMs: number): Promise<void> {
    this.#refilling ??= this.#refill(sinceMs).finally(() => {
      this.#refilling = undefined;
    });
    return this.#refilling;
  }

  async #refill(sinceMs: number): Promise<void> {
    const uses = this.#acknowledged === 0 ? await this.#recorded() : this.#history.since(sinceMs);
    const batches = Math.max(1, Math.ceil(uses.length / BATCH_COUNTERS));
    for (let batch = 0; batch < batches; batch += 1) {
      const part = uses.slice(batch * BATCH_COUNTERS, (batch + 1) * BATCH_COUNTERS);
      const last = batch === batches - 1 ? 1 : 0;
      const args = part.flatMap(({ counter, filled }) => [...shapeArgs(counter), filled.length, ...filled.flatMap(({ slice, units }) => [slice, units])]);
      const answer = await this.#send('rowgateRefill', part.map(({ counter }) => counter), [last, this.#settleMs, ...args]);
      if (answer[0] !== GRANTED) throw new StoreUnavailableError('Redis did not take the counters back');
    }
    if (uses.length > 0) {
      const units = uses.reduce((sum, { filled }) => sum + filled.reduce((part, slice) => part + slice.units, 0), 0);
      this.#options.onNotice?.({ kind: 'refilled', counters: uses.length, units });
    }
  }

  async #recorded(): Promise<PastUse[]> {
    const slices = new Map<string, { counter: Counter; filled: Map<number, number> }>();
    for (const { counter, atMs, units } of (await this.#options.history?.()) ?? []) {
      const use = slices.get(counter.key) ?? { counter, filled: new Map<number, number>() };
      slices.set(counter.key, use);
      const slice = Math.floor(atMs / shapeOf(counter.windowMs).sliceMs);
      use.filled.set(slice, (use.filled.get(slice) ?? 0) + units);
    }
    return [...slices.values()].map(({ counter, filled }) => ({ counter, filled: [...filled].map(([slice, units]) => ({ slice, units })) }));
  }

  #watchClock(offsetMs: number): void {
    const aheadMs = offsetMs - (this.#clockOffsetMs ?? offsetMs);
    this.#clockOffsetMs = offsetMs;
    if (aheadMs > CLOCK_JUMP_MS) this.#options.onNotice?.({ kind: 'clock_jumped', aheadMs: Math.round(aheadMs) });
  }
}

function shapeArgs(counter: Counter): number[] {
  const { sliceMs, horizonMs } = shapeOf(counter.windowMs);
  return [sliceMs, horizonMs];
}

function readStates(count: number, answer: readonly number[], from: number): CounterState[] {
  return Array.from({ length: count }, (_, i) => {
    const nextFreeInMs = answer[from + 2 * i + 1] as number;
    return { used: answer[from + 2 * i] as number, nextFreeInMs: nextFreeInMs < 0 ? undefined : nextFreeInMs };
  });
}

function readGroups(groups: readonly ReserveGroup[], amounts: readonly number[], answer: readonly number[], from: number): GroupGrant[] {
  let at = from;
  return groups.map((group, g) => {
    const counters = readStates(group.counters.length, answer, at);
    at += 2 * counters.length;
    return { granted: amounts[g] as number, counters };
  });
}
