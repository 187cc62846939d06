/**
 * The one place that says which request a server message answers. Every request that is forwarded (or made by Rowgate
 * itself) adds an entry; replies come in the same order ("Message Flow"). No flag of the last message is kept anywhere.
 */

import { Backend, type BackendType } from './message-types.ts';

export type RequestKind =
  | 'query'
  | 'parse'
  | 'bind'
  | 'describe_statement'
  | 'describe_portal'
  | 'execute'
  | 'close'
  | 'function_call'
  | 'sync';

export interface Entry<P> {
  readonly kind: RequestKind;
  readonly payload: P;
}

/** How a server message stands to the request at the head of the ledger. */
export type Match =
  /** It is part of the reply. */
  | 'part'
  /** It ends the reply: the entry is to be removed with `shift`. */
  | 'last'
  /** An ErrorResponse that makes the server skip to the next Sync: remove with `skipToSync`. */
  | 'error_skips_to_sync'
  /** The server must not send this now. */
  | 'mismatch';

export class Ledger<P> {
  #entries: (Entry<P> | undefined)[] = [];
  #head = 0;
  #skipping = false;

  /** The server discards what it reads until a Sync comes, and none is under way yet. */
  get skipping(): boolean {
    return this.#skipping;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get head(): Entry<P> | undefined {
    return this.#entries[this.#head];
  }

  /** The entry that was added last. */
  get tail(): Entry<P> | undefined {
    return this.length === 0 ? undefined : this.#entries[this.#entries.length - 1];
  }

  push(kind: RequestKind, payload: P): void {
    if (kind === 'sync') this.#skipping = false;
    this.#entries.push({ kind, payload });
  }

  shift(): Entry<P> | undefined {
    if (this.#head >= this.#entries.length) return undefined;
    const entry = this.#entries[this.#head];
    this.#entries[this.#head++] = undefined;
    if (this.#head > 32 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /**
   * After an error in an extended-query message the server reads and discards messages until a Sync: their entries go,
   * that Sync's stays. A simple Query among them is discarded as well (`ignore_till_sync` in src/backend/tcop/postgres.c).
   * Returns what was discarded, in order, the failed entry first.
   */
  skipToSync(): readonly Entry<P>[] {
    const skipped: Entry<P>[] = [];
    for (let head = this.head; head !== undefined && head.kind !== 'sync'; head = this.head) {
      skipped.push(head);
      this.shift();
    }
    this.#skipping = this.length === 0;
    return skipped;
  }

  *[Symbol.iterator](): Generator<Entry<P>> {
    for (let i = this.#head; i < this.#entries.length; i++) yield this.#entries[i] as Entry<P>;
  }

  match(type: BackendType): Match {
    const head = this.head;
    return head === undefined ? 'mismatch' : matchReply(head.kind, type);
  }
}

/** Which messages may answer which request ("Message Flow", the sections on simple and extended query and function call). */
export function matchReply(kind: RequestKind, type: BackendType): Match {
  switch (kind) {
    case 'query':
      switch (type) {
        case Backend.DataRow:
        case Backend.RowDescription:
        case Backend.CommandComplete:
        case Backend.EmptyQueryResponse:
        case Backend.ErrorResponse:
        case Backend.CopyInResponse:
        case Backend.CopyOutResponse:
        case Backend.CopyBothResponse:
        case Backend.CopyData:
        case Backend.CopyDone:
          return 'part';
        case Backend.ReadyForQuery:
          return 'last';
        default:
          return 'mismatch';
      }
    case 'execute':
      switch (type) {
        case Backend.DataRow:
        case Backend.CopyInResponse:
        case Backend.CopyOutResponse:
        case Backend.CopyData:
        case Backend.CopyDone:
          return 'part';
        case Backend.CommandComplete:
        case Backend.EmptyQueryResponse:
        case Backend.PortalSuspended:
          return 'last';
        default:
          return extended(type);
      }
    case 'parse':
      return type === Backend.ParseComplete ? 'last' : extended(type);
    case 'bind':
      return type === Backend.BindComplete ? 'last' : extended(type);
    case 'close':
      return type === Backend.CloseComplete ? 'last' : extended(type);
    case 'describe_statement':
      if (type === Backend.ParameterDescription) return 'part';
      return type === Backend.RowDescription || type === Backend.NoData ? 'last' : extended(type);
    case 'describe_portal':
      return type === Backend.RowDescription || type === Backend.NoData ? 'last' : extended(type);
    case 'function_call':
      if (type === Backend.FunctionCallResponse || type === Backend.ErrorResponse) return 'part';
      return type === Backend.ReadyForQuery ? 'last' : 'mismatch';
    case 'sync':
      // An error may come with Sync itself: it commits, and deferred constraints speak up only then.
      if (type === Backend.ErrorResponse) return 'part';
      return type === Backend.ReadyForQuery ? 'last' : 'mismatch';
  }
}

function extended(type: BackendType): Match {
  return type === Backend.ErrorResponse ? 'error_skips_to_sync' : 'mismatch';
}
