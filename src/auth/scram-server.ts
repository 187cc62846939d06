/** The server's side of SCRAM-SHA-256: what PostgreSQL does in src/backend/libpq/auth-scram.c, message by message, errors included. Pure. */

import { timingSafeEqual } from 'node:crypto';
import { decodeBase64, hmac, KEY_BYTES, SCRAM, SCRAM_PLUS, sha256, xor, type ScramKeys, type ScramVerifier } from './scram.ts';

export interface ScramServerOptions {
  readonly verifier: ScramVerifier;
  /** False: the verifier stands for nobody, and no proof is right. The exchange looks and takes the same. */
  readonly genuine: boolean;
  readonly nonce: string;
  readonly mechanism: typeof SCRAM | typeof SCRAM_PLUS;
  /** tls-server-end-point of this connection; undefined if SCRAM-SHA-256-PLUS was not offered. */
  readonly channelBinding: Buffer | undefined;
}

export interface ScramFault {
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
}

export type ScramStep =
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'proven'; readonly data: Buffer; readonly keys: ScramKeys }
  /** A proper exchange with a wrong proof. */
  | { readonly kind: 'denied' }
  | { readonly kind: 'fault'; readonly fault: ScramFault };

class Fault extends Error {
  readonly fault: ScramFault;

  constructor(sqlstate: string, message: string, detail?: string) {
    super(message);
    this.fault = { sqlstate, message, detail };
  }
}

const malformed = (detail: string): Fault => new Fault('08P01', 'malformed SCRAM message', detail);

export class ScramServer {
  readonly #options: ScramServerOptions;
  #state: 'first' | 'final' | 'over' = 'first';
  #gs2Header = '';
  #firstBare = '';
  #serverFirst = '';
  #nonce = '';

  constructor(options: ScramServerOptions) {
    this.#options = options;
  }

  step(data: Buffer): ScramStep {
    try {
      // Byte for byte: the user name may be in any encoding, and is not looked at.
      const text = data.toString('latin1');
      if (text === '') throw malformed('The message is empty.');
      if (text.includes('\0')) throw malformed('Message length does not match input length.');
      switch (this.#state) {
        case 'first':
          this.#state = 'final';
          return { kind: 'continue', data: Buffer.from(this.#first(text), 'latin1') };
        case 'final':
          this.#state = 'over';
          return this.#final(text);
        case 'over':
          throw new Fault('08P01', 'invalid SCRAM response', 'The exchange is over.');
      }
    } catch (error) {
      this.#state = 'over';
      if (error instanceof Fault) return { kind: 'fault', fault: error.fault };
      throw error;
    }
  }

  /** client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions] (RFC 5802, section 7). */
  #first(text: string): string {
    const reader = new Attributes(text);
    this.#gs2Header = this.#readGs2Header(reader);
    this.#firstBare = text.slice(reader.position);
    if (text[reader.position] === 'm') throw new Fault('0A000', 'client requires an unsupported SCRAM extension');
    reader.read('n');
    const clientNonce = reader.read('r');
    if (!/^[\x21-\x2b\x2d-\x7e]*$/.test(clientNonce)) throw new Fault('08P01', 'non-printable characters in SCRAM nonce');
    while (!reader.done) reader.readAny();
    const { verifier, nonce } = this.#options;
    this.#nonce = clientNonce + nonce;
    this.#serverFirst = `r=${this.#nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`;
    return this.#serverFirst;
  }

  #readGs2Header(reader: Attributes): string {
    const { mechanism, channelBinding } = this.#options;
    const flag = reader.peek();
    switch (flag) {
      case 'n':
      case 'y':
        if (mechanism === SCRAM_PLUS) throw malformed('The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.');
        // "y": somebody between us took SCRAM-SHA-256-PLUS off the list (RFC 5802, section 6).
        if (flag === 'y' && channelBinding !== undefined) {
          throw new Fault('28000', 'SCRAM channel binding negotiation error', 'The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.');
        }
        reader.skip(flag);
        break;
      case 'p': {
        if (mechanism !== SCRAM_PLUS) throw malformed('The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.');
        const type = reader.read('p');
        if (type !== 'tls-server-end-point') throw new Fault('08P01', `unsupported SCRAM channel-binding type "${printable(type)}"`);
        reader.back();
        break;
      }
      default:
        throw malformed(`Unexpected channel-binding flag "${printable(flag)}".`);
    }
    reader.skip(',');
    if (reader.peek() === 'a') throw new Fault('0A000', 'client uses authorization identity, but it is not supported');
    reader.skip(',');
    return reader.before();
  }

