import type { DerivedStore } from './derived-store.ts';
import { RedisDerivedStore } from './redis-derived-store.ts';
import { randomBytes, randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCounters, checkGroups, checkPeople, checkRefund } from './check-request.ts';
import type { Counted } from './grant-history.ts';
import type { GrantJournal } from './grant-journal.ts';
import { PERSON_BYTES } from './person-table.ts';
import { RedisConnection, type ConnectionOptions } from './redis-connection.ts';
import { BATCH_COUNTERS, RedisDomain, SettlingError, shapeArgs, type ReplaySource } from './redis-domain.ts';
import { domainKeys, domainOf, keyLayout, type KeyLayout } from './redis-keys.ts';
import { REFUSED } from './redis-scripts.ts';
import { StoreUnavailableError, type Admission, type Counter, type CounterState, type CounterStore, type Dismissal, type GroupGrant, type LeaseStamp, type Notes, type Reservation, type ReserveGroup } from './store.ts';
import { validForMs } from './window.ts';

export interface RedisStoreOptions extends ConnectionOptions {
  /** Put before every key. Default `rowgate:`. */
  readonly prefix?: string;
  /** How often this process looks whether Redis still knows its grants; 0: only when it reserves. Default 1000. */
  readonly heartbeatMs?: number;
  /** After Redis was found empty, older or started anew nobody is granted anything for this long, so that every process can come back and put in its own. Default 2000. */
  readonly settleMs?: number;
  /** And for this long if somebody stays away who was alive a moment before. Default 10000. */
  readonly absentMs?: number;
  readonly journal?: GrantJournal;
  /** What else is to be put back. */
  readonly sources?: readonly ReplaySource[];
}

/** Times of one grant by domain, where there are several: each has a clock of its own. */
interface RedisStamp extends LeaseStamp {
  readonly times?: ReadonlyMap<string, number>;
}

