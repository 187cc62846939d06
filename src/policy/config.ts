import type { z } from 'zod';
import type { DenyCategory } from '../catalog/reach-types.ts';
import type { AddressRange } from './address-range.ts';
import { upstreamSection, type ParsedConfig } from './config-schema.ts';
import { CERTIFICATE_FIELDS, type AUTH_METHODS, type ParsedAuth } from './config-schema-auth.ts';
import type { CLIENT_TLS_MODES, SERVER_TLS_MODES } from './config-schema-tls.ts';
import type { ALERT_EVENTS, AUDIT_FORMATS, SYSLOG_FACILITIES } from './config-schema-outlets.ts';
import type { Secret } from './secret.ts';
import type { MemberPattern, QuotaAction, QuotaScope } from './types.ts';
import { isGlob } from './glob.ts';
import { formatDuration } from './units.ts';

/** The configuration as the program uses it: units in the names, every default filled in. */
export interface Config {
  readonly workers: number | 'auto';
  readonly listen: {
    readonly host: string;
    readonly port: number;
    /** Directory and permissions of a Unix socket. */
    readonly socket: { readonly directory: string; readonly mode: number } | undefined;
    /** Whose connections begin with a PROXY header. */
    readonly proxyFrom: readonly AddressRange[];
    readonly tls: ListenTlsConfig | undefined;
  };
  readonly upstream: {
    readonly host: string;
    readonly port: number;
    /** Names and globs; undefined: the databases that hold at least one relation of a class. */
    readonly databases: readonly string[] | undefined;
    readonly tls: UpstreamTlsConfig;
    /** Databases that `databases` does not name are here; else they do not exist. */
    readonly takesRest: boolean;
  };
  readonly databases: readonly DatabaseConfig[];
  readonly auth: AuthConfig;
  readonly catalog: { readonly user: string; readonly password: Secret | undefined; readonly refreshMs: number };
  readonly store: StoreConfig;
  readonly audit: {
    readonly file: string;
    readonly sql: 'normalized' | 'full' | 'none';
    readonly subjects: 'none' | 'count' | 'keys';
    readonly onFailure: 'block' | 'continue';
    /** Tells this process's file from those of others; undefined: there is one. */
    readonly writer: string | undefined;
    /** Undefined: a chain without a key. */
    readonly key: Secret | undefined;
    readonly sync: 'record' | { readonly everyMs: number };
    readonly rotation: { readonly sizeBytes: number | undefined; readonly everyMs: number | undefined; readonly keepMs: number | undefined };
    readonly checkpointMs: number;
    readonly sinks: readonly AuditSinkConfig[];
  };
  readonly alerts: AlertsConfig;
  readonly admin: { readonly host: string; readonly port: number; readonly token: Secret | undefined; readonly people: ReadonlyMap<string, Secret>; readonly fourEyes: boolean };
  readonly metrics: { readonly principalLabel: boolean };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' };
  readonly limits: {
    readonly maxStatementBytes: number;
    readonly authTimeoutMs: number;
    readonly maxLoginDelayMs: number;
    readonly maxSessions: number;
    readonly maxSessionsPerPrincipal: number;
    readonly maxUnauthenticated: number;
    readonly startupPacketBytes: number;
    readonly idleTimeoutMs: number;
    readonly tcpKeepaliveMs: number;
    readonly drainMs: number;
  };
  readonly classes: readonly ClassConfig[];
  readonly roles: readonly RoleConfig[];
  readonly unlisted: 'block' | 'flag' | 'allow';
  readonly mode: 'enforce' | 'monitor';
  readonly trustedFunctions: readonly string[];
}

/** File names stand here as the configuration gives them, or made absolute by whoever read it from a file. */
export interface AuditSinkConfig {
  readonly name: string;
  readonly url: Secret;
  readonly format: (typeof AUDIT_FORMATS)[number];
  readonly facility: (typeof SYSLOG_FACILITIES)[number];
  readonly headers: ReadonlyMap<string, Secret>;
  readonly ca: string | undefined;
  readonly bufferBytes: number;
  readonly timeoutMs: number;
}

