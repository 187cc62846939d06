/**
 * Client messages: understood, judged, and forwarded, held back or refused. Pure of sockets: all it does to the outside goes
 * through `SessionPorts`.
 *
 * A refused request is not answered here. A request that the server must answer with an error takes its place, so that
 * the server's transaction is in the very state that the client will believe in (docs/adr/0003).
 */

import { maxFrontendBodyBytes } from '../protocol/limits.ts';
import * as messages from '../protocol/frontend-messages.ts';
import { AtHeader, AtMessage, ProtocolViolation, type MessageHandler } from '../protocol/message-stream.ts';
import { Frontend, type FrontendType } from '../protocol/message-types.ts';
import type { Refusal } from '../policy/types.ts';
import type { Analysis } from '../sql/facts.ts';
import { judgeBatch, mixedBatch, opaqueReason, parsedStatement, statementsOf, type Judged } from './batch.ts';
import { sent } from './effects.ts';
import { askSearchPath, probeText } from './internal-requests.ts';
import { costsUnits, judge, judgeNow, lookUpPortal, lookUpStatement, type Judgement } from './judge.ts';
import { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import { copiesIn, type Statement } from './statement.ts';

/** What the server is sent in the place of a refused statement: a syntax error, whatever the settings. */
export const REFUSED_TEXT = 'ROWGATE REFUSED THIS STATEMENT';
const REFUSED_QUERY = messages.writeQuery(REFUSED_TEXT);
/** A named statement, so that the client's unnamed one stays. */
const REFUSED_PARSE = messages.writeParse('rowgate_refused', REFUSED_TEXT);
/** Requests that may be under way in one session. */
const MAX_PIPELINED = 10_000;

export class FrontendReducer implements MessageHandler<FrontendType> {
  readonly #session: SessionState;
  /** An answer is waited for; client messages wait too. */
  #busy = false;
  readonly #nameOf: messages.NameOf = (bytes) => this.#session.nameOf(bytes);
  /** Flush was sent for what is being waited for. */
  #flushed = false;

  constructor(session: SessionState) {
    this.#session = session;
  }

  forward(bytes: Buffer): void {
    this.#session.ports.toServer(bytes);
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
        return this.#query(buffer, start, end);
      case Frontend.Parse:
        return this.#parse(buffer, start, end);
      case Frontend.Bind:
        return this.#bind(buffer, start, end);
      case Frontend.Execute:
        return this.#execute(buffer, start, end);
      case Frontend.Describe: {
        const { kind, name } = messages.readTarget(buffer, start, end, this.#nameOf);
        this.#session.groupOpen = true;
        ledger.push(kind === 'statement' ? 'describe_statement' : 'describe_portal', { kind: 'describe', target: kind, name });
        return AtMessage.Forward;
      }
      case Frontend.Close: {
        const { kind, name } = messages.readTarget(buffer, start, end, this.#nameOf);
        this.#session.groupOpen = true;
        ledger.push('close', { kind: 'close', target: kind, name });
        return AtMessage.Forward;
      }
      case Frontend.FunctionCall:
        return this.#functionCall();
      case Frontend.Sync:
        this.#groupEnds();
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
      this.#session.ports.toServer(messages.FLUSH);
    }
    return AtHeader.Pause;
  }

  #groupEnds(): void {
    this.#session.groupOpen = false;
    this.#session.groupModifies = false;
  }

  // --- simple query -------------------------------------------------------------------------------------------------

  #query(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const message = buffer.subarray(start, end);
    const tooLarge = this.#tooLarge(buffer, start, end);
    const text = tooLarge ? undefined : session.decodeText(messages.readQuery(buffer, start, end));
    this.#groupEnds();
    if (text === undefined) {
      if (tooLarge || session.principal.metered) return this.#refuseQuery(this.#unreadable(tooLarge));
      return this.#forwardQuery([{ statement: { kind: 'opaque', reason: 'the text is not valid in client_encoding', text: '' } }]);
    }
    if (session.searchPath === undefined || session.currentSearchPath === undefined) {
      if (session.quiet && session.transaction === 'I') {
        return this.#later(async () => {
          await askSearchPath(session);
          await this.#queryLater(message, text, await session.gate.analyse(text));
        });
      }
    }
    const analysis = session.gate.analyse(text);
    if (analysis instanceof Promise) return this.#later(async () => this.#queryLater(message, text, await analysis));
    const statements = statementsOf(analysis, text);
    if (statements !== undefined) {
      const judged = judgeBatch(session, statements);
      // The common case: nothing to wait for, and nothing protected.
      if (!(judged instanceof Promise) && judged.every(({ judgement }) => judgement.verdict.kind === 'allow' && judgement.reach.classes.length === 0)) {
        this.#pushQuery(judged);
        return AtMessage.Forward;
      }
    }
    return this.#later(() => this.#queryLater(message, text, analysis));
  }

  async #queryLater(message: Buffer, text: string, analysis: Analysis): Promise<void> {
    const session = this.#session;
    let statements = statementsOf(analysis, text);
    if (statements === undefined) {
      // The grammar at hand rejects the text. The server's Parse tells whether its own does too, and runs nothing.
      if (session.principal.metered && (await probeText(session, messages.readQuery(message, 0, message.length)))) return;
      statements = [{ kind: 'opaque', reason: opaqueReason(analysis), text }];
    }
    const judged = await judgeBatch(session, statements);
    if (judged.length === 1 && session.principal.metered && this.#looksMistyped(judged[0] as Judged)) {
      // The server parses it and says what is not there, or shows that it is.
      if (await probeText(session, messages.readQuery(message, 0, message.length))) return;
    }
    const mixed = mixedBatch(session, judged);
    if (mixed !== undefined) {
      this.#sendRefusedQuery(mixed, this.#refusedRun(judged[0] as Judged, mixed));
      return;
    }
    const refused = judged.find(({ judgement }) => judgement.verdict.kind === 'block');
    if (refused !== undefined && refused.judgement.verdict.kind === 'block') {
      this.#sendRefusedQuery(refused.judgement.verdict.refusal, this.#refusedRun(refused, refused.judgement.verdict.refusal));
      return;
    }
    const runs: Run[] = [];
    for (const each of judged) {
      const run = this.#run(each);
      runs.push(run);
      const refusal = await this.#begin(run);
      if (refusal !== undefined) {
        for (const earlier of runs) if (earlier !== run) earlier.finish(undefined);
        this.#sendRefusedQuery(refusal, run);
        return;
      }
    }
    if (session.ended) {
      for (const run of runs) run.finish(undefined);
      return;
    }
    this.#pushQuery(judged, runs);
    session.ports.toServer(message);
  }

  #pushQuery(judged: readonly Judged[], runs: readonly Run[] = judged.map((each) => this.#run(each))): void {
    const session = this.#session;
    for (const { statement, judgement } of judged) sent(session, statement, judgement.reach);
    for (const run of runs) this.#markForwarded(run);
    session.copyInRun = runs.find((run) => copiesIn(run.statement));
    session.ledger.push('query', { kind: 'query', runs, next: 0 });
  }

  #forwardQuery(statements: readonly { readonly statement: Statement }[]): AtMessage {
    const judged = statements.map(({ statement }) => ({ statement, judgement: judgeNow(this.#session, statement, 'likely') }));
    this.#pushQuery(judged);
    return AtMessage.Forward;
  }

  #refuseQuery(refusal: Refusal): AtMessage {
    this.#sendRefusedQuery(refusal, undefined);
    return AtMessage.Drop;
  }

  #sendRefusedQuery(refusal: Refusal, run: Run | undefined): void {
    if (this.#session.ended) {
      run?.finish(refusal.sqlstate);
      return;
    }
    this.#session.ledger.push('query', { kind: 'refused', refusal, run });
    this.#session.ports.toServer(REFUSED_QUERY);
  }

  // --- extended query -----------------------------------------------------------------------------------------------

  #parse(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const tooLarge = this.#tooLarge(buffer, start, end);
    if (tooLarge) return this.#refuseExtended(this.#unreadable(true), undefined);
    const { name, text: bytes } = messages.readParse(buffer, start, end, this.#nameOf);
    const text = session.decodeText(bytes);
    if (text === undefined && session.principal.metered) return this.#refuseExtended(this.#unreadable(false), undefined);
    const message = buffer.subarray(start, end);
    if (session.currentSearchPath === undefined && session.quiet && session.transaction === 'I') {
      return this.#later(async () => {
        await askSearchPath(session);
        await this.#parseLater(message, name, text);
      });
    }
    const analysis = text === undefined ? undefined : session.gate.analyse(text);
    if (analysis instanceof Promise) return this.#later(() => this.#parseLater(message, name, text));
    const statement = parsedStatement(analysis, text);
    const judgement = judge(session, statement);
    if (judgement instanceof Promise) return this.#later(() => this.#parseLater(message, name, text));
    if (this.#deniedAtParse(statement, judgement)) return this.#refuseExtended(blockOf(judgement), this.#refusedRun({ statement, judgement }, blockOf(judgement)));
    this.#pushParse(name, statement);
    return AtMessage.Forward;
  }

  async #parseLater(message: Buffer, name: string, text: string | undefined): Promise<void> {
    const session = this.#session;
    const statement = parsedStatement(text === undefined ? undefined : await session.gate.analyse(text), text);
    const judgement = await judge(session, statement);
    if (session.ended) return;
    if (this.#deniedAtParse(statement, judgement)) {
      this.#refuseExtended(blockOf(judgement), this.#refusedRun({ statement, judgement }, blockOf(judgement)));
      return;
    }
    this.#pushParse(name, statement);
    session.ports.toServer(message);
  }

  /** Planning can run functions (Bind folds constants), so what is denied stops at Parse. A text that the grammar rejects goes on: the server most likely rejects it too, and Parse runs nothing. */
  #deniedAtParse(statement: Statement, judgement: Judgement): boolean {
    return judgement.verdict.kind === 'block' && statement.kind === 'known' && !this.#looksMistyped({ statement, judgement });
  }

  /** Parse finds out about names in these kinds of statement, and runs nothing. */
  #looksMistyped({ statement, judgement }: Judged): boolean {
    return judgement.onlyMisses && statement.kind === 'known' && NAMES_FOUND_AT_PARSE.has(statement.facts.kind);
  }

  #pushParse(name: string, statement: Statement): void {
    const session = this.#session;
    session.groupOpen = true;
    session.names.statementAsked(name, statement);
    session.ledger.push('parse', { kind: 'parse', name, statement });
  }

  #bind(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const { portal: name, statement: statementName } = messages.readBind(buffer, start, end, this.#nameOf);
    const statement = lookUpStatement(session, statementName, 'likely');
    session.groupOpen = true;
    const portal = { statement, prepaid: [], holdable: false };
    session.names.portalAsked(name, portal);
    session.ledger.push('bind', { kind: 'bind', name, statementName, portal });
    return AtMessage.Forward;
  }

  #execute(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const { portal: portalName, maxRows } = messages.readExecute(buffer, start, end, this.#nameOf);
    const portal = lookUpPortal(session, portalName, 'likely');
    // An unknown portal is the server's error to tell; the reply is metered as unknown all the same.
    const statement: Statement = portal?.statement ?? { kind: 'opaque', reason: `portal "${portalName}" is not known to Rowgate`, text: '' };
    const message = buffer.subarray(start, end);
    if (statement.kind !== 'empty' && session.meteredInFlight > 0 && !session.inTransaction && changesSomething(session, statement)) {
      this.#wait();
      return AtMessage.Pause;
    }
    session.groupOpen = true;
    const judgement = judge(session, statement);
    if (!(judgement instanceof Promise) && judgement.verdict.kind === 'allow' && !costsUnits(statement, judgement.reach)) {
      this.#pushExecute(portalName, { statement, judgement }, this.#run({ statement, judgement }));
      return AtMessage.Forward;
    }
    return this.#later(async () => {
      const judged = { statement, judgement: await judgement };
      if (judged.judgement.verdict.kind === 'block') {
        const { refusal } = judged.judgement.verdict;
        this.#refuseExtended(refusal, this.#refusedRun(judged, refusal));
        return;
      }
      const run = this.#run(judged);
      const refusal = await this.#begin(run, portal?.prepaid, maxRows);
      if (session.ended) {
        run.finish(undefined);
      } else if (refusal !== undefined) {
        this.#refuseExtended(refusal, run);
      } else {
        if (portal !== undefined) portal.prepaid = [];
        this.#pushExecute(portalName, judged, run);
        session.ports.toServer(message);
      }
    });
  }

  #pushExecute(portalName: string, { statement, judgement }: Judged, run: Run): void {
    const session = this.#session;
    sent(session, statement, judgement.reach);
    if (!judgement.reach.readOnly) session.groupModifies = true;
    this.#markForwarded(run);
    session.ledger.push('execute', { kind: 'execute', portalName, run });
    if (copiesIn(statement)) session.copyInRun = run;
  }

  #refuseExtended(refusal: Refusal, run: Run | undefined): AtMessage {
    const session = this.#session;
    if (!session.ended) {
      session.groupOpen = true;
      session.ledger.push('parse', { kind: 'refused', refusal, run });
      session.ports.toServer(REFUSED_PARSE);
    } else run?.finish(refusal.sqlstate);
    return AtMessage.Drop;
  }

  // --- fastpath -----------------------------------------------------------------------------------------------------

  #functionCall(): AtMessage {
    const session = this.#session;
    const statement: Statement = { kind: 'opaque', reason: 'a FunctionCall message names its function by OID only', text: '' };
    const role = session.principal.deny.get('fastpath');
    const judgement = judgeNow(session, statement, 'likely');
    // Its result is one value of any size and no statement's; roles with quotas have no use for it that SELECT does not serve.
    if (role !== undefined || judgement.verdict.kind === 'block' || session.principal.metered) {
      this.#groupEnds();
      return this.#refuseQuery(session.gate.fastpathRefusal(session.principal));
    }
    const run = this.#run({ statement, judgement });
    sent(session, statement, judgement.reach);
    session.ledger.push('function_call', { kind: 'function_call', run });
    return AtMessage.Forward;
  }

  // --- shared -------------------------------------------------------------------------------------------------------

  #run({ statement, judgement }: Judged): Run {
    const reach = costsUnits(statement, judgement.reach) ? judgement.reach : { ...judgement.reach, classes: [] };
    return new Run(this.#session, statement, reach, judgement.verdict);
  }

  #markForwarded(run: Run): void {
    run.forwarded = true;
    if (run.metered) this.#session.meteredInFlight++;
    if (run.metered || this.#session.groupReach === undefined) this.#session.groupReach = run.reach;
  }

  #refusedRun(judged: Judged, refusal: Refusal): Run {
    const run = new Run(this.#session, judged.statement, judged.judgement.reach, judged.judgement.verdict);
    run.refusal = refusal;
    return run;
  }

  async #begin(run: Run, portalPrepaid: Parameters<Run['begin']>[0] = [], maxRows = 0): Promise<Refusal | undefined> {
    if (!run.metered) return undefined;
    const { statement } = run;
    let prepaid = portalPrepaid;
    if (statement.kind === 'known' && statement.facts.named?.kind === 'fetch') {
      const cursor = lookUpPortal(this.#session, messages.wireNameOf(statement.facts.named.name), 'likely');
      prepaid = cursor?.prepaid ?? [];
      if (cursor !== undefined) cursor.prepaid = [];
    }
    return run.begin(prepaid, maxRows > 0 ? maxRows : undefined);
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

  #tooLarge(buffer: Buffer, start: number, end: number): boolean {
    return buffer.readInt32BE(start + 1) + 1 > end - start;
  }

  #unreadable(tooLarge: boolean): Refusal {
    return this.#session.gate.unreadableRefusal(this.#session.principal, tooLarge);
  }
}

/** Statements that `parse_analyze` looks into, inner queries of utility statements included (src/backend/parser/analyze.c). */
const NAMES_FOUND_AT_PARSE: ReadonlySet<string> = new Set(['select', 'values', 'insert', 'update', 'delete', 'merge', 'explain', 'declare_cursor', 'create_table_as', 'select_into']);

function blockOf({ verdict }: Judgement): Refusal {
  if (verdict.kind !== 'block') throw new Error('a verdict that does not block');
  return verdict.refusal;
}

function changesSomething(session: SessionState, statement: Statement): boolean {
  return !judgeNow(session, statement, 'likely').reach.readOnly;
}
