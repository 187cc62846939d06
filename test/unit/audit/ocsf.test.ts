/** Records in OCSF have what the framework's schema (1.3.0) requires of their class. */

import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { AuditRecord } from '../../../src/audit/events.ts';
import { toOcsf } from '../../../src/audit/ocsf.ts';

const atLeastOne = (keys: readonly string[]) => (value: object): boolean => keys.some((key) => key in value);

/** `base_event`: requirement "required", and `type_uid` = `class_uid` * 100 + `activity_id`. */
const base = z.looseObject({
  activity_id: z.int(),
  category_uid: z.int(),
  class_uid: z.int(),
  severity_id: z.union([0, 1, 2, 3, 4, 5, 6, 99].map((id) => z.literal(id))),
  time: z.int().positive(),
  type_uid: z.int(),
  metadata: z.looseObject({ version: z.literal('1.3.0'), product: z.looseObject({ vendor_name: z.string(), name: z.string() }), sequence: z.int(), uid: z.string() }),
  unmapped: z.looseObject({}).optional(),
}).refine((event) => event.type_uid === event.class_uid * 100 + event.activity_id, 'type_uid');

/** `network_endpoint`: at least one of these. */
const endpoint = z.looseObject({ ip: z.union([z.ipv4(), z.ipv6()]).optional(), port: z.int().min(0).max(65_535).optional() }).refine(atLeastOne(['ip', 'uid', 'name', 'hostname', 'svc_name', 'instance_uid', 'interface_uid', 'interface_name', 'domain']));

const datastoreActivity = base.and(z.looseObject({
  class_uid: z.literal(6005),
  category_uid: z.literal(6),
  activity_id: z.union([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99].map((id) => z.literal(id))),
  actor: z.looseObject({ user: z.looseObject({ name: z.string(), groups: z.array(z.looseObject({ name: z.string() })).optional() }).optional() }).refine(atLeastOne(['process', 'user', 'invoked_by', 'session', 'app_name', 'app_uid'])),
  src_endpoint: endpoint,
  // "at least one of database, databucket, table"; `type_id` is required of a database.
  database: z.looseObject({ type_id: z.int(), name: z.string() }),
  table: z.looseObject({ name: z.string() }).optional(),
  query_info: z.looseObject({ query_string: z.string(), bytes: z.int().optional() }).optional(),
  status_id: z.union([0, 1, 2, 99].map((id) => z.literal(id))).optional(),
  duration: z.int().optional(),
}));

const authentication = base.and(z.looseObject({
  class_uid: z.literal(3002),
  category_uid: z.literal(3),
  activity_id: z.literal(1),
  user: z.looseObject({ name: z.string() }),
  // "at least one of service, dst_endpoint".
  service: z.looseObject({ name: z.string() }),
  src_endpoint: endpoint,
}));

const frame = { v: 2, seq: 7, chain: '0123456789ab', time: '2030-01-02T03:04:05.678Z', mac: 'ab'.repeat(32) } as const;
const session = { session_id: 's1', principal: 'agent', roles: ['support'], client_address: '10.0.0.7:50123', application_name: 'psql', database: 'crm' };
const statement = { ...session, statement_id: 's1-1', statement_kind: 'select', sql: 'SELECT * FROM crm.customers', fingerprint: 'f', relations: ['crm.customers'], opaque: [], classes: [{ class: 'customers', units: 3 }] } as const;
const end = { ...frame, event: 'statement_end', ...statement, decision: 'allow', rows: 3, units: 3, bytes: 300, duration_ms: 1.75 } as const satisfies AuditRecord;

const of = (record: AuditRecord) => toOcsf(record, { version: '1.0.0' });

