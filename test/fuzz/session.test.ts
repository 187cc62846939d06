/**
 * Mutated messages in both directions over real sessions in memory, with a real catalog, counters and audit log. ROWGATE_FUZZ_MESSAGES and
 * ROWGATE_FUZZ_SEED make it longer or repeat it; it prints how much it did.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as ServiceModule from '../../src/cli/service.ts';
import type * as ConfigFileModule from '../../src/cli/config-file.ts';
import type * as OpsLogModule from '../../src/audit/ops-log.ts';
import type * as SessionModule from '../../src/session/session.ts';
import { freePort } from '../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { configText } from '../support/rowgate.ts';
import { fuzzSessions, type FuzzParts } from './session-run.ts';

const MESSAGES = Number(process.env['ROWGATE_FUZZ_MESSAGES'] ?? 500_000);
const SEED = Number(process.env['ROWGATE_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
/** The longest for one direction in a run without a number of messages of its own. */
const TIME_LIMIT_MS = process.env['ROWGATE_FUZZ_MESSAGES'] === undefined ? 90_000 : 3_600_000;
const QUOTA = 25;

const root = join(import.meta.dirname, '../..');
const compiled = <T>(path: string): Promise<T> => import(pathToFileURL(join(root, 'dist', path)).href) as Promise<T>;

let postgres: TestPostgres;
let service: ServiceModule.Service;
let parts: FuzzParts;
let directory: string;
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeAll(async () => {
  if (!existsSync(join(root, 'dist/cli/service.js'))) throw new Error('run `npm run build` first');
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
  const admin = await postgres.connect();
  const { rows } = await admin.query<{ oid: number }>("SELECT 'crm.customers'::regclass::oid::int AS oid");
  await admin.end();
  directory = mkdtempSync(join(tmpdir(), 'rowgate-fuzz-'));
  const path = join(directory, 'rowgate.yaml');
  writeFileSync(path, configText({ postgresPort: postgres.port, port: await freePort(), adminPort: await freePort(), directory, quotas: `[{ class: customers, window: 1h, rows: ${QUOTA}, action: block }]
  wide:
    members: ["wide_*"]
    quotas: [{ class: customers, window: 1h, rows: 100000000, action: block }]`, extra: 'log: { level: fatal }' }));
  const { Service } = await compiled<typeof ServiceModule>('cli/service.js');
  const { readConfigFile } = await compiled<typeof ConfigFileModule>('cli/config-file.js');
  const { createOpsLog } = await compiled<typeof OpsLogModule>('audit/ops-log.js');
  const { Session } = await compiled<typeof SessionModule>('session/session.js');
  const read = readConfigFile(path);
  if (!read.ok) throw new Error(read.problems.join('\n'));
  service = await Service.start({ config: read.config, configSha256: read.sha256, version: 'fuzz', log: createOpsLog('fatal'), reread: () => readConfigFile(path) });
  await service.gate.openCatalog('postgres');
  parts = { gate: service.gate, Session, customersOid: (rows[0] as { oid: number }).oid, quota: QUOTA };
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
});
afterAll(async () => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
  await service?.stop('test over');
  await postgres?.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe.each(['client', 'server'] as const)('mutated messages of the %s', (direction) => {
  test('end no process, hang no session, mix nothing up, and take no row over the quota', async () => {
    const result = await fuzzSessions(parts, { seed: SEED, direction, mutatedMessages: MESSAGES, timeLimitMs: TIME_LIMIT_MS });
    process.stdout.write(`fuzz, ${direction} side: ${result.mutated} mutated messages in ${result.sessions} sessions, ${Math.round(result.durationMs / 1000)} s, seed ${SEED}, ${result.failures.length} failures\n`);
    expect(result.failures).toEqual([]);
    expect(unhandled).toEqual([]);
    expect(result.mutated).toBeGreaterThan(1_000);
    // The audit log took part in it, and its records are whole.
    for (const line of readFileSync(join(directory, 'audit.ndjson'), 'utf8').trim().split('\n').slice(-100)) expect(() => JSON.parse(line) as unknown).not.toThrow();
  }, TIME_LIMIT_MS + 120_000);
});
