/**
 * Runs that begin before Execute: Parse makes constants, which runs the checks of domains, and Bind plans, which works out what never changes. Errors and notices of
 * these, and what the server counts meanwhile, tell of a class as an execution does.
 */

import { beginRun, overtaken, refusedRun, runOfJudged } from './request-runs.ts';
import type { Judged } from './batch.ts';
import { judge, type Judgement } from './judge.ts';
import { looksMistyped } from './mistyped.ts';
import type { Portal } from './names.ts';
import { covers } from './reach-union.ts';
import type { Run } from './run.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import type { StatementFacts } from '../sql/facts.ts';

/** Utility statements are planned, and run, when they are executed. */
const PLANNED: ReadonlySet<StatementFacts['kind']> = new Set(['select', 'values', 'insert', 'update', 'delete', 'merge']);

export function runsAtParse(session: SessionState, { reach }: Judgement): boolean {
  return reach.runsAtParse === true && session.principal.metered;
}

/**
 * How a statement that is bound is judged, if planning it may run code over a class; definitions may be others than at Parse. `statement` undefined: one that Rowgate
 * does not know, which code has made, if it is there at all.
 */
export function judgedAtBind(session: SessionState, statement: Statement | undefined): Judged | undefined | Promise<Judged | undefined> {
  if (!session.principal.metered || (statement === undefined ? !session.tainted : !mayBePlanned(statement))) return undefined;
  if (statement?.kind === 'known' && callsNothing(session, statement)) return undefined;
  const bound = statement ?? { kind: 'opaque', reason: 'a prepared statement that is not known to Rowgate', text: '' };
  const judgement = judge(session, bound);
  if (judgement instanceof Promise) return judgement.then((each) => planned({ statement: bound, judgement: each }));
  return planned({ statement: bound, judgement });
}

/** What most statements are, told from what is at hand: they call functions of the reviewed list alone. */
function callsNothing(session: SessionState, { facts, parameterTypes, declared }: Extract<Statement, { kind: 'known' }>): boolean {
  const { gate, identity: { database } } = session;
  if (parameterTypes !== undefined || declared !== undefined || session.definitionsChanged || !session.readable || gate.catalogStale(database)) return false;
  return gate.reach(database, facts, session.currentSearchPath, session.localRelations).pure;
}

/** One that looks mistyped the server most likely did not take when it was parsed. */
function planned(judged: Judged): Judged | undefined {
  return plansCode(judged.judgement) && !looksMistyped(judged) ? judged : undefined;
}

function mayBePlanned(statement: Statement): boolean {
  return statement.kind === 'known' ? PLANNED.has(statement.facts.kind) : statement.kind === 'opaque';
}

export function plansCode({ reach }: Judgement): boolean {
  return reach.classes.length > 0 && !reach.pure;
}

/** Reserves what the run costs at least. With a refusal in it the request must not be sent; undefined: there is nobody any more to send it for. */
export async function beginEarly(session: SessionState, judged: Judged): Promise<Run | undefined> {
  const { verdict } = judged.judgement;
  if (overtaken(session)) return undefined;
  if (verdict.kind === 'block') return refusedRun(session, judged, verdict.refusal);
  const run = runOfJudged(session, judged);
  run.aheadOfExecute = true;
  await beginRun(session, run);
  if (!overtaken(session)) return run;
  run.finish(undefined);
  return undefined;
}

/** The run that Bind began, for the first Execute of its portal, if both were judged by the same. */
export function takeEarly(portal: Portal | undefined, judgement: Judgement): Run | undefined {
  const run = portal?.run;
  if (portal === undefined || run === undefined) return undefined;
  portal.run = undefined;
  const same = run.copiesEpoch === judgement.copiesEpoch && run.catalogVersion === judgement.catalogVersion && run.codeChanges === judgement.codeChanges && covers(run.reach, judgement.reach);
  return same && !run.finished && !run.forwarded ? run : undefined;
}
