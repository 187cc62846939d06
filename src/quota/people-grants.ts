import { DELIVERED, GrantedPeople, TOLD, WANTED } from './granted-people.ts';
import type { FlagCrossing, LeaseCounter, LeaseRefusal, PoolPlan, StatementLimit } from './lease-plan.ts';
import { DEFAULT_SIZES } from './lease-size.ts';
import { Leasing, type LeaseOutcome, type LeasingOptions } from './leasing.ts';
import type { PersonHasher, PersonHashers } from './person-hash.ts';
import { PERSON_BYTES, PERSON_WORDS, PersonTable } from './person-table.ts';
import type { RecentPeople, RecentSet } from './recent-people.ts';
import { MAX_PEOPLE_A_CALL, StoreUnavailableError, type Admission, type Counter, type CounterStore, type Dismissal, type LeaseStamp } from './store.ts';

/** People of a statement that the audit record names; how many they were stands beside it. */
const MAX_NAMED = 1000;
/** People that one statement remembers; those who were delivered are forgotten then, and asked for again, which is free. With a chunk's people more the table need not grow to 2^17. */
const MAX_REMEMBERED = 62_000;
/** Of how many people others are told: more would drive out those of all other statements. */
const MAX_TOLD = 4096;
/** So many in turn of whom no other statement told: it is not worth looking on, and to ask costs no unit. More than are remembered. */
const MAX_STRANGERS = 16_384;
const GRANTED: LeaseOutcome = { kind: 'granted', flags: [] };

export interface PeopleOptions extends LeasingOptions {
  readonly secret: Buffer;
  /** The server and database that the keys are of: number 5 of another one is another person. */
  readonly scope: string;
  readonly recent: RecentPeople;
  readonly hashers: PersonHashers;
  /** Who was delivered is kept by name, for the audit record. */
  readonly keepNamed: boolean;
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
 * told. A grant may be delivered for its life, however often (docs/adr/0004-people.md). People are told by their index (`meet`), several of them by a part of an array.
 */
export class PeopleGrants {
  readonly className: string;
  /** Keys of rows go in here; `meet` tells whose they are. */
  readonly hasher: PersonHasher;
  readonly #store: CounterStore;
  readonly #counters: readonly LeaseCounter[];
  readonly #statement: readonly StatementLimit[];
  readonly #options: PeopleOptions;
  readonly #recent: RecentSet;
  readonly #people = new GrantedPeople();
  #wanted: number[] = [];
  /** Answers that are to come are about people by their index. */
  #asking = 0;
  readonly #leases: LeaseStamp[] = [];
  /** Who was delivered in this statement, where a limit on the statement wants it known. */
  readonly #seen = new PersonTable();
  readonly #named: string[] = [];
  #takenPeople = 0;
  #toldPeople = 0;
  #strangers = 0;
  readonly #reported = new Set<string>();
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
    this.hasher = options.hashers.of(options.secret, options.scope, className);
    this.#recent = options.recent.of(pool.counters);
    const plan = { className, width: 1, rows: { counters: pool.counters, statement: [] }, bytes: { counters: [], statement: [] }, prepaid: undefined };
    this.#unknown = new Leasing(store, { rowBound: undefined, classes: [plan] }, { ...options, sizes: { ...DEFAULT_SIZES, firstRows: 1 } });
  }

  /** Whom the keys mean that were given to `hasher` since its `begin`: their indexes, from `at` on. Of one key always the same, until `forgetDelivered`. */
  meet(into: Int32Array, at: number): void {
    const count = this.hasher.finish();
    const { hashes } = this.hasher;
    if (count > 1) this.#people.touch(hashes, count);
    for (let i = 0; i < count; i++) into[at + i] = this.#people.add(hashes, i * PERSON_WORDS);
  }