/** Counters in Redis, shared by any number of processes. */
export class RedisStore implements CounterStore {
  readonly copies: DerivedStore;
  readonly #connection: RedisConnection;
  readonly #options: RedisStoreOptions;
  readonly #layout: KeyLayout;
  readonly #member: number;
  readonly #domains = new Map<string, RedisDomain>();
  #subjectSecret: Promise<Buffer> | undefined;
  readonly notes: Notes = {
    put: async (key, value, ttlMs) => {
      await this.#connection.call((client) => client.set(this.#noteKey(key), value, 'PX', ttlMs));
    },
    get: async (key) => (await this.#connection.call((client) => client.get(this.#noteKey(key)))) ?? undefined,
    drop: async (key) => {
      await this.#connection.call((client) => client.del(this.#noteKey(key)));
    },
  };
  readonly #heartbeat: NodeJS.Timeout | undefined;

  private constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#layout = keyLayout(options.prefix ?? 'rowgate:', options.redis instanceof Object && 'cluster' in options.redis);
    this.#member = options.journal?.member ?? randomInt(1, 2 ** 47);
    this.#connection = new RedisConnection(options, () => void this.#beat());
    this.copies = new RedisDerivedStore(this.#connection, this.#layout.prefix);
    if (!this.#layout.split) this.#domain('');
    const heartbeatMs = options.heartbeatMs ?? 1000;
    if (heartbeatMs > 0) {
      this.#heartbeat = setInterval(() => void this.#beat(), heartbeatMs);
      this.#heartbeat.unref();
    }
  }

  /** Resolves after the first attempt to connect, also if it failed: calls then reject until Redis is there. An empty Redis is given its time to settle. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const store = new RedisStore(options);
    await store.#connection.open();
    const giveUpAtMs = performance.now() + (options.settleMs ?? 2000) + 1000;
    while (performance.now() < giveUpAtMs) {
      const settling = await store.ping().then(() => false, (error: unknown) => error instanceof SettlingError);
      if (!settling) break;
      await sleep(50);
    }
    return store;
  }

  async reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    checkGroups(groups);
    const parts = this.#byDomain(groups.entries(), ([, group]) => group.counters[0]?.key);
    const [first] = parts;
    if (first === undefined) return { kind: 'granted', lease: { grantedAtMs: 0, validForMs: validForMs([]) }, groups: [] };
    if (parts.length === 1) return this.#reserveIn(first.domain, groups);
    return this.#reserveAcross(parts.map(({ domain, items }) => ({ domain, indexes: items.map(([index]) => index), groups: items.map(([, group]) => group) })), groups);
  }

  async refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    checkRefund(lease, groups);
    const due = groups.flatMap(({ units, counters }) => (units > 0 ? counters.map((counter) => ({ units, counter })) : []));
    await Promise.all(this.#byDomain(due, ({ counter }) => counter.key).map(async ({ domain, items }) => {
      const atMs = (lease as RedisStamp).times?.get(domain.name) ?? lease.grantedAtMs;
      await domain.refund(atMs, items);
    }));
  }

  async admit(counters: readonly Counter[], people: Buffer): Promise<Admission> {
    checkPeople(counters, people);
    // One class's counters, so one domain.
    const domain = this.#domain(domainOf(this.#layout, (counters[0] as Counter).key));
    const args = [counters.length, ...counters.flatMap((counter) => [...shapeArgs(counter), counter.limit ?? -1, counter.people ?? 1]), people];
    const askedAtMs = performance.now();
    let sequence = 0;
    const answer = await domain.run('rowgateAdmit', counters, () => [(sequence = domain.nextSequence()), ...args]);
    const [, grantedAtMs = 0, admitted = 0, refused = -1] = answer;
    await domain.admitted(sequence, grantedAtMs, askedAtMs, counters, people.subarray(0, admitted * PERSON_BYTES));
    return {
      lease: { grantedAtMs, validForMs: validForMs(counters) },
      admitted,
      fresh: readRuns(answer, 4 + 2 * counters.length),
      refused: refused < 0 ? undefined : refused,
      counters: readStates(counters.length, answer, 4),
    };
  }

  async dismiss(lease: LeaseStamp, dismissals: readonly Dismissal[]): Promise<void> {
    const counters = [...new Map(dismissals.flatMap((each) => each.counters).map((counter) => [counter.key, counter])).values()];
    const [first] = counters;
    if (first === undefined) return;
    const domain = this.#domain(domainOf(this.#layout, first.key));
    const numberOf = new Map(counters.map((counter, i) => [counter.key, i + 1]));
    const args = dismissals.flatMap((each) => each.counters.flatMap((counter) => [numberOf.get(counter.key) ?? 0, each.people]));
    await domain.run('rowgateDismiss', counters, () => [lease.grantedAtMs, ...args]);
    domain.dismissed(lease.grantedAtMs, dismissals);
  }

  /** Made by the first process that needs it. Whoever uses it puts it back if Redis has forgotten it. */
  get reachable(): boolean {
    return this.#connection.reachable;
  }

  subjectSecret(): Promise<Buffer> {
    this.#subjectSecret ??= this.#keepSecret(randomBytes(32)).catch((error: unknown) => {
      this.#subjectSecret = undefined;
      throw error;
    });
    return this.#subjectSecret;
  }

  /** Processes that start after Redis has forgotten it shall hash as this one does. */
  async #putSecretBack(): Promise<void> {
    if (this.#subjectSecret !== undefined) await this.#keepSecret(await this.#subjectSecret);
  }

