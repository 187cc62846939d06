/** How statements, groups and transactions end: CommandComplete and its like, ReadyForQuery, ErrorResponse. */

import * as messages from '../protocol/backend-messages.ts';
import * as requests from '../protocol/frontend-messages.ts';
import type { Entry } from '../protocol/ledger.ts';
import { AtMessage } from '../protocol/message-stream.ts';
import { Backend } from '../protocol/message-types.ts';
import type { Reach } from '../catalog/reach-types.ts';
import type { Refusal } from '../policy/types.ts';
import { confirmed } from './effects.ts';
import { plansCode } from './early-runs.ts';
import { judgeNow } from './judge.ts';
import { LooseTextMeter, PAID, type LooseTextAnswer } from './loose-text.ts';
import { NO_REACH } from './reach-union.ts';
import { isSyntaxError, mustChargeText, mustRedact, redactedError, showsNoValues, SQLSTATE_BYTES } from './redaction.ts';
import { namesConfirmed, namesSkipped } from './request-names.ts';
import { tellsWhatIsNotThere } from './mistyped.ts';
import { REFUSED_PARSE, REFUSED_TEXT, runOfJudged } from './request-runs.ts';
import { errorOf } from './refusal-message.ts';
import { runOf, runsOf, type Request } from './request.ts';
import { passOn, type ReplyTurn, type RowMeter } from './row-meter.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import { countsPeople } from './subject-meter.ts';
import { NOTHING_ATTACHED } from '../catalog/attached.ts';

/** COMMIT, PREPARE TRANSACTION and SET CONSTRAINTS run what was put off. */
function settles(statement: Statement): boolean {
  if (statement.kind !== 'known') return false;
  const { kind, node } = statement.facts;
  return kind === 'commit' || kind === 'prepare_transaction' || node === 'ConstraintsSetStmt';
}

export class ReplyEnds {
  readonly #session: SessionState;
  readonly #turn: ReplyTurn;
  readonly #rows: RowMeter;
  readonly #looseErrors: LooseTextMeter;

  constructor(session: SessionState, turn: ReplyTurn, rows: RowMeter) {
    this.#session = session;
    this.#turn = turn;
    this.#rows = rows;
    this.#looseErrors = new LooseTextMeter(session, 'an error where no statement runs');
  }

