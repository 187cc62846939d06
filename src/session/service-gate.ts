/** What all sessions share, brought together: the policy in force, catalogs, counters, audit log, metrics. */

import { valuesReach } from '../catalog/reach.ts';
import type { ReachIndex } from '../catalog/reach-index.ts';
import { performance } from 'node:perf_hooks';
import type { ClientTls } from '../auth/client-tls.ts';
import type { Logins } from '../auth/logins.ts';
import type { Alerts } from '../audit/alerts/alerts.ts';
import { alertOf } from '../audit/alerts/from-record.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { AuditEvent, ClassUnits, Flag, LoginDescription } from '../audit/events.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import { FIRST_USER_OID } from '../catalog/catalog-rows.ts';
import type { CopyTargets, LocalRelation, ResolvedReach, SearchPath } from '../catalog/reach-types.ts';
import type { Snapshot } from '../catalog/snapshot.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Config } from '../policy/config.ts';
import type { DatabaseRules } from '../policy/login-verdict.ts';
import { writeCancelRequest } from '../protocol/startup.ts';
import { REFUSAL_KINDS } from '../policy/refusal-codes.ts';
import type { Policy, PrincipalPolicy, Refusal } from '../policy/types.ts';
import type { SubjectKey } from '../catalog/class-members.ts';
import { resolveOutputs, type ColumnAt } from '../catalog/output-keys.ts';
import type { LeasingOptions } from '../quota/leasing.ts';
import { Neighbours } from '../quota/neighbours.ts';
import { PersonHashers } from '../quota/person-hash.ts';
import { RecentPeople } from '../quota/recent-people.ts';
import type { CounterStore } from '../quota/store.ts';
import { UnitPools } from '../quota/unit-pools.ts';
import type { Analyser } from '../sql/analyser.ts';
import type { Analysis, StatementFacts } from '../sql/facts.ts';
import { Admission } from './admission.ts';
import { BlindQuestions } from './blind-questions.ts';
import type { BookMarks } from './book-marks.ts';
import { Principals } from './principals.ts';
import { sendCancelRequest } from './cancel.ts';
import { CancelKeys } from './cancel-keys.ts';
import type { Catalogs, Elsewhere } from './catalogs.ts';
import type { CodeChanges } from './code-changes.ts';
import type { Gate, LookupCrossing, StatementDescription } from './gate.ts';
import { ConnectionEvents } from './connection-events.ts';
import { PendingWork } from './pending-work.ts';
import { GrantBook, grantRecord } from './grant-book.ts';
import { OWN_COLUMNS, type OwnAnswer, type OwnQuestion } from './own-question.ts';
import { quotaUsage, usageAnswer } from './quota-usage.ts';
import type { Routes } from './routes.ts';
import { ruleLabels } from './rule-labels.ts';
import { RunCounters, type CountedRun } from './run-counters.ts';
import type { SessionState } from './session-state.ts';
import { StatementDescriptions } from './statement-descriptions.ts';
import type { Statement } from './statement.ts';
import { TimedStore } from './timed-store.ts';
import { Flags } from './flags.ts';

export interface GateParts {
  readonly analyser: Analyser;
  readonly catalogs: Catalogs;
  readonly store: CounterStore;
  readonly audit: AuditLog;
  readonly alerts: Alerts;
  readonly log: OpsLog;
  readonly metrics: Metrics;
  readonly clientTls: ClientTls | undefined;
  readonly routes: Routes;
  readonly logins: Logins;
}

/** A server that takes longer to heed a cancel request is not waited for. */
const CANCEL_TIMEOUT_MS = 10_000;
/** Logins whose use is shown; more are counted all the same. */
const MAX_PEOPLE = 10_000;

