/**
 * One execution of one statement: what it reaches, what it holds in reserve, what went out, and its records in the audit
 * log. A run of a statement that reaches nothing protected counts rows for the metrics and is otherwise free.
 */

import { performance } from 'node:perf_hooks';
import type { Reach } from '../catalog/reach-types.ts';
import type { ClassUnits } from '../audit/events.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import { plainRowBytes, plainRowUnits, rowCost } from '../policy/row-cost.ts';
import type { CompiledClass, PrincipalPolicy, Refusal, Verdict } from '../policy/types.ts';
import type { FlagCrossing, LeaseCredit } from '../quota/lease-plan.ts';
import { Leasing, type LeaseOutcome } from '../quota/leasing.ts';
import { planLease } from '../quota/lease-planner.ts';
import type { ColumnShape } from '../protocol/backend-messages.ts';
import type { Ahead } from '../protocol/message-stream.ts';
import type { RowReader } from './row-reader.ts';
import { flagCrossings, flagLookUps, flagVerdict } from './run-flags.ts';
import { asideUnits, leaseNeeds } from './lease-needs.ts';
import { openPeople } from './run-people.ts';
import { quotaRefusalOf } from './run-refusal.ts';
import { recordEnd, recordStart, totalUnits, type RecordedRun } from './run-records.ts';
import { booksToMark, markBooks } from './bookkeeping.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import { countsPeople, type SubjectMeter, type RowAt } from './subject-meter.ts';

const NO_COSTS = new Float64Array(0);
/** More rows than a chunk holds. */
const MANY = 0x7fff_ffff;
const UNMETERED: Ahead = { messages: MANY, bytes: Number.MAX_SAFE_INTEGER, largestBodyBytes: Number.MAX_SAFE_INTEGER };

export class Run implements RecordedRun {
  readonly statement: Statement;
  /** Of its records; empty while there is nothing to record. */
  id: string;
  readonly principal: PrincipalPolicy;
  #reach: Reach;
  readonly #session: SessionState;
  readonly #startedMs = performance.now();
  #leasing: Leasing | undefined;
  #classes: readonly CompiledClass[] = [];
  #costs: Float64Array = NO_COSTS;
  #aside: readonly number[] | undefined;
  /** Units of a class that were spent before the statement was widened. */
  #spentBefore: Map<string, number> | undefined;
  /** Of what it leaves behind, what a widened statement has not paid for yet, in bytes; undefined: nothing was paid for. */
  #unpaidBytes: number | undefined;
  /** The record of the start; 'none' before anything was reserved. */
  #start: 'none' | 'under way' | 'written' | Refusal = 'none';
  /** They wait for it. */
  #onStart: (() => void)[] | undefined;
  /** Nothing protected may leave before this is true: the lease is granted and the start is on record. */
  #open = false;
  #finished = false;
  /** For each column of the result whether it is a table's column as it stands, as RowDescription said; undefined where nothing said so. */
  plainColumns: readonly boolean[] | undefined;
  /** Where quotas count people. */
  #people: SubjectMeter | undefined;
  #described: { readonly columns: readonly ColumnShape[]; readonly reader: RowReader } | undefined;
  /** What was refused last was for want of people, not of units. */
  #peopleShort = false;
  rows = 0;
  bytes = 0;
  /** What the client gets in the place of EmptyQueryResponse: Rowgate answers this one itself. */
  answer: Buffer | undefined;
  /** Why no more rows go out. Set once; the statement's end is then answered with it. */
  refusal: Refusal | undefined;
  /** Which copies were known when the statement was judged. */
  copiesEpoch = Infinity;
  /** The catalog that it was judged by. */
  catalogVersion: string | undefined;
  codeChanges: number | undefined;
  /** It was begun before its Execute is there, and may be all that there is: what it tells of a person must be to be had. */
  aheadOfExecute = false;
  /** It is on its way to the server and counts among the session's metered ones. */
  forwarded = false;
  /** What the verdict flagged. */
  #flagged: { readonly ruleId: string; readonly reason: string } | undefined;

