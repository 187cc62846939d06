import { performance } from 'node:perf_hooks';
import type { Counted, CountedKey, PastPeople, PastUse } from './grant-history.ts';
import { GrantHistory } from './grant-history.ts';
import type { GrantJournal } from './grant-journal.ts';
import { packTexts, peopleIn } from './person-table.ts';
import type { RedisConnection, StoreNotice } from './redis-connection.ts';
import type { DomainKeys } from './redis-keys.ts';
import { GRANTED, LOST, OTHER_LAYOUT, runScript, SETTLING, type ScriptArgument, type ScriptName } from './redis-scripts.ts';
import { RefundBacklog } from './refund-backlog.ts';
import { IncompatibleStoreError, NotCarriedOutError, StoreUnavailableError, type Counter, type Dismissal } from './store.ts';
import { shapeOf } from './window.ts';

/** Counters that are sent in one call: bounds how long Redis is busy for one script. */
export const BATCH_COUNTERS = 200;
/** People that are put back in one call. */
const BATCH_PEOPLE = 1000;
/** Answers are late by less than a command's timeout; more is a step of a clock. */
const CLOCK_JUMP_MS = 2000;
/** Refunds that go out together with one heartbeat. */
const MAX_BACKLOG_CALLS = 200;
/** Of what is remembered of other processes. */
const MAX_MEMBERS = 1000;

/** Redis was found empty, older or started anew: until all processes had the time to put back what they know, nobody is granted anything. */
export class SettlingError extends NotCarriedOutError {}

export interface DomainOptions {
  /** Hash tag of a Cluster's domain; '' where there is one. */
  readonly name: string;
  readonly keys: DomainKeys;
  readonly connection: RedisConnection;
  /** This process, over restarts if it has a journal. */
  readonly member: number;
  /** How long nobody is granted anything in a new generation, and how long it is if known processes stay away. */
  readonly settleMs: number;
  readonly absentMs: number;
  readonly journal: GrantJournal | undefined;
  readonly sources: readonly ReplaySource[];
  readonly onNotice: (notice: StoreNotice) => void;
}

/** Something else that is counted in the same store and has to survive its forgetting: it is put back before this process joins. */
export interface ReplaySource {
  /** Puts back what was counted after the grant `sequence`, made at `sinceMs` of the store's clock (0 and 0: everything). Repeated if the connection breaks. */
  replay(lost: { readonly domain: string; readonly sequence: number; readonly sinceMs: number }): Promise<void>;
}

type JoinAnswer =
  | { readonly kind: 'joined'; readonly nowMs: number; readonly waitMs: number }
  /** A debt is not counted in a store that lacks more than it. */
  | { readonly kind: 'lost'; readonly sequence: number; readonly sinceMs: number };

/** Counters that one script may touch together, and what this process knows of them: one for a server, one a class in a Cluster. */
export class RedisDomain {
  readonly history: GrantHistory;
  readonly #options: DomainOptions;
  #sequence = 0;
  /** Sequence and store time of the latest grant that this process was told of; Redis must not know less. */
  #acknowledged = 0;
  #seenMs = 0;
  #generation = 0;
  /** Who else was alive at the last heartbeat; undefined: never heard. */
  #members: readonly number[] | undefined;
  #clockOffsetMs: number | undefined;
  #joining: Promise<void> | undefined;
  #toldLayout: number | undefined;
  readonly #backlog = new RefundBacklog();
  /** Granted without Redis and not counted there. */
  readonly #debt = new Map<string, { readonly counter: CountedKey; units: number }>();
  #debtBatch = 1;
  #settling: { readonly sequence: number; readonly part: readonly Counted[] } | undefined;

  constructor(options: DomainOptions) {
    this.#options = options;
    // A journal holds one unit for each person, so it must be told which one goes along to a new time.
    this.history = new GrantHistory(options.journal !== undefined);
    const past = options.journal?.past(options.name);
    if (past === undefined) return;
    for (const { counter, atMs, units } of past.grants) this.history.restore(atMs, counter, units);
    this.history.startAfter(past.sequence);
    this.#sequence = this.#acknowledged = past.sequence;
    this.#seenMs = past.seenMs;
    for (const { counter, units } of past.debt) this.#debt.set(counter.key, { counter, units });
  }

