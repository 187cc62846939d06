/** Rows and CopyData on their way to the client: spent against their run's lease, described, cut. */

import * as messages from '../protocol/backend-messages.ts';
import { wireNameOf } from '../protocol/frontend-messages.ts';
import type { Entry } from '../protocol/ledger.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type Ahead } from '../protocol/message-stream.ts';
import type { CopyTargets, Reach } from '../catalog/reach-types.ts';
import { blockOrFlag } from '../policy/decide.ts';
import { booksMovedRefusal, changedCodeRefusal } from '../policy/form-refusals.ts';
import type { Refusal } from '../policy/types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import { booksToMark } from './bookkeeping.ts';
import { costsUnits, judgeNow, lookUpStatement, namesUserObjects } from './judge.ts';
import { anythingWritten, withThoseMade } from './late-copies.ts';
import { LooseTextMeter } from './loose-text.ts';
import type { Portal } from './names.ts';
import { errorFields } from './refusal-message.ts';
import { covers, NO_REACH, opaqueReach, unionReach } from './reach-union.ts';
import type { ColumnShape } from '../protocol/backend-messages.ts';
import { LARGEST_ROW_LOOKED_INTO } from './people-scan.ts';
import { runOf, type Request } from './request.ts';
import { RowDescriptions } from './row-descriptions.ts';
import { COPY_READERS, DATA_ROW } from './row-reader.ts';
import type { Run } from './run.ts';
import { flagVerdict } from './run-flags.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import { countsPeople } from './subject-meter.ts';

/** CopyData that ends COPY in binary format: a field count of -1 ("COPY", File Trailer). */
export const BINARY_TRAILER_BYTES = 2;

/** What the server's messages ask of the stream that they come in. */
export interface ReplyTurn {
  /** Milliseconds of the monotonic clock at the chunk's arrival: leases are held against it. */
  nowMs: number;
  /** The stream is paused; it goes on when `work` is done. */
  later(work: () => Promise<void>): void;
  /** Puts `bytes` in front of the message at hand. */
  inject(bytes: Buffer): void;
}

export class RowMeter {
  readonly #session: SessionState;
  readonly #turn: ReplyTurn;
  readonly #looseNames: LooseTextMeter;
  readonly #described: RowDescriptions;
  /** The run that was checked against what the server confirmed since it was judged. */
  #arrived: Run | undefined;
  /** The catalog was read after the first that came of it. */
  #lookedAt: Run | undefined;
  /** What Describe told of portals and statements, for those who execute them later. */
  readonly #descriptions = new WeakMap<object, readonly ColumnShape[]>();
  /** The chunk in which units were last spent, by its time. */
  #spentAtMs = -1;
  /** The next CopyData is a line of column names. */
  copyHeader = false;
  /** A CancelRequest is under way; nothing that it could hit may be sent before it has taken effect. */
  cancelling: Promise<void> | undefined;

  constructor(session: SessionState, turn: ReplyTurn) {
    this.#session = session;
    this.#turn = turn;
    this.#described = new RowDescriptions(session);
    this.#looseNames = new LooseTextMeter(session, 'columns of a statement that is not known');
  }

  row(rowBytes: number, copy = false): AtHeader {
    const session = this.#session;
    if (headOf(session).payload.kind === 'internal') return AtHeader.Whole;
    const run = this.arrivedRun();
    if (session.muted || run === undefined || run.cut) return AtHeader.Drop;
    if ((copy ? run.looksForPeople : run.weighsExpressions || run.looksForPeople) && rowBytes <= LARGEST_ROW_LOOKED_INTO) return AtHeader.Whole;
    const { nowMs } = this.#turn;
    if (run.spend(rowBytes, nowMs) || (run.renewNow() && run.spend(rowBytes, nowMs))) {
      this.#spentAtMs = nowMs;
      return AtHeader.Forward;
    }
    const hold = this.mayHold(run);
    this.moreUnits(run);
    return hold ? AtHeader.Hold : AtHeader.Pause;
  }

