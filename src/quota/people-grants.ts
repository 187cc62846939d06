import { createHmac } from 'node:crypto';
import type { FlagCrossing, LeaseCounter, LeaseRefusal, PoolPlan, StatementLimit } from './lease-plan.ts';
import { DEFAULT_SIZES } from './lease-size.ts';
import { Leasing, type LeaseOutcome, type LeasingOptions } from './leasing.ts';
import type { RecentPeople } from './recent-people.ts';
import { MAX_PEOPLE_A_CALL, StoreUnavailableError, type Admission, type CounterStore, type Dismissal, type LeaseStamp } from './store.ts';

/** Bytes of a keyed hash that are kept: 2^64 people until two of them share one by chance. */
const HASH_BYTES = 16;
/** People of a statement that the audit record names; how many they were stands beside it. */
const MAX_NAMED = 1000;
/** Grants that one statement remembers; those of people who were delivered are forgotten then, and asked for again, which is free. */
/** Hashes of keys that are worked on: those of a few calls. */
const MAX_HASHES = 4096;
const MAX_REMEMBERED = 65_536;
const GRANTED: LeaseOutcome = { kind: 'granted', flags: [] };

interface Granted {
  readonly person: string;
  readonly deadlineMs: number;
  readonly lease: LeaseStamp | undefined;
  /** Counters in which the person was new, to be taken back if nothing is delivered. */
  readonly fresh: readonly LeaseCounter[];
  delivered: boolean;
}

export interface PeopleOptions extends LeasingOptions {
  readonly secret: Buffer;
  /** The server and database that the keys are of: number 5 of another one is another person. */
  readonly scope: string;
  readonly recent: RecentPeople;
  /** Who was delivered is kept for the audit record. */
  readonly keepTaken: boolean;
}

/** Whom a statement's rows were about. */
export interface TakenPeople {
  readonly className: string;
  /** Those who could not be told apart included. */
  readonly people: number;
  /** Keyed hashes of those who could, at most 1000. */
  readonly named: readonly string[];
}

/**
 * The people of one class that one statement may deliver: who was admitted, who is to be asked for, and units for rows whose person cannot be
 * told. A grant may be delivered for its life, however often (docs/adr/0004-people.md).
 */
export class PeopleGrants {
  readonly className: string;
  readonly #store: CounterStore;
  readonly #counters: readonly LeaseCounter[];
  readonly #statement: readonly StatementLimit[];
  readonly #options: PeopleOptions;
  readonly #granted = new Map<string, Granted>();
  readonly #wanted = new Set<string>();
  /** Who was delivered in this statement, where a limit on the statement wants it known. */
  readonly #seen = new Set<string>();
  readonly #taken = new Set<string>();
  readonly #reported = new Set<string>();
  readonly #hashes = new Map<string, string>();
  /** Units for rows whose person cannot be told. */
  readonly #unknown: Leasing;
  #unknownUnits = 0;
  #used: readonly { readonly ruleId: string; readonly used: number; readonly limit: number }[] = [];
  #closed = false;

  constructor(store: CounterStore, className: string, pool: PoolPlan, options: PeopleOptions) {
    this.className = className;
    this.#store = store;
    this.#counters = pool.counters;
    this.#statement = pool.statement;
    this.#options = options;
    const plan = { className, width: 1, rows: { counters: pool.counters, statement: [] }, bytes: { counters: [], statement: [] }, prepaid: undefined };
    this.#unknown = new Leasing(store, { rowBound: undefined, classes: [plan] }, { ...options, sizes: { ...DEFAULT_SIZES, firstRows: 1 } });
  }