  get name(): string {
    return this.#options.name;
  }

  get debtUnits(): number {
    let units = 0;
    for (const each of this.#debt.values()) units += each.units;
    return units;
  }

  /** A number for one grant, higher than every one before. */
  nextSequence(): number {
    return ++this.#sequence;
  }

  /** A grant was told of: from now on Redis has to know it. Resolves when it is in the journal as safely as ops want. */
  granted(sequence: number, atMs: number, askedAtMs: number, counted: readonly Counted[]): Promise<void> | undefined {
    this.#acknowledge(sequence, atMs, askedAtMs);
    this.history.record(sequence, atMs, counted);
    return this.#options.journal?.granted(this.name, sequence, atMs, counted);
  }

  /** As `granted`. The journal holds no hashes: what it puts back counts as units of people who cannot be told apart. Whoever is granted again takes the unit along, so that it is one each. */
  admitted(sequence: number, atMs: number, askedAtMs: number, counters: readonly Counter[], people: Buffer): Promise<void> | undefined {
    this.#acknowledge(sequence, atMs, askedAtMs);
    if (people.length === 0) return undefined;
    const keptAtMs = this.history.keptAtMs(atMs);
    const known = counters.map((counter) => this.history.recordPeople(keptAtMs, counter, people, counter.limit ?? counter.people ?? 1));
    const { journal } = this.#options;
    if (journal === undefined) return undefined;
    // The new unit first: torn in between, there is one too many.
    const written = journal.granted(this.name, sequence, keptAtMs, counters.map((counter) => ({ counter, units: peopleIn(people) })));
    for (const [c, times] of known.entries()) {
      const counter = counters[c] as Counter;
      for (const lastMs of new Set(times)) journal.refunded(this.name, lastMs, [{ counter, units: times.filter((each) => each === lastMs).length }]);
    }
    return written;
  }

  dismissed(atMs: number, dismissals: readonly Dismissal[]): void {
    for (const { people, counters } of dismissals) {
      for (const counter of counters) {
        const units = this.history.forgetPeople(atMs, counter, people);
        if (units > 0) this.#options.journal?.refunded(this.name, atMs, [{ counter, units }]);
      }
    }
  }

  #acknowledge(sequence: number, atMs: number, askedAtMs: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
    this.#seenMs = Math.max(this.#seenMs, atMs);
    const offsetMs = atMs - askedAtMs;
    const aheadMs = offsetMs - (this.#clockOffsetMs ?? offsetMs);
    this.#clockOffsetMs = offsetMs;
    if (aheadMs > CLOCK_JUMP_MS) this.#options.onNotice({ kind: 'clock_jumped', aheadMs: Math.round(aheadMs) });
  }

  /** Resolves when the units are back, or kept until they can be sent. */
  async refund(atMs: number, counted: readonly Counted[]): Promise<void> {
    try {
      await this.#sendRefund(atMs, counted);
    } catch (error) {
      if (!(error instanceof NotCarriedOutError) || !this.#backlog.keep(atMs, counted)) throw error;
    }
  }

  async #sendRefund(atMs: number, counted: readonly Counted[]): Promise<void> {
    const args = [atMs, ...counted.flatMap(({ units, counter }) => [units, ...shapeArgs(counter)])];
    await this.run('rowgateRefund', counted.map(({ counter }) => counter), () => args);
    this.#refunded(atMs, counted);
  }

  /** The store answers again: what was to go back meanwhile goes. */
  async #sendBacklog(nowMs: number): Promise<void> {
    for (let sent = 0; sent < MAX_BACKLOG_CALLS; sent += 1) {
      const owed = this.#backlog.next(nowMs);
      if (owed === undefined) return;
      // A failure is the next heartbeat's to see.
      await this.refund(owed.atMs, owed.counted).catch(() => undefined);
    }
  }

