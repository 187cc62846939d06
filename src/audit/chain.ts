/**
 * The chain that holds the records of one log together: each record's MAC covers its own bytes and the MAC before it.
 *
 * A line is `{"v":2,"seq":N,"chain":"C",...,"mac":"HEX"}`. Its canonical bytes are the line without the MAC: `{"v":2,...}`. With a key the MAC is
 * HMAC-SHA-256 (RFC 2104) over the 64 hex digits of the MAC before and the canonical bytes; without one it is their plain SHA-256, which anyone can
 * compute again who can write the file. Nothing is serialised anew to verify a line, and `openssl dgst -sha256 -mac HMAC` can do it too.
 */

import { createHash, hash, randomBytes } from 'node:crypto';

export const RECORD_VERSION = 2;
export const MAC_CHARS = 64;
/** What the first record of a chain follows. */
export const GENESIS_MAC = '0'.repeat(MAC_CHARS);
/** `key_id` of a chain without a key. */
export const NO_KEY_ID = 'none';

/** SHA-256 works on blocks of 64 bytes; HMAC's pads are one block each. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const LINE_AT = BLOCK_BYTES + MAC_CHARS;

/** The place of a record in its chain. */
export interface ChainHead {
  /** Tells chains apart: random, in every record, so that no record of one chain fits into another with the same key. */
  readonly chain: string;
  readonly seq: number;
  readonly mac: string;
}

export function newChain(): ChainHead {
  return { chain: randomBytes(6).toString('hex'), seq: 0, mac: GENESIS_MAC };
}

/** Names a key without telling anything of it. */
export function keyId(key: Buffer | undefined): string {
  if (key === undefined) return NO_KEY_ID;
  return createHash('sha256').update('rowgate audit key id\0').update(key).digest('hex').slice(0, 16);
}

/**
 * Computes MACs of consecutive lines. One-shot hashes over a buffer that begins with HMAC's inner pad: `createHmac` makes an object a call, which
 * costs more than the hashing itself does for a line of this size.
 */
export class MacMaker {
  /** [inner pad][MAC before, hex][line] */
  #inner = Buffer.alloc(LINE_AT + 4096);
  /** [outer pad][inner digest] */
  readonly #outer: Buffer | undefined;

  constructor(key: Buffer | undefined) {
    if (key === undefined) return;
    const block = Buffer.alloc(BLOCK_BYTES);
    (key.length > BLOCK_BYTES ? createHash('sha256').update(key).digest() : key).copy(block);
    this.#outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
    for (let i = 0; i < BLOCK_BYTES; i++) {
      this.#inner[i] = (block[i] as number) ^ 0x36;
      this.#outer[i] = (block[i] as number) ^ 0x5c;
    }
  }

  /** Room for a line of at most `bytes` bytes. */
  reserve(bytes: number): void {
    if (this.#inner.length >= LINE_AT + bytes) return;
    const larger = Buffer.alloc(Math.max(LINE_AT + bytes, this.#inner.length * 2));
    this.#inner.copy(larger, 0, 0, LINE_AT);
    this.#inner = larger;
  }

  /** Where a line is put before `mac` is called. */
  get buffer(): Buffer {
    return this.#inner;
  }

  get lineAt(): number {
    return LINE_AT;
  }

  /** The MAC of the line that stands in the buffer, `bytes` long. */
  mac(before: string, bytes: number): string {
    this.#inner.write(before, BLOCK_BYTES, MAC_CHARS, 'latin1');
    if (this.#outer === undefined) return hash('sha256', this.#inner.subarray(BLOCK_BYTES, LINE_AT + bytes), 'hex');
    this.#outer.write(hash('sha256', this.#inner.subarray(0, LINE_AT + bytes), 'hex'), BLOCK_BYTES, DIGEST_BYTES, 'hex');
    return hash('sha256', this.#outer, 'hex');
  }
}
