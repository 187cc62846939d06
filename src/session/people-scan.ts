/** Whom the rows of a chunk are about: all keys in it are found in one loop over its rows and hashed together, before the first row goes. */

import type { ColumnShape } from '../protocol/backend-messages.ts';
import { HEADER_BYTES } from '../protocol/message-stream.ts';
import type { PeopleGrants } from '../quota/people-grants.ts';
import type { RowPlaces, RowReader } from './row-reader.ts';
import { keyIsText, MAX_KEY_BYTES, readKey } from './subject-keys.ts';

/** Larger rows are not looked into. */
export const LARGEST_ROW_LOOKED_INTO = 64 * 1024;
/** Shorter bodies are no rows, or mean something else (the trailer of COPY in binary format): each is looked at by itself. */
const LEAST_ROW_BYTES = 3;
const FIRST_ROOM = 16;
const NO_PLACES: RowPlaces = new Int32Array(0);

/** Columns of a result that tell one key. */
interface KeyPlan {
  readonly columns: readonly number[];
  /** The key is the value's bytes. */
  readonly text: boolean;
}

/** The people of one class in the rows at hand. Those of row i are `people` from `first[i]` to `first[i + 1]`: different ones, and no more than the row refers to. */
export class ClassRows {
  readonly grants: PeopleGrants;
  readonly width: number;
  keys: readonly KeyPlan[] = [];
  first = new Int32Array(FIRST_ROOM);
  people = new Int32Array(FIRST_ROOM);

  constructor(grants: PeopleGrants, width: number) {
    this.grants = grants;
    this.width = width;
  }

  describe(columns: readonly ColumnShape[], keys: readonly (readonly number[])[]): void {
    this.keys = keys.map((each) => {
      const { type, format } = columns[each[0] as number] as ColumnShape;
      return { columns: each, text: each.length === 1 && keyIsText(type, format ?? 0) };
    });
  }
}

export class PeopleScan {
  readonly #encoding: () => string;
  #columns: readonly ColumnShape[] = [];
  #reader: RowReader | undefined;
  #places: RowPlaces = NO_PLACES;
  /** How many columns are read: up to the last that is part of a key. */
  #upTo = 0;
  /** The chunk whose rows are known. */
  #buffer: Buffer | undefined;
  /** Where each of its rows begins, and the last ends. */
  #starts = new Int32Array(FIRST_ROOM);
  #rows = 0;
  /** Rows before this one have gone. */
  #at = 0;

  constructor(encoding: () => string) {
    this.#encoding = encoding;
  }

