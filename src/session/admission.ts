/**
 * Who may take a place. Connections that have not logged in have places of their own, so that a flood of them uses up no
 * session; and among them the address that holds the most gives way, so that a flood from one place locks nobody else out.
 */

import type { ErrorFields } from '../protocol/backend-messages.ts';
import { SessionsElsewhere } from './sessions-elsewhere.ts';

export interface AdmissionLimits {
  readonly maxSessions: number;
  readonly maxSessionsPerPrincipal: number;
  readonly maxUnauthenticated: number;
}

/** A connection that has not logged in. */
export interface Newcomer {
  /** Without the port. */
  readonly address: string;
  turnAway(error: ErrorFields): void;
}

/** What PostgreSQL says when `max_connections` is reached (`InitProcess`, src/backend/storage/lmgr/proc.c). */
export const TOO_MANY_CLIENTS: ErrorFields = { severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' };

/** The server's own too_many_connections, as the cause of an error. */
export function isServerFull(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && 'code' in error.cause && error.cause.code === TOO_MANY_CLIENTS.sqlstate;
}

export class Admission {
  /** Of other processes that share this one's port. */
  readonly elsewhere = new SessionsElsewhere();
  /** Told when the sessions of a login here have become more or fewer. */
  onCount: ((principal: string, count: number) => void) | undefined;
  readonly #limits: () => AdmissionLimits;
  readonly #newcomers = new Map<string, Set<Newcomer>>();
  #newcomerCount = 0;
  readonly #sessions = new Map<object, string>();
  readonly #byPrincipal = new Map<string, number>();

  /** The limits are asked for each time: a reload changes them. */
  constructor(limits: () => AdmissionLimits) {
    this.#limits = limits;
  }

  get unauthenticated(): number {
    return this.#newcomerCount;
  }

  /** No session can be had now. The server would not ask for a password either. */
  get full(): boolean {
    return this.#sessions.size + this.elsewhere.total >= this.#limits().maxSessions;
  }

  arrive(newcomer: Newcomer): void {
    while (this.#newcomerCount > 0 && this.#newcomerCount >= this.#limits().maxUnauthenticated) this.#makeRoom();
    const known = this.#newcomers.get(newcomer.address);
    if (known === undefined) this.#newcomers.set(newcomer.address, new Set([newcomer]));
    else known.add(newcomer);
    this.#newcomerCount++;
  }

  /** The login succeeded: the place among the newcomers is free, and one among the sessions is taken, or an error says that there is none. */
  enter(newcomer: Newcomer, principal: string): ErrorFields | undefined {
    const limits = this.#limits();
    if (this.full) return TOO_MANY_CLIENTS;
    const taken = this.#byPrincipal.get(principal) ?? 0;
    if (taken + this.elsewhere.of(principal) >= limits.maxSessionsPerPrincipal) {
      // `InitializeSessionUserId`, src/backend/utils/init/miscinit.c.
      return { severity: 'FATAL', sqlstate: '53300', message: `too many connections for role "${principal}"` };
    }
    this.#forget(newcomer);
    this.#sessions.set(newcomer, principal);
    this.#byPrincipal.set(principal, taken + 1);
    this.onCount?.(principal, taken + 1);
    return undefined;
  }

  /** The connection is closed, whatever it was. */
  leave(newcomer: Newcomer): void {
    this.#forget(newcomer);
    const principal = this.#sessions.get(newcomer);
    if (principal === undefined) return;
    this.#sessions.delete(newcomer);
    const left = (this.#byPrincipal.get(principal) ?? 1) - 1;
    if (left === 0) this.#byPrincipal.delete(principal);
    else this.#byPrincipal.set(principal, left);
    this.onCount?.(principal, left);
  }

  #makeRoom(): void {
    let most: Set<Newcomer> | undefined;
    for (const each of this.#newcomers.values()) if (each.size > (most?.size ?? 0)) most = each;
    const [oldest] = most ?? [];
    if (oldest === undefined) return;
    this.#forget(oldest);
    oldest.turnAway(TOO_MANY_CLIENTS);
  }

  #forget(newcomer: Newcomer): void {
    const known = this.#newcomers.get(newcomer.address);
    if (known?.delete(newcomer) !== true) return;
    this.#newcomerCount--;
    if (known.size === 0) this.#newcomers.delete(newcomer.address);
  }
}
