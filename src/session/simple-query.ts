/** Query and FunctionCall: judged, and forwarded, held back or replaced by a request that the server refuses. */

import * as messages from '../protocol/frontend-messages.ts';
import { AtMessage } from '../protocol/message-stream.ts';
import { fastpathRefusal } from '../policy/form-refusals.ts';
import type { Refusal } from '../policy/types.ts';
import type { Analysis } from '../sql/facts.ts';
import { judgeBatch, mixedBatch, opaqueReason, statementsOf, type Judged } from './batch.ts';
import { sent } from './effects.ts';
import { askSearchPath, probeText } from './internal-requests.ts';
import { looksMistyped, namesOnly } from './mistyped.ts';
import { judgeNow } from './judge.ts';
import { OWN_COLUMNS, ownQuestion, writeRowDescription, type OwnQuestion } from './own-question.ts';
import { answeredRun, beginRun, groupEnds, markForwarded, overtaken, REFUSED_QUERY, refusedRun, runOfJudged, tooLarge, unreadable, type Turn } from './request-runs.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import { copiesIn, type Statement } from './statement.ts';

const EMPTY_QUERY = messages.writeQuery('');

export class SimpleQuery {
  readonly #session: SessionState;
  readonly #turn: Turn;

  constructor(session: SessionState, turn: Turn) {
    this.#session = session;
    this.#turn = turn;
  }

