/** The format of a line, from which the published JSON Schema is made. The compiler holds it against `AuditRecord` in both directions. */

import { z } from 'zod';
import type { AuditRecord } from './events.ts';
import { RECORDED_KINDS, type RecordedKind } from './recorded-kinds.ts';

const count = () => z.int().min(0);
const names = () => z.array(z.string()).readonly();
const time = () => z.iso.datetime({ precision: 3 });
const decision = z.enum(['allow', 'flag', 'block', 'terminate']);
const hexMac = () => z.string().regex(/^[0-9a-f]{64}$/);

const frame = {
  v: z.literal(2).meta({ description: 'Version of this format.' }),
  seq: z.int().min(1).meta({ description: 'Counts up by one a record through all files of the chain.' }),
  chain: z.string().regex(/^[0-9a-f]{12}$/).meta({ description: 'Which chain of records this one is of; a new key begins a new one.' }),
  time: time().meta({ description: 'When the record was handed to the log, UTC.' }),
  writer: z.string().optional().meta({ description: 'Which of several writers of one installation.' }),
  mac: hexMac().meta({ description: 'HMAC-SHA-256 over the MAC before and this line without its MAC; with no key, SHA-256.' }),
};

const classUnits = z.array(z.strictObject({
  class: z.string(),
  units: count(),
  subjects: count().optional().meta({ description: 'Different people that the rows were about.' }),
  subject_keys: names().optional().meta({ description: 'Keyed hashes of them (`audit.subjects: keys`).' }),
})).readonly();

const session = {
  session_id: z.string(),
  principal: z.string().meta({ description: 'The login.' }),
  roles: names().meta({ description: 'Roles of the policy that it had then.' }),
  client_address: z.string(),
  application_name: z.string().optional(),
  database: z.string(),
};

const statement = {
  ...session,
  statement_id: z.string().meta({ description: 'Unique within the session.' }),
  statement_kind: z.enum(RECORDED_KINDS as readonly [RecordedKind, ...RecordedKind[]]),
  sql: z.string().optional().meta({ description: 'Without literals, in full or absent, as `audit.sql` says.' }),
  fingerprint: z.string().optional(),
  classes: classUnits.meta({ description: 'Units of each class: the least charge at the start, what was delivered at the end.' }),
  relations: names(),
  opaque: names().meta({ description: 'Why the statement was charged to every class; empty if it was understood.' }),
  decision,
  rule_id: z.string().optional(),
  reason: z.string().optional(),
};

const amounts = { rows: count(), units: count(), bytes: count(), duration_ms: z.number().min(0) };

const replication = z.literal(true).optional().meta({ description: 'A replication connection of a role that is allowed it: `bytes` is all that is counted of it.' });
const how = { tls: z.boolean(), tls_version: z.string().optional(), auth_method: z.string() };

const RECORDS = [
  event('statement_start', statement),
  event('statement_end', { ...statement, ...amounts, sqlstate: z.string().optional() }),
  event('flag', { ...session, statement_id: z.string().optional(), decision: z.literal('flag'), rule_id: z.string(), reason: z.string(), classes: classUnits }),
  event('session_start', { ...session, ...how, replication }),
  event('session_end', { ...session, ...amounts, reason: z.string(), replication }),
  event('login_succeeded', {
    session_id: z.string(),
    principal: z.string().meta({ description: 'Whom the client has proven to be.' }),
    client_address: z.string(),
    application_name: z.string().optional(),
    database: z.string(),
    ...how,
  }),
  event('login_failed', {
    session_id: z.string(),
    principal: z.string().meta({ description: 'What the client claimed.' }),
    client_address: z.string(),
    application_name: z.string().optional(),
    database: z.string().optional(),
    reason: z.string(),
    sqlstate: z.string().optional(),
  }),
  event('config_reload', { successful: z.boolean(), config_sha256: z.string().optional(), reason: z.string().optional() }),
  event('grant', {
    action: z.enum(['requested', 'approved', 'revoked']),
    grant_id: z.string(),
    principal: z.string(),
    class: z.string().optional(),
    rows: count(),
    subjects: count(),
    bytes: count(),
    reason: z.string(),
    requested_by: z.string(),
    by: z.string(),
    until: z.string().optional(),
  }),
  event('store_outage', { reason: z.string() }),
  event('store_recovered', { duration_ms: z.number().min(0), refilled: z.boolean() }),
  event('audit_open', {
    reason: z.enum(['new', 'continued', 'rotated', 'moved', 'recovered']),
    key_id: z.string(),
    pid: z.int(),
    previous_seq: count(),
    previous_mac: hexMac(),
    previous_file: z.string().optional(),
    torn_bytes: count().optional(),
    torn_sha256: z.string().optional(),
  }),
  event('audit_checkpoint', { records: count(), last_seq: count(), last_mac: hexMac() }),
  event('audit_pruned', { file: z.string(), last_seq: count(), last_mac: hexMac() }),
  event('audit_gap', { refused: count(), since: time(), reason: z.string() }),
  event('audit_tampered', { reason: z.string() }),
  event('service_start', { version: z.string(), pid: z.int(), config_sha256: z.string().optional() }),
  event('service_stop', { reason: z.string() }),
] as const;

export const auditRecordSchema = z.discriminatedUnion('event', RECORDS).meta({
  title: 'Rowgate audit record',
  description: 'One line of the audit log.',
});

function event<const E extends string, S extends z.core.$ZodLooseShape>(name: E, shape: S) {
  return z.strictObject({ ...frame, event: z.literal(name), ...shape });
}

/** As `config/audit-record.schema.json` publishes it. */
export function auditRecordSchemaText(): string {
  return `${JSON.stringify(z.toJSONSchema(auditRecordSchema), null, 2)}\n`;
}

type Both<A extends B, B extends C, C = A> = [A, B, C];
/** An error here: `events.ts` and this file differ. */
export type SchemaIsTheType = Both<z.output<typeof auditRecordSchema>, AuditRecord>;
