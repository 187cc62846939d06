import type { valuesReach } from '../catalog/reach.ts';
import type { ReachIndex } from '../catalog/reach-index.ts';
import type { Snapshot } from '../catalog/snapshot.ts';
import type { CopyTargets, LocalRelation, ResolvedReach, SearchPath } from '../catalog/reach-types.ts';
import type { AuditEvent, ClassUnits, Flag, StatementEnd } from '../audit/events.ts';
import type { PrincipalPolicy, Refusal } from '../policy/types.ts';
import type { SubjectKey } from '../catalog/class-members.ts';
import type { ColumnAt } from '../catalog/output-keys.ts';
import type { Neighbours } from '../quota/neighbours.ts';
import type { LeasingOptions } from '../quota/leasing.ts';
import type { PersonHashers } from '../quota/person-hash.ts';
import type { RecentPeople } from '../quota/recent-people.ts';
import type { CounterStore } from '../quota/store.ts';
import type { Analysis, StatementFacts } from '../sql/facts.ts';
import type { BookMarks } from './book-marks.ts';
import type { Elsewhere } from './catalogs.ts';
import type { CodeChanges } from './code-changes.ts';
import type { OwnAnswer, OwnQuestion } from './own-question.ts';
import type { Run } from './run.ts';
import type { Statement } from './statement.ts';

export type StatementDescription = Pick<StatementEnd, 'statement_kind' | 'sql' | 'fingerprint'>;

/** What every session shares: the policy in force, the catalogs, the counters, the audit log, the numbers. */
export interface LookupCrossing {
  readonly ruleId: string;
  readonly windowMs: number;
  readonly count: number;
  readonly reason: () => string;
}

export interface Gate {
  readonly store: CounterStore;
  /** The leases that are open in this process. */
  readonly neighbours: Neighbours;
  /** Who was delivered in this process a moment ago. */
  readonly recentPeople: RecentPeople;
  readonly personHashers: PersonHashers;
  /** One for each server and database, however many names clients have for it. */
  databaseKey(database: string): string;
  /** How statements of this process lease their units. */
  readonly leasing: LeasingOptions;
  readonly maxStatementBytes: number;
  analyse(text: string): Analysis | Promise<Analysis>;
  /** Changes whenever the policy or the catalog of the database does. */
  policyVersion(database: string): string;
  principalPolicy(principal: string, database: string): PrincipalPolicy;
  snapshot(database: string): Snapshot;
  /** A snapshot that was begun after this call; rejects if the catalog cannot be read. */
  refreshCatalog(database: string): Promise<Snapshot>;
  /** Definitions were changed through Rowgate: the next statement of any session waits for a new snapshot. `elsewhere`: whether, a moment later, those of other processes do, too. */
  markCatalogStale(database: string, elsewhere: Elsewhere): void;
  /** Roles were changed: the same for every database. */
  markRolesStale(elsewhere: Elsewhere): void;
  catalogStale(database: string): boolean;
  /** Undefined if it is known which relations are copies: until then each may be one. Resolves when the store was asked. */
  copiesUnknown(database: string): Promise<void> | undefined;
  /** Functions that were changed through this process, in the database. */
  codeChanges(database: string): CodeChanges;
  /** What names mean now, by the snapshot at hand. Another object once they may mean something else. */
  reachIndex(database: string): ReachIndex;
  /** What a statement of a database reaches, by its facts. `redefined`: definitions were changed earlier in its transaction. `index`: what names meant another time. */
  reach(database: string, facts: StatementFacts, searchPath: SearchPath, local: readonly LocalRelation[], when?: { readonly redefined?: boolean; readonly index?: ReachIndex }): ResolvedReach;
  /** Classes that making values of these types (oids) reaches; undefined for none. `missed`: the snapshot lacks one of them. */
  valuesReach(database: string, types: readonly number[]): ReturnType<typeof valuesReach>;
  /** Keeps, for all sessions, what the targets are copies of. Resolves before the statement may be forwarded: to the names that are settled when the transaction is over, or rejects. */
  rememberCopies(database: string, targets: CopyTargets): Promise<readonly string[]>;
  settleCopies(database: string, expected: readonly string[]): void;
  copiesEpoch(database: string): number;
  /** Which of the books of the database's server are marked. */
  bookMarks(database: string): BookMarks;
  /** Every class of the policy. */
  readonly classNames: readonly string[];
  /** Classes that the server's own word added to a statement (`widen`). */
  widened(statement: Statement): readonly string[];
  widen(statement: Statement, classes: readonly string[]): void;
  /** Classes that the relation with this OID belongs to; undefined if the snapshot does not know it. */
  classesOfOid(database: string, oid: number): readonly string[] | undefined;
  /** Subject keys of a relation, for each class that has one there. */
  subjectKeys(database: string, oid: number): readonly SubjectKey[];
  /** Where the columns of a COPY TO come from, undefined for expressions. */
  copyColumns(database: string, facts: StatementFacts, searchPath: SearchPath): readonly (ColumnAt | undefined)[] | undefined;
  /** Resolves when the record is written; rejects if it cannot be. */
  audit(event: AuditEvent): Promise<void>;
  /** As `audit`, of a record that raises no alert and whose members are text already (`auditPart`); `done` is told an error if it cannot be written. */
  auditText(event: AuditEvent['event'], members: string, done: (error: unknown) => void): void;
  /** Members of a record as text. */
  auditPart(members: object): string;
  /** What records say of the people in a statement's rows. */
  readonly auditSubjects: 'none' | 'count' | 'keys';
  /** Protected rows go out even if no audit record can be written (`audit.on_failure: continue`). */
  readonly auditMayFail: boolean;
  /** A flag rule was passed: raised once in `windowMs` for this key. */
  raiseFlag(event: () => Flag, windowMs: number, key: string): void;
  /** What the audit record shows of a statement. */
  describeStatement(statement: Statement): StatementDescription | Promise<StatementDescription>;
  /** To a statement that Rowgate answers itself. Rejects with `StoreUnavailableError` if the counters cannot be asked. */
  answer(question: OwnQuestion, principal: PrincipalPolicy): Promise<OwnAnswer>;
  storeFailed(error: Error): void;
  /** Moves the metrics at the end of a run. */
  countRun(run: Run, units: readonly ClassUnits[]): void;
  countRefusal(refusal: Refusal, principal: PrincipalPolicy): void;
  /** A statement cost one unit of the class: the rules by which the login asks far more than its role does. */
  lookedUp(principal: PrincipalPolicy, className: string): readonly LookupCrossing[];
  /** For the gauge of used quotas. */
  quotaUsed(ruleId: string, principal: string, used: number, limit: number): void;
}
