/**
 * Counts the people that a statement's rows are about, where the role has quotas on them. A row's people are those whose keys its columns show, as
 * RowDescription says where the columns come from, and as many unknown ones as the references that no key was shown of. Where a row may sum
 * up others, or nothing says what its columns are, all of its units are people who were not seen before.
 */

import type { ClassUnits } from '../audit/events.ts';
import type { SubjectKey } from '../catalog/class-members.ts';
import type { Reach } from '../catalog/reach-types.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import { HEADER_BYTES, type Ahead } from '../protocol/message-stream.ts';
import type { ColumnShape } from '../protocol/backend-messages.ts';
import type { FlagCrossing, LeaseRefusal } from '../quota/lease-plan.ts';
import { planPeople } from '../quota/lease-planner.ts';
import type { LeaseOutcome } from '../quota/leasing.ts';
import { PeopleGrants, type PeopleOptions } from '../quota/people-grants.ts';
import type { CounterStore } from '../quota/store.ts';
import { ClassRows, PeopleScan } from './people-scan.ts';
import type { RowReader } from './row-reader.ts';
import { keyColumns } from './subject-keys.ts';

/** One row message where it lies: the message's type byte at `start`. */
export interface RowAt {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

class ClassPeople extends ClassRows {
  /** A row is about as many people as the class is referred to, and each column of a table about one of them. */
  readonly exact: boolean;
  /** Index in the statement's reach. */
  readonly at: number;
  /** People of the row at hand are `people` from `from` to `to`. */
  from = 0;
  to = 0;
  unknown = 0;
  /** Units of the row at hand are spent already: it waits for something else. */
  unknownPaid = false;

  constructor(grants: PeopleGrants, at: number, reach: Reach) {
    const { width, packs, aggregated, calls } = reach.classes[at] as Reach['classes'][number];
    super(grants, width);
    this.at = at;
    this.exact = !packs && !aggregated && calls === 0 && reach.opaque.length === 0;
  }

  /** People may be told by their keys alone: nothing is to be counted for others, and nothing else stops a row. */
  get plain(): boolean {
    return this.keys.length > 0 && this.grants.unbounded;
  }

  /** All units of a row are told by keys, and may go. */
  allows(row: number, nowMs: number): boolean {
    const { first, people, grants } = this;
    const to = first[row + 1] as number;
    let i = first[row] as number;
    if (to - i !== this.width) return false;
    for (; i < to; i++) if (!grants.covers(people[i] as number, nowMs)) return false;
    return true;
  }
}

export interface SubjectMeterOptions extends Omit<PeopleOptions, 'secret'> {
  readonly store: CounterStore;
  readonly keysOf: (oid: number) => readonly SubjectKey[];
  readonly encoding: () => string;
}

export class SubjectMeter {
  readonly #classes: readonly ClassPeople[];
  readonly #reach: Reach;
  readonly #options: SubjectMeterOptions;
  readonly #scan: PeopleScan;
  #looksIntoRows = false;
  /** The statement gave nothing, and what that tells is paid for. */
  #silencePaid = false;
  #delivered = false;
  #limitBroken: LeaseRefusal | undefined;

  /** Undefined where no quota of the principal counts people of these classes. */
  static async open(principal: PrincipalPolicy, reach: Reach, options: SubjectMeterOptions): Promise<SubjectMeter | undefined> {
    if (!countsPeople(principal)) return undefined;
    const plans = planPeople(principal, reach.classes);
    if (plans.length === 0) return undefined;
    const secret = await options.store.subjectSecret();
    return new SubjectMeter(plans.map(({ at, className, pool }) => ({ at, grants: new PeopleGrants(options.store, className, pool, { ...options, secret }) })), reach, options);
  }

  private constructor(plans: readonly { readonly at: number; readonly grants: PeopleGrants }[], reach: Reach, options: SubjectMeterOptions) {
    this.#reach = reach;
    this.#options = options;
    this.#scan = new PeopleScan(options.encoding);
    this.#classes = plans.map(({ at, grants }) => new ClassPeople(grants, at, reach));
  }

