/**
 * Audit records in the Open Cybersecurity Schema Framework (schema.ocsf.io), version 1.3.0: what happens in a session is Datastore Activity (6005), a
 * login is Authentication (3002), Rowgate's own affairs are base events (0). What the framework has no attribute for stands in `unmapped`.
 */

import { isIP } from 'node:net';
import type { AuditRecord } from './events.ts';

const OCSF_VERSION = '1.3.0';

const BASE_EVENT = { class_uid: 0, class_name: 'Base Event', category_uid: 0, category_name: 'Uncategorized' };
const DATASTORE_ACTIVITY = { class_uid: 6005, class_name: 'Datastore Activity', category_uid: 6, category_name: 'Application Activity' };
const AUTHENTICATION = { class_uid: 3002, class_name: 'Authentication', category_uid: 3, category_name: 'Identity & Access Management' };

const CONNECT = 3;
const LOGON = 1;
const OTHER = 99;

const ACTIVITY_NAMES: Readonly<Record<number, string>> = { 0: 'Unknown', 1: 'Read', 2: 'Update', 3: 'Connect', 4: 'Query', 5: 'Write', 6: 'Create', 7: 'Delete' };

/** `activity_id` of Datastore Activity. */
const STATEMENT_ACTIVITIES: Readonly<Record<string, number>> = {
  select: 4, values: 4, declare_cursor: 4, fetch: 4, move: 4, copy_to: 4, execute: 4, explain: 4, show: 4,
  insert: 5, merge: 5, copy_from: 5, refresh_matview: 5,
  update: 2,
  delete: 7, truncate: 7,
  create_table_as: 6, select_into: 6, create_view: 6, create_matview: 6, code: 6,
  unparsed: 0, fastpath: 0,
};

const SEVERITY_NAMES = ['Unknown', 'Informational', 'Low', 'Medium', 'High', 'Critical'] as const;

const DECISION_SEVERITIES: Readonly<Record<string, number>> = { allow: 1, flag: 3, block: 3, terminate: 4 };
const EVENT_SEVERITIES: Readonly<Record<string, number>> = { audit_tampered: 5, audit_gap: 4, store_outage: 3, login_failed: 2, audit_pruned: 2, grant: 2 };

export interface OcsfProduct {
  readonly version: string;
}

type Fields = Readonly<Record<string, unknown>>;

export function toOcsf(record: AuditRecord, product: OcsfProduct): Fields {
  const { v, seq, chain, time, writer, mac, event, ...rest } = record;
  const common = {
    time: Date.parse(time),
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'Rowgate', vendor_name: 'Rowgate', version: product.version },
      uid: `${chain}:${seq}`,
      sequence: seq,
      event_code: event,
      log_name: 'rowgate-audit',
      log_version: String(v),
      original_time: time,
    },
  };
  const own = { chain, mac, ...(writer === undefined ? {} : { writer }) };
  switch (record.event) {
    case 'statement_start':
    case 'statement_end':
    case 'flag':
    case 'session_start':
    case 'session_end':
      return { ...common, ...datastoreActivity(record), unmapped: { ...own, ...unmapped(rest) } };
    case 'login_succeeded':
    case 'login_failed':
      return { ...common, ...login(record), unmapped: { ...own, ...unmapped(rest) } };
    default: {
      const reason = 'reason' in record ? record.reason : undefined;
      return {
        ...common,
        ...BASE_EVENT,
        ...activity(BASE_EVENT.class_uid, OTHER, event),
        ...severity(EVENT_SEVERITIES[event] ?? 1),
        message: reason === undefined ? event : `${event}: ${reason}`,
        unmapped: { ...own, ...rest },
      };
    }
  }
}

type SessionRecord = Extract<AuditRecord, { event: 'statement_start' | 'statement_end' | 'flag' | 'session_start' | 'session_end' }>;

