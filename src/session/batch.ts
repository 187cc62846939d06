/** The statements of one Query or Parse text, judged one after the other: earlier ones change what later ones mean before the server has run any. */

import { wireNameOf } from '../protocol/frontend-messages.ts';
import { mixedBatchRefusal } from '../policy/form-refusals.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import type { Refusal } from '../policy/types.ts';
import type { Analysis } from '../sql/facts.ts';
import { changesDefinitions, changesSearchPath, definitionsIn, thingsMade } from './effects.ts';
import { costsUnits, judge, NOT_LATER, type Judgement, type LaterInBatch } from './judge.ts';
import type { SessionState } from './session-state.ts';
import { EMPTY_STATEMENT, type Statement } from './statement.ts';
import { bothAttached } from '../catalog/attached.ts';

export interface Judged {
  readonly statement: Statement;
  readonly judgement: Judgement;
}

/** A promise only where a new catalog snapshot must be waited for. */
export function judgeBatch(session: SessionState, statements: readonly Statement[]): readonly Judged[] | Promise<readonly Judged[]> {
  const judged: Judged[] = [];
  let later: LaterInBatch = NOT_LATER;
  for (const [i, statement] of statements.entries()) {
    const judgement = judge(session, statement, later);
    if (judgement instanceof Promise) return judgeSlowly(session, statements, i, judged, later, judgement);
    judged.push({ statement, judgement });
    // What it copies must be known before what stands behind it is judged.
    if (judgement.reach.copies !== undefined && i < statements.length - 1) return copiesFirst(session, statements, i, judged, later);
    later = after(session, later, statement, judgement);
  }
  return judged;
}

async function copiesFirst(session: SessionState, statements: readonly Statement[], at: number, judged: Judged[], before: LaterInBatch): Promise<readonly Judged[]> {
  const last = judged.pop() as Judged;
  const judgement = await withCopies(session, last.judgement);
  judged.push({ statement: last.statement, judgement });
  return judgeSlowly(session, statements, at + 1, judged, after(session, before, last.statement, judgement));
}

async function withCopies(session: SessionState, judgement: Judgement): Promise<Judgement> {
  const { copies } = judgement.reach;
  if (copies === undefined || judgement.verdict.kind === 'block') return judgement;
  try {
    const expected = await session.gate.rememberCopies(session.identity.database, copies);
    if (expected.length > 0) session.expectedCopies = [...session.expectedCopies, ...expected];
    return judgement;
  } catch {
    return { ...judgement, verdict: { kind: 'block', refusal: outageRefusal('store', session.principal) } };
  }
}

/** `first`: the judgement of the first of them that is under way. */
async function judgeSlowly(
  session: SessionState, statements: readonly Statement[], from: number, judged: Judged[], before: LaterInBatch, first?: Promise<Judgement>,
): Promise<readonly Judged[]> {
  let later = before;
  let underWay = first;
  for (const statement of statements.slice(from)) {
    const judgement = await withCopies(session, await (underWay ?? judge(session, statement, later)));
    underWay = undefined;
    judged.push({ statement, judgement });
    later = after(session, later, statement, judgement);
  }
  return judged;
}

/**
 * A text of several statements is one transaction for the server, which may be through with all of it before a cut takes effect: what it
 * changed would stay, though the client is told of an error. In a transaction block it can still be undone.
 */
export function mixedBatch(session: SessionState, judged: readonly Judged[]): Refusal | undefined {
  if (judged.length < 2 || !session.principal.metered || session.principal.mode === 'monitor') return undefined;
  const cuttable = judged.some(({ statement, judgement }) => costsUnits(statement, judgement.reach));
  const settles = judged.some(({ statement }) => statement.kind === 'known' && (statement.facts.kind === 'commit' || statement.facts.kind === 'begin'));
  const changes = judged.some(({ judgement, statement }) => !judgement.reach.readOnly && statement.kind === 'known' && statement.facts.modifies);
  return cuttable && changes && (!session.inTransaction || settles) ? mixedBatchRefusal(session.principal) : undefined;
}

function after(session: SessionState, later: LaterInBatch, statement: Statement, { reach }: Judgement): LaterInBatch {
  if (statement.kind !== 'known') return { ...later, searchPathChanged: true, definitionsChanged: true, definitions: Infinity };
  const { named } = statement.facts;
  const made = named?.kind === 'prepare' || named?.kind === 'declare' ? named : undefined;
  return {
    names: made === undefined ? later.names : new Map([...later.names, [wireNameOf(made.name), { kind: 'known', facts: made.body, text: statement.text }]]),
    local: [...later.local, ...thingsMade(statement.facts, reach)],
    searchPathChanged: later.searchPathChanged || changesSearchPath(statement.facts),
    definitions: later.definitions + definitionsIn(session, statement, reach),
    attached: bothAttached(later.attached, reach.attached),
    definitionsChanged: later.definitionsChanged || reach.opaque.length > 0 || changesDefinitions(statement.facts),
  };
}

/** Undefined if the text could not be analysed. */
export function statementsOf(analysis: Analysis, text: string): readonly Statement[] | undefined {
  if (analysis.kind !== 'statements') return undefined;
  return analysis.statements.map((facts) => ({ kind: 'known', facts, text }));
}

export function opaqueReason(analysis: Analysis): string {
  return analysis.kind === 'opaque' ? analysis.reason : 'the text is not accepted by the grammar that Rowgate reads it with';
}

/** The one statement of a Parse text. */
export function parsedStatement(analysis: Analysis | undefined, text: string | undefined): Statement {
  if (analysis === undefined || text === undefined) return { kind: 'opaque', reason: 'the text is not valid in client_encoding', text: '' };
  if (analysis.kind !== 'statements') return { kind: 'opaque', reason: opaqueReason(analysis), text };
  const [facts, ...more] = analysis.statements;
  if (facts === undefined) return EMPTY_STATEMENT;
  // The server refuses this itself: "cannot insert multiple commands into a prepared statement".
  if (more.length > 0) return { kind: 'opaque', reason: 'several statements in one Parse', text };
  return { kind: 'known', facts, text };
}
