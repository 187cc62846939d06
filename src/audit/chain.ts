/**
 * The chain that holds the records of one log together: each record's MAC covers its own bytes and the MAC before it.
 *
 * A line is `{"v":2,"seq":N,"chain":"C",...,"mac":"HEX"}`. Its canonical bytes are the line without the MAC: `{"v":2,...}`. With a key the MAC is
 * HMAC-SHA-256 (RFC 2104) over the 64 hex digits of the MAC before and the canonical bytes; without one it is their plain SHA-256, which anyone can
 * compute again who can write the file. Nothing is serialised anew to verify a line, and `openssl dgst -sha256 -mac HMAC` can do it too.
 */

import { createHash, hash, randomBytes } from 'node:crypto';
import { OneShotHmac } from '../protocol/one-shot-hmac.ts';

export const RECORD_VERSION = 2;
export const MAC_CHARS = 64;
/** What the first record of a chain follows. */
export const GENESIS_MAC = '0'.repeat(MAC_CHARS);
/** `key_id` of a chain without a key. */
export const NO_KEY_ID = 'none';

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

/** Computes MACs of consecutive lines: over a buffer of the MAC before, in hex, and the line. */
export class MacMaker {
  readonly #hmac: OneShotHmac;
  readonly #keyed: boolean;

  constructor(key: Buffer | undefined) {
    this.#keyed = key !== undefined;
    this.#hmac = new OneShotHmac(key ?? Buffer.alloc(0), MAC_CHARS + 4096);
  }

  /** Room for a line of at most `bytes` bytes. */
  reserve(bytes: number): void {
    this.#hmac.reserve(MAC_CHARS + bytes, 0);
  }

  /** Where a line is put before `mac` is called. */
  get buffer(): Buffer {
    return this.#hmac.buffer;
  }

  get lineAt(): number {
    return OneShotHmac.AT + MAC_CHARS;
  }

  /** The MAC of the line that stands in the buffer, `bytes` long. */
  mac(before: string, bytes: number): string {
    const { buffer } = this.#hmac;
    buffer.write(before, OneShotHmac.AT, MAC_CHARS, 'latin1');
    if (!this.#keyed) return hash('sha256', buffer.subarray(OneShotHmac.AT, this.lineAt + bytes), 'hex');
    return this.#hmac.digest(MAC_CHARS + bytes, 'hex');
  }
}
