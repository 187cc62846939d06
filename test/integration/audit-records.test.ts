/** What records say of the people in a statement's rows, and that every record has the published format. */

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { auditRecordSchema } from '../../src/audit/record-schema.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const MAIN = 'dist/cli/main.js';
let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 300);
}, 60_000);
afterAll(() => postgres.stop());
afterEach(() => rowgate.stop());

async function start(subjects: string, quotas = '[{ class: customers, window: 1h, subjects: 100, action: block }]'): Promise<void> {
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas, edit: (text) => text.replace(/^audit: \{ (.*) \}$/m, `audit: { $1${subjects} }`) });
}

interface Taken {
  readonly class: string;
  readonly units: number;
  readonly subjects?: number;
  readonly subject_keys?: readonly string[];
}

async function ends(count: number): Promise<readonly Taken[]> {
  const all = (): readonly Taken[] => rowgate.audit().filter(({ event }) => event === 'statement_end').map(({ classes }) => (classes as readonly Taken[])[0] as Taken);
  await expect.poll(() => all().length, { timeout: 20_000 }).toBe(count);
  return all();
}

async function run(...statements: readonly string[]): Promise<void> {
  const client = await rowgate.connect('agent');
  for (const sql of statements) await client.query(sql).catch(() => undefined);
  await client.end();
}

describe('subjects', () => {
  test('are counted, those who cannot be told apart included, and not named', async () => {
    await start('');
    await run('SELECT * FROM crm.customers WHERE id <= 5', 'SELECT c.id, c.name, i.amount FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id WHERE c.id = 1', 'SELECT name FROM crm.customers WHERE id <= 7');
    const [some, one, unnamed] = await ends(3);
    expect(some).toEqual({ class: 'customers', units: 5, subjects: 5 });
    expect(one).toMatchObject({ subjects: 1 });
    expect(unnamed).toMatchObject({ subjects: 7 });
  });

  test('are named by a keyed hash if asked for: the same person is the same, no value shows, and simulate counts whoever comes again once', async () => {
    await start(', subjects: keys');
    await run('SELECT * FROM crm.customers WHERE id IN (1, 2, 3)', 'SELECT id, email FROM crm.customers WHERE id = 2', 'SELECT customer_id, amount FROM crm.invoices WHERE customer_id = 3');
    const [three, two, invoices] = await ends(3);
    expect(three?.subject_keys).toHaveLength(3);
    for (const key of three?.subject_keys ?? []) expect(key).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(three?.subject_keys).toContain(two?.subject_keys?.[0]);
    expect(three?.subject_keys).toContain(invoices?.subject_keys?.[0]);
    expect(two?.subject_keys).not.toEqual(invoices?.subject_keys);
    const result = JSON.parse(execFileSync(process.execPath, [MAIN, 'simulate', '-c', rowgate.configPath, '--audit', join(rowgate.directory, 'audit.ndjson'), '--json'], { encoding: 'utf8' })) as { highestUse: { ruleId: string; used: number }[] };
    expect(result.highestUse.find(({ ruleId }) => ruleId === 'support/customers/subjects/1h')?.used).toBe(3);
  });

  test('only those who were delivered are', async () => {
    await start(', subjects: keys', '[{ class: customers, window: 1h, subjects: 10, action: block }]');
    await run('SELECT * FROM crm.customers');
    const [cut] = await ends(1);
    expect(cut).toMatchObject({ units: 10, subjects: 10 });
    expect(cut?.subject_keys).toHaveLength(10);
  });

  test('a limit on each statement alone names them, too', async () => {
    await start(', subjects: keys', '[{ class: customers, window: statement, subjects: 10, action: block }]');
    await run('SELECT * FROM crm.customers WHERE id <= 4');
    expect((await ends(1))[0]?.subject_keys).toHaveLength(4);
  });

  test('are left out if ops want so', async () => {
    await start(', subjects: none');
    await run('SELECT * FROM crm.customers WHERE id <= 5');
    expect(await ends(1)).toEqual([{ class: 'customers', units: 5 }]);
  });
});

describe('the published format', () => {
  test('is printed by the command, and is the one in config/', async () => {
    await start('');
    const printed = spawnSync(process.execPath, [MAIN, 'audit', 'schema'], { encoding: 'utf8' });
    expect(printed.stdout).toBe(readFileSync('config/audit-record.schema.json', 'utf8'));
    expect(JSON.parse(printed.stdout)).toMatchObject({ $schema: expect.stringContaining('json-schema.org') as unknown });
  });

  test('takes the records of a Rowgate at work, and none with a key too many, one too few, or another kind of value', async () => {
    await start('');
    await run('SELECT * FROM crm.customers WHERE id <= 5', 'SELECT * FROM crm.customers', 'COPY crm.customers TO STDOUT');
    await ends(3);
    await rowgate.connect('agent', { password: 'wrong' }).catch(() => undefined);
    await expect.poll(() => rowgate.audit().some(({ event }) => event === 'login_failed'), { timeout: 20_000 }).toBe(true);
    for (const record of rowgate.audit()) {
      expect(auditRecordSchema.safeParse({ ...record, extra: 1 }).success).toBe(false);
      expect(auditRecordSchema.safeParse({ ...record, v: 1 }).success).toBe(false);
      const { mac: _mac, ...without } = record;
      expect(auditRecordSchema.safeParse(without).success).toBe(false);
    }
  });
});