  constructor(session: SessionState, statement: Statement, reach: Reach, verdict: Verdict) {
    this.#session = session;
    this.statement = statement;
    this.#reach = reach;
    this.principal = session.principal;
    this.id = reach.classes.length > 0 || verdict.kind !== 'allow' ? session.nextStatementId() : '';
    if (verdict.kind === 'flag') this.#flagged = verdict;
  }

  get reach(): Reach {
    return this.#reach;
  }

  get metered(): boolean {
    return this.#reach.classes.length > 0;
  }

  get cut(): boolean {
    return this.refusal !== undefined;
  }

  get flag(): RecordedRun['flag'] {
    return this.#flagged;
  }

  /** The least charge is reserved and the start on record. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** The least charge is reserved, and the start is about to be on record. */
  get awaitsRecord(): boolean {
    return !this.#open && this.#leasing !== undefined && this.#start !== 'none';
  }

  get finished(): boolean {
    return this.#finished;
  }

  /**
   * Reserves the least charge and puts the start on record. A refusal if the statement must not run; otherwise it may be forwarded,
   * while the record may still be under way (`ready` waits for it). A promise only where the counter store must be asked.
   */
  begin(prepaid: readonly LeaseCredit[], rowBound: number | undefined): Refusal | undefined | Promise<Refusal | undefined> {
    const leasing = this.#lease(prepaid, rowBound);
    const outcome = leasing.beginNow(this.#aside);
    if (outcome === undefined || countsPeople(this.principal) || this.#reach.copies !== undefined || booksToMark(this.#session, this.#reach).length > 0) return this.#beginLater(outcome ?? leasing.begin(this.#aside));
    return this.#begun(this.#settle(outcome));
  }

  async #beginLater(outcome: LeaseOutcome | Promise<LeaseOutcome>): Promise<Refusal | undefined> {
    const refusal = this.#settle(await outcome);
    return this.#begun(refusal ?? (countsPeople(this.principal) ? await this.#beginPeople() : undefined) ?? (await this.#rememberCopies()) ?? (await this.#markBooks()));
  }

  #begun(refusal: Refusal | undefined): Refusal | undefined {
    if (refusal !== undefined) return this.#fail(refusal);
    // It was reserved a moment ago.
    if (this.#aside !== undefined && !(this.#leasing as Leasing).lease.trySpend(this.#aside, 0)) return this.#fail(outageRefusal('store', this.principal));
    this.#record();
    return undefined;
  }

  /** Puts the start on record; the statement is open once it stands there. */
  #record(): void {
    const leasing = this.#leasing;
    this.#start = 'under way';
    recordStart(this.#session, this, (refusal) => {
      // A statement that was widened meanwhile waits for another record.
      if (this.#leasing !== leasing) return;
      this.#start = refusal ?? 'written';
      this.#open = refusal === undefined;
      const waiting = this.#onStart;
      this.#onStart = undefined;
      if (waiting !== undefined) for (const tell of waiting) tell();
    });
  }

