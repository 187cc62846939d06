/** What simple and extended requests have in common: their runs, what stands in the place of a refused one, and what cannot be read. */

import { writeNoticeResponse } from '../protocol/backend-messages.ts';
import * as messages from '../protocol/frontend-messages.ts';
import type { AtHeader, AtMessage } from '../protocol/message-stream.ts';
import { unreadableRefusal } from '../policy/form-refusals.ts';
import type { Refusal } from '../policy/types.ts';
import { StoreUnavailableError } from '../quota/store.ts';
import type { LeaseCredit } from '../quota/lease-plan.ts';
import type { Judged } from './batch.ts';
import { costsUnits, lookUpPortal } from './judge.ts';
import { OWN_COLUMNS, writeRows, type OwnQuestion } from './own-question.ts';
import { NO_REACH } from './reach-union.ts';
import { Run } from './run.ts';
import type { SessionState } from './session-state.ts';

/** What the server is sent in the place of a refused statement: a syntax error, whatever the settings. */
export const REFUSED_TEXT = 'ROWGATE REFUSED THIS STATEMENT';
export const REFUSED_QUERY = messages.writeQuery(REFUSED_TEXT);
/** A named statement, so that the client's unnamed one stays. */
export const REFUSED_NAME = 'rowgate_refused';
export const REFUSED_PARSE = messages.writeParse(REFUSED_NAME, REFUSED_TEXT);

/** How a request makes the client's messages wait. */
export interface Turn {
  /** The request is answered by `work`; what comes behind it waits. */
  later(work: () => Promise<void>): AtMessage;
  /** The request itself waits for replies that are under way. */
  wait(): AtHeader;
}

export function runOfJudged(session: SessionState, { statement, judgement }: Judged): Run {
  const reach = costsUnits(statement, judgement.reach) ? judgement.reach : { ...judgement.reach, classes: [] };
  const run = new Run(session, statement, reach, judgement.verdict);
  run.copiesEpoch = judgement.copiesEpoch;
  run.catalogVersion = judgement.catalogVersion;
  run.codeChanges = judgement.codeChanges;
  return run;
}

const COUNTERS_AWAY = { severity: 'WARNING', sqlstate: '57P03', message: 'the counters of Rowgate cannot be asked at the moment' };

/** An execution that the server knows nothing of. */
export async function answeredRun(session: SessionState, asks: OwnQuestion): Promise<Run> {
  const run = new Run(session, { kind: 'empty', asks }, NO_REACH, { kind: 'allow' });
  const ascii = session.clientEncoding !== 'UTF8';
  try {
    run.answer = writeRows(await session.gate.answer(asks, session.principal), ascii);
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error;
    run.answer = Buffer.concat([writeNoticeResponse(COUNTERS_AWAY), writeRows({ columns: OWN_COLUMNS[asks.kind], rows: [] }, ascii)]);
  }
  return run;
}

export function refusedRun(session: SessionState, judged: Judged, refusal: Refusal): Run {
  const run = new Run(session, judged.statement, judged.judgement.reach, judged.judgement.verdict);
  run.refusal = refusal;
  return run;
}

export function markForwarded(session: SessionState, run: Run): void {
  run.forwarded = true;
  if (run.metered) session.meteredInFlight++;
  if (run.metered || session.groupReach === undefined) session.groupReach = run.reach;
}

/** Reserves the run's least charge. A promise only where the counter store must be asked. */
export function beginRun(session: SessionState, run: Run, portalPrepaid: readonly LeaseCredit[] = [], maxRows = 0): Refusal | undefined | Promise<Refusal | undefined> {
  if (!run.metered) return undefined;
  const { statement } = run;
  let prepaid = portalPrepaid;
  if (statement.kind === 'known' && statement.facts.named?.kind === 'fetch') {
    const cursor = lookUpPortal(session, messages.wireNameOf(statement.facts.named.name), 'likely');
    prepaid = cursor?.prepaid ?? [];
    if (cursor !== undefined) cursor.prepaid = [];
  }
  return run.begin(prepaid, maxRows > 0 ? maxRows : undefined);
}

/** The messages up to here are one group: Sync, Query and FunctionCall end it. */
export function groupEnds(session: SessionState): void {
  session.groupOpen = false;
  session.groupRefused = false;
  session.groupModifies = false;
}

/**
 * The session ended, or an error overtook a request that was being judged: the server discards what it reads until Sync, so nothing is sent and no
 * reply is to be expected.
 */
export function overtaken(session: SessionState): boolean {
  return session.ended || session.ledger.skipping;
}

export function tooLarge(buffer: Buffer, start: number, end: number): boolean {
  return buffer.readInt32BE(start + 1) + 1 > end - start;
}

export function unreadable(session: SessionState, oversized: boolean): Refusal {
  return unreadableRefusal(session.principal, oversized ? session.gate.maxStatementBytes : undefined);
}
