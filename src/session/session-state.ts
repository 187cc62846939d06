import { isAscii } from 'node:buffer';
import { Ledger } from '../protocol/ledger.ts';
import { wireNameOf, type WireName } from '../protocol/frontend-messages.ts';
import { NAME_BYTES } from '../protocol/limits.ts';
import { ProtocolViolation } from '../protocol/message-stream.ts';
import type { TransactionStatus } from '../protocol/message-types.ts';
import type { SessionIdentity as AuditIdentity } from '../audit/events.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';
import type { Attached, LocalRelation, Reach, SearchPath } from '../catalog/reach-types.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import type { CodeChange } from './code-changes.ts';
import type { Gate } from './gate.ts';
import { SessionNames } from './names.ts';
import type { Request } from './request.ts';
import type { Run } from './run.ts';
import { textDecoderFor, type TextDecode } from './text-encoding.ts';
import { NOTHING_ATTACHED } from '../catalog/attached.ts';

/** Who is on the other end; fixed at login. */
export interface SessionIdentity {
  readonly id: string;
  readonly principal: string;
  readonly database: string;
  readonly clientAddress: string;
}

/** What the two reducers of a session ask of the one place that owns the sockets. */
export interface SessionPorts {
  toClient(bytes: Buffer): void;
  /** Behind all that was forwarded so far, in front of the client message at hand. */
  toServer(bytes: Buffer): void;
  /** What the client's stream passes on. */
  writeServer(bytes: Buffer): void;
  /** Goes on reading client messages after a pause. */
  wakeClient(): void;
  /** Goes on reading server messages after a pause. */
  wakeServer(): void;
  /** Sends a CancelRequest with the server's key; resolves when it has taken effect or failed. */
  cancelUpstream(): Promise<void>;
  /** Something that must not happen did: logged, and the session ends. */
  fault(error: unknown): void;
  /** Ends the session: the client gets a FATAL error if one is given, both sockets close. */
  end(error: ErrorFields | undefined, reason: string): void;
}

/** All that one session knows; changed by the frontend and the backend reducer only. */
export class SessionState {
  readonly identity: SessionIdentity;
  readonly gate: Gate;
  readonly ports: SessionPorts;
  readonly ledger = new Ledger<Request>();
  readonly names = new SessionNames();
  applicationName = '';
  clientEncoding = 'UTF8';
  serverEncoding = 'UTF8';
  /** A change of client_encoding was sent, and ReadyForQuery has not told whether it holds. */
  encodingUnsettled = false;
  /** client_encoding was changed in the open transaction: its end may change it back. */
  encodingTouched = false;
  standardConformingStrings = true;
  /** As of the last ReadyForQuery. */
  transaction: TransactionStatus = 'I';
  /** A BEGIN was forwarded whose ReadyForQuery has not come. */
  beginInFlight = false;
  /** Messages were forwarded since the last Sync or Query. */
  groupOpen = false;
  /** The extended-query group that is being sent may have changed something. */
  groupModifies = false;
  /** A request of the group stands refused, so that the server passes over all that comes until Sync. */
  groupRefused = false;
  /** What the last metered run reached: errors at Sync come from what ran before it. */
  groupReach: Reach | undefined;
  /** Runs that Bind began, and that no Execute has taken yet. */
  earlyRuns: Run[] = [];
  /** Runs forwarded and not finished that are metered. */
  meteredInFlight = 0;
  /** Schemas in which the server resolves unqualified names; undefined while not known. */
  searchPath: SearchPath;
  /** The catalog snapshot that `searchPath` was asked under. */
  searchPathVersion = '';
  /** Definitions were changed in a transaction that has not ended, so the catalog snapshot is not what the server sees. */
  definitionsChanged = false;
  /** Statements of the open transaction that changed definitions in other ways than by making a table: each may have made a relation or an index. */
  definitions = 0;
  /** Whether transactions may be serializable: as the session began, or as a statement since may have made it; undefined while nobody has asked. */
  serializes: boolean | undefined;
  /** Likewise whether its statements are kept in the counters of tables (`track_counts`). */
  counts: boolean | undefined;
  /** Plain tables that the open transaction made: empty when made, and not yet in the catalog that others see. */
  localRelations: readonly LocalRelation[] = [];
  /** What code writes to that the open transaction has attached to something (`Reach.attached`). */
  attached: Attached = NOTHING_ATTACHED;
  /** Copies that the open transaction makes under names that the catalog does not have yet. */
  expectedCopies: readonly string[] = [];
  /** The catalog is to be read again once this session's transaction is over. */
  catalogTouched = false;
  /** Changes of functions in the open transaction, which others see when it commits. */
  codeChanged: readonly CodeChange[] = [];
  /** Likewise roles and memberships, which are shared by all databases. */
  rolesTouched = false;
  /** Code ran that may have made statements or cursors that Rowgate did not see. */
  tainted = false;
  /** COPY FROM STDIN is under way: CopyData is expected from the client. */
  copyIn = false;
  /** The COPY FROM STDIN that has not begun: client messages wait for it, since only then is it clear which Sync the server will answer. */
  copyInRun: Run | undefined;
  /** A cut statement had already completed: the server's transaction is being brought to where the client believes it to be. */
  settlingCut = false;
  /** Nothing more of the current replies reaches the client until ReadyForQuery. */
  muted = false;
  ended = false;
  /** Told of each ReadyForQuery outside of a transaction, once somebody waits for the session to be idle. */
  onIdle: (() => void) | undefined;
  #principal: PrincipalPolicy;
  #policyVersion = '';
  #decode: TextDecode | undefined;
  #decodeFor = '';
  #statementCount = 0;
  readonly totals = { rows: 0, units: 0, bytes: 0 };
  readonly startedAtMs = Date.now();