export type AlertEvent = (typeof ALERT_EVENTS)[number];

export interface WebhookConfig {
  readonly name: string;
  readonly url: Secret;
  readonly format: 'json' | 'slack';
  /** Undefined: all. */
  readonly events: readonly AlertEvent[] | undefined;
  readonly headers: ReadonlyMap<string, Secret>;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

export interface AlertsConfig {
  readonly webhooks: readonly WebhookConfig[];
  /** 0: never. */
  readonly nearLimitPercent: number;
  readonly repeatMs: number;
  readonly perMinute: number;
}

export interface ListenTlsConfig {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  readonly mode: (typeof CLIENT_TLS_MODES)[number];
}

export interface UpstreamTlsConfig {
  readonly mode: (typeof SERVER_TLS_MODES)[number];
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly negotiation: 'postgres' | 'direct';
}

export interface CertificateRule {
  readonly field: (typeof CERTIFICATE_FIELDS)[number];
  /** Matches the whole name. */
  readonly pattern: RegExp;
  readonly login: string;
}

export interface AuthConfig {
  readonly method: (typeof AUTH_METHODS)[number];
  readonly lookup: { readonly user: string; readonly password: Secret | undefined; readonly database: string } | undefined;
  readonly users: string | undefined;
  /** Names and globs. */
  readonly cleartext: readonly string[];
  readonly upstreamUsers: string | undefined;
  /** Undefined: the key is not there. */
  readonly certificates: readonly CertificateRule[] | undefined;
  readonly mockSecret: Secret | undefined;
}

interface StoreSettings {
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly onOutage: 'block' | { readonly allowance: number };
  /** undefined: in memory only. */
  readonly journal: { readonly file: string; readonly sync: 'always' | '1s' | 'never' } | undefined;
  /** File names. */
  readonly tls: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined; readonly servername: string | undefined } | undefined;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username: string | undefined;
  readonly password: Secret | undefined;
}

export type StoreConfig =
  | (StoreSettings & { readonly kind: 'redis'; readonly url: Secret })
  | (StoreSettings & Login & { readonly kind: 'sentinel'; readonly master: string; readonly nodes: readonly HostPort[]; readonly sentinelLogin: Login })
  | (StoreSettings & Login & { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] })
  | (StoreSettings & { readonly kind: 'memory' });

export interface ClassConfig {
  readonly name: string;
  readonly unitBytes: number;
  readonly packedUnitBytes: number;
  readonly relations: readonly { readonly pattern: string; readonly subject: readonly string[] }[];
  readonly functions: readonly { readonly pattern: string; readonly reads: boolean }[];
}

export interface QuotaConfig {
  readonly className: string;
  readonly window: number | 'statement';
  readonly windowText: string;
  readonly rows: number | undefined;
  readonly subjects: number | undefined;
  readonly bytes: number | undefined;
  readonly scope: QuotaScope;
  readonly action: QuotaAction;
}

export interface RoleConfig {
  readonly name: string;
  readonly members: readonly MemberPattern[];
  readonly quotas: readonly QuotaConfig[];
  /** undefined: the secure default. */
  readonly deny: readonly DenyCategory[] | undefined;
  readonly contact: string | undefined;
  readonly replication: boolean;
  readonly errors: 'redact' | 'full' | undefined;
  readonly lookups: { readonly windowMs: number; readonly windowText: string; readonly above: number; readonly habit: number };
}

export interface DatabaseConfig {
  /** A name or glob. */
  readonly pattern: string;
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamTlsConfig;
  /** Its name on the server; undefined: as the client calls it. */
  readonly database: string | undefined;
}