  #refunded(atMs: number, counted: readonly Counted[]): void {
    for (const { counter, units } of counted) this.history.forget(atMs, counter, units);
    this.#options.journal?.refunded(this.name, atMs, counted);
  }

  /** Units that were granted without Redis: counted there before it grants this process anything. Returns which settlement will do it. */
  owe(counted: readonly Counted[]): number {
    this.#changeDebt(counted, 1);
    return this.#debtBatch;
  }

  /** Units that were owed and not delivered. Too late, and without effect, once the debt is being settled: they stay counted. */
  oweLess(batch: number, counted: readonly Counted[]): void {
    if (batch === this.#debtBatch) this.#changeDebt(counted, -1);
  }

  /** What this process took of a counter's window, counted in Redis or owed. */
  used(counter: CountedKey): number {
    return this.history.used(counter) + (this.#debt.get(counter.key)?.units ?? 0);
  }

  async run(name: ScriptName, counters: readonly CountedKey[], args: () => readonly ScriptArgument[]): Promise<readonly number[]> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (this.#debt.size > 0) await this.#joinFirst(() => this.#settleDebt());
      const answer = await this.send(name, counters, args());
      if (answer[0] === SETTLING) throw new SettlingError(`Redis has started anew or forgotten: its counters are being put back, ${answer[1]} ms to go`);
      if (answer[0] !== LOST) return answer;
      // The script counted nothing, so that asking again is safe.
      await this.#joinFirst(() => this.#replay(answer[1] as number, answer[2] as number));
    }
    throw new NotCarriedOutError('Redis forgets its counters as fast as they are put back');
  }

  /** Says that this process lives, finds out who else does, and whether Redis has forgotten anything; if so, puts it back. */
  async heartbeat(): Promise<void> {
    const answer = await this.run('rowgateHeartbeat', [], () => [this.#options.member]);
    this.#seenMs = Math.max(this.#seenMs, answer[1] as number);
    this.#generation = answer[2] as number;
    this.#members = answer.slice(3, 3 + MAX_MEMBERS);
    await this.#sendBacklog(this.#seenMs);
  }

  /** Nobody waits for a process that has said goodbye. */
  async leave(): Promise<void> {
    await this.#options.connection.call((client) => client.hdel(this.#options.keys.members, String(this.#options.member)), this.name);
  }

  async send(name: ScriptName, counters: readonly CountedKey[], args: readonly ScriptArgument[]): Promise<readonly number[]> {
    const { keys, member, connection } = this.#options;
    const own = name === 'rowgateJoin' || name === 'rowgateHeartbeat' ? [keys.members] : [];
    const all = [keys.clock, keys.mark(member), ...own, ...counters.map((counter) => keys.counter(counter))];
    const answer = await connection.call((client) => runScript(client, name, all, [this.#acknowledged, this.#seenMs, ...args]), this.name);
    if (answer[0] === OTHER_LAYOUT) this.#refuseLayout(answer[1] as number, answer[2] as number);
    this.#toldLayout = undefined;
    return answer;
  }

  #refuseLayout(layout: number, own: number): never {
    if (this.#toldLayout !== layout) this.#options.onNotice({ kind: 'other_layout', layout, own });
    this.#toldLayout = layout;
    throw new IncompatibleStoreError(`the counters in Redis are of layout ${layout}, and this version counts in layout ${own}`);
  }

  /** The call that waits for it has not been carried out, whatever becomes of this. */
  async #joinFirst(work: () => Promise<void>): Promise<void> {
    try {
      await this.#join(work);
    } catch (error) {
      throw error instanceof StoreUnavailableError && !(error instanceof IncompatibleStoreError) ? new NotCarriedOutError(error.message, { cause: error }) : error;
    }
  }

  #join(work: () => Promise<void>): Promise<void> {
    this.#joining ??= work().finally(() => {
      this.#joining = undefined;
    });
    return this.#joining;
  }

  /** Puts back what Redis lacks, in a generation of its own if nobody has opened one, and joins it. */
  async #replay(sequence: number, sinceMs: number): Promise<void> {
    this.#sequence = Math.max(this.#sequence, sequence);
    const lost = sequence < this.#acknowledged;
    const uses = lost ? this.history.after(sequence, sinceMs) : [];
    const { sources, onNotice } = this.#options;
    let first = 1;
    const people = lost ? this.history.peopleSince(sinceMs) : [];
    if (lost && (sources.length > 0 || people.length > 0)) {
      await this.#sendJoin({ first, last: 0, sequence: this.#acknowledged, debt: 0 }, []);
      first = 0;
      await this.#readmit(people);
      for (const source of sources) await source.replay({ domain: this.name, sequence, sinceMs });
    }
    const batches = Math.max(1, Math.ceil(uses.length / BATCH_COUNTERS));
    let waitMs = 0;
    for (let batch = 0; batch < batches; batch += 1) {
      const part = uses.slice(batch * BATCH_COUNTERS, (batch + 1) * BATCH_COUNTERS);
      const last = batch === batches - 1 ? 1 : 0;
      const answer = await this.#sendJoin({ first, last, sequence: this.#acknowledged, debt: 0 }, part);
      if (answer.kind === 'joined') waitMs = answer.waitMs;
      first = 0;
    }
    const units = uses.reduce((sum, { filled }) => sum + filled.reduce((part, slice) => part + slice.units, 0), 0);
    if (lost || waitMs > 0) onNotice({ kind: 'refilled', counters: uses.length, units });
  }

  async #readmit(past: readonly PastPeople[]): Promise<void> {
    for (const { counter, people } of past) {
      for (let from = 0; from < people.length; from += BATCH_PEOPLE) {
        const part = people.slice(from, from + BATCH_PEOPLE);
        await this.send('rowgateReadmit', [counter], [...shapeArgs(counter), packTexts(part.map(([person]) => person)), ...part.map(([, lastMs]) => lastMs)]);
      }
    }
  }

  /** One call a batch. Its number stays the same until its answer comes, so that what Redis has counted is not counted again. */
  async #settleDebt(): Promise<void> {
    this.#options.connection.check(this.name);
    // Units that come in from here on are owed in a later settlement, for what is sent may be counted.
    this.#debtBatch += 1;
    while (this.#debt.size > 0) {
      this.#settling ??= { sequence: this.nextSequence(), part: [...this.#debt.values()].slice(0, BATCH_COUNTERS).map(({ counter, units }) => ({ counter, units })) };
      const { sequence, part } = this.#settling;
      const askedAtMs = performance.now();
      const answer = await this.#sendJoin({ first: 0, last: 1, sequence, debt: 1 }, part.map(({ counter, units }) => ({ counter, filled: [{ slice: -1, units }] })));
      if (answer.kind === 'lost') {
        await this.#replay(answer.sequence, answer.sinceMs);
        continue;
      }
      this.#settling = undefined;
      this.#changeDebt(part, -1);
      void this.granted(sequence, answer.nowMs, askedAtMs, part);
      this.#options.onNotice({ kind: 'debt_settled', counters: part.length, units: part.reduce((sum, { units }) => sum + units, 0) });
    }
  }

  async #sendJoin(step: { first: number; last: number; sequence: number; debt: number }, uses: readonly PastUse[]): Promise<JoinAnswer> {
    const { settleMs, absentMs, member } = this.#options;
    const members = this.#members ?? [];
    const args = [step.first, step.last, step.sequence, step.debt, settleMs, absentMs, this.#generation, this.#members === undefined ? 0 : 1, member, members.length, ...members];
    for (const { counter, filled } of uses) args.push(...shapeArgs(counter), filled.length, ...filled.flatMap(({ slice, units }) => [slice, units]));
    const answer = await this.send('rowgateJoin', uses.map(({ counter }) => counter), args);
    if (answer[0] === LOST) return { kind: 'lost', sequence: answer[1] as number, sinceMs: answer[2] as number };
    if (answer[0] !== GRANTED) throw new StoreUnavailableError('Redis did not take the counters back');
    this.#generation = answer[2] as number;
    return { kind: 'joined', nowMs: answer[1] as number, waitMs: answer[3] as number };
  }

  #changeDebt(counted: readonly Counted[], sign: 1 | -1): void {
    for (const { counter, units } of counted) {
      const held = this.#debt.get(counter.key) ?? { counter, units: 0 };
      held.units = Math.max(0, held.units + sign * units);
      if (held.units === 0) this.#debt.delete(counter.key);
      else this.#debt.set(counter.key, held);
    }
    this.#options.journal?.owed(this.name, counted, sign);
  }
}

export function shapeArgs(counter: CountedKey): number[] {
  const { sliceMs, horizonMs } = shapeOf(counter.windowMs);
  return [sliceMs, horizonMs];
}
