/**
 * Server messages: matched to requests by the ledger, rows spent against their run's lease, everything else forwarded,
 * rewritten or swallowed. Pure of sockets: all it does to the outside goes through `SessionPorts`.
 */

import * as messages from '../protocol/backend-messages.ts';
import * as requests from '../protocol/frontend-messages.ts';
import type { Entry } from '../protocol/ledger.ts';
import { COLLECTED_MESSAGE_BYTES } from '../protocol/limits.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type MessageHandler, type MessageStream } from '../protocol/message-stream.ts';
import { Backend, type BackendType } from '../protocol/message-types.ts';
import type { Reach } from '../catalog/reach-types.ts';
import type { Refusal } from '../policy/types.ts';
import { confirmed } from './effects.ts';
import { REFUSED_TEXT } from './frontend.ts';
import { costsUnits, judgeNow } from './judge.ts';
import { lexerFault, lexerRefusal } from './lexer-settings.ts';
import { NotificationMeter } from './notifications.ts';
import { covers, NO_REACH, opaqueReach, unionReach } from './reach-union.ts';
import { mustRedact, redactedError, redactedNotice, showsNoValues } from './redaction.ts';
import { namesConfirmed, namesSkipped } from './request-names.ts';
import { errorFields, errorOf } from './refusal-message.ts';
import { runOf, runsOf, type Request } from './request.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';

/** CopyData that ends COPY in binary format: a field count of -1 ("COPY", File Trailer). */
const BINARY_TRAILER_BYTES = 2;
/** Larger rows of an aggregating statement count as expressions in full. */
const LARGEST_ROW_LOOKED_INTO = 64 * 1024;

export class BackendReducer implements MessageHandler<BackendType> {
  readonly #session: SessionState;
  #stream: MessageStream<BackendType> | undefined;
  /** Milliseconds of the monotonic clock at the chunk's arrival: leases are held against it. */
  nowMs = 0;
  /** The run that was checked against what the server confirmed since it was judged. */
  #arrived: Run | undefined;
  /** The next CopyData is a line of column names. */
  #copyHeader = false;
  readonly #notifications: NotificationMeter;
  /** A CancelRequest is under way; nothing that it could hit may be sent before it has taken effect. */
  #cancelling: Promise<void> | undefined;

  constructor(session: SessionState) {
    this.#session = session;
    this.#notifications = new NotificationMeter(session);
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
      return this.#row(bodyBytes);
    }
    if (type === Backend.CopyData) {
      this.#expect(type);
      if (this.#copyHeader || bodyBytes === BINARY_TRAILER_BYTES) return AtHeader.Whole;
      return this.#row(bodyBytes, true);
    }
    if (bodyBytes > COLLECTED_MESSAGE_BYTES) throw new ProtocolViolation(`server message of ${bodyBytes} bytes`);
    return AtHeader.Whole;
  }

  onMessage(type: BackendType, buffer: Buffer, start: number, end: number): AtMessage {
    switch (type) {
      case Backend.ParameterStatus:
        return this.#parameterStatus(buffer, start, end);
      case Backend.NoticeResponse:
        return this.#notice(buffer, start, end);
      case Backend.NotificationResponse:
        return this.#notification(buffer, start, end);
      case Backend.ErrorResponse:
        return this.#error(buffer, start, end);
      default:
    }
    this.#expect(type);
    const entry = this.#head();
    if (entry.payload.kind === 'internal') return this.#internal(entry, type, buffer, start, end);
    switch (type) {
      case Backend.DataRow:
        return this.#rowWhole(buffer, start, end);
      case Backend.CopyData:
        return this.#copyDataWhole(buffer, start, end);
      case Backend.RowDescription:
        return this.#rowDescription(entry, buffer, start, end);
      case Backend.CommandComplete:
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        return this.#statementEnds(entry);
      case Backend.ReadyForQuery:
        return this.#ready(messages.readTransactionStatus(buffer, start));
      case Backend.CopyInResponse:
        return this.#copyInBegins();
      case Backend.CopyOutResponse: {
        const { statement } = this.#arrivedRun() ?? {};
        this.#copyHeader = statement?.kind === 'known' && statement.facts.copy?.header === true;
        return this.#passOn();
      }
      case Backend.FunctionCallResponse:
      case Backend.CopyDone:
      case Backend.ParameterDescription:
        return this.#passOn();
      case Backend.ParseComplete:
      case Backend.BindComplete:
      case Backend.CloseComplete:
      case Backend.NoData:
        namesConfirmed(this.#session.names, entry.payload);
        this.#session.ledger.shift();
        return this.#passOn();
      default:
        // A channel that is not understood is closed (CopyBothResponse belongs to replication).
        throw new ProtocolViolation(`unexpected server message type ${type}`);
    }
  }

  #expect(type: BackendType): void {
    if (this.#session.ledger.match(type) === 'mismatch') throw new ProtocolViolation(`server message type ${type} answers no request`);
  }

  #head(): Entry<Request> {
    const { head } = this.#session.ledger;
    if (head === undefined) throw new ProtocolViolation('server message answers no request');
    return head;
  }

