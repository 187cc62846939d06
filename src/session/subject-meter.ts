/**
 * Counts the people that a statement's rows are about, where the role has quotas on them. A row's people are those whose keys its columns show, as
 * RowDescription says where the columns come from, and as many unknown ones as the references that no key was shown of. Where a row may sum
 * up others, or nothing says what its columns are, all of its units are people who were not seen before.
 */

import type { ClassUnits } from '../audit/events.ts';
import type { SubjectKey } from '../catalog/class-members.ts';
import type { Reach } from '../catalog/reach-types.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import { HEADER_BYTES } from '../protocol/message-stream.ts';
import type { ColumnShape } from '../protocol/backend-messages.ts';
import type { FlagCrossing, LeaseRefusal } from '../quota/lease-plan.ts';
import { planPeople } from '../quota/lease-planner.ts';
import type { LeaseOutcome } from '../quota/leasing.ts';
import { PeopleGrants, type PeopleOptions, type Person } from '../quota/people-grants.ts';
import type { CounterStore } from '../quota/store.ts';
import type { RowReader, RowValues } from './row-reader.ts';
import { keyColumns, readKey } from './subject-keys.ts';

/** One row message where it lies: the message's type byte at `start`. */
export interface RowAt {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

const NOBODY: readonly Person[] = [];

interface ClassPeople {
  readonly grants: PeopleGrants;
  readonly width: number;
  /** A row is about as many people as the class is referred to, and each column of a table about one of them. */
  readonly exact: boolean;
  /** Index in the statement's reach. */
  readonly at: number;
  keys: readonly (readonly number[])[];
  /** Of the row at hand. */
  row: readonly Person[];
  /** Of the rows behind one that waited, in their order: where each begins, and its people. */
  aheadStarts: number[];
  aheadPeople: (readonly Person[])[];
  aheadAt: number;
  unknown: number;
  /** Units of the row at hand are spent already: it waits for something else. */
  unknownPaid: boolean;
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
  #columns: readonly ColumnShape[] = [];
  #reader: RowReader | undefined;
  /** The chunk whose rows were looked at before their turn. */
  #ahead: Buffer | undefined;
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
    this.#classes = plans.map(({ at, grants }) => {
      const { width, packs, aggregated, calls } = reach.classes[at] as Reach['classes'][number];
      return { grants, at, width, exact: !packs && !aggregated && calls === 0 && reach.opaque.length === 0, keys: [], row: NOBODY, aheadStarts: [], aheadPeople: [], aheadAt: 0, unknown: 0, unknownPaid: false };
    });
  }

  /** What the result's columns are, and how to find them in a row. */
  describe(columns: readonly ColumnShape[], reader: RowReader): void {
    this.#columns = columns;
    this.#reader = reader;
    this.#ahead = undefined;
    for (const cls of this.#classes) {
      cls.keys = cls.exact ? keyColumns(columns, cls.grants.className, cls.width, this.#reach.oids, this.#options.keysOf) : [];
    }
  }

  /** Rows must be handed over whole: there are keys in them. */
  get looksIntoRows(): boolean {
    return this.#classes.some(({ keys }) => keys.length > 0);
  }

  /** A row may go. `units`: what it costs in each class of the reach. False: `ask`, and try again. */
  admits(units: ArrayLike<number>, row: RowAt | undefined, nowMs: number): boolean {
    this.#limitBroken = undefined;
    let missing = false;
    for (const cls of this.#classes) {
      cls.row = row === undefined ? NOBODY : this.#peopleOf(cls, row);
      cls.unknown = cls.row.length > 0 ? Math.max(0, cls.width - cls.row.length) : (units[cls.at] as number);
      this.#limitBroken ??= cls.grants.statementRefusal(cls.row, cls.unknownPaid ? 0 : cls.unknown);
      for (const person of cls.row) {
        if (cls.grants.covers(person, nowMs)) continue;
        missing = true;
        cls.grants.want(person);
      }
    }
    if (this.#limitBroken !== undefined) return false;
    if (missing) {
      if (row !== undefined) this.#lookAhead(row, nowMs);
      return false;
    }
    return this.#payUnknown(nowMs);
  }

  /** The row that was let through went. */
  commit(): void {
    this.#delivered = true;
    for (const cls of this.#classes) {
      if (cls.row.length > 0) cls.grants.deliver(cls.row);
      cls.unknownPaid = false;
    }
  }

  /** The statement's end, or its error, may be told. One that gave no row tells something too. False: `ask`, and try again. */
  admitsEnd(nowMs: number): boolean {
    if (this.#delivered || this.#silencePaid) return true;
    this.#limitBroken = undefined;
    for (const cls of this.#classes) {
      cls.row = NOBODY;
      cls.unknown = 1;
    }
    this.#silencePaid = this.#payUnknown(nowMs);
    return this.#silencePaid;
  }

  /** Before a statement that changes something runs. */
  async begin(): Promise<LeaseOutcome> {
    const flags: FlagCrossing[] = [];
    for (const { grants } of this.#classes) {
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
  #due({ row, grants }: ClassPeople): number {
    const nowMs = this.#options.nowMs();
    return row.filter((person) => !grants.covers(person, nowMs)).length;
  }

  #payUnknown(nowMs: number): boolean {
    for (const cls of this.#classes) {
      if (cls.unknown === 0 || cls.unknownPaid) continue;
      if (!cls.grants.spendUnknown(cls.unknown, nowMs)) return false;
      cls.unknownPaid = true;
    }
    return true;
  }

  /** The rows behind the one that waits, as far as they have come: their people are asked for in the same call. */
  #lookAhead({ buffer, start, end }: RowAt, nowMs: number): void {
    this.#ahead = buffer;
    for (const cls of this.#classes) {
      cls.aheadStarts = [];
      cls.aheadPeople = [];
      cls.aheadAt = 0;
      cls.grants.forgetDelivered();
    }
    const type = buffer[start];
    for (let at = end; at + HEADER_BYTES <= buffer.length && buffer[at] === type;) {
      const next = at + 1 + buffer.readInt32BE(at + 1);
      if (next <= at || next > buffer.length) return;
      for (const cls of this.#classes) {
        const people = this.#readPeople(cls, buffer, at, next);
        for (const person of people) if (!cls.grants.covers(person, nowMs) && !cls.grants.want(person)) return;
        cls.aheadStarts.push(at);
        cls.aheadPeople.push(people);
      }
      at = next;
    }
  }

  /** Whom the row at hand is about, which may be known already. */
  #peopleOf(cls: ClassPeople, { buffer, start, end }: RowAt): readonly Person[] {
    if (this.#ahead === buffer) {
      const { aheadStarts } = cls;
      while ((aheadStarts[cls.aheadAt] ?? Infinity) < start) cls.aheadAt++;
      if (aheadStarts[cls.aheadAt] === start) return cls.aheadPeople[cls.aheadAt] as readonly Person[];
    }
    return this.#readPeople(cls, buffer, start, end);
  }

  /** The different people that the row's columns show. */
  #readPeople(cls: ClassPeople, buffer: Buffer, start: number, end: number): readonly Person[] {
    if (cls.keys.length === 0 || this.#reader === undefined) return NOBODY;
    const values = this.#reader.open(buffer, start + HEADER_BYTES, end, this.#columns.length);
    if (values === undefined) return NOBODY;
    const encoding = this.#options.encoding();
    const found: Person[] = [];
    for (const columns of cls.keys) {
      const key = this.#keyOf(columns, values, encoding);
      if (key === undefined) continue;
      const person = cls.grants.person(key);
      if (!found.includes(person)) found.push(person);
    }
    // More people than references is no row that was foreseen.
    return found.length > cls.width ? NOBODY : found;
  }

  #keyOf(columns: readonly number[], values: RowValues, encoding: string): string | undefined {
    const parts: string[] = [];
    for (const column of columns) {
      const { type, format } = this.#columns[column] as ColumnShape;
      const value = values(column);
      const part = value === undefined ? undefined : readKey(type, format ?? 0, value.buffer, value.start, value.end, encoding);
      if (part === undefined || columns.length === 1) return part;
      parts.push(part);
    }
    return JSON.stringify(parts);
  }
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
