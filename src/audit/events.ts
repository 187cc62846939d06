/**
 * What the audit log says: one JSON object a line, keys in snake_case, tagged by `event`.
 *
 * A record holds no row values. SQL stands in it as the configuration asks (`auditSql` in `redact.ts` chooses); names come from the catalog, the
 * policy and the login. The log itself adds number, chain, time and MAC, so that no caller can put a record at another place in time.
 */

import type { RecordedKind } from './recorded-kinds.ts';

export type AuditDecision = 'allow' | 'flag' | 'block' | 'terminate';

/** Units of one class: reserved as the least charge at `statement_start`, delivered at `statement_end`. */
export interface ClassUnits {
  readonly class: string;
  readonly units: number;
  /** Different people that its rows were about, those who could not be told apart included; where the role has quotas on people. */
  readonly subjects?: number | undefined;
  /** Keyed hashes of (some of) them, with `audit.subjects: keys`. */
  readonly subject_keys?: readonly string[] | undefined;
}

/** Whose session it is. In every record that belongs to one, so that a line can be read alone. */
export interface SessionIdentity {
  readonly session_id: string;
  readonly principal: string;
  readonly roles: readonly string[];
  readonly client_address: string;
  readonly application_name?: string | undefined;
  readonly database: string;
}

interface StatementIdentity extends SessionIdentity {
  /** Unique within the session. */
  readonly statement_id: string;
  readonly statement_kind: RecordedKind;
  /** Normalised or full as configured; absent with `sql: none` and where no text without literals could be made. */
  readonly sql?: string | undefined;
  /** For grouping only; two statements of different meaning may share one. */
  readonly fingerprint?: string | undefined;
  readonly classes: readonly ClassUnits[];
  readonly relations: readonly string[];
  /** Why the statement was charged to every class; empty if it was resolved exactly. */
  readonly opaque: readonly string[];
}

interface Outcome {
  readonly decision: AuditDecision;
  readonly rule_id?: string | undefined;
  readonly reason?: string | undefined;
}

/** Written, and waited for, before the first protected row leaves. */
export interface StatementStart extends StatementIdentity, Outcome {
  readonly event: 'statement_start';
}

export interface StatementEnd extends StatementIdentity, Outcome {
  readonly event: 'statement_end';
  readonly rows: number;
  readonly units: number;
  readonly bytes: number;
  /** Of the error that the client got, the server's or ours. */
  readonly sqlstate?: string | undefined;
  readonly duration_ms: number;
}

/** A rule was passed whose action is `flag`, or a block in monitor mode. */
export interface Flag extends SessionIdentity {
  readonly event: 'flag';
  readonly statement_id?: string | undefined;
  readonly decision: 'flag';
  readonly rule_id: string;
  readonly reason: string;
  readonly classes: readonly ClassUnits[];
}

/** How somebody came in. */
export interface LoginDescription {
  readonly tls: boolean;
  /** `TLSv1.2`, `TLSv1.3`; absent without TLS. */
  readonly tls_version?: string | undefined;
  /** Who checked what: `passthrough` (the server did), `scram-sha-256`, `scram-sha-256-plus`, `cleartext`, `certificate`. */
  readonly auth_method: string;
}

export interface SessionStart extends SessionIdentity, LoginDescription {
  readonly event: 'session_start';
  /** Its bytes pass unread, as the policy allows (`replication: true`): no row of it is counted. */
  readonly replication?: true | undefined;
}

export interface SessionEnd extends SessionIdentity {
  readonly event: 'session_end';
  readonly replication?: true | undefined;
  readonly reason: string;
  readonly rows: number;
  readonly units: number;
  readonly bytes: number;
  readonly duration_ms: number;
}

/**
 * The client has proven who it is, and the server takes the login. There may be no session all the same (no such database, no place, a rule of the policy):
 * then `login_failed` with the same `session_id` follows, else `session_start`.
 */
export interface LoginSucceeded extends LoginDescription {
  readonly event: 'login_succeeded';
  readonly session_id: string;
  readonly principal: string;
  readonly client_address: string;
  readonly application_name?: string | undefined;
  readonly database: string;
}

/** The principal is what the client claimed: nobody has proven it, unless `login_succeeded` stands before it. */
export interface LoginFailed {
  readonly event: 'login_failed';
  readonly session_id: string;
  readonly principal: string;
  readonly client_address: string;
  readonly application_name?: string | undefined;
  readonly database?: string | undefined;
  readonly reason: string;
  readonly sqlstate?: string | undefined;
}