  #passOn(): AtMessage {
    return this.#session.muted ? AtMessage.Drop : AtMessage.Forward;
  }

  // --- rows -----------------------------------------------------------------------------------------------------------

  #row(rowBytes: number, copy = false): AtHeader {
    const session = this.#session;
    if (this.#head().payload.kind === 'internal') return AtHeader.Whole;
    const run = this.#arrivedRun();
    if (session.muted || run === undefined || run.cut) return AtHeader.Drop;
    if (run.looksIntoRows && rowBytes <= LARGEST_ROW_LOOKED_INTO && !copy) return AtHeader.Whole;
    if (run.spend(rowBytes, this.nowMs)) return AtHeader.Forward;
    this.#moreUnits(run);
    return AtHeader.Pause;
  }

  /** A row of a statement that aggregates: what its expressions hold is measured apart from plain columns. */
  #rowWhole(buffer: Buffer, start: number, end: number): AtMessage {
    const run = this.#arrivedRun();
    if (this.#session.muted || run === undefined || run.cut) return AtMessage.Drop;
    const expressionBytes = messages.rowBytesWhere(buffer, start, end, (column) => run.plainColumns?.[column] !== true);
    if (run.spend(end - start - HEADER_BYTES, this.nowMs, expressionBytes)) return AtMessage.Forward;
    this.#moreUnits(run);
    return AtMessage.Pause;
  }

  #copyDataWhole(buffer: Buffer, start: number, end: number): AtMessage {
    const run = this.#arrivedRun();
    if (this.#session.muted || run === undefined || run.cut) return AtMessage.Drop;
    const body = start + HEADER_BYTES;
    const free = this.#copyHeader || (end - body === BINARY_TRAILER_BYTES && buffer.readInt16BE(body) === -1);
    this.#copyHeader = false;
    if (free || run.spend(end - body, this.nowMs)) return AtMessage.Forward;
    this.#moreUnits(run);
    return AtMessage.Pause;
  }

  #moreUnits(run: Run): void {
    this.#later(async () => {
      const refusal = await run.renew();
      if (refusal !== undefined) this.#cut(run, refusal);
    });
  }

  /** No more of this statement's rows go out. Its end is then answered with the refusal. */
  #cut(run: Run, refusal: Refusal): void {
    const session = this.#session;
    run.refusal = refusal;
    // A cancel could hit a request of another transaction behind this one; then the rest is read and dropped instead.
    if (!this.#othersBehind()) {
      this.#cancelling = session.ports.cancelUpstream().finally(() => {
        this.#cancelling = undefined;
      });
    }
  }

  /** Requests under way that are not of the head's own group. */
  #othersBehind(): boolean {
    let groupOver = this.#head().kind === 'query';
    let first = true;
    for (const entry of this.#session.ledger) {
      if (first) first = false;
      else if (groupOver) return true;
      if (entry.kind === 'sync') groupOver = true;
    }
    return false;
  }

  /** The run that the head's replies belong to, brought up to date with what the server confirmed since it was judged. */
  #arrivedRun(): Run | undefined {
    const { payload } = this.#head();
    const run = runOf(payload);
    if (run === undefined || this.#arrived === run) return run;
    this.#arrived = run;
    const statement = payload.kind === 'execute' ? (this.#session.names.portal(payload.portalName)?.statement ?? UNKNOWN_PORTAL) : run.statement;
    if (payload.kind === 'execute' ? statement !== run.statement || isNamed(statement) : isNamed(statement)) {
      const { reach } = judgeNow(this.#session, statement, 'confirmed');
      if (costsUnits(statement, reach) && !covers(run.reach, reach)) this.#widen(run, unionReach(run.reach, reach));
    }
    return run;
  }

  #widen(run: Run, reach: Reach): void {
    if (!run.metered) this.#session.meteredInFlight++;
    run.widen(reach);
  }

  // --- descriptions ---------------------------------------------------------------------------------------------------

  #rowDescription(entry: Entry<Request>, buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const origins = messages.readColumnOrigins(buffer, start, end);
    const classes = new Set<string>();
    const unknown = new Set<number>();
    for (const { tableOid } of origins) {
      if (tableOid === 0) continue;
      const names = session.gate.classesOfOid(session.identity.database, tableOid);
      if (names === undefined) unknown.add(tableOid);
      for (const name of names ?? []) classes.add(name);
    }
    const { payload } = entry;
    if (payload.kind === 'describe') {
      const statement = payload.target === 'statement' ? session.names.statement(payload.name) : session.names.portal(payload.name)?.statement;
      if (statement !== undefined && classes.size > 0) this.#heed(statement, NO_REACH, classes);
      session.ledger.shift();
      return this.#passOn();
    }
    const run = this.#arrivedRun();
    if (run !== undefined && unknown.size > ownTables(session, run.statement)) {
      // A table that was made a moment ago may be anything: the snapshot is too old to tell.
      session.gate.markCatalogStale(session.identity.database);
      this.#widen(run, unionReach(run.reach, opaqueReach(session.gate.classNames, 'the server named a table that the catalog did not have a moment ago', false)));
    }
    if (run !== undefined) {
      run.plainColumns = origins.map(({ tableOid }) => tableOid !== 0);
      if (classes.size > 0) {
        const missing = this.#heed(run.statement, run.reach, classes);
        if (missing.length > 0) this.#widen(run, unionReach(run.reach, opaqueReach(missing, 'the server named a protected table in the result', false)));
      }
    }
    return this.#passOn();
  }

  /** The server's word beats ours: classes that its description shows and our verdict lacks are remembered with the statement. */
  #heed(statement: Statement, known: Reach, classes: ReadonlySet<string>): readonly string[] {
    const reach = known === NO_REACH ? judgeNow(this.#session, statement, 'confirmed').reach : known;
    const missing = [...classes].filter((name) => !reach.classes.some((cls) => cls.className === name));
    if (missing.length > 0) this.#session.gate.widen(statement, missing);
    return missing;
  }

  // --- ends -----------------------------------------------------------------------------------------------------------

  #statementEnds(entry: Entry<Request>): AtMessage {
    const session = this.#session;
    const { payload } = entry;
    const run = this.#arrivedRun();
    if (run !== undefined && run.metered && !run.isOpen && !run.cut) {
      // No answer about protected data leaves before its unit is reserved and its start on record, an empty one neither.
      this.#moreUnits(run);
      return AtMessage.Pause;
    }
    session.copyIn = false;
    let answer = this.#passOn();
    if (run !== undefined) {
      const credits = this.#finish(run, undefined);
      confirmed(session, run.statement, credits);
      if (run.cut && !session.muted) {
        this.#inject(errorOf(run.refusal as Refusal, !run.reach.readOnly && session.transaction === 'I'));
        session.muted = true;
        answer = AtMessage.Drop;
        if (payload.kind === 'execute' && !this.#syncUnderWay()) this.#abortGroup();
        else session.settlingCut = true;
      }
    }
    if (payload.kind === 'query') {
      payload.next++;
    } else session.ledger.shift();
    if (session.copyInRun === run) session.copyInRun = undefined;
    // Last, since client messages go on at once: those that undo a cut transaction must be on their way by now.
    session.ports.wakeClient();
    return answer;
  }

  #syncUnderWay(): boolean {
    for (const entry of this.#session.ledger) if (entry.kind === 'sync') return true;
    return false;
  }

  /** The client believes its group failed, and Sync has not come: the server is made to fail it. */
  #abortGroup(): void {
    this.#session.ledger.push('parse', { kind: 'internal', reply: {} });
    this.#session.ports.toServer(requests.writeParse('rowgate_refused', REFUSED_TEXT));
  }

  #ready(status: 'I' | 'T' | 'E'): AtMessage {
    const session = this.#session;
    if (this.#cancelling !== undefined) {
      const cancelling = this.#cancelling;
      this.#later(() => cancelling);
      return AtMessage.Pause;
    }
    const entry = session.ledger.shift() as Entry<Request>;
    for (const run of runsOf(entry.payload)) this.#finish(run, undefined);
    session.transaction = status;
    if (session.settlingCut && status === 'T') {
      // The statement was through before the cut took effect: the client was told of an error, so the transaction must have failed.
      session.ledger.push('query', {
        kind: 'internal',
        reply: { onReady: () => true },
      });
      session.ports.toServer(requests.writeQuery(REFUSED_TEXT));
      return AtMessage.Drop;
    }
    this.#settled(status);
    return AtMessage.Forward;
  }

  /** ReadyForQuery goes to the client: what depended on the transaction's end is done. */
  #settled(status: 'I' | 'T' | 'E'): void {
    const session = this.#session;
    session.transaction = status;
    session.muted = false;
    session.settlingCut = false;
    session.copyIn = false;
    if (session.ledger.length === 0) {
      session.copyInRun = undefined;
      session.beginInFlight = false;
      session.encodingUnsettled = false;
      if (status === 'I') session.encodingTouched = false;
    }
    if (status === 'I') {
      session.names.transactionEnded();
      if (session.ledger.length === 0) {
        session.definitionsChanged = false;
        session.localRelations = [];
        session.groupReach = undefined;
        if (session.catalogTouched) {
          session.catalogTouched = false;
          session.gate.markCatalogStale(session.identity.database);
        }
      }
    }
    session.ports.wakeClient();
  }

  #error(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const fields = messages.readErrorFields(buffer, start, end);
    const sqlstate = fields.get('C') ?? 'XX000';
    const entry = session.ledger.head;
    if (entry === undefined) return AtMessage.Forward; // The server ends the session: idle time-outs, shutdown.
    const match = session.ledger.match(Backend.ErrorResponse);
    const skipped = match === 'error_skips_to_sync' ? session.ledger.skipToSync() : [entry];
    session.copyIn = false;
    const answer = this.#answerError(entry, fields, buffer, start, end);
    for (const each of skipped) {
      namesSkipped(session.names, each.payload);
      if (each !== entry && each.payload.kind === 'internal') each.payload.reply.onSkipped?.();
      for (const run of runsOf(each.payload)) {
        this.#finish(run, sqlstate);
        if (session.copyInRun === run) session.copyInRun = undefined;
      }
    }
    session.ports.wakeClient();
    return answer;
  }

  #answerError({ payload }: Entry<Request>, fields: ReadonlyMap<string, string>, buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    if (payload.kind === 'internal') return payload.reply.onError?.() === true ? AtMessage.Forward : AtMessage.Drop;
    if (session.muted) return AtMessage.Drop;
    if (payload.kind === 'refused') {
      this.#finishRefused(payload.run, payload.refusal);
      this.#inject(errorOf(payload.refusal, false));
      return AtMessage.Drop;
    }
    const run = runOf(payload);
    if (run?.refusal !== undefined) {
      this.#finish(run, fields.get('C'));
      this.#inject(errorOf(run.refusal, false));
      return AtMessage.Drop;
    }
    const reach = this.#reachOf(payload);
    if (!mustRedact(session.principal, reach) || showsNoValues(fields, reach)) return AtMessage.Forward;
    this.#inject(redactedError(buffer, start, end));
    return AtMessage.Drop;
  }

  #finishRefused(run: Run | undefined, refusal: Refusal): void {
    run?.finish(refusal.sqlstate);
    this.#session.gate.countRefusal(refusal, this.#session.principal);
    if (refusal.severity === 'FATAL') this.#endAfter(refusal);
  }

  /** The error stands in the stream already; the session ends behind it. */
  #endAfter(refusal: Refusal): void {
    queueMicrotask(() => this.#session.ports.end(undefined, `refused: ${refusal.ruleId}`));
  }

  #finish(run: Run, sqlstate: string | undefined): ReturnType<Run['finish']> {
    const session = this.#session;
    if (run.finished) return [];
    if (run.metered && run.forwarded) session.meteredInFlight--;
    const credits = run.finish(sqlstate);
    if (run.refusal !== undefined) {
      session.gate.countRefusal(run.refusal, run.principal);
      if (run.refusal.severity === 'FATAL') this.#endAfter(run.refusal);
    }
    return credits;
  }

  /** Reach of the request that an error or notice belongs to. */
  #reachOf(payload: Request): Reach {
    const { names } = this.#session;
    switch (payload.kind) {
      case 'parse':
        // Parsing and name resolution read nothing that is stored: what they complain of stands in the text.
        return NO_REACH;
      case 'bind':
      case 'describe': {
        const statement = payload.kind === 'bind' ? names.statement(payload.statementName) : payload.target === 'statement' ? names.statement(payload.name) : names.portal(payload.name)?.statement;
        return statement === undefined ? NO_REACH : judgeNow(this.#session, statement, 'confirmed').reach;
      }
      case 'query':
      case 'execute':
      case 'function_call':
        return runOf(payload)?.reach ?? NO_REACH;
      default:
        // Errors at Sync come from deferred constraints and triggers of what ran before.
        return payload.kind === 'sync' && this.#session.groupReach !== undefined ? this.#session.groupReach : NO_REACH;
    }
  }

  #copyInBegins(): AtMessage {
    const session = this.#session;
    if (session.copyInRun === undefined && session.ledger.length > 1) throw new ProtocolViolation('COPY FROM STDIN that was not foreseen');
    session.copyIn = true;
    session.copyInRun = undefined;
    session.ports.wakeClient();
    return this.#passOn();
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
    return AtMessage.Forward;
  }

  #notice(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const { head } = session.ledger;
    if (head === undefined || head.payload.kind === 'internal') return AtMessage.Forward;
    if (session.muted) return AtMessage.Drop;
    if (!mustRedact(session.principal, this.#reachOf(head.payload))) return AtMessage.Forward;
    const run = this.#arrivedRun();
    if (run !== undefined) {
      if (run.cut) return AtMessage.Drop;
      // A notice is a channel like a row: it costs units, and it carries no values.
      if (run.metered && !run.spendNotice(end - start - HEADER_BYTES, this.nowMs)) {
        this.#moreUnits(run);
        return AtMessage.Pause;
      }
    }
    this.#inject(redactedNotice(buffer, start, end));
    return AtMessage.Drop;
  }

  #notification(buffer: Buffer, start: number, end: number): AtMessage {
    const answer = this.#notifications.judge(messages.readNotification(buffer, start, end), this.nowMs);
    switch (answer.kind) {
      case 'forward':
        return AtMessage.Forward;
      case 'replace':
        this.#inject(answer.bytes);
        return AtMessage.Drop;
      case 'wait':
        this.#later(() => answer.until);
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
    this.#settled(messages.readTransactionStatus(buffer, start));
    return reply.onReady?.() === true ? AtMessage.Forward : AtMessage.Drop;
  }

  #inject(bytes: Buffer): void {
    (this.#stream as MessageStream<BackendType>).inject(bytes);
  }

  #later(work: () => Promise<void>): void {
    work().then(
      () => this.#session.ports.wakeServer(),
      (error: unknown) => this.#session.ports.fault(error),
    );
  }
}

/** How many tables of the statement this session made in its open transaction: nobody else's catalog has them yet. */
function ownTables(session: SessionState, statement: Statement): number {
  if (session.localRelations.length === 0 || statement.kind !== 'known') return 0;
  const named = new Set(statement.facts.relations.map(({ name }) => name));
  return session.localRelations.filter(({ name, classes }) => named.has(name) && classes.length === 0).length;
}

const UNKNOWN_PORTAL: Statement = { kind: 'opaque', reason: 'the portal is not known to Rowgate', text: '' };

function isNamed(statement: Statement): boolean {
  return statement.kind === 'known' && (statement.facts.named?.kind === 'execute' || statement.facts.named?.kind === 'fetch');
}
