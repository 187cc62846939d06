import { PERSON_BYTES, PERSON_WORDS, PersonTable } from './person-table.ts';

/** A row about this person went to the client. */
export const DELIVERED = 1;
/** Is to be asked for. */
export const WANTED = 2;
/** Other statements were told of the grant at hand. */
export const TOLD = 4;

/** Whom the rows of a statement are about, and what is granted for them: columns of one table, by the person's index. A row for each person would be an object. */
export class GrantedPeople {
  readonly #table = new PersonTable();
  /** A row about them may go until then, in milliseconds of the monotonic clock; -Infinity: not granted. */
  deadlines = new Float64Array(this.#table.room);
  /** DELIVERED, WANTED and TOLD. */
  states = new Uint8Array(this.#table.room);
  /** Which of the statement's grants it is; meaningless where `fresh` is 0. */
  grants = new Int32Array(this.#table.room);
  /** Counters (bit i: counter i) in which they were new, to be taken back if nothing is delivered. */
  fresh = new Float64Array(this.#table.room);

  get size(): number {
    return this.#table.size;
  }

  /** Hashes by index, `PERSON_WORDS` each. Until somebody is added. */
  get words(): Int32Array {
    return this.#table.words;
  }

  /** Before `add` of the first `count` hashes of `words`. */
  touch(words: Int32Array, count: number): number {
    return this.#table.touch(words, count);
  }

  /** The index of somebody who may be known already. */
  add(words: Int32Array, at: number): number {
    const table = this.#table;
    const known = table.size;
    const index = table.add(words, at);
    if (index < known) return index;
    if (index >= this.states.length) this.#grow(table.room);
    this.#set(index, -Infinity, 0, 0, 0);
    return index;
  }

  /** Keyed hashes of these people, one behind the other. */
  pack(people: readonly number[]): Buffer {
    const packed = Buffer.allocUnsafeSlow(people.length * PERSON_BYTES);
    const into = new Int32Array(packed.buffer, packed.byteOffset, people.length * PERSON_WORDS);
    const { words } = this;
    let to = 0;
    for (const person of people) for (let word = person * PERSON_WORDS, end = word + PERSON_WORDS; word < end; word++) into[to++] = words[word] as number;
    return packed;
  }

  /** Lets go of all who were delivered and are not wanted. Everybody has another index then. */
  forgetDelivered(): void {
    const kept = this.words.slice();
    const { deadlines, states, grants, fresh } = this;
    const size = this.size;
    this.#table.clear();
    for (let person = 0; person < size; person++) {
      if (((states[person] as number) & (DELIVERED | WANTED)) === DELIVERED) continue;
      // Never behind the one that is read.
      this.#set(this.#table.add(kept, person * PERSON_WORDS), deadlines[person] as number, states[person] as number, grants[person] as number, fresh[person] as number);
    }
  }

  #set(index: number, deadlineMs: number, state: number, grant: number, fresh: number): void {
    this.deadlines[index] = deadlineMs;
    this.states[index] = state;
    this.grants[index] = grant;
    this.fresh[index] = fresh;
  }

  #grow(room: number): void {
    const { deadlines, states, grants, fresh } = this;
    this.deadlines = new Float64Array(room);
    this.deadlines.set(deadlines);
    this.states = new Uint8Array(room);
    this.states.set(states);
    this.grants = new Int32Array(room);
    this.grants.set(grants);
    this.fresh = new Float64Array(room);
    this.fresh.set(fresh);
  }
}