  /** A row about this person may go now. */
  has(key: string, nowMs: number): boolean {
    if (this.#counters.length === 0) return true;
    const granted = this.#granted.get(key);
    if (granted !== undefined && granted.deadlineMs > nowMs) return true;
    // Somebody delivered by it, so that it cannot be taken back: it is as good for this statement.
    const person = granted?.person ?? this.#hash(key);
    const deadlineMs = this.#options.recent.deadlineOf(this.#counters, person);
    if (deadlineMs === undefined || deadlineMs <= nowMs) return false;
    this.#granted.set(key, { person, deadlineMs, lease: undefined, fresh: [], delivered: true });
    return true;
  }

  /** To be asked for. False: no more in one call. */
  want(key: string): boolean {
    if (this.#wanted.size >= MAX_PEOPLE_A_CALL) return false;
    this.#wanted.add(key);
    return true;
  }

  get wants(): boolean {
    return this.#wanted.size > 0;
  }

  /** The statement's own limit that a row with these people would break. */
  statementRefusal(keys: readonly string[], unknown: number): LeaseRefusal | undefined {
    if (this.#statement.length === 0) return undefined;
    const used = this.#seen.size + this.#unknownUnits;
    const next = used + unknown + keys.filter((key) => !this.#seen.has(key)).length;
    const rule = this.#statement.find(({ enforced, limit }) => enforced && next > limit);
    if (rule === undefined) return undefined;
    return { ruleId: rule.ruleId, className: this.className, dimension: 'rows', limit: rule.limit, used, windowMs: 'statement', nextFreeInMs: undefined, counterKey: undefined };
  }

  /** Spends units for people who cannot be told. False: nothing was spent; `askUnknown`. */
  spendUnknown(units: number, nowMs: number): boolean {
    if (this.#counters.length > 0) {
      const { lease } = this.#unknown;
      if (lease.expired(nowMs) || !lease.trySpend([units], 0)) return false;
    }
    this.#unknownUnits += units;
    return true;
  }

  /** Before a statement that changes something runs: what its end will cost is there. */
  begin(): Promise<LeaseOutcome> {
    return this.#counters.length === 0 ? Promise.resolve(GRANTED) : this.#unknown.begin();
  }

  askUnknown(): Promise<LeaseOutcome> {
    return this.#unknown.renew();
  }

  /** Asks for those who are wanted; the first `due` of them are of the row that waits. */
  async ask(due: number): Promise<LeaseOutcome> {
    const keys = [...this.#wanted];
    this.#wanted.clear();
    const people = keys.map((key) => this.#hash(key));
    const askedAtMs = this.#options.nowMs();
    try {
      const admission = await this.#store.admit(this.#counters.map(({ counter }) => counter), people);
      const deadlineMs = askedAtMs + admission.lease.validForMs;
      this.#remember(keys, people, admission, deadlineMs);
      if (this.#closed) this.#dismiss();
      const flags = this.#crossings(admission);
      if (admission.admitted < due) return { kind: 'refused', refusal: this.#refusal(admission), flags };
      if (this.#options.nowMs() >= deadlineMs) throw new StoreUnavailableError('the answer came after its grants were void');
      return { kind: 'granted', flags };
    } catch (error) {
      return { kind: 'unavailable', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** A row about these people went to the client. */
  deliver(keys: readonly string[]): void {
    for (const key of keys) {
      const granted = this.#granted.get(key);
      if (granted !== undefined && !granted.delivered) {
        granted.delivered = true;
        this.#options.recent.note(this.#counters, granted.person, granted.deadlineMs);
      }
      if (this.#statement.length > 0) this.#seen.add(key);
      if (this.#options.keepTaken && this.#taken.size < MAX_REMEMBERED) this.#taken.add(granted?.person ?? this.#hash(key));
    }
  }

  /** Whom the statement's rows were about, as far as they went to the client. */
  get taken(): TakenPeople {
    const named = this.#taken.size <= MAX_NAMED ? [...this.#taken] : [...this.#taken].slice(0, MAX_NAMED);
    return { className: this.className, people: this.#taken.size + this.#unknownUnits, named };
  }

  /** Flags of limits on the statement alone. */
  statementFlags(): FlagCrossing[] {
    const used = this.#seen.size + this.#unknownUnits;
    return this.#statement.flatMap(({ ruleId, limit, enforced }): FlagCrossing[] => {
      if (enforced || used <= limit || this.#reported.has(ruleId)) return [];
      this.#reported.add(ruleId);
      return [{ ruleId, className: this.className, dimension: 'rows', limit, used, windowMs: 'statement', counterKey: undefined }];
    });
  }

  /** What is used of each enforced limit, as far as this statement was told. */
  get usage(): readonly { readonly ruleId: string; readonly used: number; readonly limit: number }[] {
    return [...this.#used, ...this.#unknown.lease.usage()];
  }

  /** Ends the statement: who was not delivered does not count. */
  close(): readonly FlagCrossing[] {
    if (this.#closed) return [];
    this.#closed = true;
    this.#dismiss();
    return [...this.#unknown.close().flags, ...this.statementFlags()];
  }

  /** The same person is looked for, asked for and delivered: hashed once. */
  #hash(key: string): string {
    const known = this.#hashes.get(key);
    if (known !== undefined) return known;
    if (this.#hashes.size >= MAX_HASHES) this.#hashes.clear();
    const person = this.#hashAnew(key);
    this.#hashes.set(key, person);
    return person;
  }

  #hashAnew(key: string): string {
    return createHmac('sha256', this.#options.secret).update(`${this.#options.scope}\0${this.className}\0${key}`).digest().subarray(0, HASH_BYTES).toString('base64url');
  }

  #remember(keys: readonly string[], people: readonly string[], { admitted, fresh, lease }: Admission, deadlineMs: number): void {
    if (this.#granted.size >= MAX_REMEMBERED) for (const [key, { delivered }] of this.#granted) if (delivered) this.#granted.delete(key);
    for (let i = 0; i < admitted; i++) {
      const bits = fresh[i] ?? 0;
      const before = this.#granted.get(keys[i] as string);
      const counters = bits === 0 || before?.delivered === true ? [] : this.#counters.filter((_, c) => Math.floor(bits / 2 ** c) % 2 === 1);
      this.#granted.set(keys[i] as string, { person: people[i] as string, deadlineMs, lease, fresh: counters, delivered: false });
    }
  }

  #dismiss(): void {
    const byLease = new Map<LeaseStamp, Dismissal[]>();
    for (const { person, lease, fresh, delivered } of this.#granted.values()) {
      if (delivered || lease === undefined || fresh.length === 0) continue;
      byLease.set(lease, [...(byLease.get(lease) ?? []), { person, counters: fresh.map(({ counter }) => counter) }]);
    }
    this.#granted.clear();
    for (const [lease, dismissals] of byLease) {
      this.#store.dismiss(lease, dismissals).catch((error: unknown) => this.#options.onRefundError?.(error instanceof Error ? error : new Error(String(error))));
    }
  }

  #crossings({ counters }: Admission): FlagCrossing[] {
    this.#used = this.#counters.flatMap(({ counter, ruleId }, c) => (counter.limit === null ? [] : [{ ruleId, used: counters[c]?.used ?? 0, limit: counter.limit }]));
    return this.#counters.flatMap(({ counter, flags }, c) => {
      const used = counters[c]?.used ?? 0;
      return flags.flatMap(({ ruleId, limit }): FlagCrossing[] => {
        if (used <= limit || this.#reported.has(ruleId)) return [];
        this.#reported.add(ruleId);
        return [{ ruleId, className: this.className, dimension: 'rows', limit, used, windowMs: counter.windowMs, counterKey: counter.key }];
      });
    });
  }

  #refusal({ refused, counters }: Admission): LeaseRefusal {
    const at = refused ?? 0;
    const { ruleId, counter } = this.#counters[at] as LeaseCounter;
    return {
      ruleId,
      className: this.className,
      dimension: 'rows',
      limit: counter.limit ?? Infinity,
      used: counters[at]?.used ?? 0,
      windowMs: counter.windowMs,
      nextFreeInMs: counters[at]?.nextFreeInMs,
      counterKey: counter.key,
    };
  }
}
