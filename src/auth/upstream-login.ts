/** Rowgate's own answers to what the server asks at a login, with what the client has proven. */

import { createHash } from 'node:crypto';
import { writePasswordMessage, writeSaslInitialResponse, writeSaslResponse, type AuthenticationRequest } from '../protocol/authentication.ts';
import { tlsServerEndPoint } from './channel-binding.ts';
import { newNonce } from './scram.ts';
import { ScramClient, ScramServerError, type ScramSecret } from './scram-client.ts';

export interface UpstreamLoginOptions {
  readonly user: string;
  /** Undefined: nothing but the client certificate of the connection, or the server's trust. */
  readonly secret: ScramSecret | undefined;
  /** Undefined: the connection to the server is in plain text. */
  readonly certificate: Buffer | undefined;
  /** Nobody can listen in: encrypted, or within this machine. */
  readonly private: boolean;
}

export type UpstreamStep =
  | { readonly kind: 'answer'; readonly bytes: Buffer }
  /** Nothing to say; the server goes on. */
  | { readonly kind: 'wait' }
  /** The server lets the login in. */
  | { readonly kind: 'ok' }
  | { readonly kind: 'failed'; readonly reason: string; readonly hint: string };

export class UpstreamLogin {
  readonly #options: UpstreamLoginOptions;
  #scram: ScramClient | undefined;
  /** A SASL exchange was begun, and the server has not proven itself. */
  #unproven = false;

  constructor(options: UpstreamLoginOptions) {
    this.#options = options;
  }

  async step(request: AuthenticationRequest): Promise<UpstreamStep> {
    try {
      return await this.#step(request);
    } catch (error) {
      if (error instanceof ScramServerError) return failed(error.message, 'The people who run Rowgate know more.');
      throw error;
    }
  }

  async #step(request: AuthenticationRequest): Promise<UpstreamStep> {
    const { secret, certificate, user } = this.#options;
    if (request.kind !== 'sasl_continue' && request.kind !== 'sasl_final' && this.#unproven) {
      return failed('the server broke off the SCRAM exchange', 'The people who run Rowgate know more.');
    }
    switch (request.kind) {
      case 'ok':
        return { kind: 'ok' };
      case 'sasl':
        if (secret === undefined) return noPassword();
        this.#scram = new ScramClient({
          secret, mechanisms: request.mechanisms, encrypted: certificate !== undefined, nonce: newNonce(),
          channelBinding: certificate === undefined ? undefined : tlsServerEndPoint(certificate),
        });
        this.#unproven = true;
        return { kind: 'answer', bytes: writeSaslInitialResponse(this.#scram.mechanism, this.#scram.first()) };
      case 'sasl_continue':
        if (this.#scram === undefined || !this.#unproven) return failed('the server answers a SCRAM exchange that nobody began', '');
        return { kind: 'answer', bytes: writeSaslResponse(await this.#scram.final(request.data)) };
      case 'sasl_final':
        if (this.#scram === undefined) return failed('the server answers a SCRAM exchange that nobody began', '');
        this.#scram.verify(request.data);
        this.#unproven = false;
        return { kind: 'wait' };
      case 'cleartext':
        if (secret?.kind !== 'password') return secret === undefined ? noPassword() : cannotAnswer('a password in clear (password, ldap, pam or radius in pg_hba.conf)');
        if (!this.#options.private) return failed('the server asks for a password in clear over a connection that is not encrypted', 'Set upstream.tls.mode to verify-full.');
        return { kind: 'answer', bytes: writePasswordMessage(secret.password) };
      case 'md5':
        if (secret?.kind !== 'password') return secret === undefined ? noPassword() : cannotAnswer('an MD5 answer (md5 in pg_hba.conf and an MD5 password)');
        return { kind: 'answer', bytes: writePasswordMessage(md5Answer(user, secret.password, request.salt)) };
      case 'other':
        return cannotAnswer(`authentication of kind ${request.code} (GSSAPI or SSPI)`);
    }
  }
}

/** `md5` and the hex of md5(hex(md5(password user)) salt) ("AuthenticationMD5Password"). */
function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5').update(password + user, 'utf8').digest('hex');
  return `md5${createHash('md5').update(inner, 'latin1').update(salt).digest('hex')}`;
}

function failed(reason: string, hint: string): UpstreamStep {
  return { kind: 'failed', reason, hint };
}

function noPassword(): UpstreamStep {
  return failed('the server asks for a password, and Rowgate has none for this login', 'Add the login to the file that auth.upstream_users names, or let pg_hba.conf take Rowgate\'s client certificate.');
}

function cannotAnswer(what: string): UpstreamStep {
  return failed(`the server asks for ${what}, which cannot be answered with SCRAM keys`, 'Use scram-sha-256 for Rowgate in pg_hba.conf, or auth.method: passthrough.');
}
