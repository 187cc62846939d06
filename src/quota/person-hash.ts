import { OneShotHmac } from '../protocol/one-shot-hmac.ts';

/** Characters of base64url that 16 bytes need: 2^64 people until two of them share a hash by chance. */
const HASH_CHARS = 22;
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const UTF8_BYTES_A_CHAR = 3;
const USUAL_KEY_BYTES = 256;

/** Keyed hashes of people: the first 16 bytes of HMAC-SHA-256 over scope, class and key, as base64url. */
export class PersonHasher {
  readonly #hmac: OneShotHmac;
  /** Of scope and class, which stand in front of each key. */
  readonly #leadBytes: number;

  /** `scope`: the server and database that the keys are of. */
  constructor(secret: Buffer, scope: string, className: string) {
    const lead = Buffer.from(`${scope}\0${className}\0`);
    this.#leadBytes = lead.length;
    this.#hmac = new OneShotHmac(secret, lead.length + USUAL_KEY_BYTES);
    lead.copy(this.#hmac.buffer, OneShotHmac.AT);
  }

  hash(key: string): string {
    this.#hmac.reserve(this.#leadBytes + key.length * UTF8_BYTES_A_CHAR, this.#leadBytes);
    const keyBytes = this.#hmac.buffer.write(key, OneShotHmac.AT + this.#leadBytes, 'utf8');
    const digest = this.#hmac.digest(this.#leadBytes + keyBytes, 'base64url');
    // The last character of 16 bytes carries two bits; here it comes with four of the next byte.
    return digest.slice(0, HASH_CHARS - 1) + BASE64URL.charAt(BASE64URL.indexOf(digest.charAt(HASH_CHARS - 1)) & 0x30);
  }
}
