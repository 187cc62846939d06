/** Where a login's verifier comes from, and what stands in for one where there is none. */

import { createHmac, randomBytes } from 'node:crypto';
import { DEFAULT_ITERATIONS, SALT_BYTES, type ScramVerifier } from './scram.ts';

export type FoundVerifier =
  | { readonly kind: 'verifier'; readonly verifier: ScramVerifier }
  /** `why` is for the operational log: a client must not learn it. */
  | { readonly kind: 'none'; readonly why: string };

export interface VerifierSource {
  /** As it is at the time of the call: a password that was changed a moment ago counts. Rejects if the source cannot be asked. */
  find(user: string): Promise<FoundVerifier>;
  /** What verifiers made now have: the stand-in must not differ. */
  readonly iterations: number;
  close(): Promise<void>;
}

/** The source cannot be asked. */
export class VerifierSourceError extends Error {
  override readonly name = 'VerifierSourceError';
}

/**
 * Verifiers of logins that do not exist: the same salt for the same name each time, as a real one would have (`mock_scram_secret`, auth-scram.c).
 * With a secret that all processes share they also agree with each other and over restarts.
 */
export class StandInVerifiers {
  readonly #secret: Buffer;

  constructor(secret: Buffer | undefined) {
    this.#secret = secret === undefined ? randomBytes(32) : createHmac('sha256', secret).update('rowgate stand-in verifiers').digest();
  }

  of(user: string, iterations: number = DEFAULT_ITERATIONS): ScramVerifier {
    const part = (name: string): Buffer => createHmac('sha256', this.#secret).update(`${name}\0${user}`).digest();
    return { salt: part('salt').subarray(0, SALT_BYTES), iterations, storedKey: part('stored key'), serverKey: part('server key') };
  }
}
