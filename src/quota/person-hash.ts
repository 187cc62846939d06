import { createCipheriv, type Cipher } from 'node:crypto';
import { OneShotHmac } from '../protocol/one-shot-hmac.ts';
import { PERSON_BYTES, PERSON_WORDS } from './person-table.ts';

const UTF8_BYTES_A_CHAR = 3;
const USUAL_KEY_BYTES = 256;
/** Longest key that one block holds: the last byte is its length. */
const SHORT_KEY_BYTES = PERSON_BYTES - 1;
const UUID_CHARS = 36;
const DASH = 0x2d;
const FIRST_ROOM = 16;
/** A server's databases times classes; more are made anew. */
const MAX_HASHERS = 1000;

/** How each byte is written in lower-case hexadecimal: its value, or 255. */
const HEX_VALUE = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : 255));

/**
 * Keyed hashes of people, 16 bytes each (docs/adr/0010-hashes-of-people.md). Keys come one after the other and are hashed together:
 *
 * - up to 15 bytes: the block `key, zeros, length` through AES-128, and the block itself over it (Davies-Meyer);
 * - a UUID as PostgreSQL writes it: its 16 bytes, likewise, under another key;
 * - others: the first 16 bytes of HMAC-SHA-256 over scope, class and key.
 *
 * AES' keys are made of the secret, scope and class. From `begin` to `finish` nothing else may run; so all sessions share one.
 */
export class PersonHasher {
  readonly #hmac: OneShotHmac;
  /** Of scope and class, which stand in front of each key. */
  readonly #leadBytes: number;
  readonly #short: Cipher;
  readonly #uuid: Cipher;
  #blocks = Buffer.alloc(FIRST_ROOM * PERSON_BYTES);
  #blockWords = new Int32Array(this.#blocks.buffer, this.#blocks.byteOffset, FIRST_ROOM * PERSON_WORDS);
  #hashes = Buffer.alloc(FIRST_ROOM * PERSON_BYTES);
  #hashWords = new Int32Array(this.#hashes.buffer, this.#hashes.byteOffset, FIRST_ROOM * PERSON_WORDS);
  #count = 0;
  /** Which of them are UUIDs, and which were hashed in full. */
  #uuids: number[] = [];
  #long: { readonly at: number; readonly hash: string }[] = [];

  /** `scope`: the server and database that the keys are of. */
  constructor(secret: Buffer, scope: string, className: string) {
    const lead = Buffer.from(`${scope}\0${className}\0`);
    this.#leadBytes = lead.length;
    this.#hmac = new OneShotHmac(secret, lead.length + USUAL_KEY_BYTES);
    lead.copy(this.#hmac.buffer, OneShotHmac.AT);
    // Keys as short as these two names are never hashed this way, so that no person's hash tells anything of them.
    this.#short = this.#cipher('short');
    this.#uuid = this.#cipher('uuid');
  }

  /** Before the first key; what an error left behind is forgotten. */
  begin(): void {
    this.#count = 0;
    if (this.#uuids.length > 0) this.#uuids = [];
    if (this.#long.length > 0) this.#long = [];
  }

  /** A key as it stands in `bytes`. False, and nothing is added, if it is not plain ASCII: its text (`addText`) says what it is. */
  addBytes(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length > SHORT_KEY_BYTES) {
      for (let i = start; i < end; i++) if ((bytes[i] as number) > 127) return false;
      this.addText(bytes.toString('latin1', start, end));
      return true;
    }
    const at = this.#room();
    const blocks = this.#blocks;
    let high = 0;
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i] as number;
      high |= byte;
      blocks[at + i] = byte;
    }
    if (high > 127) return false;
    blocks[at + SHORT_KEY_BYTES] = length;
    this.#count++;
    return true;
  }

