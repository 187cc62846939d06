/**
 * What goes on record of one attempt to log in: that it succeeded, or that it failed, and why. A client that just leaves has done neither: psql does, to
 * ask its user for a password.
 */

import type { LoginDescription, LoginFailed, LoginSucceeded } from '../audit/events.ts';
import type { StartupMessage } from '../protocol/startup.ts';

export interface LoginRecordPorts {
  loginSucceeded(event: Omit<LoginSucceeded, 'event'>): void;
  loginFailed(event: Omit<LoginFailed, 'event'>): void;
}

export class LoginRecord {
  readonly #ports: LoginRecordPorts;
  readonly #attempt: { readonly session_id: string; readonly client_address: string };
  #claim: { readonly principal: string; readonly application_name?: string | undefined; readonly database: string } | undefined;
  #failed = false;

  constructor(ports: LoginRecordPorts, sessionId: string, clientAddress: string) {
    this.#ports = ports;
    this.#attempt = { session_id: sessionId, client_address: clientAddress };
  }

  /** Before it there is no login that anything could be said of. */
  claimed({ parameters }: StartupMessage, database: string): void {
    const principal = parameters.get('user') ?? '';
    if (principal !== '') this.#claim = { principal, application_name: parameters.get('application_name'), database };
  }

  /** Whoever was asked believes the client. There may be no session all the same: then `failed` follows. */
  succeeded(login: LoginDescription): void {
    if (this.#claim !== undefined) this.#ports.loginSucceeded({ ...this.#attempt, ...this.#claim, ...login });
  }

  /** The first reason is the one. `reason` may tell more than the client learns. */
  failed(reason: string, sqlstate: string | undefined): void {
    if (this.#claim === undefined || this.#failed) return;
    this.#failed = true;
    this.#ports.loginFailed({ ...this.#attempt, ...this.#claim, reason, sqlstate });
  }
}
