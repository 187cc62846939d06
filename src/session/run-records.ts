/**
 * The two records of a run in the audit log: that it starts, which is waited for before a protected row leaves, and how it ended. Parts that stay the
 * same over a session, or over the statements of one shape, are made into text once: most of a look-up's record is those.
 */

import type { AuditDecision, ClassUnits, StatementEnd, StatementStart } from '../audit/events.ts';
import type { Reach } from '../catalog/reach-types.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import type { PrincipalPolicy, Refusal } from '../policy/types.ts';
import type { StatementDescription } from './gate.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';

/** What stands in both records. */
export interface RecordedRun {
  readonly id: string;
  readonly statement: Statement;
  readonly principal: PrincipalPolicy;
  readonly reach: Reach;
  /** What the verdict, or a limit that only flags, says of it. */
  readonly flag: { readonly ruleId: string; readonly reason: string } | undefined;
}

export interface RunEnd {
  readonly units: readonly ClassUnits[];
  /** The same with whom the rows were about. */
  readonly classes: readonly ClassUnits[];
  readonly refusal: Refusal | undefined;
  readonly rows: number;
  readonly bytes: number;
  readonly sqlstate: string | undefined;
  readonly durationMs: number;
}

/** `done` is told a refusal if the record could not be written and the rows must not leave. */
export function recordStart(session: SessionState, run: RecordedRun, done: (refusal: Refusal | undefined) => void): void {
  const { gate } = session;
  const written = (error: unknown): void => done(error === undefined || gate.auditMayFail ? undefined : outageRefusal('audit', run.principal));
  describe(session, run, (description) => {
    if (run.flag === undefined && run.reach.opaque.length === 0) {
      const { statement, leastClasses } = statementParts(session, run.reach, description);
      gate.auditText('statement_start', `${sessionPart(session, run.principal)},"statement_id":"${run.id}",${statement},${leastClasses},"decision":"allow"`, written);
      return;
    }
    const event: StatementStart = {
      event: 'statement_start',
      ...told(session, run, description),
      classes: leastOf(run.reach),
      decision: decisionOf(run, undefined),
      rule_id: run.flag?.ruleId,
      reason: run.flag?.reason,
    };
    gate.audit(event).then(() => written(undefined), written);
  }, written);
}

/** Nobody waits for it: the rows are out. The log counts what it could not take and tells of the gap itself. */
export function recordEnd(session: SessionState, run: RecordedRun, end: RunEnd): void {
  const { gate } = session;
  const units = totalUnits(end.units);
  describe(session, run, (description) => {
    if (run.flag === undefined && end.refusal === undefined && run.reach.opaque.length === 0 && end.classes === end.units) {
      const { statement } = statementParts(session, run.reach, description);
      const sqlstate = end.sqlstate === undefined ? '' : `${gate.auditPart({ sqlstate: end.sqlstate })},`;
      gate.auditText(
        'statement_end',
        `${sessionPart(session, run.principal)},"statement_id":"${run.id}",${statement},${classesText(end.units)},"decision":"allow","rows":${end.rows},"units":${units},"bytes":${end.bytes},${sqlstate}"duration_ms":${end.durationMs}`,
        ignore,
      );
      return;
    }
    const event: StatementEnd = {
      event: 'statement_end',
      ...told(session, run, description),
      classes: end.classes,
      decision: decisionOf(run, end.refusal),
      rule_id: end.refusal?.ruleId ?? run.flag?.ruleId,
      reason: end.refusal?.message ?? run.flag?.reason,
      rows: end.rows,
      units,
      bytes: end.bytes,
      sqlstate: end.refusal?.sqlstate ?? end.sqlstate,
      duration_ms: end.durationMs,
    };
    gate.audit(event).catch(ignore);
  }, ignore);
}

export function decisionOf({ flag }: Pick<RecordedRun, 'flag'>, refusal: Refusal | undefined): AuditDecision {
  if (refusal !== undefined) return refusal.severity === 'FATAL' ? 'terminate' : 'block';
  return flag === undefined ? 'allow' : 'flag';
}

function describe({ gate }: SessionState, { statement }: RecordedRun, use: (description: StatementDescription) => void, failed: (error: unknown) => void): void {
  try {
    const description = gate.describeStatement(statement);
    if (description instanceof Promise) description.then(use).catch(failed);
    else use(description);
  } catch (error) {
    failed(error);
  }
}

/** What both records say of the statement and whose it is. */
function told(session: SessionState, { id, principal, reach }: RecordedRun, description: StatementDescription): Omit<StatementStart, 'event' | 'classes' | 'decision'> {
  return { ...session.auditIdentity(principal), statement_id: id, ...shown(description), relations: reach.relations, opaque: reach.opaque };
}

/** Without what is kept beside it. */
function shown({ statement_kind, sql, fingerprint }: StatementDescription): StatementDescription {
  return { statement_kind, sql, fingerprint };
}

function leastOf(reach: Reach): readonly ClassUnits[] {
  return reach.classes.map((cls) => ({ class: cls.className, units: 1 }));
}

export function totalUnits(units: readonly ClassUnits[]): number {
  let sum = 0;
  for (const each of units) sum += each.units;
  return sum;
}

// --- text that is made once -----------------------------------------------------------------------------------------

interface StatementParts {
  readonly description: StatementDescription;
  readonly statement: string;
  readonly leastClasses: string;
}

/** A reach belongs to the facts of one shape of statement, as a description does. */
const statementTexts = new WeakMap<Reach, StatementParts>();
const sessionTexts = new WeakMap<SessionState, { readonly roles: readonly string[]; readonly applicationName: string; readonly text: string }>();
const classTexts = new Map<string, string>();
/** More class names than any configuration has: names of another one are forgotten. */
const MAX_CLASS_TEXTS = 10_000;

function statementParts({ gate }: SessionState, reach: Reach, description: StatementDescription): StatementParts {
  const known = statementTexts.get(reach);
  if (known?.description === description) return known;
  const made = {
    description,
    statement: gate.auditPart({ ...shown(description), relations: reach.relations, opaque: reach.opaque }),
    leastClasses: classesText(leastOf(reach)),
  };
  statementTexts.set(reach, made);
  return made;
}

function sessionPart(session: SessionState, principal: PrincipalPolicy): string {
  const known = sessionTexts.get(session);
  if (known?.roles === principal.roles && known.applicationName === session.applicationName) return known.text;
  const text = session.gate.auditPart(session.auditIdentity(principal));
  sessionTexts.set(session, { roles: principal.roles, applicationName: session.applicationName, text });
  return text;
}

function classesText(units: readonly ClassUnits[]): string {
  let text = '"classes":[';
  for (let i = 0; i < units.length; i++) {
    const each = units[i] as ClassUnits;
    text += `${i === 0 ? '' : ','}${classOpening(each.class)}${each.units}}`;
  }
  return `${text}]`;
}

function classOpening(className: string): string {
  let text = classTexts.get(className);
  if (text === undefined) {
    text = `{"class":${JSON.stringify(className)},"units":`;
    if (classTexts.size >= MAX_CLASS_TEXTS) classTexts.clear();
    classTexts.set(className, text);
  }
  return text;
}

function ignore(): void {}