  query(buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const message = buffer.subarray(start, end);
    const oversized = tooLarge(buffer, start, end);
    const text = oversized ? undefined : session.decodeText(messages.readQuery(buffer, start, end));
    groupEnds(session);
    if (text === undefined) {
      if (oversized || session.principal.metered) return this.#refuseQuery(unreadable(session, oversized));
      return this.#forwardQuery([{ statement: { kind: 'opaque', reason: 'the text is not valid in client_encoding', text: '' } }]);
    }
    const asks = ownQuestion(text);
    if (asks !== undefined) return this.#turn.later(() => this.#answer(asks));
    if (session.searchPath === undefined || session.currentSearchPath === undefined) {
      if (session.quiet && session.transaction === 'I') {
        return this.#turn.later(async () => {
          await askSearchPath(session);
          await this.#queryLater(message, text, await session.gate.analyse(text));
        });
      }
    }
    const analysis = session.gate.analyse(text);
    if (analysis instanceof Promise) return this.#turn.later(async () => this.#queryLater(message, text, await analysis));
    const statements = statementsOf(analysis, text);
    let judging: ReturnType<typeof judgeBatch> | undefined;
    if (statements !== undefined) {
      const judged = judgeBatch(session, statements);
      judging = judged;
      // The common cases: nothing to wait for, and nothing protected, or one statement that is allowed.
      if (judged instanceof Promise) {
        return this.#turn.later(async () => {
          // It waits for a new snapshot of the catalog, under which all is judged again.
          await judged;
          await this.#queryLater(message, text, analysis);
        });
      } else {
        if (judged.every(({ judgement }) => judgement.verdict.kind === 'allow' && judgement.reach.classes.length === 0)) {
          this.#pushQuery(judged);
          return AtMessage.Forward;
        }
        const [only] = judged;
        if (only !== undefined && judged.length === 1 && only.judgement.verdict.kind !== 'block' && !looksMistyped(only)) return this.#queryOne(only, message);
      }
    }
    return this.#turn.later(() => this.#queryLater(message, text, analysis, judging));
  }

  #queryOne(judged: Judged, message: Buffer): AtMessage {
    const session = this.#session;
    const run = runOfJudged(session, judged);
    const begun = beginRun(session, run);
    if (begun instanceof Promise) return this.#turn.later(async () => this.#queryBegun([judged], [run], await begun, message));
    if (begun !== undefined) {
      this.#sendRefusedQuery(begun, run);
      return AtMessage.Drop;
    }
    this.#pushQuery([judged], [run]);
    return AtMessage.Forward;
  }

  #queryBegun(judged: readonly Judged[], runs: readonly Run[], refusal: Refusal | undefined, message: Buffer): void {
    if (overtaken(this.#session)) {
      for (const run of runs) run.finish(undefined);
    } else if (refusal !== undefined) {
      for (const run of runs.slice(0, -1)) run.finish(undefined);
      this.#sendRefusedQuery(refusal, runs.at(-1));
    } else {
      this.#pushQuery(judged, runs);
      this.#session.ports.toServer(message);
    }
  }

  async #queryLater(message: Buffer, text: string, analysis: Analysis, judging?: ReturnType<typeof judgeBatch>): Promise<void> {
    const session = this.#session;
    if (overtaken(session)) return;
    let statements = statementsOf(analysis, text);
    if (statements === undefined) {
      // The grammar at hand rejects the text. The server's Parse tells whether its own does too, and runs nothing.
      if (session.principal.metered && (await probeText(session, messages.readQuery(message, 0, message.length)))) return;
      statements = [{ kind: 'opaque', reason: opaqueReason(analysis), text }];
    }
    const judged = await (judging ?? judgeBatch(session, statements));
    if (overtaken(session)) return;
    if (judged.length === 1 && session.principal.metered && looksMistyped(judged[0] as Judged)) {
      // The server parses it and says what is not there, or shows that it is.
      if (await probeText(session, messages.readQuery(message, 0, message.length))) return;
    }
    const mixed = mixedBatch(session, judged);
    if (mixed !== undefined) {
      this.#sendRefusedQuery(mixed, refusedRun(this.#session, judged[0] as Judged, mixed));
      return;
    }
    const refused = judged.find(({ judgement }) => judgement.verdict.kind === 'block');
    if (refused !== undefined && refused.judgement.verdict.kind === 'block') {
      const names = judged.length === 1 ? namesOnly(refused) : undefined;
      this.#sendRefusedQuery(refused.judgement.verdict.refusal, refusedRun(this.#session, refused, refused.judgement.verdict.refusal), names);
      return;
    }
    const runs: Run[] = [];
    let refusal: Refusal | undefined;
    for (const each of judged) {
      const run = runOfJudged(session, each);
      runs.push(run);
      refusal = await beginRun(session, run);
      if (refusal !== undefined) break;
    }
    this.#queryBegun(judged, runs, refusal, message);
  }

  async #answer(asks: OwnQuestion): Promise<void> {
    const session = this.#session;
    const run = await answeredRun(session, asks);
    if (overtaken(session)) return;
    run.answer = Buffer.concat([writeRowDescription(OWN_COLUMNS[asks.kind]), run.answer ?? Buffer.alloc(0)]);
    session.ledger.push('query', { kind: 'query', runs: [run], next: 0 });
    session.ports.toServer(EMPTY_QUERY);
  }

  #pushQuery(judged: readonly Judged[], runs: readonly Run[] = judged.map((each) => runOfJudged(this.#session, each))): void {
    const session = this.#session;
    for (const { statement, judgement } of judged) sent(session, statement, judgement.reach);
    for (const run of runs) markForwarded(this.#session, run);
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

  #sendRefusedQuery(refusal: Refusal, run: Run | undefined, names?: string): void {
    if (overtaken(this.#session)) {
      run?.finish(refusal.sqlstate);
      return;
    }
    this.#session.ledger.push('query', { kind: 'refused', refusal, run, looksUpNames: names !== undefined });
    this.#session.ports.toServer(names === undefined ? REFUSED_QUERY : messages.writeQuery(names));
  }

  functionCall(): AtMessage {
    const session = this.#session;
    const statement: Statement = { kind: 'opaque', reason: 'a FunctionCall message names its function by OID only', text: '' };
    const role = session.principal.deny.get('fastpath');
    const judgement = judgeNow(session, statement, 'likely');
    // Its result is one value of any size and no statement's; roles with quotas have no use for it that SELECT does not serve.
    if (role !== undefined || judgement.verdict.kind === 'block' || session.principal.metered) {
      groupEnds(session);
      return this.#refuseQuery(fastpathRefusal(session.principal));
    }
    const run = runOfJudged(this.#session, { statement, judgement });
    sent(session, statement, judgement.reach);
    session.ledger.push('function_call', { kind: 'function_call', run });
    return AtMessage.Forward;
  }
}