  constructor(identity: SessionIdentity, gate: Gate, ports: SessionPorts) {
    this.identity = identity;
    this.gate = gate;
    this.ports = ports;
    this.#principal = gate.principalPolicy(identity.principal, identity.database);
  }

  /** The policy in force now: a reload or a change of role membership counts from the next statement on. */
  get principal(): PrincipalPolicy {
    const version = this.gate.policyVersion(this.identity.database);
    if (version !== this.#policyVersion) {
      this.#principal = this.gate.principalPolicy(this.identity.principal, this.identity.database);
      this.#policyVersion = version;
    }
    return this.#principal;
  }

  /** Reads statement texts; undefined if the session's encoding does not allow to read them safely. */
  get decode(): TextDecode | undefined {
    if (this.#decodeFor !== this.clientEncoding) {
      this.#decode = textDecoderFor(this.clientEncoding);
      this.#decodeFor = this.clientEncoding;
    }
    return this.#decode;
  }

  /** Undefined if the bytes cannot be read for certain. */
  decodeText(bytes: Buffer): string | undefined {
    // ASCII is the same in all encodings that are let through.
    if (isAscii(bytes)) return bytes.toString('latin1');
    return this.encodingUnsettled ? undefined : this.decode?.(bytes);
  }

  /** A protocol-level name as the server compares it. */
  nameOf(bytes: Buffer): WireName {
    if (isAscii(bytes)) return bytes.toString('latin1', 0, NAME_BYTES);
    const name = this.serverEncoding === 'UTF8' ? this.decodeText(bytes) : undefined;
    if (name === undefined) throw new ProtocolViolation('a name of a statement or portal that is not ASCII cannot be read for certain');
    return wireNameOf(name);
  }

  /** True if the analyser can read what this session sends exactly as the server reads it. */
  get readable(): boolean {
    return this.standardConformingStrings && this.decode !== undefined;
  }

  /** The search path if it was asked for under the catalog snapshot in force: a new schema can change what it leads to. */
  get currentSearchPath(): SearchPath {
    return this.searchPathVersion === this.gate.snapshot(this.identity.database).version ? this.searchPath : undefined;
  }

  get inTransaction(): boolean {
    return this.transaction !== 'I' || this.beginInFlight;
  }

  /** Nothing is under way: the server waits for a request. */
  get quiet(): boolean {
    return this.ledger.length === 0 && !this.ledger.skipping && !this.groupOpen;
  }

  /** ParameterStatus: settings that decide how texts are read, and the name that the client goes by. */
  noteParameter(name: string, value: string): void {
    if (name === 'client_encoding') this.clientEncoding = value;
    else if (name === 'server_encoding') this.serverEncoding = value;
    else if (name === 'standard_conforming_strings') this.standardConformingStrings = value === 'on';
    else if (name === 'application_name') this.applicationName = value;
  }

  /** The part of every audit record that says whose session it is. */
  auditIdentity(principal: PrincipalPolicy): AuditIdentity {
    return {
      session_id: this.identity.id,
      principal: this.identity.principal,
      roles: principal.roles,
      client_address: this.identity.clientAddress,
      application_name: this.applicationName,
      database: this.identity.database,
    };
  }

  get statementCount(): number {
    return this.#statementCount;
  }

  /** Protected rows, their units and bytes, over the whole session. */
  addTotals(rows: number, units: number, bytes: number): void {
    this.totals.rows += rows;
    this.totals.units += units;
    this.totals.bytes += bytes;
  }

  nextStatementId(): string {
    return `${this.identity.id}.${++this.#statementCount}`;
  }
}
