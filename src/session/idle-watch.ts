/** Ends sessions that nobody uses. It looks at counters of the sockets now and then, so that messages cost nothing for it. */

import type { ErrorFields } from '../protocol/backend-messages.ts';

export interface WatchedSession {
  /** The server waits for a request, and no transaction is open. */
  readonly idle: boolean;
  /** Grows with everything that moves on the client's connection. */
  readonly clientBytes: number;
  shutdown(error: ErrorFields): void;
}

/** `ProcessInterrupts`, src/backend/tcop/postgres.c. */
const IDLE_SESSION_TIMEOUT: ErrorFields = { severity: 'FATAL', sqlstate: '57P05', message: 'terminating connection due to idle-session timeout' };
const MIN_INTERVAL_MS = 250;
const MAX_INTERVAL_MS = 30_000;

export class IdleWatch {
  readonly #timeoutMs: () => number;
  readonly #sessions: () => Iterable<WatchedSession>;
  readonly #seen = new WeakMap<WatchedSession, { readonly bytes: number; readonly sinceMs: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: () => number, sessions: () => Iterable<WatchedSession>) {
    this.#timeoutMs = timeoutMs;
    this.#sessions = sessions;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.look(performance.now());
      this.start();
    }, Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, this.#timeoutMs() / 10)));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  look(nowMs: number): void {
    const timeoutMs = this.#timeoutMs();
    for (const session of this.#sessions()) {
      const seen = this.#seen.get(session);
      if (seen === undefined || !session.idle || seen.bytes !== session.clientBytes) this.#seen.set(session, { bytes: session.clientBytes, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= timeoutMs) session.shutdown(IDLE_SESSION_TIMEOUT);
    }
  }
}
