/** How one client proves who it is to Rowgate: a state machine over the messages of the login. */

import type { ErrorFields } from '../protocol/backend-messages.ts';
import { readPasswordMessage, readSaslInitialResponse, writeCleartextRequest, writeSasl, writeSaslContinue, writeSaslFinal } from '../protocol/authentication.ts';
import { ProtocolViolation } from '../protocol/message-stream.ts';
import { keysOf, newNonce, SCRAM, SCRAM_PLUS, sha256, type ScramVerifier } from './scram.ts';
import type { ScramSecret } from './scram-client.ts';
import { ScramServer } from './scram-server.ts';
import { timingSafeEqual } from 'node:crypto';
import type { FoundVerifier } from './verifiers.ts';

export type AuthMethod = 'scram-sha-256' | 'scram-sha-256-plus' | 'cleartext';

export type AuthStep =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'proven'; readonly bytes: Buffer; readonly method: AuthMethod; readonly secret: ScramSecret }
  /** `wrongPassword`: counts as a guess. `reason` is for the log alone. */
  | { readonly kind: 'refused'; readonly error: ErrorFields; readonly reason: string; readonly wrongPassword: boolean };

export interface ClientAuthenticatorOptions {
  readonly user: string;
  /** tls-server-end-point of the client's connection; undefined without TLS, or if the certificate gives none. */
  readonly channelBinding: Buffer | undefined;
  /** The client's software knows no SCRAM: its password is asked for in clear. */
  readonly cleartext: boolean;
  /** Asked once, when the client has answered. */
  readonly find: () => Promise<FoundVerifier>;
  /** For logins without a verifier. */
  readonly standIn: () => ScramVerifier;
}

export class ClientAuthenticator {
  readonly #options: ClientAuthenticatorOptions;
  #scram: ScramServer | undefined;
  #method: AuthMethod = 'scram-sha-256';
  #verifier: ScramVerifier | undefined;
  #why = 'wrong password';
  #over = false;

  constructor(options: ClientAuthenticatorOptions) {
    this.#options = options;
  }

  /** What the client is asked first. */
  start(): Buffer {
    const { cleartext, channelBinding } = this.#options;
    if (cleartext) return writeCleartextRequest();
    return writeSasl(channelBinding === undefined ? [SCRAM] : [SCRAM_PLUS, SCRAM]);
  }

  /** The body of a message of type `p`. Rejects if the verifiers cannot be asked for. */
  async answer(body: Buffer): Promise<AuthStep> {
    if (this.#over) throw new ProtocolViolation('the login is over');
    try {
      return this.#options.cleartext ? await this.#password(readPasswordMessage(body)) : await this.#sasl(body);
    } catch (error) {
      if (error instanceof ProtocolViolation) return this.#refuse('08P01', error.message);
      throw error;
    }
  }

  async #sasl(body: Buffer): Promise<AuthStep> {
    let data: Buffer | undefined = body;
    if (this.#scram === undefined) {
      const first = readSaslInitialResponse(body);
      const plus = first.mechanism === SCRAM_PLUS && this.#options.channelBinding !== undefined;
      if (!plus && first.mechanism !== SCRAM) return this.#refuse('08P01', 'client selected an invalid SASL authentication mechanism');
      this.#method = plus ? 'scram-sha-256-plus' : 'scram-sha-256';
      const { verifier, genuine } = await this.#lookUp();
      this.#verifier = verifier;
      this.#scram = new ScramServer({ verifier, genuine, nonce: newNonce(), mechanism: plus ? SCRAM_PLUS : SCRAM, channelBinding: this.#options.channelBinding });
      data = first.data;
      // Nothing said yet: the client is asked to begin (pg_be_scram_exchange).
      if (data === undefined) return { kind: 'send', bytes: writeSaslContinue(Buffer.alloc(0)) };
    }
    const step = this.#scram.step(data);
    switch (step.kind) {
      case 'continue':
        return { kind: 'send', bytes: writeSaslContinue(step.data) };
      case 'proven':
        this.#over = true;
        return { kind: 'proven', bytes: writeSaslFinal(step.data), method: this.#method, secret: { kind: 'keys', keys: step.keys, verifier: this.#verifier as ScramVerifier } };
      case 'denied':
        return this.#denied();
      case 'fault': {
        this.#over = true;
        const { sqlstate, message, detail } = step.fault;
        return { kind: 'refused', error: { severity: 'FATAL', sqlstate, message, detail }, reason: detail === undefined ? message : `${message}: ${detail}`, wrongPassword: false };
      }
    }
  }

  async #password(password: string): Promise<AuthStep> {
    // recv_password_packet (auth.c) refuses an empty password in these words.
    if (password === '') return this.#refuse('28P01', 'empty password returned by client');
    const { verifier, genuine } = await this.#lookUp();
    const keys = await keysOf(password, verifier.salt, verifier.iterations);
    const right = timingSafeEqual(sha256(keys.clientKey), verifier.storedKey);
    if (!right || !genuine) return this.#denied();
    this.#over = true;
    return { kind: 'proven', bytes: Buffer.alloc(0), method: 'cleartext', secret: { kind: 'keys', keys, verifier } };
  }

  async #lookUp(): Promise<{ readonly verifier: ScramVerifier; readonly genuine: boolean }> {
    const found = await this.#options.find();
    if (found.kind === 'verifier') return { verifier: found.verifier, genuine: true };
    this.#why = found.why;
    return { verifier: this.#options.standIn(), genuine: false };
  }

  /** The same words whatever was wrong (auth_failed, auth.c). */
  #denied(): AuthStep {
    this.#over = true;
    return {
      kind: 'refused',
      error: { severity: 'FATAL', sqlstate: '28P01', message: `password authentication failed for user "${this.#options.user}"` },
      reason: this.#why,
      wrongPassword: true,
    };
  }

  #refuse(sqlstate: string, message: string): AuthStep {
    this.#over = true;
    return { kind: 'refused', error: { severity: 'FATAL', sqlstate, message }, reason: message, wrongPassword: sqlstate === '28P01' };
  }
}
