import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import type { AuditEvent, AuditRecord } from '../../../src/audit/events.ts';
import type { Reach } from '../../../src/catalog/reach-types.ts';
import type { Gate, StatementDescription } from '../../../src/session/gate.ts';
import { recordEnd, recordStart, type RecordedRun, type RunEnd } from '../../../src/session/run-records.ts';
import type { SessionState } from '../../../src/session/session-state.ts';

const name = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 10 }), fc.constantFrom('"', '\\', '\u2028', '\x7f', 'x'.repeat(300)));
const names = fc.array(name, { maxLength: 4 });

const runs = fc.record({
  identity: fc.record({ id: fc.uuid(), principal: name, database: name, clientAddress: name }),
  applicationName: name,
  roles: names,
  relations: names,
  classes: fc.uniqueArray(name, { maxLength: 3 }),
  description: fc.record({ statement_kind: fc.constantFrom('select', 'copy'), sql: fc.option(fc.oneof(name, fc.constant('y'.repeat(9000))), { nil: undefined }), fingerprint: fc.option(fc.uuid(), { nil: undefined }) }),
  units: fc.nat(),
  rows: fc.nat(),
  bytes: fc.nat(),
  sqlstate: fc.option(fc.oneof(fc.constant('22012'), name), { nil: undefined }),
  durationMs: fc.nat(100_000).map((us) => us / 1000),
});

type Made = typeof runs extends fc.Arbitrary<infer T> ? T : never;

function sessionOf(made: Made, log: AuditLog, asText: boolean): SessionState {
  const gate = {
    auditMayFail: false,
    describeStatement: () => made.description,
    audit: (event: AuditEvent) => log.write(event),
    auditText: log.writeText.bind(log),
    auditPart: log.part.bind(log),
  };
  const session = {
    identity: made.identity,
    applicationName: made.applicationName,
    auditIdentity: () => ({ session_id: made.identity.id, principal: made.identity.principal, roles: made.roles, client_address: made.identity.clientAddress, application_name: made.applicationName, database: made.identity.database }),
    // Without the short way every record is an event that is written as a whole.
    gate: asText ? gate : { ...gate, auditText: (event: 'statement_start', members: string, done: (error: unknown) => void) => void log.write(JSON.parse(`{"event":"${event}",${members}}`) as AuditEvent).then(() => done(undefined), done), auditPart: (part: object) => JSON.stringify(part).slice(1, -1) },
  };
  return session as unknown as SessionState & { gate: Gate };
}

it('says in text that is put together what a record made as a whole says', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-records-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const logs = await Promise.all(['text', 'whole'].map((file) => AuditLog.open({ path: join(directory, file), now: () => 1_700_000_000_000 })));
  await fc.assert(
    fc.asyncProperty(runs, async (made) => {
      for (const [i, log] of logs.entries()) {
        const session = sessionOf(made, log, i === 0);
        const reach = { classes: made.classes.map((className) => ({ className })), relations: made.relations, opaque: [] } as unknown as Reach;
        const run: RecordedRun = { id: `${made.identity.id}.1`, statement: { kind: 'empty' } as RecordedRun['statement'], principal: { roles: made.roles } as unknown as RecordedRun['principal'], reach, flag: undefined };
        const units = made.classes.map((className) => ({ class: className, units: made.units }));
        const end: RunEnd = { units, classes: units, refusal: undefined, rows: made.rows, bytes: made.bytes, sqlstate: made.sqlstate, durationMs: made.durationMs };
        // Twice: the second time out of what was kept.
        for (let n = 0; n < 2; n++) {
          await new Promise<void>((resolve, reject) => recordStart(session, run, (refusal) => (refusal === undefined ? resolve() : reject(new Error(refusal.message)))));
          recordEnd(session, run, end);
        }
      }
    }),
    { numRuns: 300 },
  );
  await Promise.all(logs.map((log) => log.close()));
  const [text, whole] = ['text', 'whole'].map((file) => readFileSync(join(directory, file), 'utf8').split('\n').filter((line) => line.includes('"event":"statement_')).map((line) => told(JSON.parse(line) as AuditRecord)));
  expect(text).toHaveLength(1200);
  expect(text).toEqual(whole);
});

function told({ seq: _seq, chain: _chain, mac: _mac, ...rest }: AuditRecord & { readonly seq?: number; readonly chain?: string; readonly mac?: string }): object {
  return rest;
}

it('keeps nothing of another statement of the same reach', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-records-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const log = await AuditLog.open({ path: join(directory, 'audit') });
  const reach = { classes: [{ className: 'customers' }], relations: ['crm.customers'], opaque: [] } as unknown as Reach;
  const sqls = ['SELECT 1', 'SELECT 2', 'SELECT 1'];
  for (const sql of sqls) {
    const made = { identity: { id: 's', principal: 'agent', database: 'd', clientAddress: 'a' }, applicationName: sql, roles: ['support'], description: { statement_kind: 'select', sql, fingerprint: undefined } satisfies StatementDescription } as unknown as Made;
    const run: RecordedRun = { id: 's.1', statement: { kind: 'empty' } as RecordedRun['statement'], principal: { roles: ['support'] } as unknown as RecordedRun['principal'], reach, flag: undefined };
    await new Promise<void>((resolve) => recordStart(sessionOf(made, log, true), run, () => resolve()));
  }
  await log.close();
  const records = readFileSync(join(directory, 'audit'), 'utf8').split('\n').filter((line) => line.includes('statement_start')).map((line) => JSON.parse(line) as { sql: string; application_name: string });
  expect(records.map(({ sql }) => sql)).toEqual(sqls);
  expect(records.map(({ application_name }) => application_name)).toEqual(sqls);
});
