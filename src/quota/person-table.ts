/** Keyed hashes of people in typed arrays: at a million rows a string, a map's entry and an object for each person cost more than counting them does. */

/** What stands for a person: the bytes of a keyed hash. */
export const PERSON_BYTES = 16;
/** The same as words of 32 bits. */
export const PERSON_WORDS = 4;

const FIRST_ROOM = 8;

/** A slot is a hash's second word, and the index plus one (0: free). */
const SLOT_WORDS = 2;

/** A set of people, each with an index in the order in which they came. Hashes are keyed, so that nobody outside can choose two that meet. */
export class PersonTable {
  /** By the hash's first word, the next one on a clash. Twice as many slots as there is room for people. A word of the hash beside the index saves looking the others up nearly always. */
  #slots = new Int32Array(2 * FIRST_ROOM * SLOT_WORDS);
  #words = new Int32Array(PERSON_WORDS * FIRST_ROOM);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** For how many people there is room before it grows. */
  get room(): number {
    return this.#words.length / PERSON_WORDS;
  }

  /** The hashes by index, `PERSON_WORDS` each. Until somebody is added. */
  get words(): Int32Array {
    return this.#words;
  }

  /** Fetches the slots of the first `count` hashes of `words` from memory, all at once; looking them up one after the other waits for each. Returns nothing of use. */
  touch(words: Int32Array, count: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let touched = 0;
    for (let at = 0; at < count * PERSON_WORDS; at += PERSON_WORDS) touched |= slots[((words[at] as number) << 1) & mask] as number;
    return touched;
  }

  /** Index of the person whose hash begins at `words[at]`; -1: nobody. */
  find(words: Int32Array, at: number): number {
    return (this.#slots[this.#slotOf(words, at) + 1] as number) - 1;
  }

  /** Index of that person, who is in the table then. New if it is what `size` was. */
  add(words: Int32Array, at: number): number {
    let slot = this.#slotOf(words, at);
    const found = (this.#slots[slot + 1] as number) - 1;
    if (found >= 0) return found;
    const index = this.#size++;
    if (index >= this.room) {
      this.#grow(index);
      slot = this.#slotOf(words, at);
    }
    const own = this.#words;
    const to = index * PERSON_WORDS;
    own[to] = words[at] as number;
    own[to + 1] = words[at + 1] as number;
    own[to + 2] = words[at + 2] as number;
    own[to + 3] = words[at + 3] as number;
    this.#slots[slot] = words[at + 1] as number;
    this.#slots[slot + 1] = index + 1;
    return index;
  }

  /** Keeps its room. */
  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  /** Where that person stands in `#slots`, or would. */
  #slotOf(words: Int32Array, at: number): number {
    const slots = this.#slots;
    const own = this.#words;
    const mask = slots.length - 1;
    const a = words[at] as number;
    const b = words[at + 1] as number;
    for (let slot = (a << 1) & mask; ; slot = (slot + SLOT_WORDS) & mask) {
      const index = (slots[slot + 1] as number) - 1;
      if (index < 0) return slot;
      if (slots[slot] !== b) continue;
      const i = index * PERSON_WORDS;
      if (own[i] === a && own[i + 2] === words[at + 2] && own[i + 3] === words[at + 3]) return slot;
    }
  }

  #grow(size: number): void {
    const words = this.#words;
    this.#words = new Int32Array(2 * words.length);
    this.#words.set(words);
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let index = 0; index < size; index++) {
      const slot = this.#slotOf(words, index * PERSON_WORDS);
      this.#slots[slot] = words[index * PERSON_WORDS + 1] as number;
      this.#slots[slot + 1] = index + 1;
    }
  }
}

/** The hash of one person in packed ones, as a text of one character a byte: for maps. Order of texts is order of bytes. */
export function personText(packed: Buffer, index: number): string {
  return packed.toString('latin1', index * PERSON_BYTES, (index + 1) * PERSON_BYTES);
}

/** Of all people in packed hashes. */
export function personTexts(packed: Buffer): string[] {
  return Array.from({ length: peopleIn(packed) }, (_, i) => personText(packed, i));
}

export function peopleIn(packed: Buffer): number {
  return packed.length / PERSON_BYTES;
}

export function packTexts(people: readonly string[]): Buffer {
  return Buffer.from(people.join(''), 'latin1');
}

/** Words of packed hashes; copied where they do not lie as words must. */
export function wordsOf(packed: Buffer): Int32Array {
  const { buffer, byteOffset, length } = packed.byteOffset % Int32Array.BYTES_PER_ELEMENT === 0 ? packed : Buffer.from(Uint8Array.from(packed).buffer);
  return new Int32Array(buffer, byteOffset, length / Int32Array.BYTES_PER_ELEMENT);
}
