/**
 * What the server knows by name in one session: prepared statements and portals (cursors). Protocol-level and SQL-level
 * names share one namespace each: PREPARE and Parse, DECLARE and Bind. State follows the server's confirmations;
 * what was asked for and is not confirmed yet is kept apart, as a guess for the decision that comes before the reply.
 */

import type { ReachIndex } from '../catalog/reach-index.ts';
import type { SearchPath } from '../catalog/reach-types.ts';
import type { WireName } from '../protocol/frontend-messages.ts';
import type { LeaseCredit } from '../quota/lease-plan.ts';
import type { Run } from './run.ts';
import type { Statement } from './statement.ts';

export interface Portal {
  readonly statement: Statement | undefined;
  /** What DECLARE paid: the first rows of the cursor may use it. Taken by the first FETCH. */
  prepaid: readonly LeaseCredit[];
  /** DECLARE ... WITH HOLD: outlives its transaction. */
  readonly holdable: boolean;
  /** As Bind asks for them: none (all text), one for all columns, or one each; undefined: not known. */
  readonly resultFormats?: readonly number[] | undefined;
  /** What names meant when it was bound: what it gives was planned then. */
  meant?: { readonly index: ReachIndex; readonly searchPath: SearchPath } | undefined;
  /** Begun when Bind was sent, since planning may run code. Taken by the first Execute. */
  run?: Run | undefined;
}

export class SessionNames {
  readonly #statements = new Map<WireName, Statement>();
  readonly #portals = new Map<WireName, Portal>();
  /** Requested and not yet confirmed, newest last. */
  readonly #pendingStatements = new Map<WireName, Statement[]>();
  readonly #pendingPortals = new Map<WireName, Portal[]>();

  statementAsked(name: WireName, statement: Statement): void {
    ask(this.#pendingStatements, name, statement);
  }

  portalAsked(name: WireName, portal: Portal): void {
    ask(this.#pendingPortals, name, portal);
  }

  /** The server did it, or skipped it. */
  statementAnswered(name: WireName, statement: Statement, done: boolean): void {
    answer(this.#pendingStatements, name, statement);
    if (done) this.#statements.set(name, statement);
  }

  portalAnswered(name: WireName, portal: Portal, done: boolean): void {
    answer(this.#pendingPortals, name, portal);
    if (done) this.#portals.set(name, portal);
  }

  setStatement(name: WireName, statement: Statement): void {
    this.#statements.set(name, statement);
  }

  setPortal(name: WireName, portal: Portal): void {
    this.#portals.set(name, portal);
  }

  /** As confirmed by the server: exact at the time when the reply to a later request is read. */
  statement(name: WireName): Statement | undefined {
    return this.#statements.get(name);
  }

  portal(name: WireName): Portal | undefined {
    return this.#portals.get(name);
  }

  /** The best guess for a request that is sent now: the newest one asked for, else the confirmed one. */
  likelyStatement(name: WireName): Statement | undefined {
    return this.#pendingStatements.get(name)?.at(-1) ?? this.#statements.get(name);
  }

  likelyPortal(name: WireName): Portal | undefined {
    return this.#pendingPortals.get(name)?.at(-1) ?? this.#portals.get(name);
  }

  dropStatement(name: WireName | undefined): void {
    if (name === undefined) {
      // DEALLOCATE ALL leaves the unnamed statement, which is kept apart by the server.
      for (const key of this.#statements.keys()) if (key !== '') this.#statements.delete(key);
    } else this.#statements.delete(name);
  }

  dropPortal(name: WireName | undefined): void {
    if (name === undefined) this.#portals.clear();
    else this.#portals.delete(name);
  }

  /** Portals end with their transaction, but for cursors WITH HOLD. */
  transactionEnded(): void {
    for (const [name, portal] of this.#portals) if (!portal.holdable) this.#portals.delete(name);
  }

  discardAll(): void {
    this.dropStatement(undefined);
    this.#portals.clear();
  }

  get size(): number {
    return this.#statements.size + this.#portals.size;
  }
}

function ask<V>(pending: Map<WireName, V[]>, name: WireName, value: V): void {
  const list = pending.get(name);
  if (list === undefined) pending.set(name, [value]);
  else list.push(value);
}

function answer<V>(pending: Map<WireName, V[]>, name: WireName, value: V): void {
  const list = pending.get(name);
  const at = list?.indexOf(value) ?? -1;
  if (list === undefined || at < 0) return;
  list.splice(at, 1);
  if (list.length === 0) pending.delete(name);
}