function datastoreActivity(record: SessionRecord): Fields {
  const decision = 'decision' in record ? record.decision : 'allow';
  const refused = decision === 'block' || decision === 'terminate';
  const sqlstate = 'sqlstate' in record ? record.sqlstate : undefined;
  const reason = 'reason' in record ? record.reason : undefined;
  const relations = 'relations' in record ? record.relations : [];
  return {
    ...DATASTORE_ACTIVITY,
    ...datastoreActivityId(record),
    ...severity(DECISION_SEVERITIES[decision] ?? 1),
    ...(record.event === 'statement_start' ? {} : status(!refused && sqlstate === undefined, sqlstate, reason)),
    ...('rule_id' in record && record.rule_id !== undefined ? { message: `${decision}: ${record.rule_id}` } : { message: record.event }),
    actor: {
      user: { name: record.principal, groups: record.roles.map((name) => ({ name })) },
      session: { uid: record.session_id },
      ...(record.application_name === undefined ? {} : { app_name: record.application_name }),
    },
    src_endpoint: endpoint(record.client_address),
    database: { name: record.database, type: 'Relational', type_id: 1 },
    ...(relations.length === 1 ? { table: { name: relations[0] } } : {}),
    ...('sql' in record && record.sql !== undefined
      ? { query_info: { query_string: record.sql, uid: record.statement_id, ...('bytes' in record ? { bytes: record.bytes } : {}) } }
      : {}),
    ...('duration_ms' in record ? { duration: Math.round(record.duration_ms) } : {}),
  };
}

function datastoreActivityId(record: SessionRecord): Fields {
  const { class_uid } = DATASTORE_ACTIVITY;
  switch (record.event) {
    case 'session_start':
      return activity(class_uid, CONNECT, 'Connect');
    case 'session_end':
      return activity(class_uid, OTHER, 'Disconnect');
    case 'flag':
      return activity(class_uid, OTHER, 'Flag');
    default: {
      const id = STATEMENT_ACTIVITIES[record.statement_kind] ?? OTHER;
      return activity(class_uid, id, ACTIVITY_NAMES[id] ?? record.statement_kind);
    }
  }
}

type LoginRecord = Extract<AuditRecord, { event: 'login_succeeded' | 'login_failed' }>;

function login(record: LoginRecord): Fields {
  return {
    ...AUTHENTICATION,
    ...activity(AUTHENTICATION.class_uid, LOGON, 'Logon'),
    ...severity(EVENT_SEVERITIES[record.event] ?? 1),
    ...(record.event === 'login_succeeded'
      ? { ...status(true, undefined, undefined), message: `login succeeded: ${record.auth_method}`, auth_protocol_id: OTHER, auth_protocol: record.auth_method }
      : { ...status(false, record.sqlstate, record.reason), message: `login failed: ${record.reason}` }),
    user: { name: record.principal },
    session: { uid: record.session_id },
    service: { name: 'rowgate' },
    src_endpoint: endpoint(record.client_address),
  };
}

function activity(classUid: number, id: number, name: string): Fields {
  return { activity_id: id, activity_name: name, type_uid: classUid * 100 + id };
}

function severity(id: number): Fields {
  return { severity_id: id, severity: SEVERITY_NAMES[id] };
}

function status(success: boolean, code: string | undefined, detail: string | undefined): Fields {
  return {
    status_id: success ? 1 : 2,
    status: success ? 'Success' : 'Failure',
    ...(code === undefined ? {} : { status_code: code }),
    ...(detail === undefined ? {} : { status_detail: detail }),
  };
}

function endpoint(address: string): Fields {
  const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(address);
  const ip = match?.[1] ?? address;
  if (isIP(ip) === 0) return { name: address };
  return match === null ? { ip } : { ip, port: Number(match[2]) };
}

/** What stands in an attribute of the framework already. */
const MAPPED = new Set(['session_id', 'principal', 'client_address', 'application_name', 'database', 'sql', 'sqlstate', 'reason']);

function unmapped(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !MAPPED.has(key)));
}
