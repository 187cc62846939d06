/** The client's side of SCRAM-SHA-256, towards the server: with a password, or with the keys that a client proved to Rowgate. */

import { timingSafeEqual } from 'node:crypto';
import { decodeBase64, hmac, keysOf, MAX_ITERATIONS, SCRAM, SCRAM_PLUS, sha256, xor, type ScramKeys, type ScramVerifier } from './scram.ts';

export type ScramSecret =
  | { readonly kind: 'password'; readonly password: string }
  /** Only a server with the same salt and iterations can use them. */
  | { readonly kind: 'keys'; readonly keys: ScramKeys; readonly verifier: ScramVerifier };

export interface ScramClientOptions {
  readonly secret: ScramSecret;
  readonly mechanisms: readonly string[];
  readonly encrypted: boolean;
  /** tls-server-end-point of the connection to the server; undefined if there is none. */
  readonly channelBinding: Buffer | undefined;
  readonly nonce: string;
}

/** The server does not do its part. The text is for the operational log, not for the client. */
export class ScramServerError extends Error {
  override readonly name = 'ScramServerError';
}

export class ScramClient {
  readonly mechanism: typeof SCRAM | typeof SCRAM_PLUS;
  readonly #options: ScramClientOptions;
  readonly #gs2Header: string;
  readonly #firstBare: string;
  #signature: Buffer | undefined;

  /** Throws if the server offers nothing that can be done. */
  constructor(options: ScramClientOptions) {
    this.#options = options;
    const plus = options.channelBinding !== undefined && options.mechanisms.includes(SCRAM_PLUS);
    if (!plus && !options.mechanisms.includes(SCRAM)) throw new ScramServerError(`the server offers none of ${SCRAM}, ${SCRAM_PLUS}`);
    this.mechanism = plus ? SCRAM_PLUS : SCRAM;
    // "y" tells a server that could bind that somebody hid it (RFC 5802, section 6), also where this connection is in plain text: a server that passes the exchange
    // on to another one, over TLS, is found out by that one. Where the list has it and the certificate gives no binding, "n".
    const flag = options.channelBinding !== undefined || !options.encrypted ? 'y' : 'n';
    this.#gs2Header = plus ? 'p=tls-server-end-point,,' : `${flag},,`;
    // PostgreSQL takes the name from the startup packet and ignores this one, as libpq does.
    this.#firstBare = `n=,r=${options.nonce}`;
  }

  first(): Buffer {
    return Buffer.from(this.#gs2Header + this.#firstBare, 'latin1');
  }

  async final(serverFirst: Buffer): Promise<Buffer> {
    const text = serverFirst.toString('latin1');
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,.*)?$/.exec(text);
    if (match === null) throw new ScramServerError('malformed message of the server in SCRAM');
    const [, nonce = '', saltText = '', iterationsText = ''] = match;
    const salt = decodeBase64(saltText);
    const iterations = Number(iterationsText);
    if (salt === undefined || salt.length === 0) throw new ScramServerError('malformed salt of the server in SCRAM');
    if (!nonce.startsWith(this.#options.nonce) || nonce.length === this.#options.nonce.length) throw new ScramServerError('the server\'s nonce does not begin with ours');
    if (iterations > MAX_ITERATIONS) throw new ScramServerError(`the server asks for ${iterations} iterations`);
    const keys = await this.#keys(salt, iterations);
    const { channelBinding } = this.#options;
    const bound = Buffer.concat([Buffer.from(this.#gs2Header, 'latin1'), this.mechanism === SCRAM_PLUS && channelBinding !== undefined ? channelBinding : Buffer.alloc(0)]);
    const withoutProof = `c=${bound.toString('base64')},r=${nonce}`;
    const authMessage = `${this.#firstBare},${text},${withoutProof}`;
    this.#signature = hmac(keys.serverKey, authMessage);
    const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), authMessage));
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`, 'latin1');
  }

  /** Throws unless the server has proven that it knows the verifier, too. */
  verify(serverFinal: Buffer): void {
    const match = /^v=([A-Za-z0-9+/=]+)(?:,.*)?$/.exec(serverFinal.toString('latin1'));
    const signature = match === null ? undefined : decodeBase64(match[1] ?? '');
    if (this.#signature === undefined || signature === undefined || signature.length !== this.#signature.length || !timingSafeEqual(signature, this.#signature)) {
      throw new ScramServerError('the server could not prove that it knows the verifier');
    }
  }

  async #keys(salt: Buffer, iterations: number): Promise<ScramKeys> {
    const { secret } = this.#options;
    if (secret.kind === 'password') return keysOf(secret.password, salt, iterations);
    const { verifier } = secret;
    if (!verifier.salt.equals(salt) || verifier.iterations !== iterations) throw new ScramServerError('the server has another verifier for this login than Rowgate');
    return secret.keys;
  }
}