export function toConfig(parsed: ParsedConfig): Config {
  const upstream = parsed.upstream ?? upstreamSection.parse({});
  return {
    workers: parsed.workers,
    listen: {
      host: parsed.listen.host,
      port: parsed.listen.port,
      socket: parsed.listen.socket === undefined ? undefined : { directory: parsed.listen.socket, mode: Number.parseInt(parsed.listen.socket_mode, 8) },
      proxyFrom: parsed.listen.proxy_protocol?.from ?? [],
      tls: toListenTls(parsed.listen.tls),
    },
    upstream: {
      host: upstream.host,
      port: upstream.port,
      databases: upstream.databases,
      tls: toUpstreamTls(upstream.tls),
      takesRest: parsed.upstream !== undefined || Object.keys(parsed.databases).length === 0,
    },
    databases: Object.entries(parsed.databases).map(([pattern, { host, port, tls, database }]) => ({
      pattern,
      host: host ?? upstream.host,
      port: port ?? (host === undefined ? upstream.port : 5432),
      tls: toUpstreamTls(tls ?? upstream.tls),
      database,
    })),
    auth: toAuth(parsed.auth),
    catalog: { user: parsed.catalog.user, password: parsed.catalog.password, refreshMs: parsed.catalog.refresh },
    store: toStore(parsed.store),
    audit: toAudit(parsed.audit),
    alerts: toAlerts(parsed.alerts),
    admin: { host: parsed.admin.host, port: parsed.admin.port, token: parsed.admin.token, people: new Map(Object.entries(parsed.admin.people)), fourEyes: parsed.admin.four_eyes },
    metrics: { principalLabel: parsed.metrics.principal_label },
    log: { level: parsed.log.level },
    limits: {
      maxStatementBytes: parsed.limits.max_statement_bytes,
      authTimeoutMs: parsed.limits.auth_timeout,
      maxLoginDelayMs: parsed.limits.max_login_delay,
      maxSessions: parsed.limits.max_sessions,
      maxSessionsPerPrincipal: parsed.limits.max_sessions_per_principal,
      maxUnauthenticated: parsed.limits.max_unauthenticated,
      startupPacketBytes: parsed.limits.startup_packet_bytes,
      idleTimeoutMs: parsed.limits.idle_timeout,
      tcpKeepaliveMs: parsed.limits.tcp_keepalive,
      drainMs: parsed.limits.drain,
    },
    classes: Object.entries(parsed.classes).map(([name, cls]) => toClass(name, cls)),
    roles: Object.entries(parsed.roles).map(([name, role]) => toRole(name, role)),
    unlisted: parsed.unlisted,
    mode: parsed.mode,
    trustedFunctions: parsed.trusted_functions,
  };
}

function toListenTls(tls: ParsedConfig['listen']['tls']): ListenTlsConfig | undefined {
  return tls === undefined ? undefined : { cert: tls.cert, key: tls.key, clientCa: tls.client_ca, mode: tls.mode };
}

function toUpstreamTls({ mode, ca, cert, key, negotiation }: z.output<typeof upstreamSection>['tls']): UpstreamTlsConfig {
  return { mode, ca, cert, key, negotiation };
}

function toAudit(audit: ParsedConfig['audit']): Config['audit'] {
  return {
    file: audit.file,
    sql: audit.sql,
    subjects: audit.subjects,
    onFailure: audit.on_failure,
    writer: audit.writer,
    key: audit.key,
    sync: audit.sync === 'record' ? 'record' : { everyMs: audit.sync_interval },
    rotation: { sizeBytes: audit.rotate.size, everyMs: audit.rotate.every, keepMs: audit.rotate.keep },
    checkpointMs: audit.checkpoint,
    sinks: audit.sinks.map(({ url, name, format, facility, headers, ca, buffer, timeout }, index) => ({
      name: name ?? `sink${index + 1}`,
      url,
      format,
      facility,
      headers: new Map(Object.entries(headers)),
      ca,
      bufferBytes: buffer,
      timeoutMs: timeout,
    })),
  };
}