  /** Rows behind one that has just been paid for. */
  ahead(): Ahead | undefined {
    const run = this.#arrived;
    return run === undefined || run.weighsExpressions || run.looksForPeople || runOf(headOf(this.#session).payload) !== run ? undefined : run.ahead();
  }

  /** Rows behind one that was looked into: where the first stands that must be handed over by itself. */
  passAhead(buffer: Buffer, start: number): number {
    const run = this.#arrived;
    return run === undefined || !run.looksForPeople || runOf(headOf(this.#session).payload) !== run ? start : run.passAhead(buffer, start, this.#turn.nowMs);
  }

  passed(rows: number, bytes: number): void {
    this.#arrived?.spendAhead(rows, bytes);
  }

  /** A row that is looked into: what its expressions hold is measured apart from plain columns where the statement aggregates, and keys of people are read. */
  rowWhole(buffer: Buffer, start: number, end: number): AtMessage {
    const run = this.arrivedRun();
    if (this.#session.muted || run === undefined || run.cut) return AtMessage.Drop;
    const rowBytes = end - start - HEADER_BYTES;
    const expressionBytes = run.weighsExpressions ? messages.rowBytesWhere(buffer, start, end, (column) => run.plainColumns?.[column] !== true) : rowBytes;
    if (run.spend(rowBytes, this.#turn.nowMs, expressionBytes, { buffer, start, end })) {
      this.#spentAtMs = this.#turn.nowMs;
      return AtMessage.Forward;
    }
    const hold = this.mayHold(run);
    this.moreUnits(run);
    return hold ? AtMessage.Hold : AtMessage.Pause;
  }

  copyDataWhole(buffer: Buffer, start: number, end: number): AtMessage {
    const run = this.arrivedRun();
    if (this.#session.muted || run === undefined || run.cut) return AtMessage.Drop;
    const body = start + HEADER_BYTES;
    const free = this.copyHeader || (end - body === BINARY_TRAILER_BYTES && buffer.readInt16BE(body) === -1);
    this.copyHeader = false;
    if (free || run.spend(end - body, this.#turn.nowMs, undefined, { buffer, start, end })) {
      this.#spentAtMs = this.#turn.nowMs;
      return AtMessage.Forward;
    }
    this.moreUnits(run);
    return AtMessage.Pause;
  }

  /**
   * What came before in this chunk may wait for the run's record too, so that all leaves in one write. Not what was spent:
   * its units are good for so long only.
   */
  mayHold(run: Run): boolean {
    return run.awaitsRecord && this.#spentAtMs !== this.#turn.nowMs;
  }

  moreUnits(run: Run): void {
    this.#turn.later(async () => {
      const refusal = await run.renew();
      if (refusal !== undefined) this.#cut(run, refusal);
    });
  }

  /** No more of this statement's rows go out. Its end is then answered with the refusal. */
  #cut(run: Run, refusal: Refusal): void {
    const session = this.#session;
    run.refusal = refusal;
    // A cancel could hit a request of another transaction behind this one; then the rest is read and dropped instead.
    if (!this.#othersBehind()) {
      this.cancelling = session.ports.cancelUpstream().finally(() => {
        this.cancelling = undefined;
      });
    }
  }

  /** Requests under way that are not of the head's own group. */
  #othersBehind(): boolean {
    let groupOver = headOf(this.#session).kind === 'query';
    let first = true;
    for (const entry of this.#session.ledger) {
      if (first) first = false;
      else if (groupOver) return true;
      if (entry.kind === 'sync') groupOver = true;
    }
    return false;
  }

  /**
   * True if definitions were changed since the statement was judged, and nobody has looked at them: it may have waited for a lock, and then run what a function or view has become.
   * What it gives is held until `lookAgain`.
   */
  mustLookAgain(): boolean {
    const { gate, identity, ledger, principal } = this.#session;
    const run = ledger.head === undefined ? undefined : runOf(ledger.head.payload);
    return run !== undefined && run !== this.#arrived && run !== this.#lookedAt && principal.metered && gate.catalogStale(identity.database) && this.#hangsOnDefinitions(run);
  }

  /** `runs`: what came shows that the server is past planning it. */
  async lookAgain(runs: boolean): Promise<void> {
    const { gate, identity, ledger } = this.#session;
    const looked = ledger.head === undefined ? undefined : runOf(ledger.head.payload);
    await gate.refreshCatalog(identity.database).catch(() => {
      // What cannot be looked up may be anything.
      const run = this.arrivedRun();
      if (run !== undefined) this.#widen(run, unionReach(run.reach, opaqueReach(gate.classNames, 'the catalog cannot be read', false)));
    });
    // Planned before this look was begun: what changes from now on is not what it runs, and a migration that goes on does not keep it waiting.
    if (runs) this.#lookedAt = looked;
  }

  /** A definition of one's own changes what others mean; what it says itself was told when it was judged. */
  #hangsOnDefinitions({ statement, catalogVersion }: Run): boolean {
    return catalogVersion !== undefined && statement.kind === 'known' && (!statement.facts.changesCatalog || statement.facts.derives) && namesUserObjects(statement.facts);
  }

  /** A function that it may call was changed since this was last asked, or since it was judged. */
  #mayRunOtherCode(run: Run): boolean {
    const { gate, identity, principal } = this.#session;
    const changes = gate.codeChanges(identity.database);
    const { statement, codeChanges, reach } = run;
    if (codeChanges === undefined || codeChanges === changes.count || !principal.metered || run.cut) return false;
    run.codeChanges = changes.count;
    return statement.kind === 'known' && (!statement.facts.changesCatalog || statement.facts.derives) && changes.mayConcern(statement.facts, reach.pure, codeChanges);
  }

  /** Rows are on the way already. */
  #stopMidway(run: Run): void {
    const session = this.#session;
    const { copies } = this.#anythingCalled(run);
    if (copies !== undefined) this.#rememberLate(copies);
    const verdict = blockOrFlag(changedCodeRefusal(run.principal), run.principal);
    if (verdict.kind === 'block') this.#cut(run, verdict.refusal);
    else if (verdict.kind === 'flag') flagVerdict(session, run, verdict);
  }

  /** Counters and locks that were free when the statement began are worked out as its rows go out: a book that was marked meanwhile may be in the rest of them. */
  #readBooksAgain(run: Run, payload: Request): void {
    const { gate, identity } = this.#session;
    const epoch = gate.copiesEpoch(identity.database);
    if (epoch <= run.copiesEpoch || run.cut || !run.principal.metered) return;
    run.copiesEpoch = epoch;
    const { reach } = judgeNow(this.#session, this.#confirmedStatement(run, payload), 'confirmed');
    if (!costsUnits(run.statement, reach) || covers(run.reach, reach)) return;
    const { copies } = withThoseMade(this.#session, reach);
    if (copies !== undefined) this.#rememberLate(copies);
    const verdict = blockOrFlag(booksMovedRefusal(run.principal), run.principal);
    if (verdict.kind === 'block') this.#cut(run, verdict.refusal);
    else if (verdict.kind === 'flag') flagVerdict(this.#session, run, verdict);
  }

  #rememberLate(copies: CopyTargets): void {
    const session = this.#session;
    session.gate.rememberCopies(session.identity.database, copies).then((expected) => (session.expectedCopies = [...session.expectedCopies, ...expected]), (error: unknown) => session.gate.storeFailed(error as Error));
  }

  #confirmedStatement(run: Run, payload: Request): Statement {
    const { names } = this.#session;
    if (payload.kind === 'bind') return names.statement(payload.statementName) ?? run.statement;
    return payload.kind === 'execute' ? (names.portal(payload.portalName)?.statement ?? UNKNOWN_PORTAL) : run.statement;
  }

  #anythingCalled({ statement, reach }: Run): Reach {
    const session = this.#session;
    const named = statement.kind === 'known' && statement.facts.named?.kind === 'execute' ? lookUpStatement(session, wireNameOf(statement.facts.named.name), 'confirmed') : statement;
    const copies = named?.kind === 'known' ? anythingWritten(session, named.facts) : undefined;
    return withThoseMade(session, unionReach(reach, { ...opaqueReach(session.gate.classNames, 'a function was changed while the statement waited', false), copies }));
  }

  /** The run that the head's replies belong to, brought up to date with what the server confirmed since it was judged. */
  arrivedRun(): Run | undefined {
    const { payload } = headOf(this.#session);
    const run = runOf(payload);
    if (run === undefined) return undefined;
    if (this.#arrived === run) {
      if (this.#mayRunOtherCode(run)) this.#stopMidway(run);
      if (run.reach.categories.has('statistics')) this.#readBooksAgain(run, payload);
      return run;
    }
    // Of a run that Bind began the rest is told when its Execute is answered.
    if (payload.kind !== 'bind' && payload.kind !== 'parse') this.#arrived = run;
    const statement = this.#confirmedStatement(run, payload);
    // A relation that became a copy while the statement waited for a lock on it: the server reads it as it is now.
    const { gate, identity } = this.#session;
    const outdated = gate.copiesEpoch(identity.database) > run.copiesEpoch || (this.#hangsOnDefinitions(run) && run.catalogVersion !== gate.snapshot(identity.database).version);
    if (outdated || (payload.kind === 'execute' || payload.kind === 'bind' ? statement !== run.statement || isNamed(statement) : isNamed(statement))) {
      const { reach } = judgeNow(this.#session, statement, 'confirmed');
      if (costsUnits(statement, reach)) {
        // The same statement, judged again: it leaves behind no more than either says.
        const asideBytes = Math.max(run.reach.asideBytes ?? 0, reach.asideBytes ?? 0);
        if (!covers(run.reach, reach)) this.#widen(run, withThoseMade(this.#session, { ...unionReach(run.reach, reach), asideBytes }));
        else if (booksToMark(this.#session, reach).length > 0) this.#widen(run, { ...run.reach, traces: reach.traces });
      }
    }
    if (this.#mayRunOtherCode(run)) this.#widen(run, this.#anythingCalled(run));
    if (payload.kind === 'execute') this.#describeExecuted(run, this.#session.names.portal(payload.portalName));
    return run;
  }

  /** Execute sends no RowDescription: what Describe told of the portal holds, or what it told of its statement with the formats of Bind. */
  #describeExecuted(run: Run, portal: Portal | undefined): void {
    if (portal === undefined) return;
    const columns = this.#descriptions.get(portal) ?? (portal.statement === undefined ? undefined : this.#descriptions.get(portal.statement));
    if (columns === undefined) return;
    const formats = portal.resultFormats;
    run.describe(columns.map((column, i) => (column.format === undefined ? { ...column, format: formats === undefined ? undefined : formats.length === 1 ? formats[0] : (formats[i] ?? 0) } : column)), DATA_ROW);
  }

  #widen(run: Run, reach: Reach): void {
    if (!run.metered) this.#session.meteredInFlight++;
    run.widen(reach);
  }

  rowDescription(entry: Entry<Request>, buffer: Buffer, start: number, end: number): AtMessage {
    const session = this.#session;
    const paid = this.#payForNames(entry, end - start - HEADER_BYTES);
    if (paid !== undefined) return paid;
    const { columns, classes, unknownTables, plain } = this.#described.read(buffer, start, end);
    const { payload } = entry;
    if (payload.kind === 'describe') {
      const statement = payload.target === 'statement' ? session.names.statement(payload.name) : session.names.portal(payload.name)?.statement;
      if (statement !== undefined && classes.length > 0) this.#heed(statement, NO_REACH, classes);
      this.#remember(payload.target === 'portal' ? session.names.portal(payload.name) : statement, payload.target, columns);
      session.ledger.shift();
      return passOn(session);
    }
    const run = this.arrivedRun();
    if (run !== undefined && unknownTables > ownTables(session, run.statement)) {
      // A table that was made a moment ago may be anything: the snapshot is too old to tell.
      session.gate.markCatalogStale(session.identity.database, 'untold');
      this.#widen(run, unionReach(run.reach, opaqueReach(session.gate.classNames, 'the server named a table that the catalog did not have a moment ago', false)));
    }
    if (run !== undefined) {
      run.describe(columns, DATA_ROW);
      run.plainColumns = plain;
      if (classes.length > 0) {
        const missing = this.#heed(run.statement, run.reach, classes);
        if (missing.length > 0) this.#widen(run, unionReach(run.reach, opaqueReach(missing, 'the server named a protected table in the result', false)));
      }
    }
    return passOn(session);
  }

  /** Names of columns stand in the statement's text, unless nobody has seen it: code that opened a cursor may have made them of values. */
  #payForNames({ payload }: Entry<Request>, bytes: number): AtMessage | undefined {
    const session = this.#session;
    if (!session.tainted || !session.principal.metered) return undefined;
    if (payload.kind === 'describe') {
      const known = payload.target === 'portal' ? session.names.portal(payload.name)?.statement : session.names.statement(payload.name);
      if (known !== undefined && known.kind !== 'opaque' && !isNamed(known)) return undefined;
      const answer = this.#looseNames.judge(bytes, this.#turn.nowMs);
      if (answer.kind === 'paid') return undefined;
      if (answer.kind === 'refused') {
        session.ports.end(errorFields({ ...answer.refusal, severity: 'FATAL' }), `refused: ${answer.refusal.ruleId}`);
        return AtMessage.Drop;
      }
      this.#turn.later(() => answer.until);
      return AtMessage.Pause;
    }
    const run = this.arrivedRun();
    if (run === undefined || run.reach.opaque.length === 0 || (run.statement.kind === 'known' && !isNamed(run.statement))) return undefined;
    if (run.cut) return AtMessage.Drop;
    if (run.spendText(bytes, this.#turn.nowMs)) return undefined;
    this.moreUnits(run);
    return AtMessage.Pause;
  }

  /** Of a statement the formats are not known yet: the description says 0 for all of them ("Message Formats", RowDescription). */
  #remember(described: object | undefined, target: 'portal' | 'statement', columns: readonly ColumnShape[]): void {
    if (described !== undefined) this.#descriptions.set(described, target === 'portal' ? columns : columns.map((column) => ({ ...column, format: undefined })));
  }

  /** The server's word beats ours: classes that its description shows and our verdict lacks are remembered with the statement. */
  #heed(statement: Statement, known: Reach, classes: readonly string[]): readonly string[] {
    const reach = known === NO_REACH ? judgeNow(this.#session, statement, 'confirmed').reach : known;
    const missing = classes.filter((name) => !reach.classes.some((cls) => cls.className === name));
    if (missing.length > 0) this.#session.gate.widen(statement, missing);
    return missing;
  }

  /** CopyOutResponse: what comes is of the run that has arrived. */
  copyOutBegins(): void {
    const run = this.arrivedRun();
    this.copyHeader = false;
    if (run?.statement.kind !== 'known') return;
    const { facts } = run.statement;
    this.copyHeader = facts.copy?.header === true;
    this.#describeCopied(run, facts);
  }

  /** No message tells what COPY's columns are: its text does. */
  #describeCopied(run: Run, facts: StatementFacts): void {
    const session = this.#session;
    if (facts.copy === undefined || !facts.copy.plain || !countsPeople(run.principal)) return;
    // Tables that nobody else's catalog has yet may hide others of their name.
    if (session.localRelations.length > 0 || session.definitionsChanged) return;
    const columns = session.gate.copyColumns(session.identity.database, facts, session.currentSearchPath);
    const format = facts.copy.format === 'binary' ? 1 : 0;
    if (columns !== undefined) run.describe(columns.map((column) => ({ ...(column ?? NO_TABLE), format })), COPY_READERS[facts.copy.format]);
  }
}

export function headOf({ ledger: { head } }: SessionState): Entry<Request> {
  if (head === undefined) throw new ProtocolViolation('server message answers no request');
  return head;
}

export function passOn({ muted }: SessionState): AtMessage {
  return muted ? AtMessage.Drop : AtMessage.Forward;
}

/** How many tables of the statement this session made in its open transaction: nobody else's catalog has them yet. */
function ownTables(session: SessionState, statement: Statement): number {
  if (session.localRelations.length === 0 || statement.kind !== 'known') return 0;
  const named = new Set(statement.facts.relations.map(({ name }) => name));
  return session.localRelations.filter(({ name, classes, onlyType }) => !onlyType && named.has(name) && classes.length === 0).length;
}

const NO_TABLE = { tableOid: 0, attributeNumber: 0, type: 0 };

const UNKNOWN_PORTAL: Statement = { kind: 'opaque', reason: 'the portal is not known to Rowgate', text: '' };

function isNamed(statement: Statement): boolean {
  return statement.kind === 'known' && (statement.facts.named?.kind === 'execute' || statement.facts.named?.kind === 'fetch');
}
