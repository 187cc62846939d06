import { createHash, hash } from 'node:crypto';

/** SHA-256 works on blocks of 64 bytes; HMAC's pads are one block each. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * HMAC-SHA-256 (RFC 2104) over what is put into its buffer, by one-shot hashes: the buffer begins with the inner pad. `createHmac` makes an object a call, which
 * costs more than the hashing itself does for a message of this size.
 */
export class OneShotHmac {
  /** Where the message begins in `buffer`. */
  static readonly AT = BLOCK_BYTES;
  /** [inner pad][message] */
  #inner: Buffer;
  /** [outer pad][inner digest] */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  constructor(key: Buffer, messageBytes: number) {
    this.#inner = Buffer.alloc(BLOCK_BYTES + messageBytes);
    const block = Buffer.alloc(BLOCK_BYTES);
    (key.length > BLOCK_BYTES ? createHash('sha256').update(key).digest() : key).copy(block);
    for (let i = 0; i < BLOCK_BYTES; i++) {
      this.#inner[i] = (block[i] as number) ^ 0x36;
      this.#outer[i] = (block[i] as number) ^ 0x5c;
    }
  }

  /** Room for a message of at most `bytes` bytes, of which the first `kept` stay as they are. Call before writing to `buffer`. */
  reserve(bytes: number, kept: number): void {
    if (this.#inner.length >= BLOCK_BYTES + bytes) return;
    const larger = Buffer.alloc(Math.max(BLOCK_BYTES + bytes, this.#inner.length * 2));
    this.#inner.copy(larger, 0, 0, BLOCK_BYTES + kept);
    this.#inner = larger;
  }

  get buffer(): Buffer {
    return this.#inner;
  }

  /** Of the first `bytes` bytes of the message. */
  digest(bytes: number, encoding: 'hex' | 'base64url'): string {
    this.#outer.write(hash('sha256', this.#inner.subarray(0, BLOCK_BYTES + bytes), 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#outer, encoding);
  }
}
