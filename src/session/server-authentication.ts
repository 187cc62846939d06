/** Who answers the server's authentication requests: the client (passthrough), or Rowgate with what the client proved. */

import { tlsServerEndPoint } from '../auth/channel-binding.ts';
import { SCRAM, SCRAM_PLUS } from '../auth/scram.ts';
import type { UpstreamLogin } from '../auth/upstream-login.ts';
import { readSaslInitialResponse, writeSasl, type AuthenticationRequest } from '../protocol/authentication.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';

export type ServerAuthStep =
  | { readonly kind: 'forward' }
  /** The client gets this instead. */
  | { readonly kind: 'replace'; readonly bytes: Buffer }
  /** The client learns nothing of the request; the server gets `bytes`, if there are any. */
  | { readonly kind: 'answer'; readonly bytes: Buffer | undefined }
  | { readonly kind: 'refuse'; readonly error: ErrorFields; readonly reason: string };

export interface ServerAuthentication {
  onRequest(request: AuthenticationRequest): ServerAuthStep | Promise<ServerAuthStep>;
  /** True if the next message of the client is to be read, and not only forwarded. */
  readonly inspects: boolean;
  /** The body of that message; an error ends the login. */
  inspect(body: Buffer): { readonly error: ErrorFields; readonly reason: string } | undefined;
}

export interface RelayOptions {
  /** Certificates that the two sides see; undefined: that side is in plain text. */
  readonly clientSees: Buffer | undefined;
  readonly serverShows: Buffer | undefined;
  /** auth.cleartext names the login, and nobody can listen in on either side. */
  readonly cleartextAllowed: boolean;
}

/**
 * Passthrough. A proof that is bound to a TLS connection (SCRAM-SHA-256-PLUS) is bound to the client's connection to Rowgate, and the server
 * expects it for its own: it can be relayed only if both show the same certificate. Without PLUS on the list, a client that could have bound
 * says so ("y"), and a server on TLS takes that for an attack (RFC 5802, section 6). So it is told what to change, before the server refuses.
 */
export class AuthenticationRelay implements ServerAuthentication {
  readonly #options: RelayOptions;
  #plusRemoved = false;
  #awaitsFirst = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  get inspects(): boolean {
    return this.#awaitsFirst;
  }

  onRequest(request: AuthenticationRequest): ServerAuthStep {
    switch (request.kind) {
      case 'sasl': {
        if (!request.mechanisms.includes(SCRAM_PLUS) || this.#canBind()) return { kind: 'forward' };
        this.#plusRemoved = true;
        this.#awaitsFirst = true;
        const rest = request.mechanisms.filter((name) => name !== SCRAM_PLUS);
        return { kind: 'replace', bytes: writeSasl(rest.length === 0 ? [SCRAM] : rest) };
      }
      case 'cleartext':
        if (this.#options.cleartextAllowed) return { kind: 'forward' };
        return {
          kind: 'refuse',
          error: {
            severity: 'FATAL', sqlstate: '28000', message: 'the database server asks for a password in clear, and Rowgate does not let it pass',
            detail: 'Passwords in clear pass for logins that auth.cleartext names, over encrypted connections only.',
            hint: 'Use scram-sha-256 in pg_hba.conf, or name the login in auth.cleartext and connect with sslmode=require or more.',
          },
          reason: 'password in clear',
        };
      default:
        return { kind: 'forward' };
    }
  }

  inspect(body: Buffer): { readonly error: ErrorFields; readonly reason: string } | undefined {
    this.#awaitsFirst = false;
    if (!this.#plusRemoved) return undefined;
    const { mechanism, data } = readSaslInitialResponse(body);
    const bindable = mechanism === SCRAM_PLUS || (data !== undefined && data[0] === 'y'.charCodeAt(0));
    return bindable ? { error: NOT_RELAYED, reason: 'channel binding cannot be relayed' } : undefined;
  }

  #canBind(): boolean {
    const { clientSees, serverShows } = this.#options;
    return clientSees !== undefined && serverShows !== undefined && clientSees.equals(serverShows) && tlsServerEndPoint(clientSees) !== undefined;
  }
}

const NOT_RELAYED: ErrorFields = {
  severity: 'FATAL',
  sqlstate: '28000',
  message: 'this client binds its login to its TLS connection (SCRAM channel binding), and that connection ends at Rowgate',
  detail: 'With auth.method: passthrough and TLS on both sides, the server would take the login for an attack.',
  hint: 'Set auth.method: scram in Rowgate\'s configuration. Until then, connect with channel_binding=disable.',
};

/** Rowgate logs in by itself. */
export class OwnLogin implements ServerAuthentication {
  readonly #login: UpstreamLogin;
  readonly inspects = false;

  constructor(login: UpstreamLogin) {
    this.#login = login;
  }

  async onRequest(request: AuthenticationRequest): Promise<ServerAuthStep> {
    const step = await this.#login.step(request);
    switch (step.kind) {
      case 'ok':
        return { kind: 'forward' };
      case 'answer':
        return { kind: 'answer', bytes: step.bytes };
      case 'wait':
        return { kind: 'answer', bytes: undefined };
      case 'failed':
        return {
          kind: 'refuse',
          error: { severity: 'FATAL', sqlstate: '28000', message: `Rowgate could not log in to the database server: ${step.reason}`, hint: step.hint === '' ? undefined : step.hint },
          reason: step.reason,
        };
    }
  }

  inspect(): undefined {
    return undefined;
  }
}