  async #keepSecret(proposed: Buffer): Promise<Buffer> {
    const key = `${this.#layout.prefix}subject-secret`;
    const kept = await this.#connection.call(async (client) => {
      await client.set(key, proposed.toString('base64url'), 'NX');
      return client.get(key);
    });
    if (kept === null) throw new StoreUnavailableError('Redis did not keep the secret of subject keys');
    return Buffer.from(kept, 'base64url');
  }

  async sharedTexts(kind: string): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(await this.#connection.call((client) => client.hgetall(`${this.#layout.prefix}texts:${kind}`))));
  }

  async shareText(kind: string, id: string, text: string | undefined): Promise<void> {
    const key = `${this.#layout.prefix}texts:${kind}`;
    await this.#connection.call((client) => (text === undefined ? client.hdel(key, id) : client.hset(key, id, text)));
  }

  async usage(counters: readonly Counter[]): Promise<readonly CounterState[]> {
    checkCounters(counters);
    const states: CounterState[] = [];
    for (const { domain, items } of this.#byDomain(counters.entries(), ([, counter]) => counter.key)) {
      for (let from = 0; from < items.length; from += BATCH_COUNTERS) {
        const batch = items.slice(from, from + BATCH_COUNTERS);
        const answer = await domain.run('rowgateUsage', batch.map(([, counter]) => counter), () => batch.flatMap(([, counter]) => shapeArgs(counter)));
        for (const [i, state] of readStates(batch.length, answer, 1).entries()) states[(batch[i] as (typeof batch)[number])[0]] = state;
      }
    }
    return states;
  }

  #noteKey(key: string): string {
    return `${this.#layout.prefix}note:${key}`;
  }

  async once(key: string, ttlMs: number): Promise<boolean> {
    return (await this.#connection.call((client) => client.set(`${this.#layout.prefix}once:${key}`, '1', 'PX', Math.max(1, Math.ceil(ttlMs)), 'NX'))) === 'OK';
  }

  /** Also finds out whether Redis has forgotten anything, and puts it back. */
  async ping(): Promise<void> {
    if (this.#domains.size === 0) await this.#connection.call((client) => client.exists(`${this.#layout.prefix}clock`));
    for (const domain of this.#domains.values()) await domain.heartbeat();
    await this.#putSecretBack();
  }

  /** What this process took of a counter's window, as far as it knows. */
  used(counter: Counter): number {
    return this.#domain(domainOf(this.#layout, counter.key)).used(counter);
  }

  /** Units that were granted without Redis. Returns the number of the settlement that will count them; `oweLess` wants it. */
  owe(counted: readonly Counted[]): number {
    let batch = 0;
    for (const { domain, items } of this.#byDomain(counted, ({ counter }) => counter.key)) batch = domain.owe(items);
    return batch;
  }

  oweLess(batch: number, counted: readonly Counted[]): void {
    for (const { domain, items } of this.#byDomain(counted, ({ counter }) => counter.key)) domain.oweLess(batch, items);
  }

  /** Units that Redis does not know of yet. */
  get debtUnits(): number {
    let units = 0;
    for (const domain of this.#domains.values()) units += domain.debtUnits;
    return units;
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await Promise.all([...this.#domains.values()].map((domain) => domain.leave().catch(() => undefined)));
    this.#connection.close();
    await this.#options.journal?.close();
  }

  async #reserveIn(domain: RedisDomain, groups: readonly ReserveGroup[]): Promise<Reservation> {
    const counters = groups.flatMap((group) => group.counters);
    const args = [groups.length];
    for (const group of groups) {
      args.push(group.want, group.min, group.counters.length);
      for (const counter of group.counters) args.push(...shapeArgs(counter), counter.limit ?? -1);
    }
    const askedAtMs = performance.now();
    let sequence = 0;
    const answer = await domain.run('rowgateReserve', counters, () => [(sequence = domain.nextSequence()), ...args]);
    if (answer[0] === REFUSED) {
      const [, group = 0, counter = 0] = answer;
      const sinceMs = answer[3 + 2 * counters.length] ?? -1;
      return { kind: 'refused', group, counter, groups: readGroups(groups, groups.map(() => 0), answer, 3), sinceOthersMs: sinceMs < 0 ? undefined : sinceMs };
    }
    const grantedAtMs = answer[1] as number;
    const amounts = answer.slice(2, 2 + groups.length);
    const counted = groups.flatMap((group, g) => group.counters.map((counter) => ({ counter, units: amounts[g] as number })));
    await domain.granted(sequence, grantedAtMs, askedAtMs, counted);
    return { kind: 'granted', lease: { grantedAtMs, validForMs: validForMs(counters) }, groups: readGroups(groups, amounts, answer, 2 + groups.length) };
  }

  /** One domain after the other; what the earlier ones granted goes back if a later one refuses. Until then others may be refused these units, never granted too many. */
  async #reserveAcross(parts: readonly { domain: RedisDomain; indexes: readonly number[]; groups: readonly ReserveGroup[] }[], all: readonly ReserveGroup[]): Promise<Reservation> {
    const answers: GroupGrant[] = [];
    const times = new Map<string, number>();
    const done: (() => Promise<void>)[] = [];
    const undo = (): Promise<unknown> => Promise.allSettled(done.map((each) => each()));
    for (const { domain, indexes, groups } of parts) {
      const answer = await this.#reserveIn(domain, groups).catch(async (error: unknown) => {
        await undo();
        throw error;
      });
      for (const [i, grant] of answer.groups.entries()) answers[indexes[i] as number] = grant;
      if (answer.kind === 'refused') {
        await undo();
        const states = await Promise.all(all.map((group) => this.usage(group.counters)));
        return { kind: 'refused', group: indexes[answer.group] as number, counter: answer.counter, groups: states.map((counters) => ({ granted: 0, counters })), sinceOthersMs: answer.sinceOthersMs };
      }
      times.set(domain.name, answer.lease.grantedAtMs);
      done.push(() => this.refund(answer.lease, groups.map((group, g) => ({ units: answer.groups[g]?.granted ?? 0, counters: group.counters }))));
    }
    const lease: RedisStamp = { grantedAtMs: Math.min(...times.values()), validForMs: validForMs(all.flatMap((group) => group.counters)), times };
    return { kind: 'granted', lease, groups: answers };
  }

  #byDomain<T>(items: Iterable<T>, keyOf: (item: T) => string | undefined): { domain: RedisDomain; items: T[] }[] {
    const parts = new Map<string, { domain: RedisDomain; items: T[] }>();
    for (const item of items) {
      const name = domainOf(this.#layout, keyOf(item) ?? '{}');
      const part = parts.get(name) ?? { domain: this.#domain(name), items: [] };
      part.items.push(item);
      parts.set(name, part);
    }
    return [...parts.values()];
  }

  #domain(name: string): RedisDomain {
    let domain = this.#domains.get(name);
    if (domain === undefined) {
      const { settleMs = 2000, absentMs = 10_000, journal, sources = [], onNotice = () => undefined } = this.#options;
      const keys = domainKeys(this.#layout, name);
      domain = new RedisDomain({ name, keys, connection: this.#connection, member: this.#member, settleMs, absentMs, journal, sources, onNotice });
      this.#domains.set(name, domain);
    }
    return domain;
  }

  #beat(): Promise<unknown> {
    return Promise.allSettled([...[...this.#domains.values()].map((domain) => domain.heartbeat()), this.#putSecretBack()]);
  }
}

function readStates(count: number, answer: readonly number[], from: number): CounterState[] {
  return Array.from({ length: count }, (_, i) => {
    const nextFreeInMs = answer[from + 2 * i + 1] as number;
    return { used: answer[from + 2 * i] as number, nextFreeInMs: nextFreeInMs < 0 ? undefined : nextFreeInMs };
  });
}

/** Pairs: how many in turn, and what holds for each of them. */
function readRuns(answer: readonly number[], from: number): number[] {
  const values: number[] = [];
  for (let at = from; at < answer.length; at += 2) for (let i = 0; i < (answer[at] as number); i++) values.push(answer[at + 1] as number);
  return values;
}

function readGroups(groups: readonly ReserveGroup[], amounts: readonly number[], answer: readonly number[], from: number): GroupGrant[] {
  let at = from;
  return groups.map((group, g) => {
    const counters = readStates(group.counters.length, answer, at);
    at += 2 * counters.length;
    return { granted: amounts[g] as number, counters };
  });
}