export interface ConfigReload {
  readonly event: 'config_reload';
  readonly successful: boolean;
  /** SHA-256 of the configuration file, so that the log says which rules a decision was made under. */
  readonly config_sha256?: string | undefined;
  readonly reason?: string | undefined;
}

/** A temporary raise of limits: asked for, approved or taken back. */
export interface GrantChanged {
  readonly event: 'grant';
  readonly action: 'requested' | 'approved' | 'revoked';
  readonly grant_id: string;
  readonly principal: string;
  readonly class?: string | undefined;
  /** Added to each limit of the kind. */
  readonly rows: number;
  readonly subjects: number;
  readonly bytes: number;
  readonly reason: string;
  readonly requested_by: string;
  /** Who did what `action` says. */
  readonly by: string;
  /** ISO 8601: when the raise ends. */
  readonly until?: string | undefined;
}

export interface StoreOutage {
  readonly event: 'store_outage';
  readonly reason: string;
}

export interface StoreRecovered {
  readonly event: 'store_recovered';
  readonly duration_ms: number;
  /** The store came back with less than was counted before, and was filled again. */
  readonly refilled: boolean;
}

/** The first record of every file and of every process that writes one: which key seals what follows, and what it follows. */
export interface AuditOpen {
  readonly event: 'audit_open';
  /**
   * `new`: nothing came before. `continued`: by a new process. `rotated`: the file before was closed by size or time. `moved`: another program took it
   * away. `recovered`: writing failed, or somebody else wrote.
   */
  readonly reason: 'new' | 'continued' | 'rotated' | 'moved' | 'recovered';
  /** Of the key that this record and the next ones are sealed with; `none` without a key. */
  readonly key_id: string;
  readonly pid: number;
  readonly previous_seq: number;
  readonly previous_mac: string;
  /** Name of the file that ends with it, if that is another one and known. */
  readonly previous_file?: string | undefined;
  /** The line before this one is no record but the beginning of one, cut off by a crash or a full disk. */
  readonly torn_bytes?: number | undefined;
  readonly torn_sha256?: string | undefined;
}

/** Written regularly and sent to the operational log and the sinks: what was copied there shows whether the end of the file was cut off. */
export interface AuditCheckpoint {
  readonly event: 'audit_checkpoint';
  /** Records since the checkpoint before, or since the process started. */
  readonly records: number;
  readonly last_seq: number;
  readonly last_mac: string;
}

/** A closed file was kept for long enough and is removed. */
export interface AuditPruned {
  readonly event: 'audit_pruned';
  readonly file: string;
  /** Of its last record. */
  readonly last_seq: number;
  readonly last_mac: string;
}

/** The log's own word that it could not take records: how many, since when and why. Written first when it recovers. */
export interface AuditGap {
  readonly event: 'audit_gap';
  readonly refused: number;
  readonly since: string;
  readonly reason: string;
}

/** The log was cut short behind our back (size below what was there a moment ago). */
export interface AuditTampered {
  readonly event: 'audit_tampered';
  readonly reason: string;
}

export interface ServiceStart {
  readonly event: 'service_start';
  readonly version: string;
  readonly pid: number;
  readonly config_sha256?: string | undefined;
}

export interface ServiceStop {
  readonly event: 'service_stop';
  readonly reason: string;
}

export type AuditEvent =
  | StatementStart | StatementEnd | Flag
  | SessionStart | SessionEnd | LoginSucceeded | LoginFailed
  | ConfigReload | GrantChanged | StoreOutage | StoreRecovered
  | AuditOpen | AuditCheckpoint | AuditPruned | AuditGap | AuditTampered | ServiceStart | ServiceStop;

/** A line of the log, as a reader gets it. */
export type AuditRecord = AuditEvent & {
  /** Version of this format. */
  readonly v: 2;
  /** Counts up by one a record through all files of the chain, over restarts and rotations. What could not be written has no number: an `audit_gap` tells of it. */
  readonly seq: number;
  readonly chain: string;
  /** ISO 8601, UTC, milliseconds: when the record was handed to the log. */
  readonly time: string;
  /** Which of several writers of one installation; absent if there is one. */
  readonly writer?: string | undefined;
  /** Hex; see `chain.ts`. */
  readonly mac: string;
};
