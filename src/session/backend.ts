/**
 * Server messages: matched to requests by the ledger, rows spent against their run's lease, everything else forwarded,
 * rewritten or swallowed. Pure of sockets: all it does to the outside goes through `SessionPorts`.
 */

import * as messages from '../protocol/backend-messages.ts';
import type { Entry } from '../protocol/ledger.ts';
import { COLLECTED_MESSAGE_BYTES, READY_BODY_BYTES } from '../protocol/limits.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type Ahead, type MessageHandler, type MessageStream } from '../protocol/message-stream.ts';
import { Backend, type BackendType } from '../protocol/message-types.ts';
import { LooseTextMeter } from './loose-text.ts';
import { lexerFault, lexerRefusal } from './lexer-settings.ts';
import { NotificationMeter } from './notifications.ts';
import { mustChargeText, mustRedact, redactedNotice } from './redaction.ts';
import { errorFields } from './refusal-message.ts';
import { ReplyEnds } from './reply-ends.ts';
import { ONE_TEXT_PARAMETER, OWN_COLUMNS, writeRowDescription } from './own-question.ts';
import { runOf, type Request } from './request.ts';
import { ToldSettings } from './told-settings.ts';
import { BINARY_TRAILER_BYTES, headOf, passOn, RowMeter, type ReplyTurn } from './row-meter.ts';
import type { SessionState } from './session-state.ts';

/** What may come while the statement still waits for a lock (`log_lock_waits` makes it a notice), and says nothing of what it will run. */
const ASIDE: ReadonlySet<BackendType> = new Set<BackendType>([Backend.ParameterStatus, Backend.NoticeResponse, Backend.NotificationResponse]);

export class BackendReducer implements MessageHandler<BackendType>, ReplyTurn {
  readonly #session: SessionState;
  #stream: MessageStream<BackendType> | undefined;
  /** Milliseconds of the monotonic clock at the chunk's arrival: leases are held against it. */
  nowMs = 0;
  readonly #notifications: NotificationMeter;
  readonly #settings: ToldSettings;
  readonly #lateNotices: LooseTextMeter;
  readonly #rows: RowMeter;
  readonly #ends: ReplyEnds;

  constructor(session: SessionState) {
    this.#session = session;
    this.#notifications = new NotificationMeter(session);
    this.#settings = new ToldSettings(session);
    this.#lateNotices = new LooseTextMeter(session, 'a notice at the end of a transaction');
    this.#rows = new RowMeter(session, this);
    this.#ends = new ReplyEnds(session, this, this.#rows);
  }

  attach(stream: MessageStream<BackendType>): void {
    this.#stream = stream;
  }

  forward(bytes: Buffer): void {
    this.#session.ports.toClient(bytes);
  }

