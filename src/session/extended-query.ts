/** Parse, Bind, Describe, Close and Execute: judged, and forwarded, held back or replaced by a request that the server refuses. */

import { isAscii } from 'node:buffer';
import { FIRST_USER_OID } from '../catalog/catalog-rows.ts';
import * as messages from '../protocol/frontend-messages.ts';
import type { WireName } from '../protocol/frontend-messages.ts';
import { AtMessage } from '../protocol/message-stream.ts';
import type { Refusal } from '../policy/types.ts';
import { isExactOid, withoutPinsBy } from '../sql/exact-types.ts';
import { parsedStatement, type Judged } from './batch.ts';
import { beginEarly, judgedAtBind, runsAtParse, takeEarly } from './early-runs.ts';
import { sent } from './effects.ts';
import { askSearchPath } from './internal-requests.ts';
import { judge, judgeNow, lookUpPortal, lookUpStatement, NOT_LATER, type Judgement } from './judge.ts';
import type { Portal } from './names.ts';
import { ownQuestion } from './own-question.ts';
import { looksMistyped, namesOnly } from './mistyped.ts';
import { answeredRun, beginRun, markForwarded, overtaken, REFUSED_NAME, REFUSED_PARSE, refusedRun, runOfJudged, tooLarge, unreadable, type Turn } from './request-runs.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import { copiesIn, type Statement } from './statement.ts';
import { countsPeople } from './subject-meter.ts';

export class ExtendedQuery {
  readonly #session: SessionState;
  readonly #turn: Turn;
  readonly #nameOf: messages.NameOf = (bytes) => this.#session.nameOf(bytes);

  constructor(session: SessionState, turn: Turn) {
    this.#session = session;
    this.#turn = turn;
  }

  parse(buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#session.groupRefused) return AtMessage.Drop;
    const session = this.#session;
    if (tooLarge(buffer, start, end)) return this.#refuseExtended(unreadable(this.#session, true), undefined);
    const parse = messages.readParse(buffer, start, end, this.#nameOf);
    const { name } = parse;
    const text = session.decodeText(parse.text);
    if (text === undefined && session.principal.metered) return this.#refuseExtended(unreadable(this.#session, false), undefined);
    const asks = text === undefined || !isAscii(Buffer.from(name)) ? undefined : ownQuestion(text);
    if (asks !== undefined) {
      this.#pushParse(name, { kind: 'empty', asks });
      session.ports.toServer(messages.writeParse(name, ''));
      return AtMessage.Drop;
    }
    const message = buffer.subarray(start, end);
    const types = messages.readParameterTypes(buffer, parse, end);
    if (session.currentSearchPath === undefined && session.quiet && session.transaction === 'I') {
      return this.#turn.later(async () => {
        await askSearchPath(session);
        await this.#parseLater(message, name, text, types);
      });
    }
    const analysis = text === undefined ? undefined : session.gate.analyse(text);
    if (analysis instanceof Promise) return this.#turn.later(() => this.#parseLater(message, name, text, types));
    const statement = withTypes(parsedStatement(analysis, text), types);
    const judgement = judge(session, statement);
    if (judgement instanceof Promise) return this.#turn.later(() => this.#parseLater(message, name, text, types, judgement));
    if (this.#deniedAtParse(statement, judgement)) return this.#refuseParse({ statement, judgement });
    if (runsAtParse(session, judgement)) return this.#turn.later(() => this.#parseEarly(message, name, { statement, judgement }));
    this.#pushParse(name, statement);
    return AtMessage.Forward;
  }

  async #parseLater(message: Buffer, name: string, text: string | undefined, types: readonly number[], judging?: Promise<Judgement>): Promise<void> {
    const session = this.#session;
    const statement = withTypes(parsedStatement(text === undefined ? undefined : await session.gate.analyse(text), text), types);
    const judgement = await (judging ?? judge(session, statement));
    if (overtaken(session)) return;
    if (this.#deniedAtParse(statement, judgement)) this.#refuseParse({ statement, judgement });
    else if (runsAtParse(session, judgement)) await this.#parseEarly(message, name, { statement, judgement });
    else {
      this.#pushParse(name, statement);
      session.ports.toServer(message);
    }
  }

