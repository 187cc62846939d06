/**
 * The way out that loses nobody's work: no new sessions, idle ones end, what is under way may come to its end within a
 * limit, and the rest is ended then.
 */

import type { ErrorFields } from '../protocol/backend-messages.ts';

/** To clients that come while Rowgate stops (`ProcessStartupPacket`, src/backend/tcop/backend_startup.c). */
export const STARTING_DRAINED: ErrorFields = { severity: 'FATAL', sqlstate: '57P03', message: 'the database system is shutting down' };
/** `ProcessInterrupts`, src/backend/tcop/postgres.c. */
export const SHUTTING_DOWN: ErrorFields = { severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection due to administrator command' };

export interface Draining {
  /** The server waits for a request, and no transaction is open. */
  readonly idle: boolean;
  /** Past its startup packet: before it, it may turn out to be a cancel request for a statement that is under way. */
  readonly started: boolean;
  /** There is a session; else there is nothing to wait for. */
  readonly session: object | undefined;
  /** `act` is called whenever the session may have come to rest. */
  whenIdle(act: () => void): void;
  shutdown(error: ErrorFields): void;
}

/** Ends what may be ended now and arranges for the rest to end when it comes to rest. Whoever calls it ends what is left later. */
export function beginDraining(connections: Iterable<Draining>): void {
  for (const connection of connections) {
    if (connection.session === undefined) {
      if (connection.started) connection.shutdown(SHUTTING_DOWN);
      continue;
    }
    if (connection.idle) {
      connection.shutdown(SHUTTING_DOWN);
      continue;
    }
    connection.whenIdle(() => {
      // After ReadyForQuery has gone to the client, and unless its next request has come already.
      setImmediate(() => {
        if (connection.idle) connection.shutdown(SHUTTING_DOWN);
      });
    });
  }
}
