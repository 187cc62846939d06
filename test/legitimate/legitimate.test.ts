/**
 * Ordinary work through Rowgate, by logins with quotas and the secure default: nothing is refused or answered otherwise than by the bare
 * server, what touches nothing protected costs nothing, and the rest costs exactly what docs/concepts.md says.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcome } from '../support/outcome.ts';
import { WireClient } from '../support/wire-client.ts';
import { openOffice, type Office } from './office.ts';
import { DBA } from './tasks/dba.ts';
import { MARKETING, SUPPORT } from './tasks/people.ts';
import { SESSIONS } from './tasks/sessions.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(() => office?.stop());

describe.each([SUPPORT, MARKETING, SESSIONS, DBA])('$title', ({ login, work }) => {
  test.each(work)('$name', async ({ sql, units }) => {
    const answers: (readonly (readonly [string, readonly string[]])[])[] = [];
    const before = await office.used();
    for (const port of [office.postgres.port, office.rowgate.port]) {
      const client = await WireClient.connect({ port, user: login });
      const lines: (readonly [string, readonly string[]])[] = [];
      for (const each of sql) lines.push([each, await outcome(client, each)]);
      await client.end();
      answers.push(lines);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect((await office.used()) - before, 'units').toBe(units ?? 0);
  });
});

test('programs that start together may send large statements at once', async () => {
  const clients = await Promise.all(Array.from({ length: 80 }, () => WireClient.connect({ port: office.rowgate.port, user: SUPPORT.login })));
  const before = await office.used();
  const nested = (n: number): string => `SELECT ${'('.repeat(2_000)}${n}${')'.repeat(2_000)} WHERE 1 IN (${Array.from({ length: 2_000 }, (_, i) => i).join(', ')})`;
  const answers = await Promise.all(clients.map((client, at) => outcome(client, nested(at))));
  await Promise.all(clients.map((client) => client.end()));
  expect(new Set(answers.map(([first = '']) => first.replace(/\d+/g, 'N'))).size, 'all alike').toBe(1);
  expect(answers.flat().filter((line) => /not allowed|error/i.test(line))).toEqual([]);
  expect((await office.used()) - before, 'units').toBe(0);
});