  async #parseEarly(message: Buffer, name: string, judged: Judged): Promise<void> {
    const run = await beginEarly(this.#session, judged);
    if (run?.refusal !== undefined) this.#refuseExtended(run.refusal, run);
    // An error that waited for units, too, may have come between: what waits for one store goes on in one turn.
    else if (overtaken(this.#session)) run?.finish(undefined);
    else if (run !== undefined) {
      this.#pushParse(name, judged.statement, run);
      this.#session.ports.toServer(message);
    }
  }

  /** Planning can run functions (Bind folds constants), so what is denied stops at Parse. A text that the grammar rejects goes on: the server most likely rejects it too. */
  #deniedAtParse(statement: Statement, judgement: Judgement): boolean {
    return judgement.verdict.kind === 'block' && statement.kind === 'known' && !looksMistyped({ statement, judgement });
  }

  #pushParse(name: string, statement: Statement, run?: Run): void {
    const session = this.#session;
    session.groupOpen = true;
    session.names.statementAsked(name, statement);
    session.ledger.push('parse', { kind: 'parse', name, statement, run });
  }

  bind(buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#session.groupRefused) return AtMessage.Drop;
    const session = this.#session;
    const { portal: name, statement: statementName } = messages.readBind(buffer, start, end, this.#nameOf);
    const prepared = lookUpStatement(session, statementName, 'likely');
    const reason = prepared?.kind === 'empty' && prepared.asks?.kind === 'request' && prepared.asks.reason === undefined ? this.#parameter(buffer, start, end) : undefined;
    const statement: Statement | undefined = reason === undefined ? prepared : { kind: 'empty', asks: { kind: 'request', reason } };
    const portal: Portal = { statement, prepaid: [], holdable: false, resultFormats: countsPeople(session.principal) ? messages.readResultFormats(buffer, start, end) : undefined };
    const judged = reason === undefined ? judgedAtBind(session, statement) : undefined;
    if (judged !== undefined) {
      const message = buffer.subarray(start, end);
      return this.#turn.later(async () => this.#bindEarly(message, name, statementName, portal, await judged));
    }
    this.#pushBind(name, statementName, portal);
    if (reason === undefined) return AtMessage.Forward;
    // The server has the empty query in its place, which takes none.
    session.ports.toServer(messages.withoutParameters(buffer, start, end));
    return AtMessage.Drop;
  }

  async #bindEarly(message: Buffer, name: WireName, statementName: WireName, portal: Portal, judged: Judged | undefined): Promise<void> {
    const session = this.#session;
    const run = judged === undefined ? undefined : await beginEarly(session, judged);
    if (overtaken(session)) {
      run?.finish(undefined);
      return;
    }
    if (run?.refusal !== undefined) {
      this.#refuseExtended(run.refusal, run);
      return;
    }
    portal.run = run;
    this.#pushBind(name, statementName, portal);
    session.ports.toServer(message);
  }

