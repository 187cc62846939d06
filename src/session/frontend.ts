/**
 * Client messages: understood, judged, and forwarded, held back or refused. Pure of sockets: all it does to the outside goes
 * through `SessionPorts`.
 *
 * A refused request is not answered here. A request that the server must answer with an error takes its place, so that
 * the server's transaction is in the very state that the client will believe in (docs/adr/0003).
 */

import { maxFrontendBodyBytes } from '../protocol/limits.ts';
import { FLUSH } from '../protocol/frontend-messages.ts';
import { AtHeader, AtMessage, ProtocolViolation, type MessageHandler } from '../protocol/message-stream.ts';
import { Frontend, type FrontendType } from '../protocol/message-types.ts';
import { ExtendedQuery } from './extended-query.ts';
import { groupEnds } from './request-runs.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import { SimpleQuery } from './simple-query.ts';
import { copiesIn } from './statement.ts';

/** Requests that may be under way in one session. */
const MAX_PIPELINED = 10_000;

export class FrontendReducer implements MessageHandler<FrontendType> {
  readonly #session: SessionState;
  /** An answer is waited for; client messages wait too. */
  #busy = false;
  /** Flush was sent for what is being waited for. */
  #flushed = false;

  readonly #simple: SimpleQuery;
  readonly #extended: ExtendedQuery;

  constructor(session: SessionState) {
    this.#session = session;
    const turn = { later: (work: () => Promise<void>) => this.#later(work), wait: () => this.#wait() };
    this.#simple = new SimpleQuery(session, turn);
    this.#extended = new ExtendedQuery(session, turn);
  }

  forward(bytes: Buffer): void {
    this.#session.ports.writeServer(bytes);
  }

  onHeader(type: FrontendType, bodyBytes: number): AtHeader {
    const session = this.#session;
    const maxBytes = maxFrontendBodyBytes(type);
    if (maxBytes === undefined || type === Frontend.Password) throw new ProtocolViolation(`invalid frontend message type ${type}`);
    if (bodyBytes > maxBytes) throw new ProtocolViolation('invalid message length');
    if (session.ended) return AtHeader.Drop;
    if (type === Frontend.Terminate) return AtHeader.Whole;
    if (this.#busy) return AtHeader.Pause;
    // An error in front of CopyInResponse would otherwise wait for the Sync that waits here.
    if (session.copyInRun !== undefined) return this.#wait();
    if (session.copyIn) return this.#duringCopyIn(type);
    // The server reads nothing else until Sync; what is dropped here it would have dropped.
    if (session.ledger.skipping && type !== Frontend.Sync) return AtHeader.Drop;
    if (this.#mustWait(type)) return this.#wait();
    this.#flushed = false;
    switch (type) {
      case Frontend.Query:
      case Frontend.Parse:
        // Above the limit nothing is analysed, and nothing that large is kept.
        return bodyBytes > session.gate.maxStatementBytes ? AtHeader.Prefix : AtHeader.Whole;
      case Frontend.Bind:
      case Frontend.FunctionCall:
        return AtHeader.Prefix;
      case Frontend.CopyData:
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        // Outside of COPY the server ignores these: a client that did not know yet that its COPY failed.
        return AtHeader.Drop;
      default:
        return AtHeader.Whole;
    }
  }

  onMessage(type: FrontendType, buffer: Buffer, start: number, end: number): AtMessage {
    const { ledger } = this.#session;
    switch (type) {
      case Frontend.Query:
        return this.#simple.query(buffer, start, end);
      case Frontend.Parse:
        return this.#extended.parse(buffer, start, end);
      case Frontend.Bind:
        return this.#extended.bind(buffer, start, end);
      case Frontend.Execute:
        return this.#extended.execute(buffer, start, end);
      case Frontend.Describe:
        return this.#extended.describe(buffer, start, end);
      case Frontend.Close:
        return this.#extended.close(buffer, start, end);
      case Frontend.FunctionCall:
        return this.#simple.functionCall();
      case Frontend.Sync:
        groupEnds(this.#session);
        ledger.push('sync', { kind: 'sync' });
        return AtMessage.Forward;
      case Frontend.Flush:
        return AtMessage.Forward;
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        this.#session.copyIn = false;
        this.#session.copyInRun = this.#nextCopyIn();
        return AtMessage.Forward;
      case Frontend.Terminate:
        this.#session.ports.end(undefined, 'client terminated');
        return AtMessage.Drop;
      default:
        throw new ProtocolViolation(`unexpected frontend message type ${type}`);
    }
  }

  /** A further COPY FROM STDIN of the Query that is under way: what the client sends ahead for it waits. */
  #nextCopyIn(): Run | undefined {
    const payload = this.#session.ledger.head?.payload;
    return payload?.kind === 'query' ? payload.runs.slice(payload.next + 1).find((run) => copiesIn(run.statement)) : undefined;
  }

  #duringCopyIn(type: FrontendType): AtHeader {
    switch (type) {
      case Frontend.CopyData:
        return AtHeader.Forward;
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        return AtHeader.Whole;
      case Frontend.Sync:
      case Frontend.Flush:
        // CopyGetData (src/backend/commands/copyfromparse.c) ignores both, so no reply is to be expected.
        return AtHeader.Drop;
      default:
        throw new ProtocolViolation(`unexpected message type ${type} during COPY from stdin`);
    }
  }

  /**
   * Messages that would settle the server's transaction wait behind a metered statement that may still be cut: after the
   * cut it must be possible to undo what the client will believe undone.
   */
  #mustWait(type: FrontendType): boolean {
    const session = this.#session;
    if (session.ledger.length >= MAX_PIPELINED) return true;
    if (session.settlingCut) return true;
    if (session.meteredInFlight === 0) return false;
    if (session.inTransaction) return !session.groupOpen;
    return type === Frontend.Sync && session.groupModifies;
  }

  #wait(): AtHeader {
    // Without Sync the server may keep its replies to itself.
    if (!this.#flushed && this.#session.groupOpen) {
      this.#flushed = true;
      this.#session.ports.toServer(FLUSH);
    }
    return AtHeader.Pause;
  }

  #later(work: () => Promise<void>): AtMessage {
    this.#busy = true;
    work().then(
      () => {
        this.#busy = false;
        this.#session.ports.wakeClient();
      },
      (error: unknown) => this.#session.ports.fault(error),
    );
    return AtMessage.DropThenPause;
  }
}
