import type { FlagCrossing, LeaseCounter, LeaseRefusal, PoolPlan, StatementLimit } from './lease-plan.ts';
import { DEFAULT_SIZES } from './lease-size.ts';
import { Leasing, type LeaseOutcome, type LeasingOptions } from './leasing.ts';
import { PersonHasher } from './person-hash.ts';
import type { RecentPeople, RecentSet } from './recent-people.ts';
import { MAX_PEOPLE_A_CALL, StoreUnavailableError, type Admission, type CounterStore, type Dismissal, type LeaseStamp } from './store.ts';

/** People of a statement that the audit record names; how many they were stands beside it. */
const MAX_NAMED = 1000;
/** People that one statement remembers; those who were delivered are forgotten then, and asked for again, which is free. */
const MAX_REMEMBERED = 65_536;
const NO_COUNTERS: readonly LeaseCounter[] = [];
const GRANTED: LeaseOutcome = { kind: 'granted', flags: [] };

/** Somebody whom a row of the statement is about, and what is granted for them: looked up by key once a row, changed in place. */
export interface Person {
  /** Keyed hash of the subject key. */
  readonly hash: string;
  /** A row about them may go until then; -Infinity: not granted. */
  deadlineMs: number;
  lease: LeaseStamp | undefined;
  /** Counters in which they were new, to be taken back if nothing is delivered. */
  fresh: readonly LeaseCounter[];
  delivered: boolean;
  wanted: boolean;
  /** The grant that others were told of. */
  notedMs: number;
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
  readonly #hasher: PersonHasher;
  readonly #recent: RecentSet;
  #people = new Map<string, Person>();
  #wanted: Person[] = [];
  /** Who was delivered in this statement, where a limit on the statement wants it known. */
  readonly #seen = new Set<string>();
  readonly #named: string[] = [];
  #takenPeople = 0;
  readonly #reported = new Set<string>();
  readonly #freshLists = new Map<number, readonly LeaseCounter[]>();
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
    this.#hasher = new PersonHasher(options.secret, options.scope, className);
    this.#recent = options.recent.of(pool.counters);
    const plan = { className, width: 1, rows: { counters: pool.counters, statement: [] }, bytes: { counters: [], statement: [] }, prepaid: undefined };
    this.#unknown = new Leasing(store, { rowBound: undefined, classes: [plan] }, { ...options, sizes: { ...DEFAULT_SIZES, firstRows: 1 } });
  }

  /** Whom a key means: of one key always the same, until `forgetDelivered`. */
  person(key: string): Person {
    let person = this.#people.get(key);
    if (person === undefined) {
      person = { hash: this.#hasher.hash(key), deadlineMs: -Infinity, lease: undefined, fresh: NO_COUNTERS, delivered: false, wanted: false, notedMs: -Infinity };
      this.#people.set(key, person);
    }
    return person;
  }

  /** Lets go of those who are done with, if there are many. Not while somebody holds on to a `Person` who is to be granted again: a key must mean one of them. */
  forgetDelivered(): void {
    if (this.#people.size < MAX_REMEMBERED) return;
    const kept = [...this.#people].filter(([, { delivered, wanted }]) => !delivered || wanted);
    this.#people = new Map(kept);
  }

  /** A row about this person may go now. */
  covers(person: Person, nowMs: number): boolean {
    if (person.deadlineMs > nowMs || this.#counters.length === 0) return true;
    const deadlineMs = this.#recent.deadlineOf(person.hash);
    if (deadlineMs === undefined || deadlineMs <= nowMs) return false;
    // Somebody delivered by it, so that it cannot be taken back: it is as good for this statement.
    person.deadlineMs = person.notedMs = deadlineMs;
    person.fresh = NO_COUNTERS;
    return true;
  }

  /** To be asked for. False: no more in one call. */
  want(person: Person): boolean {
    if (person.wanted) return true;
    if (this.#wanted.length >= MAX_PEOPLE_A_CALL) return false;
    person.wanted = true;
    this.#wanted.push(person);
    return true;
  }

  get wants(): boolean {
    return this.#wanted.length > 0;
  }

  /** The statement's own limit that a row with these people would break. */
  statementRefusal(people: readonly Person[], unknown: number): LeaseRefusal | undefined {
    if (this.#statement.length === 0) return undefined;
    const used = this.#seen.size + this.#unknownUnits;
    const next = used + unknown + people.filter(({ hash }) => !this.#seen.has(hash)).length;
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
    const asked = this.#wanted;
    this.#wanted = [];
    for (const person of asked) person.wanted = false;
    const askedAtMs = this.#options.nowMs();
    try {
      const admission = await this.#store.admit(this.#counters.map(({ counter }) => counter), asked.map(({ hash }) => hash));
      const deadlineMs = askedAtMs + admission.lease.validForMs;
      this.#take(asked, admission, deadlineMs);
      if (this.#closed) this.#dismiss(asked);
      const flags = this.#crossings(admission);
      if (admission.admitted < due) return { kind: 'refused', refusal: this.#refusal(admission), flags };
      if (this.#options.nowMs() >= deadlineMs) throw new StoreUnavailableError('the answer came after its grants were void');
      return { kind: 'granted', flags };
    } catch (error) {
      return { kind: 'unavailable', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** A row about these people went to the client. */
  deliver(people: readonly Person[]): void {
    for (const person of people) {
      if (!person.delivered) {
        person.delivered = true;
        this.#takenPeople++;
        if (this.#options.keepTaken && this.#named.length < MAX_NAMED) this.#named.push(person.hash);
      }
      if (person.notedMs !== person.deadlineMs) {
        person.notedMs = person.deadlineMs;
        this.#recent.note(person.hash, person.deadlineMs);
      }
      if (this.#statement.length > 0) this.#seen.add(person.hash);
    }
  }

  /** Whom the statement's rows were about, as far as they went to the client. */
  get taken(): TakenPeople {
    return { className: this.className, people: this.#takenPeople + this.#unknownUnits, named: this.#named };
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
  usage(tell: (ruleId: string, used: number, limit: number) => void): void {
    for (const { ruleId, used, limit } of this.#used) tell(ruleId, used, limit);
    this.#unknown.lease.usage(tell);
  }

  /** Ends the statement: who was not delivered does not count. */
  close(): readonly FlagCrossing[] {
    if (this.#closed) return [];
    this.#closed = true;
    this.#dismiss(this.#people.values());
    this.#people.clear();
    return [...this.#unknown.close().flags, ...this.statementFlags()];
  }

  #take(asked: readonly Person[], { admitted, fresh, lease }: Admission, deadlineMs: number): void {
    for (let i = 0; i < admitted; i++) {
      const person = asked[i] as Person;
      const bits = fresh[i] ?? 0;
      // What was delivered by an earlier grant stays counted.
      person.fresh = bits === 0 || person.delivered ? NO_COUNTERS : this.#freshIn(bits);
      person.deadlineMs = deadlineMs;
      person.lease = lease;
    }
  }

  /** Most people are new in the same counters. */
  #freshIn(bits: number): readonly LeaseCounter[] {
    let counters = this.#freshLists.get(bits);
    if (counters === undefined) this.#freshLists.set(bits, (counters = this.#counters.filter((_, c) => Math.floor(bits / 2 ** c) % 2 === 1)));
    return counters;
  }

  #dismiss(people: Iterable<Person>): void {
    const byLease = new Map<LeaseStamp, Dismissal[]>();
    for (const { hash, lease, fresh, delivered } of people) {
      if (delivered || lease === undefined || fresh.length === 0) continue;
      const dismissal = { person: hash, counters: fresh.map(({ counter }) => counter) };
      const same = byLease.get(lease);
      if (same === undefined) byLease.set(lease, [dismissal]);
      else same.push(dismissal);
    }
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