export class ServiceGate implements Gate {
  readonly store: CounterStore;
  readonly neighbours = new Neighbours();
  readonly grants: GrantBook;
  readonly admission = new Admission(() => this.#config.limits);
  readonly cancelKeys: CancelKeys;
  /** Rowgate is stopping: no new sessions. */
  draining = false;
  readonly #pending = new PendingWork();
  readonly recentPeople = new RecentPeople();
  readonly personHashers = new PersonHashers();
  readonly #lookups = new BlindQuestions();
  readonly #flags: Flags;
  readonly pools: UnitPools;
  readonly leasing: LeasingOptions;
  readonly #parts: GateParts;
  readonly #sessions = new Set<SessionState>();
  readonly #widened = new WeakMap<StatementFacts, readonly string[]>();
  readonly #descriptions: StatementDescriptions;
  readonly connections: ConnectionEvents;
  #config: Config;
  #policy: Policy;
  /** Logins that were here -> the database of their last session; the oldest go first. */
  readonly #people = new Map<string, string>();
  #counters: RunCounters;
  readonly #principals: Principals;
  #classNames: readonly string[] = [];
  readonly #recordContext = { metered: (roles: readonly string[]): boolean => this.#policy.roles.some(({ name, quotas }) => quotas.length > 0 && roles.includes(name)) };

  constructor(config: Config, parts: GateParts) {
    this.#parts = parts;
    this.#config = config;
    this.#policy = compilePolicy(config);
    this.#classNames = [...this.#policy.classes.keys()];
    this.#lookups.apply(this.#policy);
    this.#counters = new RunCounters(parts.metrics);
    this.#descriptions = new StatementDescriptions(parts.analyser);
    this.connections = new ConnectionEvents({ metrics: parts.metrics, log: parts.log, audit: (event) => void this.audit(event).catch(() => undefined) });
    const { notes } = parts.store;
    this.cancelKeys = new CancelKeys({
      routes: parts.routes,
      send: (upstream, keyData) => sendCancelRequest(upstream, writeCancelRequest(keyData), CANCEL_TIMEOUT_MS),
      shared: notes === undefined ? undefined : { notes, secret: () => parts.store.subjectSecret() },
      onError: (error) => parts.log.debug({ err: error }, 'cancel keys are not shared with other processes now'),
    });
    this.#flags = new Flags(parts, (event) => this.audit(event));
    this.store = new TimedStore(parts.store, this.#pending, (seconds) => parts.metrics.leaseRoundTrip.observe(seconds));
    this.pools = new UnitPools(this.store, { nowMs: () => performance.now(), onError: (error) => this.storeFailed(error) });
    this.leasing = { nowMs: () => performance.now(), neighbours: this.neighbours, pools: this.pools, onRefundError: (error) => this.storeFailed(error) };
    this.grants = new GrantBook(this.store, (event) => this.audit(grantRecord(event)));
    this.#principals = new Principals(parts.catalogs, this.grants, this.#policy);
  }

  get config(): Config {
    return this.#config;
  }

  get policy(): Policy {
    return this.#policy;
  }

  databaseKey(database: string): string {
    return this.#parts.routes.find(database)?.key ?? database;
  }

  get routes(): Routes {
    return this.#parts.routes;
  }

  get logins(): Logins {
    return this.#parts.logins;
  }

  /** Encryption towards clients; undefined if it is not configured. */
  get clientTls(): ClientTls | undefined {
    return this.#parts.clientTls;
  }

  get maxStatementBytes(): number {
    return this.#config.limits.maxStatementBytes;
  }

  get sessions(): ReadonlySet<SessionState> {
    return this.#sessions;
  }

  get people(): ReadonlyMap<string, string> {
    return this.#people;
  }

  get classNames(): readonly string[] {
    return this.#classNames;
  }

  get auditSubjects(): 'none' | 'count' | 'keys' {
    return this.#config.audit.subjects;
  }

  get auditMayFail(): boolean {
    return this.#config.audit.onFailure === 'continue';
  }

  get databaseRules(): DatabaseRules {
    return {
      patterns: this.#config.upstream.databases,
      holdsClass: (database) => this.#policy.classes.size === 0 || this.#parts.catalogs.index(database).members.present.size > 0,
    };
  }

  /** Takes a configuration into force: the next statement of every session is judged by it. */
  apply(config: Config): void {
    this.#config = config;
    this.#policy = compilePolicy(config);
    this.#lookups.apply(this.#policy);
    this.#principals.apply(this.#policy);
    this.#classNames = [...this.#policy.classes.keys()];
    this.#parts.catalogs.applyPolicy({ classes: [...this.#policy.classes.values()], trustedFunctions: this.#policy.trustedFunctions });
    this.#parts.metrics.allowLabels(ruleLabels(this.#policy));
    this.#counters = new RunCounters(this.#parts.metrics);
  }

  // --- analysis and policy --------------------------------------------------------------------------------------------

  analyse(text: string): Analysis | Promise<Analysis> {
    const { analyser, metrics } = this.#parts;
    const missesBefore = analyser.counters.misses;
    const startNs = process.hrtime.bigint();
    const analysis = analyser.analyse(text);
    const observe = (): void => metrics.analysis.observe(Number(process.hrtime.bigint() - startNs) / 1e9);
    if (analysis instanceof Promise) void analysis.then(observe);
    else if (analyser.counters.misses !== missesBefore) observe();
    return analysis;
  }

  policyVersion(database: string): string {
    return this.#principals.version(database);
  }

  principalPolicy(principal: string, database: string): PrincipalPolicy {
    return this.#principals.of(principal, database);
  }

  /** Of a login that need not be here. Who is a member of what is read where it was last, or else in any database: roles are the same in all. */
  policyOf(principal: string): PrincipalPolicy {
    const database = this.#people.get(principal) ?? [...this.#people.values()].at(-1);
    return database !== undefined && this.#parts.catalogs.has(database) ? this.#principals.of(principal, database) : this.#principals.unknown(principal);
  }

  openCatalog(database: string): Promise<void> {
    return this.#parts.catalogs.open(database);
  }

  hasCatalog(database: string): boolean {
    return this.#parts.catalogs.has(database);
  }

  reachIndex(database: string): ReachIndex {
    return this.#parts.catalogs.index(database);
  }

  snapshot(database: string): Snapshot {
    return this.#parts.catalogs.index(database).snapshot;
  }

  refreshCatalog(database: string): Promise<Snapshot> {
    return this.#parts.catalogs.refresh(database);
  }

  markCatalogStale(database: string, elsewhere: Elsewhere): void {
    this.#parts.catalogs.markStale(database, elsewhere);
  }

  markRolesStale(elsewhere: Elsewhere): void {
    this.#parts.catalogs.markAllStale(elsewhere);
  }

  /** A catalog of before a change, or of before the login was made, does not tell whose member it is. */
  async confirmCatalog(principal: string, database: string): Promise<void> {
    if (this.catalogStale(database) || !this.snapshot(database).roles.has(principal)) await this.refreshCatalog(database);
  }

  catalogStale(database: string): boolean {
    return this.#parts.catalogs.isStale(database);
  }

  codeChanges(database: string): CodeChanges {
    return this.#parts.catalogs.get(database).codeChanges;
  }

  copiesUnknown(database: string): Promise<void> | undefined {
    return this.#parts.catalogs.copiesUnknown(database);
  }

  reach(database: string, facts: StatementFacts, searchPath: SearchPath, local: readonly LocalRelation[], when?: { readonly redefined?: boolean; readonly index?: ReachIndex }): ResolvedReach {
    return this.#parts.catalogs.reach(database, facts, searchPath, local, when);
  }

  valuesReach(database: string, types: readonly number[]): ReturnType<typeof valuesReach> {
    return valuesReach(types, this.#parts.catalogs.index(database));
  }

  rememberCopies(database: string, targets: CopyTargets): Promise<readonly string[]> {
    return this.#parts.catalogs.rememberCopies(database, targets);
  }

  settleCopies(database: string, expected: readonly string[]): void {
    this.#parts.catalogs.settleCopies(database, expected);
  }

  copiesEpoch(database: string): number {
    return this.#parts.catalogs.copiesEpoch(database);
  }

  bookMarks(database: string): BookMarks {
    return this.#parts.catalogs.get(database).marks;
  }

  async forgetBooks(by: string): Promise<void> {
    await this.#parts.catalogs.marks.forget();
    this.#parts.log.warn({ by }, 'the marks of counters and locks were taken back: reading them is free again');
  }

  classesOfOid(database: string, oid: number): readonly string[] | undefined {
    const index = this.#parts.catalogs.index(database);
    if (oid >= FIRST_USER_OID && !index.snapshot.relations.has(oid)) return undefined;
    return index.protectedOids.get(oid) ?? [];
  }

  subjectKeys(database: string, oid: number): readonly SubjectKey[] {
    return this.#parts.catalogs.index(database).keysOf(oid);
  }

  copyColumns(database: string, facts: StatementFacts, searchPath: SearchPath): readonly (ColumnAt | undefined)[] | undefined {
    return facts.outputs === undefined ? undefined : resolveOutputs(facts.outputs, this.#parts.catalogs.index(database).snapshot, searchPath);
  }

  widened(statement: Statement): readonly string[] {
    return statement.kind === 'known' ? (this.#widened.get(statement.facts) ?? []) : [];
  }

  widen(statement: Statement, classes: readonly string[]): void {
    if (statement.kind !== 'known') return;
    this.#parts.log.warn({ classes, statement: statement.facts.node }, 'the server named a protected table that the analysis had missed');
    this.#widened.set(statement.facts, [...new Set([...this.widened(statement), ...classes])]);
  }

  // --- audit ----------------------------------------------------------------------------------------------------------

  audit(event: AuditEvent): Promise<void> {
    const alert = alertOf(event, this.#recordContext);
    if (alert !== undefined) this.#parts.alerts.raise(alert);
    return this.#parts.audit.write(event);
  }

  auditText(event: AuditEvent['event'], members: string, done: (error: unknown) => void): void {
    this.#parts.audit.writeText(event, members, done);
  }

  auditPart(members: object): string {
    return this.#parts.audit.part(members);
  }

  /** Waits for refunds and records of sessions that have ended. */
  settle(limitMs: number): Promise<void> {
    return this.#pending.settled(limitMs);
  }

  describeStatement(statement: Statement): StatementDescription | Promise<StatementDescription> {
    const description = this.#descriptions.of(statement, this.#config.audit.sql);
    if (!(description instanceof Promise)) return description;
    this.#pending.begin();
    return description.finally(() => this.#pending.end());
  }

  raiseFlag(flag: () => Flag, windowMs: number, key: string): void {
    this.#flags.raise(flag, windowMs, key);
  }

  async answer(question: OwnQuestion, principal: PrincipalPolicy): Promise<OwnAnswer> {
    switch (question.kind) {
      case 'usage':
        return usageAnswer((await quotaUsage(this.store, principal)).slice(0, question.most), Date.now());
      case 'request': {
        const result = await this.grants.request({ principal: principal.principal, reason: question.reason ?? '', by: principal.principal });
        return { columns: OWN_COLUMNS.request, rows: [[result.ok ? `${result.grant.id} is recorded and waits for approval by another person` : `refused: ${result.reason}`]] };
      }
    }
  }

  // --- what happened --------------------------------------------------------------------------------------------------

  quotaUsed(ruleId: string, principal: string, used: number, limit: number): void {
    this.#parts.metrics.quotas.record(ruleId, principal, used, limit);
    this.#parts.alerts.usage(ruleId, principal, used, limit);
  }

  countRun(run: CountedRun, units: readonly ClassUnits[]): void {
    this.#counters.count(run, units);
  }

  lookedUp(principal: PrincipalPolicy, className: string): readonly LookupCrossing[] {
    return this.#lookups.note(principal, className, Date.now());
  }

  countRefusal(refusal: Refusal, principal: PrincipalPolicy): void {
    const { metrics, log } = this.#parts;
    metrics.count('refusals', { rule: refusal.ruleId });
    const level = refusal.code === undefined ? 'warn' : REFUSAL_KINDS[refusal.code].logLevel;
    log[level]({ rule: refusal.ruleId, principal: principal.principal, sqlstate: refusal.sqlstate }, refusal.message);
  }

  storeFailed(error: Error): void {
    this.#parts.metrics.count('storeErrors');
    this.#parts.log.error({ err: error }, 'the counter store failed');
  }

  sessionStarted(state: SessionState, login: LoginDescription): void {
    this.#sessions.add(state);
    const { principal, database } = state.identity;
    this.#people.delete(principal);
    this.#people.set(principal, database);
    if (this.#people.size > MAX_PEOPLE) this.#people.delete([...this.#people.keys()][0] ?? '');
    this.#parts.catalogs.use(state.identity.database);
    this.#parts.metrics.count('sessionsTotal');
    this.audit({ event: 'session_start', ...state.auditIdentity(state.principal), ...login }).catch(() => undefined);
    this.#parts.log.debug({ session: state.identity.id, principal: state.identity.principal, client: state.identity.clientAddress }, 'session started');
  }

  sessionEnded(state: SessionState, reason: string, durationMs: number): void {
    if (!this.#sessions.delete(state)) return;
    this.#parts.catalogs.leave(state.identity.database);
    const { rows, units, bytes } = state.totals;
    this.audit({ event: 'session_end', ...state.auditIdentity(state.principal), reason, rows, units, bytes, duration_ms: durationMs }).catch(() => undefined);
    this.#parts.log.debug({ session: state.identity.id, reason }, 'session ended');
  }
}