  /** What the result's columns are, and how to find them in a row. */
  describe(columns: readonly ColumnShape[], reader: RowReader): void {
    for (const cls of this.#classes) {
      cls.describe(columns, cls.exact ? keyColumns(columns, cls.grants.className, cls.width, this.#reach.oids, this.#options.keysOf) : []);
    }
    this.#scan.describe(columns, reader, this.#classes);
    this.#looksIntoRows = this.#classes.some(({ keys }) => keys.length > 0);
  }

  /** Rows must be handed over whole: there are keys in them. */
  get looksIntoRows(): boolean {
    return this.#looksIntoRows;
  }

  /** A row may go. `units`: what it costs in each class of the reach. False: `ask`, and try again. */
  admits(units: ArrayLike<number>, row: RowAt | undefined, nowMs: number): boolean {
    this.#limitBroken = undefined;
    const at = row === undefined || !this.#looksIntoRows ? -1 : this.#rowOf(row);
    let missing = false;
    for (const cls of this.#classes) {
      cls.from = at < 0 ? 0 : (cls.first[at] as number);
      cls.to = at < 0 ? 0 : (cls.first[at + 1] as number);
      const known = cls.to - cls.from;
      cls.unknown = known > 0 ? Math.max(0, cls.width - known) : (units[cls.at] as number);
      this.#limitBroken ??= cls.grants.statementRefusal(cls.people, cls.from, cls.to, cls.unknownPaid ? 0 : cls.unknown);
      if (!this.#wantMissing(cls, cls.from, cls.to, nowMs)) missing = true;
    }
    if (this.#limitBroken !== undefined) return false;
    if (missing) {
      this.#wantBehind(at + 1, nowMs);
      return false;
    }
    return this.#payUnknown(nowMs);
  }

  /** The row that was let through went. */
  commit(): void {
    this.#delivered = true;
    for (const cls of this.#classes) {
      if (cls.to > cls.from) cls.grants.deliver(cls.people, cls.from, cls.to);
      cls.unknownPaid = false;
    }
  }

  /**
   * Rows of a chunk from `start` on, as many as may go within `bound` and are about people who were admitted: where the first stands that must be looked at by itself.
   * Behind a row of the same chunk that went only. They count as delivered.
   */
  passAhead(buffer: Buffer, start: number, bound: Ahead, nowMs: number): { readonly end: number; readonly rows: number; readonly bytes: number } {
    const scan = this.#scan;
    const first = scan.find(buffer, start);
    let row = first;
    let bytes = 0;
    if (first >= 0 && this.#classes.every(({ plain }) => plain)) {
      const last = Math.min(scan.rows, first + bound.messages);
      for (; row < last; row++) {
        const bodyBytes = scan.startOf(row + 1) - scan.startOf(row) - HEADER_BYTES;
        if (bodyBytes > bound.largestBodyBytes || bytes + bodyBytes > bound.bytes || !this.#allows(row, nowMs)) break;
        bytes += bodyBytes;
      }
      for (const { grants, people, first: index } of this.#classes) grants.deliver(people, index[first] as number, index[row] as number);
    }
    return row > first ? { end: scan.startOf(row), rows: row - first, bytes } : noRowsAhead(start);
  }

  /** The statement's end, or its error, may be told. One that gave no row tells something too. False: `ask`, and try again. */
  admitsEnd(nowMs: number): boolean {
    if (this.#delivered || this.#silencePaid) return true;
    this.#limitBroken = undefined;
    for (const cls of this.#classes) {
      cls.from = cls.to = 0;
      cls.unknown = 1;
    }
    this.#silencePaid = this.#payUnknown(nowMs);
    return this.#silencePaid;
  }

  /** Before a statement that changes something runs. `aside`: what it tells before it begins, in units of each class of the reach, is about as many people. */
  async begin(aside?: readonly number[]): Promise<LeaseOutcome> {
    const flags: FlagCrossing[] = [];
    for (const { grants, at } of this.#classes) {
      const people = aside?.[at] ?? 0;
      while (people > 0 && !grants.spendUnknown(people, this.#options.nowMs())) {
        const outcome = await grants.askUnknown();
        if (outcome.kind !== 'granted') return outcome;
        flags.push(...outcome.flags);
      }
      const outcome = await grants.begin();
      if (outcome.kind !== 'granted') return outcome;
      flags.push(...outcome.flags);
    }
    return { kind: 'granted', flags };
  }

  /** Gets what `admits` or `admitsEnd` found missing. */
  async ask(): Promise<LeaseOutcome> {
    if (this.#limitBroken !== undefined) return { kind: 'refused', refusal: this.#limitBroken, flags: [] };
    const flags: FlagCrossing[] = [];
    for (const cls of this.#classes) {
      const outcome = cls.grants.wants ? await cls.grants.ask(this.#due(cls)) : cls.unknown > 0 && !cls.unknownPaid ? await cls.grants.askUnknown() : undefined;
      if (outcome === undefined) continue;
      flags.push(...(outcome.kind === 'unavailable' ? [] : outcome.flags));
      if (outcome.kind === 'refused') return { ...outcome, flags };
      if (outcome.kind === 'unavailable') return outcome;
    }
    return { kind: 'granted', flags };
  }

  usage(tell: (ruleId: string, used: number, limit: number) => void): void {
    for (const { grants } of this.#classes) grants.usage(tell);
  }

  /** The same with whom the rows were about, for the audit record. */
  withPeople(units: readonly ClassUnits[], keys: boolean): readonly ClassUnits[] {
    return units.map((each) => {
      const taken = this.#classes.find(({ grants }) => grants.className === each.class)?.grants.taken;
      if (taken === undefined) return each;
      return { ...each, subjects: taken.people, ...(keys && taken.named.length > 0 ? { subject_keys: taken.named } : {}) };
    });
  }

  close(): readonly FlagCrossing[] {
    return this.#classes.flatMap(({ grants }) => grants.close());
  }

  /** How many of those who are wanted are of the row that waits: they were wanted first. */
  #due({ people, from, to, grants }: ClassPeople): number {
    const nowMs = this.#options.nowMs();
    let due = 0;
    for (let i = from; i < to; i++) if (!grants.covers(people[i] as number, nowMs)) due++;
    return due;
  }

  #payUnknown(nowMs: number): boolean {
    for (const cls of this.#classes) {
      if (cls.unknown === 0 || cls.unknownPaid) continue;
      if (!cls.grants.spendUnknown(cls.unknown, nowMs)) return false;
      cls.unknownPaid = true;
    }
    return true;
  }

  #rowOf({ buffer, start, end }: RowAt): number {
    const known = this.#scan.find(buffer, start);
    if (known >= 0) return known;
    this.#scan.read(buffer, start, end, this.#classes);
    return 0;
  }

  #allows(row: number, nowMs: number): boolean {
    for (const cls of this.#classes) if (!cls.allows(row, nowMs)) return false;
    return true;
  }

  /** True if all of them may go. Those who may not are to be asked for. */
  #wantMissing({ people, grants }: ClassPeople, from: number, to: number, nowMs: number): boolean {
    let all = true;
    for (let i = from; i < to; i++) {
      const person = people[i] as number;
      if (grants.covers(person, nowMs)) continue;
      all = false;
      grants.want(person);
    }
    return all;
  }

  /** The rows behind the one that waits: their people are asked for in the same call, as far as they fit into it. */
  #wantBehind(from: number, nowMs: number): void {
    for (let row = from; row < this.#scan.rows; row++) {
      for (const { people, grants, first } of this.#classes) {
        for (let i = first[row] as number, to = first[row + 1] as number; i < to; i++) {
          const person = people[i] as number;
          if (!grants.covers(person, nowMs) && !grants.want(person)) return;
        }
      }
    }
  }
}

function noRowsAhead(end: number): { readonly end: number; readonly rows: number; readonly bytes: number } {
  return { end, rows: 0, bytes: 0 };
}

const counting = new WeakMap<PrincipalPolicy, boolean>();

export function countsPeople(principal: PrincipalPolicy): boolean {
  let known = counting.get(principal);
  if (known === undefined) {
    known = [...principal.quotas.values()].some((quotas) => quotas.some(({ dimension }) => dimension === 'subjects'));
    counting.set(principal, known);
  }
  return known;
}