  /** Lets go of those who are done with, if there are many. All indexes are void then. */
  forgetDelivered(): void {
    if (this.#people.size >= MAX_REMEMBERED && this.#asking === 0 && this.#wanted.length === 0) this.#people.forgetDelivered();
  }

  /** A row about this person may go now. */
  covers(person: number, nowMs: number): boolean {
    const people = this.#people;
    if ((people.deadlines[person] as number) > nowMs || this.#counters.length === 0) return true;
    if (this.#strangers >= MAX_STRANGERS) return false;
    const deadlineMs = this.#recent.deadlineOf(people.words, person * PERSON_WORDS);
    if (deadlineMs === undefined || deadlineMs <= nowMs) {
      this.#strangers++;
      return false;
    }
    this.#strangers = 0;
    // Somebody delivered by it, so that it cannot be taken back: it is as good for this statement.
    people.deadlines[person] = deadlineMs;
    people.states[person] = (people.states[person] as number) | TOLD;
    people.fresh[person] = 0;
    return true;
  }

  /** To be asked for. False: no more in one call. */
  want(person: number): boolean {
    const { states } = this.#people;
    const state = states[person] as number;
    if ((state & WANTED) !== 0) return true;
    if (this.#wanted.length >= MAX_PEOPLE_A_CALL) return false;
    states[person] = state | WANTED;
    this.#wanted.push(person);
    return true;
  }

  /** No limit is on the statement alone: whoever is covered may go, and nothing else is to be asked. */
  get unbounded(): boolean {
    return this.#statement.length === 0;
  }

  get wants(): boolean {
    return this.#wanted.length > 0;
  }

  /** The statement's own limit that a row about these people would break. */
  statementRefusal(people: Int32Array, from: number, to: number, unknown: number): LeaseRefusal | undefined {
    if (this.#statement.length === 0) return undefined;
    const used = this.#seen.size + this.#unknownUnits;
    let next = used + unknown;
    for (let i = from; i < to; i++) if (this.#seen.find(this.#people.words, (people[i] as number) * PERSON_WORDS) < 0) next++;
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
    const { states } = this.#people;
    for (const person of asked) states[person] = (states[person] as number) & ~WANTED;
    const askedAtMs = this.#options.nowMs();
    this.#asking++;
    try {
      const admission = await this.#store.admit(this.#counters.map(({ counter }) => counter), this.#people.pack(asked));
      const deadlineMs = askedAtMs + admission.lease.validForMs;
      this.#take(asked, admission, deadlineMs);
      if (this.#closed) this.#dismiss(asked);
      const flags = this.#crossings(admission);
      if (admission.admitted < due) return { kind: 'refused', refusal: this.#refusal(admission), flags };
      if (this.#options.nowMs() >= deadlineMs) throw new StoreUnavailableError('the answer came after its grants were void');
      return { kind: 'granted', flags };
    } catch (error) {
      return { kind: 'unavailable', error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      this.#asking--;
    }
  }

  /** Rows about these people went to the client. */
  deliver(people: Int32Array, from: number, to: number): void {
    const { states, deadlines, words } = this.#people;
    for (let i = from; i < to; i++) {
      const person = people[i] as number;
      const state = states[person] as number;
      if (state === (DELIVERED | TOLD)) continue;
      if ((state & DELIVERED) === 0) {
        this.#takenPeople++;
        if (this.#options.keepNamed && this.#named.length < MAX_NAMED) this.#named.push(nameOf(words, person));
        if (this.#statement.length > 0) this.#seen.add(words, person * PERSON_WORDS);
      }
      if ((state & TOLD) === 0 && this.#toldPeople < MAX_TOLD) {
        this.#toldPeople++;
        this.#recent.note(words, person * PERSON_WORDS, deadlines[person] as number);
      }
      states[person] = state | DELIVERED | TOLD;
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
    this.#dismiss(Array.from({ length: this.#people.size }, (_, person) => person));
    return [...this.#unknown.close().flags, ...this.statementFlags()];
  }

  #take(asked: readonly number[], { admitted, fresh, lease }: Admission, deadlineMs: number): void {
    const people = this.#people;
    const grant = this.#leases.push(lease) - 1;
    for (let i = 0; i < admitted; i++) {
      const person = asked[i] as number;
      const state = people.states[person] as number;
      // What was delivered by an earlier grant stays counted.
      people.fresh[person] = (state & DELIVERED) !== 0 ? 0 : (fresh[i] ?? 0);
      people.deadlines[person] = deadlineMs;
      people.grants[person] = grant;
      people.states[person] = state & ~TOLD;
    }
  }

  #dismiss(people: readonly number[]): void {
    const { states, fresh, grants } = this.#people;
    const byGrant = new Map<number, Map<number, number[]>>();
    for (const person of people) {
      const bits = fresh[person] as number;
      if (bits === 0 || ((states[person] as number) & DELIVERED) !== 0) continue;
      // Once, also if an answer comes after the end.
      fresh[person] = 0;
      const grant = grants[person] as number;
      const byBits = byGrant.get(grant) ?? new Map<number, number[]>();
      byGrant.set(grant, byBits);
      const same = byBits.get(bits);
      if (same === undefined) byBits.set(bits, [person]);
      else same.push(person);
    }
    for (const [grant, byBits] of byGrant) {
      const dismissals = [...byBits].map(([bits, same]): Dismissal => ({ people: this.#people.pack(same), counters: this.#countersOf(bits) }));
      this.#store.dismiss(this.#leases[grant] as LeaseStamp, dismissals).catch((error: unknown) => this.#options.onRefundError?.(error instanceof Error ? error : new Error(String(error))));
    }
  }

  #countersOf(bits: number): Counter[] {
    return this.#counters.flatMap(({ counter }, c) => (Math.floor(bits / 2 ** c) % 2 === 1 ? [counter] : []));
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

function nameOf(words: Int32Array, person: number): string {
  return Buffer.from(words.buffer, words.byteOffset + person * PERSON_BYTES, PERSON_BYTES).toString('base64url');
}