  statementEnds(entry: Entry<Request>): AtMessage {
    const session = this.#session;
    const { payload } = entry;
    const run = this.#rows.arrivedRun();
    if (run !== undefined && run.metered && !run.cut && !run.spendEnd(this.#turn.nowMs)) {
      // No answer about protected data leaves before its unit is reserved and its start on record, an empty one neither.
      const hold = this.#rows.mayHold(run);
      this.#rows.moreUnits(run);
      return hold ? AtMessage.Hold : AtMessage.Pause;
    }
    session.copyIn = false;
    let answer = passOn(session);
    if (run !== undefined) {
      const credits = this.#finish(run, undefined);
      confirmed(session, run.statement, run.reach, credits);
      if (this.#tellsRefusal(run, payload)) answer = AtMessage.Drop;
    }
    if (payload.kind === 'query') {
      payload.next++;
    } else session.ledger.shift();
    if (session.copyInRun === run) session.copyInRun = undefined;
    // Last, since client messages go on at once: those that undo a cut transaction must be on their way by now.
    session.ports.wakeClient();
    return answer;
  }

  /** ParseComplete, BindComplete, CloseComplete. */
  preparedEnds(entry: Entry<Request>): AtMessage {
    const session = this.#session;
    const { payload } = entry;
    if (payload.kind === 'bind') payload.run ??= this.#lateRun(payload);
    const run = runOf(payload) === undefined ? undefined : this.#rows.arrivedRun();
    // What Bind tells is paid for when it is known that no Execute comes.
    if (run !== undefined && !run.cut && !(payload.kind === 'bind' ? run.isOpen : run.spendEnd(this.#turn.nowMs))) {
      this.#rows.moreUnits(run);
      return AtMessage.Pause;
    }
    let answer = passOn(session);
    if (run !== undefined) {
      if (payload.kind === 'bind' && !run.cut) session.earlyRuns.push(run);
      else this.#finish(run, undefined);
      if (this.#tellsRefusal(run, payload)) answer = AtMessage.Drop;
    }
    namesConfirmed(session.names, payload);
    session.ledger.shift();
    return answer;
  }

  /** The name stood for another statement than was thought when Bind was sent. */
  #lateRun({ statementName, portal }: Extract<Request, { kind: 'bind' }>): Run | undefined {
    const session = this.#session;
    const statement = session.names.statement(statementName);
    if (!session.principal.metered || statement === undefined || statement === portal.statement) return undefined;
    const judgement = judgeNow(session, statement, 'confirmed');
    return plansCode(judgement) ? runOfJudged(session, { statement, judgement }) : undefined;
  }

  /** The refusal of a run that was cut, in the place of its end. The group has failed then. */
  #tellsRefusal(run: Run, { kind }: Request): boolean {
    const session = this.#session;
    if (!run.cut || session.muted) return false;
    this.#turn.inject(errorOf(run.refusal as Refusal, !run.reach.readOnly && session.transaction === 'I'));
    session.muted = true;
    if (kind !== 'query' && kind !== 'function_call' && !this.#syncUnderWay()) this.#abortGroup();
    else session.settlingCut = true;
    return true;
  }

  /** Of those that Bind began: what no Execute took has told what it had to tell. False: the end of the group waits. */
  #earlyRunsEnd(): boolean {
    const session = this.#session;
    for (const run of session.earlyRuns) {
      if (run.finished || run.forwarded) continue;
      if (!run.cut && !run.spendEnd(this.#turn.nowMs)) {
        this.#turn.later(async () => {
          run.refusal = await run.renew();
        });
        return false;
      }
      this.#finish(run, undefined);
    }
    session.earlyRuns = [];
    return true;
  }

  #syncUnderWay(): boolean {
    for (const entry of this.#session.ledger) if (entry.kind === 'sync') return true;
    return false;
  }

  /** The client believes its group failed, and Sync has not come: the server is made to fail it. */
  #abortGroup(): void {
    this.#session.ledger.push('parse', { kind: 'internal', reply: {} });
    this.#session.ports.toServer(REFUSED_PARSE);
  }

  ready(status: 'I' | 'T' | 'E'): AtMessage {
    const session = this.#session;
    if (this.#rows.cancelling !== undefined) {
      const cancelling = this.#rows.cancelling;
      this.#turn.later(() => cancelling);
      return AtMessage.Pause;
    }
    if (session.earlyRuns.length > 0 && !this.#earlyRunsEnd()) return AtMessage.Pause;
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
    this.settled(status);
    return AtMessage.Forward;
  }

  /** ReadyForQuery goes to the client: what depended on the transaction's end is done. */
  settled(status: 'I' | 'T' | 'E'): void {
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
        session.definitions = 0;
        session.localRelations = [];
        session.attached = NOTHING_ATTACHED;
        if (session.expectedCopies.length > 0) {
          session.gate.settleCopies(session.identity.database, session.expectedCopies);
          session.expectedCopies = [];
        }
        session.groupReach = undefined;
        const elsewhere = !session.principal.metered ? 'untold' : session.codeChanged.length > 0 ? 'code told' : 'told';
        if (session.codeChanged.length > 0) {
          const changes = session.gate.codeChanges(session.identity.database);
          for (const each of session.codeChanged) changes.note(each);
          session.codeChanged = [];
        }
        if (session.catalogTouched) {
          session.catalogTouched = false;
          session.gate.markCatalogStale(session.identity.database, elsewhere);
        }
        if (session.rolesTouched) {
          session.rolesTouched = false;
          session.gate.markRolesStale(elsewhere);
        }
      }
    }
    session.ports.wakeClient();
    if (status === 'I') session.onIdle?.();
  }

