/**
 * Every client runs its script directly and through Rowgate, as a role without limits and as one with quotas; each step's result or error
 * (SQLSTATE, text, position) must be the same. A client that this machine lacks is a skipped test that says why.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENTS, type ClientProgram } from './clients.ts';
import { expectedDifference } from './expected-differences.ts';
import { ROLES, type Mode, type Setting, type Side } from './modes.ts';

/** `npm run clients` sets it: then the slow ones run too, with every role, and one that is missing fails. */
const ALL = process.env['ROWGATE_CLIENTS'] === 'all';
const PROGRAM_TIMEOUT_MS = 120_000;
const BUILD_TIMEOUT_MS = 300_000;

interface Step {
  readonly step: string;
  readonly ok?: unknown;
  readonly error?: unknown;
}

const built = mkdtempSync(join(tmpdir(), 'rowgate-client-builds-'));
const commands = new Map<string, readonly [string, ...string[]]>();

/** The tests of one mode. Each has a file of its own, so that they run side by side. */
export function testClients(mode: Mode): void {
  let setting: Setting;
  afterAll(() => rmSync(built, { recursive: true, force: true }));
  beforeAll(async () => {
    setting = await mode.start();
  }, 120_000);
  afterAll(() => setting?.stop());

  describe.each(CLIENTS)('$name', (client) => {
    const reason = client.notIn?.[mode.name] ?? (client.everyRun.includes(mode.name) || ALL ? client.missing() : 'only with `npm run clients`');
    if (reason !== undefined) {
      if (ALL && client.notIn?.[mode.name] === undefined) test('is installed', () => expect.unreachable(`${client.name} is missing: ${reason}`));
      else test.skip(`skipped: ${reason}`, () => undefined);
      return;
    }
    beforeAll(() => {
      if (!commands.has(client.name)) commands.set(client.name, client.command(built));
    }, BUILD_TIMEOUT_MS);
    describe.each(ALL ? ROLES : mode.roles)('$title', ({ user }) => {
      test('gets the same answers to every step', async () => {
        const direct = await run(setting, client, setting.direct, user);
        const through = await run(setting, client, setting.through, user);
        expect(direct.length, 'steps of the client').toBeGreaterThan(8);
        expect(through.map(({ step }) => step)).toEqual(direct.map(({ step }) => step));
        const differing: unknown[] = [];
        for (const [i, each] of direct.entries()) {
          const other = through[i] as Step;
          const expected = expectedDifference(client.name, each.step, user);
          // It must be the difference that is listed: something else, and nothing at all, are mistakes.
          if (expected === undefined ? !isDeepStrictEqual(other, each) : !expected.through.test(JSON.stringify(other))) differing.push({ direct: each, through: other, expected: expected?.why });
        }
        expect(differing.map((each) => JSON.stringify(each)).join('\n')).toBe('');
      }, 2 * PROGRAM_TIMEOUT_MS);
    });
  });
}

async function run(setting: Setting, client: ClientProgram, side: Side, user: string): Promise<readonly Step[]> {
  const [command, ...args] = commands.get(client.name) as readonly [string, ...string[]];
  // Whatever an earlier client left behind, when it failed, is not this one's matter.
  const admin = await setting.postgres.connect();
  await admin.query('DROP SCHEMA IF EXISTS lab CASCADE; SELECT lo_unlink(oid) FROM pg_largeobject_metadata');
  const { rows } = await admin.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('tariffs', 'notes')");
  await admin.end();
  expect(rows, 'tables that an earlier client made outside of its schema').toEqual([]);
  const env = { ...side.environment, PGUSER: user, LAB: 'lab', PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString('utf8');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PROGRAM_TIMEOUT_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  const steps = out.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Step);
  expect(code, `${client.name} ended with ${String(code)} after "${steps.at(-1)?.step ?? 'nothing'}": ${err.slice(-2_000)}`).toBe(0);
  return steps;
}