  /** Waits until protected rows may leave; resolves to a refusal if they may not. */
  async ready(): Promise<Refusal | undefined> {
    if (this.#leasing === undefined) {
      // The server's reply told of a class that the request's verdict lacked: everything is caught up with before the first row.
      const refused = await this.begin([], undefined);
      if (refused !== undefined) return refused;
    }
    if (this.#start === 'under way') await new Promise<void>((resolve) => (this.#onStart ??= []).push(resolve));
    return typeof this.#start === 'string' ? undefined : this.#start;
  }

  /** Likewise what may come to stand in the server's own books. */
  #markBooks(): Promise<Refusal | undefined> | undefined {
    const books = booksToMark(this.#session, this.#reach);
    return books.length === 0 ? undefined : markBooks(this.#session, this, books);
  }

  /** What the statement copies must be known as a copy before the server has it. */
  async #rememberCopies(): Promise<Refusal | undefined> {
    const { copies } = this.#reach;
    if (copies === undefined) return undefined;
    const { gate, identity } = this.#session;
    try {
      const expected = await gate.rememberCopies(identity.database, copies);
      if (expected.length > 0) this.#session.expectedCopies = [...this.#session.expectedCopies, ...expected];
      return undefined;
    } catch (error) {
      gate.storeFailed(error instanceof Error ? error : new Error(String(error)));
      return outageRefusal('store', this.principal);
    }
  }

  /** The server's word: the statement gives rows of these classes too. */
  widen(reach: Reach): void {
    const more = Math.max(0, (reach.asideBytes ?? 0) - (this.#reach.asideBytes ?? 0));
    if (this.#unpaidBytes !== undefined) this.#unpaidBytes += more;
    if (this.#leasing !== undefined) {
      this.#spentBefore ??= new Map();
      for (const [i, { className }] of this.#reach.classes.entries()) this.#spentBefore.set(className, (this.#spentBefore.get(className) ?? 0) + this.#leasing.lease.spentUnits(i));
      this.#unpaidBytes = more;
      this.#leasing.close();
    }
    this.#leasing = undefined;
    this.#people?.close();
    this.#people = undefined;
    this.#open = false;
    this.#reach = reach;
    if (this.id === '') this.id = this.#session.nextStatementId();
  }

  /** What the columns of the result are, and how its rows lie in their messages. */
  describe(columns: readonly ColumnShape[], reader: RowReader): void {
    this.#described = { columns, reader };
    this.#people?.describe(columns, reader);
  }

  /** There are keys in the rows. */
  get looksForPeople(): boolean {
    return this.#people?.looksIntoRows === true;
  }

  /** A row's cost depends on which columns its bytes stand in. */
  get weighsExpressions(): boolean {
    return this.plainColumns !== undefined && this.#reach.classes.some((cls) => cls.aggregated && !cls.packs);
  }

  /** Spends what one row of `rowBytes` costs. False: nothing was spent; pause, and `renew`. */
  spend(rowBytes: number, nowMs: number, expressionBytes = rowBytes, row?: RowAt): boolean {
    if (this.#reach.classes.length > 0) {
      if (!this.#open) return false;
      const { lease } = this.#leasing as Leasing;
      for (let i = 0; i < this.#costs.length; i++) {
        this.#costs[i] = rowCost(this.#reach.classes[i] as Reach['classes'][number], this.#classes[i] as CompiledClass, rowBytes, expressionBytes);
      }
      this.#peopleShort = this.#people !== undefined && !this.#people.admits(this.#costs, row, nowMs);
      if (this.#peopleShort || lease.expired(nowMs) || !lease.trySpend(this.#costs, rowBytes)) return false;
      this.#people?.commit();
    }
    this.rows++;
    this.bytes += rowBytes;
    return true;
  }

  /** How many rows more are paid for at one price, whatever is in them; undefined if each must be looked at. In the chunk of a row that was spent only. */
  ahead(): Ahead | undefined {
    if (this.#reach.classes.length === 0) return UNMETERED;
    if (!this.#open || this.#people !== undefined) return undefined;
    return this.#paidAhead();
  }

  /** As `ahead`, where rows are looked into for people: passes those from `start` on that may go, and tells where the first stands that may not. */
  passAhead(buffer: Buffer, start: number, nowMs: number): number {
    const paid = this.#open && this.#people !== undefined && !this.weighsExpressions ? this.#paidAhead() : undefined;
    if (paid === undefined) return start;
    const { end, rows, bytes } = (this.#people as SubjectMeter).passAhead(buffer, start, paid, nowMs);
    if (rows > 0) this.spendAhead(rows, bytes);
    return end;
  }

  #paidAhead(): Ahead | undefined {
    const { lease } = this.#leasing as Leasing;
    let messages = Infinity;
    let bytes = Infinity;
    let largestBodyBytes = Infinity;
    for (const [i, reach] of this.#reach.classes.entries()) {
      const largest = plainRowBytes(reach, this.#classes[i] as CompiledClass);
      if (largest === undefined) return undefined;
      largestBodyBytes = Math.min(largestBodyBytes, largest);
      messages = Math.min(messages, Math.floor(lease.availableUnits(i) / plainRowUnits(reach)));
      bytes = Math.min(bytes, lease.availableBytes(i));
    }
    return { messages: Math.min(messages, MANY), bytes: Math.min(bytes, Number.MAX_SAFE_INTEGER), largestBodyBytes };
  }

  spendAhead(rows: number, bytes: number): void {
    if (this.#reach.classes.length > 0) {
      const costs = this.#reach.classes.map((reach) => rows * plainRowUnits(reach));
      if (!(this.#leasing as Leasing).lease.trySpend(costs, bytes)) throw new Error('more rows went ahead than were paid for');
    }
    this.rows += rows;
    this.bytes += bytes;
  }

  /** More units at once, after `spend` said no: true if it is worth trying again. Otherwise `renew`. */
  renewNow(): boolean {
    if (!this.#open || this.#peopleShort) return false;
    const outcome = this.#leasing?.renewNow();
    if (outcome?.kind !== 'granted') return false;
    this.#raise(outcome.flags);
    return true;
  }

  /** As `spend`, for a message that is no row. */
  spendNotice(bytes: number, nowMs: number): boolean {
    if (!this.spend(bytes, nowMs)) return false;
    this.rows--;
    return true;
  }

  /** As `spend`, for the text of an error or notice that goes out as it is: it may hold values, as a packed row does. */
  spendText(bytes: number, nowMs: number): boolean {
    if (!this.metered) return true;
    if (!this.#open) return false;
    const { lease } = this.#leasing as Leasing;
    for (let i = 0; i < this.#costs.length; i++) this.#costs[i] = Math.ceil(bytes / (this.#classes[i] as CompiledClass).packedUnitBytes);
    this.#peopleShort = this.#people !== undefined && !this.#people.admits(this.#costs, undefined, nowMs);
    if (this.#peopleShort || lease.expired(nowMs) || !lease.trySpend(this.#costs, bytes)) return false;
    this.#people?.commit();
    return true;
  }

  /** The end of a statement that gave no rows, or its error, tells something: where people are counted it is about one who cannot be told. */
  spendEnd(nowMs: number): boolean {
    if (!this.metered) return true;
    if (!this.#open) return false;
    const { statement } = this;
    // DECLARE tells nothing, if planning runs no code: what is fetched does.
    if (this.#people === undefined || (statement.kind === 'known' && statement.facts.named?.kind === 'declare' && this.#reach.pure)) return true;
    this.#peopleShort = !this.#people.admitsEnd(nowMs);
    return !this.#peopleShort;
  }

  /** More units, after `spend` said no. Resolves to a refusal if there are none. */
  async renew(): Promise<Refusal | undefined> {
    if (!this.#open) {
      const refusal = await this.ready();
      if (refusal !== undefined) return refusal;
      // The row was not tried against the lease yet; the caller tries it again.
      return undefined;
    }
    return this.#settle(this.#peopleShort && this.#people !== undefined ? await this.#people.ask() : await (this.#leasing as Leasing).renew());
  }

  /** Ends the run: unused units go back, the end is put on record. Returns what was paid and not used. */
  finish(sqlstate: string | undefined): readonly LeaseCredit[] {
    if (this.#finished) return [];
    this.#finished = true;
    const { gate } = this.#session;
    const tell = (ruleId: string, used: number, limit: number): void => gate.quotaUsed(ruleId, this.principal.principal, used, limit);
    this.#leasing?.lease.usage(tell);
    this.#people?.usage(tell);
    const closed = this.#leasing?.close();
    if (closed !== undefined) this.#raise(closed.flags);
    if (this.#people !== undefined) this.#raise(this.#people.close());
    const units = this.#unitsByClass();
    gate.countRun(this, units);
    for (const { class: className, units: spent } of units) if (spent === 1) flagLookUps(this.#session, this, className);
    if (this.metered) this.#session.addTotals(this.rows, totalUnits(units), this.bytes);
    if (this.id !== '') this.#recordEnd(units, sqlstate);
    return closed?.credits ?? [];
  }

  #lease(prepaid: readonly LeaseCredit[], rowBound: number | undefined): Leasing {
    const { gate } = this.#session;
    const needs = leaseNeeds(this.#reach, this.principal);
    this.#classes = needs.classes;
    this.#aside = this.#unpaidBytes === undefined ? needs.aside : asideUnits(this.#unpaidBytes, needs.classes);
    this.#costs = new Float64Array(needs.classes.length);
    const plan = rowBound === undefined && prepaid.length === 0 ? needs.plan : planLease(this.principal, this.#reach.classes, rowBound, prepaid);
    const leasing = new Leasing(gate.store, plan, gate.leasing);
    this.#leasing = leasing;
    if (this.#flagged !== undefined) flagVerdict(this.#session, this, this.#flagged);
    return leasing;
  }

  async #beginPeople(): Promise<Refusal | undefined> {
    const { gate } = this.#session;
    try {
      this.#people = await openPeople(this.#session, this.principal, this.#reach);
    } catch (error) {
      gate.storeFailed(error instanceof Error ? error : new Error(String(error)));
      return outageRefusal('store', this.principal);
    }
    if (this.#described !== undefined) this.#people?.describe(this.#described.columns, this.#described.reader);
    // What cannot be undone must not run if its answer could not be given.
    const changes = this.aheadOfExecute || this.statement.kind !== 'known' || this.statement.facts.modifies;
    return this.#people === undefined || !changes ? undefined : this.#settle(await this.#people.begin(this.#aside));
  }

  #fail(refusal: Refusal): Refusal {
    this.refusal = refusal;
    return refusal;
  }

  #settle(outcome: LeaseOutcome): Refusal | undefined {
    const { gate } = this.#session;
    switch (outcome.kind) {
      case 'granted':
        this.#raise(outcome.flags);
        return undefined;
      case 'refused':
        this.#raise(outcome.flags);
        return quotaRefusalOf(this.principal, outcome.refusal, this.#reach, this.#costs, this.#open ? undefined : this.#aside, this.rows);
      case 'unavailable':
        gate.storeFailed(outcome.error);
        return outageRefusal('store', this.principal);
    }
  }

  #recordEnd(units: readonly ClassUnits[], sqlstate: string | undefined): void {
    const { gate } = this.#session;
    recordEnd(this.#session, this, {
      units,
      classes: this.#people === undefined || gate.auditSubjects === 'none' ? units : this.#people.withPeople(units, gate.auditSubjects === 'keys'),
      refusal: this.refusal,
      rows: this.rows,
      bytes: this.bytes,
      sqlstate,
      durationMs: Math.round((performance.now() - this.#startedMs) * 1000) / 1000,
    });
  }

  #unitsByClass(): readonly ClassUnits[] {
    return this.#reach.classes.map((cls, i) => ({
      class: cls.className,
      // A statement that ran costs at least 1; one that was refused at the start costs nothing.
      units: this.#start === 'none' ? 0 : Math.max(1, (this.#spentBefore?.get(cls.className) ?? 0) + (this.#leasing?.lease.spentUnits(i) ?? 1)),
    }));
  }

  #raise(crossings: readonly FlagCrossing[]): void {
    const [first] = crossings;
    if (first === undefined) return;
    this.#flagged ??= { ruleId: first.ruleId, reason: `${first.used} of ${first.limit}` };
    flagCrossings(this.#session, this, crossings);
  }
}