  error(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const fields = messages.readErrorFields(buffer, start, end);
    const sqlstate = fields.get('C') ?? 'XX000';
    const entry = session.ledger.head;
    if (entry === undefined) return AtMessage.Forward; // The server ends the session: idle time-outs, shutdown.
    const failed = runOf(entry.payload);
    if (failed?.metered === true && !session.muted && !failed.cut && !this.#pay(failed, fields, end - start)) {
      this.#rows.moreUnits(failed);
      return AtMessage.Pause;
    }
    const paid = failed?.metered === true || session.muted ? PAID : this.#payForLoose(entry.payload, fields);
    if (paid.kind === 'wait') {
      this.#turn.later(() => paid.until);
      return AtMessage.Pause;
    }
    const match = session.ledger.match(Backend.ErrorResponse);
    const skipped = match === 'error_skips_to_sync' ? session.ledger.skipToSync() : [entry];
    session.copyIn = false;
    const answer = this.#answerError(entry, fields, buffer, start, end, paid.kind === 'refused' ? paid.refusal : undefined);
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

  /** An error tells something, by its SQLSTATE alone: code may choose any five characters. False: pause, for `moreUnits`. */
  #pay(run: Run, fields: ReadonlyMap<string, string>, bytes: number): boolean {
    const { nowMs } = this.#turn;
    if (showsNoValues(fields, run.reach)) return !countsPeople(run.principal) || run.spendEnd(nowMs);
    return run.spendText(mustChargeText(this.#session.principal, run.reach) ? bytes : SQLSTATE_BYTES, nowMs);
  }

  /** The same where no statement runs that has paid: at Sync and COMMIT, at Parse of what was not foreseen. */
  #payForLoose(payload: Request, fields: ReadonlyMap<string, string>): LooseTextAnswer {
    if (payload.kind === 'internal' || payload.kind === 'refused') return PAID;
    const { classes, pure } = this.reachOf(payload, fields);
    return classes.length === 0 || pure ? PAID : this.#looseErrors.judge(SQLSTATE_BYTES, this.#turn.nowMs);
  }

  /** `unpaid`: there was nothing to pay for the error with. */
  #answerError({ payload }: Entry<Request>, fields: ReadonlyMap<string, string>, buffer: Buffer, start: number, end: number, unpaid: Refusal | undefined): AtMessage {
    const session = this.#session;
    if (payload.kind === 'internal') return payload.reply.onError?.() === true ? AtMessage.Forward : AtMessage.Drop;
    if (session.muted) return AtMessage.Drop;
    if (payload.kind === 'refused') {
      if (payload.looksUpNames && tellsWhatIsNotThere(fields.get('C') ?? '')) {
        payload.run = undefined;
        this.#turn.inject(withoutPlace(fields));
        return AtMessage.Drop;
      }
      this.#finishRefused(payload.run, payload.refusal);
      this.#turn.inject(errorOf(payload.refusal, false));
      return AtMessage.Drop;
    }
    const run = runOf(payload);
    if (run?.refusal !== undefined) {
      this.#finish(run, fields.get('C'));
      this.#turn.inject(errorOf(run.refusal, false));
      return AtMessage.Drop;
    }
    if (unpaid !== undefined) {
      this.#turn.inject(errorOf(unpaid, false));
      return AtMessage.Drop;
    }
    const reach = this.reachOf(payload, fields);
    // Text that no run has paid for (of Bind, of Sync) goes without its values.
    const loose = mustChargeText(session.principal, reach) && run?.metered !== true;
    if (!(mustRedact(session.principal, reach) || loose) || showsNoValues(fields, reach)) return AtMessage.Forward;
    this.#turn.inject(redactedError(buffer, start, end, named(run)));
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

  /** Reach of the request that an error or notice with these fields belongs to. */
  reachOf(payload: Request, fields: ReadonlyMap<string, string>): Reach {
    const { names } = this.#session;
    switch (payload.kind) {
      case 'parse': {
        // Parsing and name resolution read nothing that is stored, and what they complain of stands in the text: unless they came to run code, which says so by its context.
        const reach = payload.run?.reach ?? judgeNow(this.#session, payload.statement, 'confirmed').reach;
        const mayBeCode = payload.statement.kind === 'opaque' ? !isSyntaxError(fields) : fields.has('W');
        return reach.runsAtParse === true || (reach.opaque.length > 0 && mayBeCode) ? reach : NO_REACH;
      }
      case 'bind':
      case 'describe': {
        if (payload.kind === 'bind' && payload.run !== undefined) return payload.run.reach;
        const statement = payload.kind === 'bind' ? names.statement(payload.statementName) : payload.target === 'statement' ? names.statement(payload.name) : names.portal(payload.name)?.statement;
        return statement === undefined ? NO_REACH : judgeNow(this.#session, statement, 'confirmed').reach;
      }
      case 'query':
      case 'execute':
      case 'function_call': {
        const run = runOf(payload);
        return run !== undefined && run.reach.classes.length === 0 && settles(run.statement) ? this.#putOff() : (run?.reach ?? NO_REACH);
      }
      default:
        return payload.kind === 'sync' ? this.#putOff() : NO_REACH;
    }
  }

  /** What comes at a transaction's end comes from deferred constraints and triggers of what ran before, and may say anything. */
  #putOff(): Reach {
    const { groupReach } = this.#session;
    return groupReach === undefined ? NO_REACH : { ...groupReach, pure: false };
  }
}

/** The place is one in a text that the client has not sent. */
function withoutPlace(fields: ReadonlyMap<string, string>): Buffer {
  return messages.writeErrorResponse({ severity: fields.get('V') ?? 'ERROR', sqlstate: fields.get('C') ?? '', message: fields.get('M') ?? '', detail: fields.get('D'), hint: fields.get('H') });
}

function named(run: Run | undefined): string | undefined {
  const action = run?.statement.kind === 'known' ? run.statement.facts.named : undefined;
  return action !== undefined && 'name' in action ? action.name : undefined;
}
