import type { DerivedStore } from './derived-store.ts';
import { readCounterKey } from './counters.ts';
import type { Counted } from './grant-history.ts';
import { peopleIn } from './person-table.ts';
import type { RedisStore } from './redis-store.ts';
import { IncompatibleStoreError, StoreUnavailableError, type Admission, type Counter, type CounterState, type CounterStore, type Dismissal, type GroupGrant, type LeaseStamp, type Notes, type Reservation, type ReserveGroup } from './store.ts';
import { validForMs } from './window.ts';

export interface OutageOptions {
  /** Units of a class that a principal may take from this process while Redis is away. */
  readonly units: number;
  /** What the allowance is where bytes are counted: so many for each unit. */
  readonly bytesPerUnit: number;
  /** The first grant of an outage, and the end of it. */
  readonly onChange?: (state: 'granting' | 'over') => void;
}

/**
 * Counters in Redis, and while Redis is away a bounded local allowance (`store.on_outage: { allowance: N }`). What is granted from it is owed to Redis, which
 * counts it before it grants this process anything else. Without Redis nobody knows what other processes grant: each of them may grant N units.
 */
export class OutageStore implements CounterStore {
  readonly #redis: RedisStore;
  readonly #options: OutageOptions;
  /** What was taken in this outage, by class, dimension and owner. As large as there are people who ask. */
  readonly #taken = new Map<string, number>();

  constructor(redis: RedisStore, options: OutageOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  get copies(): DerivedStore {
    return this.#redis.copies;
  }

  get notes(): Notes {
    return this.#redis.notes;
  }

  async reserve(groups: readonly ReserveGroup[]): Promise<Reservation> {
    try {
      const answer = await this.#redis.reserve(groups);
      if (this.#taken.size > 0) {
        this.#taken.clear();
        this.#options.onChange?.('over');
      }
      return answer;
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || error instanceof IncompatibleStoreError) throw error;
      return this.#grantLocally(groups, error);
    }
  }

  async refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void> {
    if (lease.debt === undefined) return this.#redis.refund(lease, groups);
    for (const { units, counters } of groups) {
      const pot = potOf(counters);
      if (pot !== undefined) this.#take(pot.key, -units);
      this.#redis.oweLess(lease.debt, counters.map((counter) => ({ counter, units })));
    }
    return undefined;
  }

  /** Redis cannot be asked who is counted already: each person costs a unit of the allowance, and is owed as somebody who cannot be told apart. */
  async admit(counters: readonly Counter[], people: Buffer): Promise<Admission> {
    try {
      return await this.#redis.admit(counters, people);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || error instanceof IncompatibleStoreError) throw error;
      const asked = peopleIn(people);
      const admitted = this.#affordable({ want: asked, min: 1, counters });
      if (admitted < 1) throw new StoreUnavailableError(`the allowance for the time without Redis is used up (${error.message})`, { cause: error });
      const lease = this.#grant([{ counters, units: admitted }]);
      return { lease, admitted, fresh: Array.from({ length: admitted }, () => 2 ** counters.length - 1), refused: admitted < asked ? 0 : undefined, counters: this.#states(counters) };
    }
  }

  async dismiss(lease: LeaseStamp, dismissals: readonly Dismissal[]): Promise<void> {
    if (lease.debt === undefined) return this.#redis.dismiss(lease, dismissals);
    return this.refund(lease, dismissals.map(({ people, counters }) => ({ units: peopleIn(people), counters })));
  }

  sharedTexts(kind: string): Promise<ReadonlyMap<string, string>> {
    return this.#redis.sharedTexts(kind);
  }

  shareText(kind: string, id: string, text: string | undefined): Promise<void> {
    return this.#redis.shareText(kind, id, text);
  }

  get reachable(): boolean {
    return this.#redis.reachable;
  }

  subjectSecret(): Promise<Buffer> {
    return this.#redis.subjectSecret();
  }

  usage(counters: readonly Counter[]): Promise<readonly CounterState[]> {
    return this.#redis.usage(counters);
  }

  once(key: string, ttlMs: number): Promise<boolean> {
    return this.#redis.once(key, ttlMs);
  }

  ping(): Promise<void> {
    return this.#redis.ping();
  }

  close(): Promise<void> {
    return this.#redis.close();
  }

  #grantLocally(groups: readonly ReserveGroup[], cause: StoreUnavailableError): Reservation {
    const amounts = groups.map((group) => this.#affordable(group));
    if (groups.some((group, g) => (amounts[g] as number) < group.min)) {
      throw new StoreUnavailableError(`the allowance for the time without Redis is used up (${cause.message})`, { cause });
    }
    const lease = this.#grant(groups.map((group, g) => ({ counters: group.counters, units: amounts[g] as number })));
    return { kind: 'granted', lease, groups: groups.map((group, g): GroupGrant => ({ granted: amounts[g] as number, counters: this.#states(group.counters) })) };
  }

  #grant(parts: readonly { readonly counters: readonly Counter[]; readonly units: number }[]): LeaseStamp {
    if (this.#taken.size === 0) this.#options.onChange?.('granting');
    const owed: Counted[] = [];
    for (const { counters, units } of parts) {
      const pot = potOf(counters);
      if (pot !== undefined) this.#take(pot.key, units);
      for (const counter of counters) owed.push({ counter, units });
    }
    return { grantedAtMs: 0, validForMs: validForMs(parts.flatMap(({ counters }) => counters)), debt: this.#redis.owe(owed) };
  }

  #states(counters: readonly Counter[]): CounterState[] {
    return counters.map((counter) => ({ used: this.#redis.used(counter), nextFreeInMs: undefined }));
  }

  /** As much as is left of the allowance, and of each limit by what this process alone took of it. */
  #affordable(group: ReserveGroup): number {
    const pot = potOf(group.counters);
    if (pot === undefined) return 0;
    let amount = Math.min(group.want, this.#options.units * (pot.bytes ? this.#options.bytesPerUnit : 1) - (this.#taken.get(pot.key) ?? 0));
    for (const counter of group.counters) if (counter.limit !== null) amount = Math.min(amount, counter.limit - this.#redis.used(counter));
    return Math.max(0, amount);
  }

  #take(pot: string, units: number): void {
    this.#taken.set(pot, Math.max(0, (this.#taken.get(pot) ?? 0) + units));
  }
}

/** The principal's own counters say who it is; where only a whole role is limited, the role has one allowance. Counters of unknown form have none. */
function potOf(counters: readonly Counter[]): { readonly key: string; readonly bytes: boolean } | undefined {
  const subjects = counters.map(({ key }) => readCounterKey(key));
  const subject = subjects.find((each) => each?.owner.startsWith('p:') === true) ?? subjects[0];
  if (subject === undefined || subjects.includes(undefined)) return undefined;
  return { key: `${subject.className}:${subject.dimension}:${subject.owner}`, bytes: subject.dimension === 'bytes' };
}