  #pushBind(name: WireName, statementName: WireName, portal: Portal): void {
    const session = this.#session;
    session.groupOpen = true;
    if (session.principal.metered) portal.meant = { index: session.gate.reachIndex(session.identity.database), searchPath: session.currentSearchPath };
    session.names.portalAsked(name, portal);
    session.ledger.push('bind', { kind: 'bind', name, statementName, portal, run: portal.run });
  }

  #parameter(buffer: Buffer, start: number, end: number): string {
    const value = messages.readFirstParameter(buffer, start, end);
    return value === undefined ? '' : this.#session.decodeText(value) ?? '';
  }

  execute(buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#session.groupRefused) return AtMessage.Drop;
    const session = this.#session;
    const { portal: portalName, maxRows } = messages.readExecute(buffer, start, end, this.#nameOf);
    const portal = lookUpPortal(session, portalName, 'likely');
    // An unknown portal is the server's error to tell; the reply is metered as unknown all the same.
    const statement: Statement = portal?.statement ?? { kind: 'opaque', reason: `portal "${portalName}" is not known to Rowgate`, text: '' };
    const message = buffer.subarray(start, end);
    if (statement.kind !== 'empty' && session.meteredInFlight > 0 && !session.inTransaction && changesSomething(session, statement)) {
      this.#turn.wait();
      return AtMessage.Pause;
    }
    if (statement.kind === 'empty' && statement.asks !== undefined) {
      const { asks } = statement;
      return this.#turn.later(async () => {
        const run = await answeredRun(session, asks);
        if (overtaken(session)) return;
        session.groupOpen = true;
        session.ledger.push('execute', { kind: 'execute', portalName, run });
        session.ports.toServer(message);
      });
    }
    session.groupOpen = true;
    const judgement = judge(session, statement, NOT_LATER, portal?.meant);
    if (judgement instanceof Promise) return this.#turn.later(async () => this.#executeLater(portalName, { statement, judgement: await judgement }, portal, maxRows, message));
    if (judgement.verdict.kind === 'block') return this.#refuseExtended(judgement.verdict.refusal, refusedRun(session, { statement, judgement }, judgement.verdict.refusal));
    const judged = { statement, judgement };
    const early = takeEarly(portal, judgement);
    if (early !== undefined) return this.#executeEarly(portalName, judged, early);
    const run = runOfJudged(session, judged);
    const begun = beginRun(session, run, portal?.prepaid, maxRows);
    if (begun instanceof Promise) return this.#turn.later(async () => this.#executeBegun(portalName, judged, run, portal, await begun, message));
    if (begun !== undefined) return this.#refuseExtended(begun, run);
    if (portal !== undefined) portal.prepaid = [];
    this.#pushExecute(portalName, judged, run);
    return AtMessage.Forward;
  }

  #executeEarly(portalName: WireName, judged: Judged, run: Run): AtMessage {
    if (run.refusal !== undefined) return this.#refuseExtended(run.refusal, run);
    this.#pushExecute(portalName, judged, run);
    return AtMessage.Forward;
  }

  async #executeLater(portalName: WireName, judged: Judged, portal: Portal | undefined, maxRows: number, message: Buffer): Promise<void> {
    if (overtaken(this.#session)) return;
    const { verdict } = judged.judgement;
    if (verdict.kind === 'block') {
      this.#refuseExtended(verdict.refusal, refusedRun(this.#session, judged, verdict.refusal));
      return;
    }
    const early = takeEarly(portal, judged.judgement);
    if (early !== undefined) {
      if (this.#executeEarly(portalName, judged, early) === AtMessage.Forward) this.#session.ports.toServer(message);
      return;
    }
    const run = runOfJudged(this.#session, judged);
    this.#executeBegun(portalName, judged, run, portal, await beginRun(this.#session, run, portal?.prepaid, maxRows), message);
  }

  #executeBegun(portalName: WireName, judged: Judged, run: Run, portal: Portal | undefined, refusal: Refusal | undefined, message: Buffer): void {
    if (overtaken(this.#session)) {
      run.finish(undefined);
    } else if (refusal !== undefined) {
      this.#refuseExtended(refusal, run);
    } else {
      if (portal !== undefined) portal.prepaid = [];
      this.#pushExecute(portalName, judged, run);
      this.#session.ports.toServer(message);
    }
  }

  #pushExecute(portalName: WireName, { statement, judgement }: Judged, run: Run): void {
    const session = this.#session;
    sent(session, statement, judgement.reach);
    if (!judgement.reach.readOnly) session.groupModifies = true;
    markForwarded(this.#session, run);
    session.ledger.push('execute', { kind: 'execute', portalName, run });
    if (copiesIn(statement)) session.copyInRun = run;
  }

  #refuseParse(judged: Judged): AtMessage {
    const refusal = blockOf(judged.judgement);
    return this.#refuseExtended(refusal, refusedRun(this.#session, judged, refusal), namesOnly(judged));
  }

  #refuseExtended(refusal: Refusal, run: Run | undefined, names?: string): AtMessage {
    const session = this.#session;
    if (!overtaken(session)) {
      session.groupOpen = true;
      session.groupRefused = true;
      session.ledger.push('parse', { kind: 'refused', refusal, run, looksUpNames: names !== undefined });
      session.ports.toServer(names === undefined ? REFUSED_PARSE : messages.writeParse(REFUSED_NAME, names));
    } else run?.finish(refusal.sqlstate);
    return AtMessage.Drop;
  }

  describe(buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#session.groupRefused) return AtMessage.Drop;
    const { kind, name } = messages.readTarget(buffer, start, end, this.#nameOf);
    this.#session.groupOpen = true;
    this.#session.ledger.push(kind === 'statement' ? 'describe_statement' : 'describe_portal', { kind: 'describe', target: kind, name });
    return AtMessage.Forward;
  }

  close(buffer: Buffer, start: number, end: number): AtMessage {
    if (this.#session.groupRefused) return AtMessage.Drop;
    const { kind, name } = messages.readTarget(buffer, start, end, this.#nameOf);
    this.#session.groupOpen = true;
    this.#session.ledger.push('close', { kind: 'close', target: kind, name });
    return AtMessage.Forward;
  }
}

function blockOf({ verdict }: Judgement): Refusal {
  if (verdict.kind !== 'block') throw new Error('a verdict that does not block');
  return verdict.refusal;
}

function withTypes(statement: Statement, parameterTypes: readonly number[]): Statement {
  if (parameterTypes.length === 0 || statement.kind !== 'known') return statement;
  const facts = withoutPinsBy(parameterTypes.flatMap((oid, i) => (isExactOid(oid) ? [] : [i + 1])), statement.facts);
  const ofUsers = parameterTypes.filter((oid) => oid >= FIRST_USER_OID);
  return { ...statement, facts, ...(ofUsers.length === 0 ? {} : { parameterTypes: ofUsers }) };
}

function changesSomething(session: SessionState, statement: Statement): boolean {
  return !judgeNow(session, statement, 'likely').reach.readOnly;
}