  onHeader(type: BackendType, bodyBytes: number): AtHeader {
    const session = this.#session;
    if (session.ended) return AtHeader.Drop;
    if (type === Backend.DataRow) {
      this.#expect(type);
      if (this.#rows.mustLookAgain()) return this.#lookAgain(AtHeader.Pause, true);
      return this.#rows.row(bodyBytes);
    }
    if (type === Backend.CopyData) {
      this.#expect(type);
      if (this.#rows.mustLookAgain()) return this.#lookAgain(AtHeader.Pause, true);
      if (this.#rows.copyHeader || bodyBytes === BINARY_TRAILER_BYTES) return AtHeader.Whole;
      return this.#rows.row(bodyBytes, true);
    }
    // Nobody waits for the rest of one that cannot be right.
    if (bodyBytes > COLLECTED_MESSAGE_BYTES || (type === Backend.ReadyForQuery && bodyBytes !== READY_BODY_BYTES)) throw new ProtocolViolation(`server message of ${bodyBytes} bytes`);
    return AtHeader.Whole;
  }

  ahead(type: BackendType): Ahead | undefined {
    return type === Backend.DataRow || type === Backend.CopyData ? this.#rows.ahead() : undefined;
  }

  passWhole(type: BackendType, buffer: Buffer, start: number): number {
    return type === Backend.DataRow || type === Backend.CopyData ? this.#rows.passAhead(buffer, start) : start;
  }

  passed(rows: number, bytes: number): void {
    this.#rows.passed(rows, bytes);
  }

  onMessage(type: BackendType, buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#rows.mustLookAgain()) return this.#lookAgain(AtMessage.Pause, !ASIDE.has(type));
    switch (type) {
      case Backend.ParameterStatus:
        return this.#parameterStatus(buffer, start, end);
      case Backend.NoticeResponse:
        return this.#notice(buffer, start, end);
      case Backend.NotificationResponse:
        return this.#notification(buffer, start, end);
      case Backend.ErrorResponse:
        return this.#ends.error(buffer, start, end);
      default:
    }
    this.#expect(type);
    const entry = headOf(this.#session);
    if (entry.payload.kind === 'internal') return this.#internal(entry, type, buffer, start, end);
    switch (type) {
      case Backend.DataRow:
        return this.#rows.rowWhole(buffer, start, end);
      case Backend.CopyData:
        return this.#rows.copyDataWhole(buffer, start, end);
      case Backend.RowDescription:
        return this.#rows.rowDescription(entry, buffer, start, end);
      case Backend.EmptyQueryResponse:
        return this.#emptyQuery(entry);
      case Backend.CommandComplete:
      case Backend.PortalSuspended:
        return this.#ends.statementEnds(entry);
      case Backend.ReadyForQuery:
        return this.#ends.ready(messages.readTransactionStatus(buffer, start, end));
      case Backend.CopyInResponse:
        return this.#copyInBegins();
      case Backend.CopyOutResponse:
        this.#rows.copyOutBegins();
        return passOn(this.#session);
      case Backend.FunctionCallResponse:
      case Backend.CopyDone:
        return passOn(this.#session);
      case Backend.ParameterDescription:
        return this.#parameterDescription(entry);
      case Backend.ParseComplete:
      case Backend.BindComplete:
      case Backend.CloseComplete:
        return this.#ends.preparedEnds(entry);
      case Backend.NoData:
        return this.#noData(entry);
      default:
        // A channel that is not understood is closed (CopyBothResponse belongs to replication).
        throw new ProtocolViolation(`unexpected server message type ${type}`);
    }
  }

  #lookAgain<Answer>(pause: Answer, runs: boolean): Answer {
    this.later(() => this.#rows.lookAgain(runs));
    return pause;
  }

  #expect(type: BackendType): void {
    if (this.#session.ledger.match(type) === 'mismatch') throw new ProtocolViolation(`server message type ${type} answers no request`);
  }

  /** The empty query may stand in the place of a question to Rowgate. */
  #emptyQuery(entry: Entry<Request>): AtMessage {
    const answer = runOf(entry.payload)?.answer;
    const passed = this.#ends.statementEnds(entry);
    if (answer === undefined || passed !== AtMessage.Forward) return passed;
    this.inject(answer);
    return AtMessage.Drop;
  }

  #parameterDescription({ payload }: Entry<Request>): AtMessage {
    const passed = passOn(this.#session);
    const statement = payload.kind === 'describe' && passed === AtMessage.Forward ? this.#session.names.statement(payload.name) : undefined;
    if (statement?.kind !== 'empty' || statement.asks?.kind !== 'request' || statement.asks.reason !== undefined) return passed;
    this.inject(ONE_TEXT_PARAMETER);
    return AtMessage.Drop;
  }

  #noData({ payload }: Entry<Request>): AtMessage {
    const { ledger, names } = this.#session;
    ledger.shift();
    const passed = passOn(this.#session);
    if (payload.kind !== 'describe' || passed !== AtMessage.Forward) return passed;
    const statement = payload.target === 'statement' ? names.statement(payload.name) : names.portal(payload.name)?.statement;
    if (statement?.kind !== 'empty' || statement.asks === undefined) return passed;
    this.inject(writeRowDescription(OWN_COLUMNS[statement.asks.kind]));
    return AtMessage.Drop;
  }

  #copyInBegins(): AtMessage {
    const session = this.#session;
    if (session.copyInRun === undefined && session.ledger.length > 1) throw new ProtocolViolation('COPY FROM STDIN that was not foreseen');
    session.copyIn = true;
    session.copyInRun = undefined;
    session.ports.wakeClient();
    return passOn(this.#session);
  }

  // --- other channels -------------------------------------------------------------------------------------------------

  #parameterStatus(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const { name, value } = messages.readParameterStatus(buffer, start, end);
    session.noteParameter(name, value);
    const fault = lexerFault(session.standardConformingStrings, session.decode !== undefined);
    if (fault !== undefined && session.principal.metered) {
      session.ports.end(errorFields(lexerRefusal(fault, session.principal)), 'lexer setting');
      return AtMessage.Drop;
    }
    const told = this.#settings.judge(name, value, this.nowMs);
    if (told.kind !== 'wait') return told.kind === 'paid' ? AtMessage.Forward : AtMessage.Drop;
    this.later(() => told.until);
    return AtMessage.Pause;
  }

  #notice(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const { head } = session.ledger;
    if (head === undefined || head.payload.kind === 'internal') return AtMessage.Forward;
    if (session.muted) return AtMessage.Drop;
    const reach = this.#ends.reachOf(head.payload, messages.readErrorFields(buffer, start, end));
    const charged = mustChargeText(session.principal, reach);
    if (!charged && !mustRedact(session.principal, reach)) return AtMessage.Forward;
    const run = this.#rows.arrivedRun();
    // At COMMIT or Sync, of what the transaction had put off: there is no taking that back.
    if (run?.metered !== true) {
      const paid = this.#lateNotices.judge(end - start - HEADER_BYTES, this.nowMs);
      if (paid.kind === 'refused') return AtMessage.Drop;
      if (paid.kind === 'wait') {
        this.later(() => paid.until);
        return AtMessage.Pause;
      }
    } else {
      if (run.cut) return AtMessage.Drop;
      // A notice is a channel like a row: it costs units. Where it goes out as it is, its text costs its bytes.
      const paid = charged ? run.spendText(end - start, this.nowMs) : run.spendNotice(end - start - HEADER_BYTES, this.nowMs);
      if (!paid) {
        this.#rows.moreUnits(run);
        return AtMessage.Pause;
      }
      if (charged) return AtMessage.Forward;
    }
    this.inject(redactedNotice(buffer, start, end));
    return AtMessage.Drop;
  }

  #notification(buffer: Buffer, start: number, end: number): AtMessage {
    const answer = this.#notifications.judge(messages.readNotification(buffer, start, end), this.nowMs);
    switch (answer.kind) {
      case 'forward':
        return AtMessage.Forward;
      case 'replace':
        this.inject(answer.bytes);
        return AtMessage.Drop;
      case 'wait':
        this.later(() => answer.until);
        return AtMessage.Pause;
    }
  }

  #internal(entry: Entry<Request>, type: BackendType, buffer: Buffer, start: number, end: number): AtMessage {
    const { payload } = entry;
    if (payload.kind !== 'internal') return AtMessage.Drop;
    const { reply } = payload;
    if (type === Backend.DataRow) {
      reply.onRow?.(messages.readTextRow(buffer, start, end));
      return AtMessage.Drop;
    }
    if (this.#session.ledger.match(type) !== 'last') return AtMessage.Drop;
    if (type !== Backend.ReadyForQuery) {
      this.#session.ledger.shift();
      reply.onComplete?.();
      return AtMessage.Drop;
    }
    this.#session.ledger.shift();
    this.#ends.settled(messages.readTransactionStatus(buffer, start, end));
    return reply.onReady?.() === true ? AtMessage.Forward : AtMessage.Drop;
  }

  inject(bytes: Buffer): void {
    (this.#stream as MessageStream<BackendType>).inject(bytes);
  }

  later(work: () => Promise<void>): void {
    work().then(
      () => this.#session.ports.wakeServer(),
      (error: unknown) => this.#session.ports.fault(error),
    );
  }
}