  describe(columns: readonly ColumnShape[], reader: RowReader, classes: readonly ClassRows[]): void {
    this.#columns = columns;
    this.#reader = reader;
    this.#places = new Int32Array(2 * columns.length);
    this.#upTo = 1 + Math.max(-1, ...classes.flatMap(({ keys }) => keys.flatMap((key) => key.columns)));
    this.#buffer = undefined;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Where a row begins, or for `rows` the last one ends. */
  startOf(row: number): number {
    return this.#starts[row] as number;
  }

  /** Which of the known rows begins there; -1: none. Rows are asked for in their order. */
  find(buffer: Buffer, start: number): number {
    if (this.#buffer !== buffer) return -1;
    while (this.#at < this.#rows && (this.#starts[this.#at] as number) < start) this.#at++;
    return this.#at < this.#rows && this.#starts[this.#at] === start ? this.#at : -1;
  }

  /** Reads the row from `start` to `end`, and those of its kind behind it, as far as they have come. It is row 0 then. */
  read(buffer: Buffer, start: number, end: number, classes: readonly ClassRows[]): void {
    this.#buffer = undefined;
    const encoding = this.#encoding();
    const type = buffer[start];
    for (const { grants } of classes) {
      grants.forgetDelivered();
      grants.hasher.begin();
    }
    const counts = classes.map(() => 0);
    let rows = 0;
    for (let at = start, next = end; ; ) {
      if (rows + 1 >= this.#starts.length) this.#grow(classes);
      this.#starts[rows] = at;
      const found = this.#reader?.locate(buffer, at + HEADER_BYTES, next, this.#columns.length, this.#upTo, this.#places) === true;
      for (let c = 0; c < classes.length; c++) {
        const { grants, keys, first } = classes[c] as ClassRows;
        first[rows] = counts[c] as number;
        if (found) for (const key of keys) if (this.#add(grants, key, buffer, encoding)) (counts[c] as number)++;
      }
      rows++;
      at = next;
      if (at + HEADER_BYTES > buffer.length || buffer[at] !== type) break;
      const length = ((buffer[at + 1] as number) << 24) | ((buffer[at + 2] as number) << 16) | ((buffer[at + 3] as number) << 8) | (buffer[at + 4] as number);
      const bodyBytes = length + 1 - HEADER_BYTES;
      if (bodyBytes < LEAST_ROW_BYTES || bodyBytes > LARGEST_ROW_LOOKED_INTO || at + HEADER_BYTES + bodyBytes > buffer.length) break;
      next = at + HEADER_BYTES + bodyBytes;
    }
    this.#starts[rows] = rows === 1 ? end : this.#endOf(buffer, rows - 1);
    for (const [c, cls] of classes.entries()) this.#meet(cls, rows, counts[c] as number);
    this.#rows = rows;
    this.#at = 0;
    this.#buffer = buffer;
  }

  #endOf(buffer: Buffer, row: number): number {
    const start = this.#starts[row] as number;
    return start + 1 + buffer.readInt32BE(start + 1);
  }

  #add({ hasher }: PeopleGrants, { columns, text }: KeyPlan, buffer: Buffer, encoding: string): boolean {
    if (text) {
      const column = columns[0] as number;
      const from = this.#places[2 * column] as number;
      const to = this.#places[2 * column + 1] as number;
      if (from < 0 || to - from > MAX_KEY_BYTES) return false;
      if (hasher.addBytes(buffer, from, to)) return true;
    }
    const key = this.#keyOf(columns, buffer, encoding);
    if (key === undefined) return false;
    hasher.addText(key);
    return true;
  }

  #keyOf(columns: readonly number[], buffer: Buffer, encoding: string): string | undefined {
    const parts: string[] = [];
    for (const column of columns) {
      const { type, format } = this.#columns[column] as ColumnShape;
      const from = this.#places[2 * column] as number;
      const part = from < 0 ? undefined : readKey(type, format ?? 0, buffer, from, this.#places[2 * column + 1] as number, encoding);
      if (part === undefined || columns.length === 1) return part;
      parts.push(part);
    }
    return JSON.stringify(parts);
  }

  /** From keys to people: of the same key in two columns of a row one person, and nobody where there are more than the row was foreseen to be about. */
  #meet(cls: ClassRows, rows: number, keys: number): void {
    const { first, width } = cls;
    if (cls.people.length < keys) cls.people = new Int32Array(Math.max(keys, 2 * cls.people.length));
    const { people } = cls;
    cls.grants.meet(people, 0);
    first[rows] = keys;
    if (cls.keys.length <= 1) return;
    let to = 0;
    for (let row = 0, from = 0; row < rows; row++) {
      const end = first[row + 1] as number;
      const begin = to;
      for (; from < end; from++) {
        const person = people[from] as number;
        let known = begin;
        while (known < to && people[known] !== person) known++;
        if (known === to) people[to++] = person;
      }
      if (to - begin > width) to = begin;
      first[row] = begin;
    }
    first[rows] = to;
  }

  #grow(classes: readonly ClassRows[]): void {
    this.#starts = longer(this.#starts);
    for (const cls of classes) cls.first = longer(cls.first, this.#starts.length);
  }
}

function longer(array: Int32Array, length = 2 * array.length): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length);
  copy.set(array);
  return copy;
}
