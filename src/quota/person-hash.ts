import { hash } from 'node:crypto';

/** SHA-256 works on blocks of 64 bytes; HMAC's pads are one block each. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Characters of base64url that 16 bytes need: 2^64 people until two of them share a hash by chance. */
const HASH_CHARS = 22;
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const UTF8_BYTES_A_CHAR = 3;

/**
 * Keyed hashes of people: the first 16 bytes of HMAC-SHA-256 (RFC 2104) over scope, class and key, as base64url. One-shot hashes over a buffer that begins
 * with the inner pad: an object a call, as `createHmac` makes, costs twice what the hashing does.
 */
export class PersonHasher {
  /** [inner pad][scope and class][key] */
  #inner: Buffer;
  readonly #keyAt: number;
  /** [outer pad][inner digest] */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  /** `secret`: at most one block. `scope`: the server and database that the keys are of. */
  constructor(secret: Buffer, scope: string, className: string) {
    if (secret.length > BLOCK_BYTES) throw new RangeError('a secret longer than a block of SHA-256');
    const lead = Buffer.from(`${scope}\0${className}\0`);
    this.#keyAt = BLOCK_BYTES + lead.length;
    this.#inner = Buffer.alloc(this.#keyAt + 256);
    lead.copy(this.#inner, BLOCK_BYTES);
    for (let i = 0; i < BLOCK_BYTES; i++) {
      this.#inner[i] = (secret[i] ?? 0) ^ 0x36;
      this.#outer[i] = (secret[i] ?? 0) ^ 0x5c;
    }
  }

  hash(key: string): string {
    const most = this.#keyAt + key.length * UTF8_BYTES_A_CHAR;
    if (most > this.#inner.length) this.#inner = Buffer.concat([this.#inner], most);
    const end = this.#keyAt + this.#inner.write(key, this.#keyAt, 'utf8');
    this.#outer.write(hash('sha256', this.#inner.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1');
    const digest = hash('sha256', this.#outer, 'base64url');
    // The last character of 16 bytes carries two bits; here it comes with four of the next byte.
    return digest.slice(0, HASH_CHARS - 1) + BASE64URL.charAt(BASE64URL.indexOf(digest.charAt(HASH_CHARS - 1)) & 0x30);
  }
}