  /** client-final-message = channel-binding "," nonce ["," extensions] "," proof. */
  #final(text: string): ScramStep {
    const { channelBinding, verifier, genuine, mechanism } = this.#options;
    const reader = new Attributes(text);
    const binding = reader.read('c');
    const bound = Buffer.concat([Buffer.from(this.#gs2Header, 'latin1'), mechanism === SCRAM_PLUS && channelBinding !== undefined ? channelBinding : Buffer.alloc(0)]).toString('base64');
    if (binding !== bound) {
      if (mechanism === SCRAM_PLUS) throw new Fault('28000', 'SCRAM channel binding check failed');
      throw new Fault('08P01', 'unexpected SCRAM channel-binding attribute in client-final-message');
    }
    const nonce = reader.read('r');
    let withoutProof: string;
    let attribute: string;
    let value: string;
    do {
      withoutProof = text.slice(0, Math.max(0, reader.position - 1));
      [attribute, value] = reader.readAny();
    } while (attribute !== 'p');
    const proof = decodeBase64(value);
    if (proof === undefined || proof.length !== KEY_BYTES) throw malformed('Malformed proof in client-final-message.');
    if (!reader.done) throw malformed('Garbage found at the end of client-final-message.');
    if (nonce !== this.#nonce) throw new Fault('08P01', 'invalid SCRAM response', 'Nonce does not match.');

    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmac(verifier.storedKey, authMessage));
    const right = timingSafeEqual(sha256(clientKey), verifier.storedKey);
    const signature = hmac(verifier.serverKey, authMessage);
    if (!right || !genuine) return { kind: 'denied' };
    return { kind: 'proven', data: Buffer.from(`v=${signature.toString('base64')}`, 'latin1'), keys: { clientKey, serverKey: verifier.serverKey } };
  }
}

/** `attr=value` pairs between commas. */
class Attributes {
  readonly #text: string;
  /** Behind the comma that ended what was read last. */
  position = 0;
  #endedByComma = false;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.position >= this.#text.length && !this.#endedByComma;
  }

  peek(): string {
    return this.#text.charAt(this.position);
  }

  skip(char: string): void {
    if (this.peek() !== char) throw malformed(char === ',' ? `Comma expected, but found character "${printable(this.peek())}".` : `Expected "${char}".`);
    this.position++;
    this.#endedByComma = false;
  }

  /** Takes back the comma that `read` went past. */
  back(): void {
    if (!this.#endedByComma) throw malformed('Comma expected, but found the end of the message.');
    this.position--;
    this.#endedByComma = false;
  }

  before(): string {
    return this.#text.slice(0, this.position);
  }

  read(attribute: string): string {
    if (this.peek() !== attribute) throw malformed(`Expected attribute "${attribute}" but found "${printable(this.peek())}".`);
    return this.readAny()[1];
  }

  readAny(): readonly [attribute: string, value: string] {
    const attribute = this.peek();
    if (attribute === '') throw malformed('Attribute expected, but found end of string.');
    if (!/^[A-Za-z]$/.test(attribute)) throw malformed(`Attribute expected, but found invalid character "${printable(attribute)}".`);
    if (this.#text[this.position + 1] !== '=') throw malformed(`Expected character "=" for attribute "${attribute}".`);
    const comma = this.#text.indexOf(',', this.position);
    const end = comma < 0 ? this.#text.length : comma;
    const value = this.#text.slice(this.position + 2, end);
    this.#endedByComma = comma >= 0;
    this.position = comma < 0 ? end : end + 1;
    return [attribute, value];
  }
}

/** As sanitize_str does: nobody's terminal is written to by way of an error text. */
function printable(text: string): string {
  const shown = text.slice(0, 30).replaceAll(/[^\x21-\x7e]/g, '?');
  return shown === '' ? '0x00' : shown;
}
