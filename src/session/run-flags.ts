/** The flags that a run raises. Each is raised once in its window for whom it is about, however many statements pass the limit. */

import type { ClassUnits } from '../audit/events.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import type { FlagCrossing } from '../quota/lease-plan.ts';
import type { SessionState } from './session-state.ts';

export interface FlaggedRun {
  readonly id: string;
  readonly principal: PrincipalPolicy;
}

interface Told {
  readonly reason: string;
  readonly classes: readonly ClassUnits[];
}

/** Flags that no window belongs to are raised at most this often for one rule and principal. */
const FLAG_EVERY_MS = 3_600_000;

/** A limit that flags was passed. */
export function flagCrossings(session: SessionState, run: FlaggedRun, crossings: readonly FlagCrossing[]): void {
  for (const { ruleId, className, dimension, used, limit, windowMs, counterKey } of crossings) {
    const told = (): Told => ({ reason: `${used} ${dimension === 'bytes' ? 'bytes' : 'units'} of class "${className}" used, the limit is ${limit}`, classes: [{ class: className, units: used }] });
    raise(session, run, ruleId, told, windowMs === 'statement' ? FLAG_EVERY_MS : windowMs, counterKey);
  }
}

/** What the verdict flagged before anything ran. */
export function flagVerdict(session: SessionState, run: FlaggedRun, flagged: { readonly ruleId: string; readonly reason: string }): void {
  raise(session, run, flagged.ruleId, () => ({ reason: flagged.reason, classes: [] }), FLAG_EVERY_MS);
}

/** What happened once, and is to be told each time. */
export function flagOnce(session: SessionState, run: FlaggedRun, flagged: { readonly ruleId: string; readonly reason: string }): void {
  raise(session, run, flagged.ruleId, () => ({ reason: flagged.reason, classes: [] }), FLAG_EVERY_MS, run.id);
}

/** The run cost one unit: it may have been a question about one person, or one bit of one. */
export function flagLookUps(session: SessionState, run: FlaggedRun, className: string): void {
  for (const { ruleId, windowMs, count, reason } of session.gate.lookedUp(run.principal, className)) {
    raise(session, run, ruleId, () => ({ reason: reason(), classes: [{ class: className, units: count }] }), windowMs);
  }
}

/** `told`: made only if nobody was told yet, since every statement beyond a limit comes here. */
function raise(
  session: SessionState,
  { id, principal }: FlaggedRun,
  ruleId: string,
  told: () => Told,
  windowMs: number,
  counter = principal.principal,
): void {
  session.gate.raiseFlag(
    () => ({ event: 'flag', ...session.auditIdentity(principal), statement_id: id, decision: 'flag', rule_id: ruleId, ...told() }),
    windowMs,
    `${ruleId}:${counter}`,
  );
}