  addText(key: string): void {
    const at = this.#room();
    this.#hmac.reserve(this.#leadBytes + key.length * UTF8_BYTES_A_CHAR, this.#leadBytes);
    const keyBytes = this.#writeKey(key);
    const from = OneShotHmac.AT + this.#leadBytes;
    if (keyBytes <= SHORT_KEY_BYTES) {
      this.#hmac.buffer.copy(this.#blocks, at, from, from + keyBytes);
      this.#blocks[at + SHORT_KEY_BYTES] = keyBytes;
    } else if (keyBytes === UUID_CHARS && readUuid(this.#hmac.buffer, from, this.#blocks, at)) {
      this.#uuids.push(at);
    } else {
      this.#long.push({ at, hash: this.#hmac.digest(this.#leadBytes + keyBytes, 'hex') });
    }
    this.#count++;
  }

  /** Hashes what was added since `begin`, in its order: `hashes`, until the next `begin`. Returns how many they are. */
  finish(): number {
    const count = this.#count;
    if (count > 0) {
      const uuids = this.#uuids.length;
      this.#encrypt(uuids === count ? this.#uuid : this.#short, count);
      if (uuids > 0 && uuids < count) this.#mixUuids();
      for (const { at, hash } of this.#long) this.#hashes.write(hash.slice(0, 2 * PERSON_BYTES), at, 'hex');
    }
    return count;
  }

  /** Of the latest `finish`, `PERSON_WORDS` for each. */
  get hashes(): Int32Array {
    return this.#hashWords;
  }

  /** One block through the cipher and over itself, for all of them at once. */
  #encrypt(cipher: Cipher, count: number): void {
    cipher.update(this.#blocks.subarray(0, count * PERSON_BYTES)).copy(this.#hashes);
    const [hashes, blocks] = [this.#hashWords, this.#blockWords];
    for (let i = 0; i < count * PERSON_WORDS; i++) hashes[i] = (hashes[i] as number) ^ (blocks[i] as number);
  }

  #mixUuids(): void {
    for (const at of this.#uuids) {
      const block = this.#blocks.subarray(at, at + PERSON_BYTES);
      const hash = this.#uuid.update(block);
      for (let i = 0; i < PERSON_BYTES; i++) this.#hashes[at + i] = (hash[i] as number) ^ (block[i] as number);
    }
  }

  #writeKey(key: string): number {
    return this.#hmac.buffer.write(key, OneShotHmac.AT + this.#leadBytes, 'utf8');
  }

  /** Where the next block stands, empty. */
  #room(): number {
    const at = this.#count * PERSON_BYTES;
    if (at >= this.#blocks.length) this.#grow();
    const words = this.#blockWords;
    for (let word = this.#count * PERSON_WORDS, end = word + PERSON_WORDS; word < end; word++) words[word] = 0;
    return at;
  }

  #grow(): void {
    const blocks = Buffer.alloc(2 * this.#blocks.length);
    this.#blocks.copy(blocks);
    this.#blocks = blocks;
    this.#blockWords = new Int32Array(blocks.buffer, blocks.byteOffset, blocks.length / Int32Array.BYTES_PER_ELEMENT);
    this.#hashes = Buffer.alloc(blocks.length);
    this.#hashWords = new Int32Array(this.#hashes.buffer, this.#hashes.byteOffset, blocks.length / Int32Array.BYTES_PER_ELEMENT);
  }

  #cipher(name: string): Cipher {
    const key = Buffer.from(this.#hmac.digest(this.#leadBytes + this.#writeKey(name), 'hex'), 'hex').subarray(0, 16);
    // No chaining is wanted: each block is a function's argument by itself.
    return createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  }
}

/** Reads `8-4-4-4-12` lower-case digits into 16 bytes at `at`; false (and nothing said of those bytes) if it is none. */
function readUuid(text: Buffer, start: number, into: Buffer, at: number): boolean {
  let to = at;
  for (let i = 0; i < UUID_CHARS; ) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (text[start + i] !== DASH) return false;
      i++;
      continue;
    }
    const high = HEX_VALUE[text[start + i] as number] as number;
    const low = HEX_VALUE[text[start + i + 1] as number] as number;
    if (high > 15 || low > 15) return false;
    into[to++] = (high << 4) | low;
    i += 2;
  }
  return true;
}

/** One hasher for each class of each database, made when it is first needed: its keys cost as much as a small statement. */
export class PersonHashers {
  #secret: Buffer | undefined;
  readonly #hashers = new Map<string, PersonHasher>();

  of(secret: Buffer, scope: string, className: string): PersonHasher {
    if (this.#secret?.equals(secret) !== true || this.#hashers.size >= MAX_HASHERS) {
      this.#hashers.clear();
      this.#secret = secret;
    }
    const name = `${scope}\0${className}`;
    let hasher = this.#hashers.get(name);
    if (hasher === undefined) this.#hashers.set(name, (hasher = new PersonHasher(secret, scope, className)));
    return hasher;
  }
}