function toAlerts(alerts: ParsedConfig['alerts']): AlertsConfig {
  return {
    webhooks: alerts.webhooks.map(({ url, name, format, events, headers, ca, timeout }, index) => ({
      name: name ?? `webhook${index + 1}`,
      url,
      format,
      events,
      headers: new Map(Object.entries(headers)),
      ca,
      timeoutMs: timeout,
    })),
    nearLimitPercent: alerts.near_limit,
    repeatMs: alerts.repeat,
    perMinute: alerts.per_minute,
  };
}

function toAuth(auth: ParsedAuth): AuthConfig {
  return {
    method: auth.method,
    lookup: auth.lookup === undefined ? undefined : { user: auth.lookup.user, password: auth.lookup.password, database: auth.lookup.database },
    users: auth.users,
    cleartext: auth.cleartext,
    upstreamUsers: auth.upstream_users,
    certificates: auth.certificates?.flatMap((rule) =>
      CERTIFICATE_FIELDS.flatMap((field) => {
        const pattern = rule[field];
        return pattern === undefined ? [] : [{ field, pattern: new RegExp(`^(?:${pattern})$`, 'u'), login: rule.login }];
      }),
    ),
    mockSecret: auth.mock_secret,
  };
}

function toStore(store: ParsedConfig['store']): StoreConfig {
  const { tls, username, password, journal } = store;
  const settings: StoreSettings = {
    prefix: store.prefix,
    timeoutMs: store.timeout,
    onOutage: store.on_outage,
    journal: journal === undefined ? undefined : { file: journal, sync: store.journal_sync },
    tls: tls === undefined ? undefined : { ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.servername },
  };
  if (store.redis !== undefined) return { ...settings, kind: 'redis', url: store.redis };
  if (store.cluster !== undefined) return { ...settings, kind: 'cluster', nodes: store.cluster.map(toHostPort), username, password };
  if (store.sentinel !== undefined) {
    const { master, nodes } = store.sentinel;
    const sentinelLogin = { username: store.sentinel.username, password: store.sentinel.password };
    return { ...settings, kind: 'sentinel', master, nodes: nodes.map(toHostPort), sentinelLogin, username, password };
  }
  return { ...settings, kind: 'memory' };
}

function toHostPort(node: string): HostPort {
  const colon = node.lastIndexOf(':');
  return { host: node.slice(0, colon).replace(/^\[(.*)\]$/u, '$1'), port: Number(node.slice(colon + 1)) };
}

function toClass(name: string, cls: ParsedConfig['classes'][string]): ClassConfig {
  return {
    name,
    unitBytes: cls.unit_bytes,
    packedUnitBytes: cls.packed_unit_bytes,
    relations: Object.entries(cls.relations).map(([pattern, relation]) => ({ pattern, subject: [relation.subject ?? []].flat() })),
    functions: Object.entries(cls.functions).map(([pattern, fn]) => ({ pattern, reads: fn.reads })),
  };
}

function toRole(name: string, role: ParsedConfig['roles'][string]): RoleConfig {
  return {
    name,
    members: role.members.map(toMember),
    quotas: role.quotas.map((quota) => ({
      className: quota.class,
      window: quota.window.ms,
      windowText: quota.window.text,
      rows: quota.rows,
      subjects: quota.subjects,
      bytes: quota.bytes,
      scope: quota.scope,
      action: quota.action,
    })),
    deny: role.deny,
    contact: role.contact,
    replication: role.replication,
    errors: role.errors,
    lookups: { windowMs: role.lookups.window, windowText: formatDuration(role.lookups.window), above: role.lookups.above, habit: role.lookups.habit },
  };
}

function toMember(member: string | { pg_role: string }): MemberPattern {
  if (typeof member !== 'string') return { kind: 'pg_role', value: member.pg_role };
  return { kind: isGlob(member) ? 'glob' : 'name', value: member };
}
