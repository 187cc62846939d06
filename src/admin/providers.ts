/** What the admin server asks of the rest of Rowgate. It knows nothing by itself. */

/** Part of /readyz. A check that throws, or does not answer in time, counts as failed. */
export type ReadinessResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };
export type ReadinessCheck = () => Promise<ReadinessResult> | ReadinessResult;

/** `reason` is told to anyone who can reach the port: a code or a plain sentence, no names and no addresses. */
export interface ReadinessChecks {
  readonly upstream: ReadinessCheck;
  readonly store: ReadinessCheck;
  readonly audit: ReadinessCheck;
  readonly catalog: ReadinessCheck;
}

export interface SessionView {
  readonly session_id: string;
  readonly principal: string;
  readonly roles: readonly string[];
  readonly client_address: string;
  readonly application_name: string;
  readonly database: string;
  /** ISO 8601. */
  readonly started_at: string;
  /** E.g. `idle`, `active`, `idle in transaction`. */
  readonly state: string;
  readonly statements: number;
  readonly rows: number;
  readonly units: number;
  readonly bytes: number;
}

export interface UsageView {
  readonly rule_id: string;
  readonly role: string;
  readonly scope: 'principal' | 'role';
  /** Absent for a quota of scope `role`. */
  readonly principal?: string | undefined;
  readonly class: string;
  readonly dimension: 'rows' | 'subjects' | 'bytes';
  readonly window: string;
  readonly used: number;
  readonly limit: number;
  /** Until the oldest counted units leave the window; absent if none are counted. */
  readonly next_free_in_ms?: number | undefined;
}

/** What proves the end of the audit log to `rowgate audit verify --head`. */
export interface AuditHeadView {
  /** Of several that write side by side. */
  readonly writer?: string | undefined;
  readonly chain: string;
  readonly seq: number;
  readonly mac: string;
}

export interface UsageFilter {
  readonly principal: string | undefined;
}

export type ReloadResult =
  | { readonly ok: true; readonly config_sha256: string; readonly warnings: readonly string[] }
  /** Nothing was changed. Problems name places in the file, never values of secrets. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface GrantView {
  readonly id: string;
  readonly principal: string;
  readonly state: 'waiting' | 'in force';
  readonly class?: string | undefined;
  readonly rows: number;
  readonly subjects: number;
  readonly bytes: number;
  readonly reason: string;
  readonly requested_by: string;
  readonly requested_at: string;
  readonly approved_by?: string | undefined;
  readonly until?: string | undefined;
  /** How long a request asks for, in words. */
  readonly asked_for?: string | undefined;
  /** What is most likely not meant. */
  readonly note?: string | undefined;
}

export type GrantAnswer = { readonly ok: true; readonly grant: GrantView } | { readonly ok: false; readonly reason: string };

/** As they come over HTTP: not looked at yet. */
export interface GrantOrder {
  readonly principal?: unknown;
  readonly class?: unknown;
  readonly rows?: unknown;
  readonly subjects?: unknown;
  readonly bytes?: unknown;
  readonly for_ms?: unknown;
  readonly reason?: unknown;
  /** Ask for it only. */
  readonly request?: unknown;
}

export interface GrantProviders {
  readonly list: () => Promise<readonly GrantView[]>;
  /** `by`: whose token it was. */
  readonly order: (order: GrantOrder, by: string) => Promise<GrantAnswer>;
  readonly approve: (id: string, order: GrantOrder, by: string) => Promise<GrantAnswer>;
  readonly revoke: (id: string, by: string) => Promise<GrantAnswer>;
}

export interface AdminProviders {
  readonly grants?: GrantProviders;
  readonly sessions: () => Promise<readonly SessionView[]> | readonly SessionView[];
  /** Ends a session; false if there is none of this id. */
  readonly endSession: (id: string) => Promise<boolean> | boolean;
  readonly usage: (filter: UsageFilter) => Promise<readonly UsageView[]>;
  /** Takes back the marks of the servers' counters and locks, for all processes that share the store. Rejects if it cannot be kept. */
  readonly forgetBooks: (by: string) => Promise<void>;
  readonly reload: () => Promise<ReloadResult>;
  /** The last record of each audit log that has one: one for each process. */
  readonly auditHeads?: (() => Promise<readonly AuditHeadView[]> | readonly AuditHeadView[]) | undefined;
}

/** The text for Prometheus. */
export interface MetricsProvider {
  readonly contentType: string;
  readonly render: () => Promise<string>;
}