describe('Datastore Activity', () => {
  const records: readonly AuditRecord[] = [
    { ...frame, event: 'statement_start', ...statement, decision: 'allow' },
    end,
    { ...end, client_address: '[2001:db8::1]:50123', relations: ['crm.customers', 'crm.invoices'] },
    { ...end, client_address: '[local]', sql: undefined },
    { ...end, statement_kind: 'unparsed', opaque: ['syntax'] },
    { ...frame, event: 'flag', ...session, decision: 'flag', rule_id: 'support/customers/rows/1h', reason: 'r', classes: [] },
    { ...frame, event: 'session_start', ...session, tls: true, tls_version: 'TLSv1.3', auth_method: 'passthrough' },
    { ...frame, event: 'session_end', ...session, reason: 'client', rows: 3, units: 3, bytes: 300, duration_ms: 12 },
  ];
  test.each(records.map((record) => [record.event, record] as const))('%s', (_event, record) => {
    expect(datastoreActivity.safeParse(of(record)).error).toBeUndefined();
    expect(JSON.stringify(of(record))).not.toContain('undefined');
  });

  test('says who took what, by which rule, and where the record stands in the file', () => {
    const refused = of({ ...end, decision: 'block', rule_id: 'support/customers/rows/1h', reason: 'used up', sqlstate: '53400' });
    expect(refused).toMatchObject({
      activity_id: 4, type_uid: 600_504, severity_id: 3, status_id: 2, status_code: '53400', status_detail: 'used up', duration: 2,
      actor: { user: { name: 'agent', groups: [{ name: 'support' }] }, session: { uid: 's1' }, app_name: 'psql' },
      src_endpoint: { ip: '10.0.0.7', port: 50_123 },
      query_info: { query_string: 'SELECT * FROM crm.customers', bytes: 300 },
      table: { name: 'crm.customers' },
      metadata: { sequence: 7, uid: '0123456789ab:7', event_code: 'statement_end' },
      unmapped: { decision: 'block', rule_id: 'support/customers/rows/1h', units: 3, classes: [{ class: 'customers', units: 3 }], mac: frame.mac },
    });
    expect(of(end)).toMatchObject({ status_id: 1, severity_id: 1 });
  });

  test.each([['insert', 5], ['update', 2], ['delete', 7], ['copy_to', 4], ['create_table_as', 6], ['vacuum', 99], ['unparsed', 0]] as const)('a statement of kind %s is activity %d', (kind, id) => {
    expect(of({ ...end, statement_kind: kind })).toMatchObject({ activity_id: id });
  });
});

test('a login that succeeds is Authentication', () => {
  const record: AuditRecord = { ...frame, event: 'login_succeeded', session_id: 's1', principal: 'agent', client_address: '10.0.0.7:50123', database: 'crm', tls: true, tls_version: 'TLSv1.3', auth_method: 'scram-sha-256-plus' };
  expect(authentication.safeParse(of(record)).error).toBeUndefined();
  expect(of(record)).toMatchObject({ status_id: 1, severity_id: 1, user: { name: 'agent' }, auth_protocol_id: 99, auth_protocol: 'scram-sha-256-plus', unmapped: { tls: true } });
});

test('a login that fails is Authentication', () => {
  const record: AuditRecord = { ...frame, event: 'login_failed', session_id: 's1', principal: 'agent', client_address: '10.0.0.7:50123', database: 'crm', reason: 'refused by the server', sqlstate: '28P01' };
  expect(authentication.safeParse(of(record)).error).toBeUndefined();
  expect(of(record)).toMatchObject({ status_id: 2, user: { name: 'agent' } });
});

test.each([
  { ...frame, event: 'config_reload', successful: true, config_sha256: 'a' },
  { ...frame, event: 'audit_checkpoint', records: 3, last_seq: 6, last_mac: 'cd' },
  { ...frame, event: 'audit_tampered', reason: 'the file was deleted' },
  { ...frame, event: 'grant', action: 'approved', grant_id: 'g1', principal: 'agent', rows: 5, subjects: 0, bytes: 0, reason: 'r', requested_by: 'a', by: 'b' },
] as const satisfies readonly AuditRecord[])('$event is a base event', (record) => {
  expect(base.safeParse(of(record)).error).toBeUndefined();
  expect(of(record)).toMatchObject({ class_uid: 0, category_uid: 0 });
});
