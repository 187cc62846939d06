/** Raises of limits, and what employees may ask Rowgate from their own client. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgresJs from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');

let postgres: TestPostgres;
let redis: TestRedis;
const running: TestRowgate[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  redis = await startRedis();
}, 60_000);
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});
afterEach(async () => {
  for (const rowgate of running.splice(0)) await rowgate.stop();
});

async function start(prefix: string, extra = ''): Promise<TestRowgate> {
  const rowgate = await startRowgate({
    postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 10, action: block }, { class: customers, window: statement, rows: 8, action: block }]',
    store: `{ redis: "${redis.url}", prefix: "${prefix}:" }`, people: '{ alice: token-of-alice, bob: token-of-bob, carol: token-of-carol }', extra,
  });
  running.push(rowgate);
  return rowgate;
}

async function as(rowgate: TestRowgate, person: string, ...args: readonly string[]): Promise<{ code: number; text: string }> {
  const url = ['--url', `http://127.0.0.1:${rowgate.adminPort}`, '--token', person === 'admin' ? 'test-token' : `token-of-${person}`];
  return run(process.execPath, [MAIN, ...args, ...url]).then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    (error: { code: number; stderr: string }) => ({ code: error.code, text: error.stderr }),
  );
}

/** Customers that the login gets, one statement a row, until it is refused. */
async function take(rowgate: TestRowgate, most: number, user = 'agent'): Promise<number> {
  const client = await rowgate.connect(user);
  let got = 0;
  try {
    while (got < most) got += (await client.query(`SELECT * FROM crm.customers WHERE id = ${got + 1}`)).rowCount ?? 0;
  } catch (error) {
    expect((error as { code: string }).code).toBe('53400');
  } finally {
    await client.end();
  }
  return got;
}

describe('a grant', () => {
  test('raises the limits by what it says, at every process, and ends by itself', async () => {
    const first = await start('raise');
    const second = await start('raise');
    expect(await take(first, 100)).toBe(10);
    const given = await as(first, 'alice', 'grant', 'agent', '--class', 'customers', '--rows', '5', '--for', '12s', '--reason', 'complaint 4711');
    expect(given.text).toMatch(/^g-[0-9a-f]+: agent has 5 rows, 5 people more of "customers" until /);
    await sleep(1500);
    expect((await as(second, 'bob', 'usage', '--principal', 'agent', '--json')).text).toContain('"limit": 15');
    expect(await take(second, 100)).toBe(5);
    expect(await take(first, 100, 'agent_2')).toBe(10);
    await expect.poll(async () => (await as(first, 'alice', 'grants')).text, { timeout: 20_000, interval: 1000 }).toContain('No limit is raised');
    await sleep(1500);
    expect((await as(second, 'bob', 'usage', '--principal', 'agent', '--json')).text).toContain('"limit": 10');
    expect(first.audit().find((record) => record['event'] === 'grant')).toMatchObject({ action: 'approved', principal: 'agent', rows: 5, reason: 'complaint 4711', requested_by: 'alice', by: 'alice' });
  }, 60_000);

  test('that was asked for holds once another person approves it, and not before', async () => {
    const rowgate = await start('eyes');
    const asked = await as(rowgate, 'alice', 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'list for the fair', '--request');
    const id = /^g-[0-9a-f]+/.exec(asked.text)?.[0] ?? '';
    expect(await take(rowgate, 100)).toBe(10);
    expect(await as(rowgate, 'alice', 'approve', id, '--for', '1h')).toEqual({ code: 1, text: `alice asked for ${id}: another person must approve it\n` });
    expect((await as(rowgate, 'bob', 'grants')).text).toMatch(new RegExp(`${id}\\s+agent\\s+waiting\\s+customers\\s+5 rows, 5 people\\s+after 60 minutes`));
    expect((await as(rowgate, 'bob', 'approve', id)).text).toContain('agent has 5 rows');
    expect(await take(rowgate, 100)).toBe(5);
    expect((await as(rowgate, 'bob', 'approve', id, '--for', '1h')).text).toContain('is approved already, by bob');
    expect(rowgate.audit().filter((record) => record['event'] === 'grant').map((record) => [record['action'], record['by']])).toEqual([['requested', 'alice'], ['approved', 'bob']]);
  }, 60_000);

  test('always needs two people with admin.four_eyes, and never the one who would get it', async () => {
    const rowgate = await startRowgate({ postgresPort: postgres.port, people: '{ alice: token-of-alice, bob: token-of-bob, agent: token-of-agent }', edit: (text) => text.replace('token: test-token', 'token: test-token, four_eyes: true') });
    running.push(rowgate);
    const asked = await as(rowgate, 'alice', 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'fair');
    const id = /^(g-[0-9a-f]+) waits for another person/.exec(asked.text)?.[1] ?? '';
    expect((await as(rowgate, 'alice', 'approve', id)).text).toContain('another person must approve it');
    expect((await as(rowgate, 'agent', 'approve', id)).text).toBe(`agent would get ${id}: another person must approve it\n`);
    expect((await as(rowgate, 'alice', 'grants')).text).toMatch(/waiting/);
    expect((await as(rowgate, 'bob', 'approve', id)).text).toContain('agent has 5 rows');
    expect(rowgate.audit().filter((record) => record['event'] === 'grant').map((record) => [record['action'], record['requested_by'], record['by']])).toEqual([['requested', 'alice', 'alice'], ['approved', 'alice', 'bob']]);
  }, 60_000);

  test('is approved once, also where two people do it at two processes in the same moment', async () => {
    const [first, second] = [await start('race'), await start('race')];
    const post = (rowgate: TestRowgate, person: string, path: string, body: object): Promise<Response> =>
      fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/grants${path}`, { method: 'POST', headers: { authorization: `Bearer token-of-${person}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    for (let round = 1; round <= 8; round++) {
      const asked = await as(first, 'alice', 'grant', 'agent', '--rows', '1', '--for', '1h', '--reason', `fair ${round}`, '--request');
      const id = /^g-[0-9a-f]+/.exec(asked.text)?.[0] ?? '';
      const answers = await Promise.all([post(first, 'bob', `/${id}/approve`, { rows: 1, for_ms: 3_600_000 }), post(second, 'carol', `/${id}/approve`, { rows: 1000, for_ms: 3_600_000 })]);
      expect(answers.filter(({ ok }) => ok), `round ${round}`).toHaveLength(1);
      const approved = [...first.audit(), ...second.audit()].filter((record) => record['event'] === 'grant' && record['action'] === 'approved');
      expect(approved).toHaveLength(round);
    }
  }, 60_000);

  test('is given in the name of the token on the command line, whatever the configuration says', async () => {
    const rowgate = await start('name');
    const grant = await run(process.execPath, [MAIN, 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'x', '-c', rowgate.configPath, '--token', 'token-of-alice']);
    expect(grant.stdout).toContain('agent has 5 rows');
    expect(rowgate.audit().find((record) => record['event'] === 'grant')).toMatchObject({ by: 'alice' });
    await run(process.execPath, [MAIN, 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'x', '-c', rowgate.configPath], { env: { ...process.env, ROWGATE_ADMIN_TOKEN: 'token-of-bob' } });
    expect(rowgate.audit().findLast((record) => record['event'] === 'grant')).toMatchObject({ by: 'bob' });
  }, 60_000);

  test('that raises nothing for its login is given with a warning', async () => {
    const rowgate = await start('typo');
    const grant = await run(process.execPath, [MAIN, 'grant', 'agnet', '--rows', '5', '--for', '1h', '--reason', 'x', '-c', rowgate.configPath]);
    expect(grant.stderr).toBe('warning: login "agnet" has no limit on class "customers" that this would raise\n');
  }, 60_000);

  test('of one login does not show as a higher limit of its role', async () => {
    const rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 10, scope: role, action: block }]' });
    running.push(rowgate);
    expect(await take(rowgate, 1)).toBe(1);
    await run(process.execPath, [MAIN, 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'x', '-c', rowgate.configPath]);
    const usage = async (...more: readonly string[]): Promise<unknown> => JSON.parse((await run(process.execPath, [MAIN, 'usage', '-c', rowgate.configPath, '--json', ...more])).stdout);
    expect(await usage()).toMatchObject([{ scope: 'role', limit: 10 }]);
    expect(await usage('--principal', 'agent')).toMatchObject([{ scope: 'role', limit: 15 }]);
  }, 60_000);

  test('taken back no longer holds', async () => {
    const rowgate = await start('revoke');
    const given = await as(rowgate, 'alice', 'grant', 'agent', '--rows', '500', '--for', '1h', '--reason', 'x');
    const id = /^g-[0-9a-f]+/.exec(given.text)?.[0] ?? '';
    expect(await take(rowgate, 12)).toBe(12);
    await as(rowgate, 'bob', 'revoke', id);
    expect(await take(rowgate, 100)).toBe(0);
  }, 60_000);

  test('to oneself, without a reason, of no class, or for ever is refused with a sentence', async () => {
    const rowgate = await start('refused');
    expect((await as(rowgate, 'alice', 'grant', 'alice', '--rows', '5', '--for', '1h', '--reason', 'x')).text).toBe('nobody may raise their own limits\n');
    expect((await as(rowgate, 'alice', 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', ' ')).text).toBe('a grant needs a reason\n');
    expect((await as(rowgate, 'alice', 'grant', 'agent', '--class', 'people', '--rows', '5', '--for', '1h', '--reason', 'x')).text).toBe('there is no class "people" (there are: customers)\n');
    expect((await as(rowgate, 'alice', 'grant', 'agent', '--rows', '5', '--for', '90d', '--reason', 'x')).text).toBe('say for how long (--for), from 1s to 30d\n');
    expect((await as(rowgate, 'alice', 'grant', 'agent', '--for', '1h', '--reason', 'x')).text).toBe('say how much: rows, subjects or bytes\n');
    expect((await as(rowgate, 'mallory', 'grant', 'agent', '--rows', '5', '--for', '1h', '--reason', 'x')).text).toContain('does not take the admin token');
  }, 60_000);
});

describe('rowgate.usage', () => {
  test('shows the own quotas in the simple protocol, in a transaction too, and costs nothing', async () => {
    const rowgate = await start('own');
    const client = await rowgate.connect('agent');
    await client.query('SELECT * FROM crm.customers LIMIT 3');
    await client.query('BEGIN');
    const { rows, command, rowCount } = await client.query<Record<string, string | null>>('SELECT * FROM rowgate.usage;');
    expect({ command, rowCount }).toEqual({ command: 'SELECT', rowCount: 2 });
    expect(rows.find((row) => row['window'] === '1h')).toMatchObject({ class: 'customers', counts: 'rows', used: '3', limit: '10', left: '7', scope: 'you', rule: 'support/customers/rows/1h' });
    expect(rows.find((row) => row['window'] === 'statement')).toMatchObject({ used: null, limit: '8', left: '8' });
    await client.query('COMMIT');
    expect((await client.query<Record<string, string>>('TABLE rowgate.usage')).rows.find((row) => row['window'] === '1h')).toMatchObject({ used: '3' });
    await client.end();
  });

  test('is answered in the extended protocol, prepared once and executed often', async () => {
    const rowgate = await start('extended');
    const client = await rowgate.connect('agent');
    for (const _ of [1, 2]) {
      const { rows, fields } = await client.query({ name: 'mine', text: 'SELECT * FROM rowgate.usage', values: [] });
      expect(fields.map((field) => field.name)).toEqual(['class', 'counts', 'window', 'used', 'limit', 'left', 'next_free', 'scope', 'rule']);
      expect(rows).toHaveLength(2);
    }
    await client.end();
    const sql = postgresJs({ host: '127.0.0.1', port: rowgate.port, user: 'agent', password: 'secret', database: 'postgres', max: 1 });
    const [pipelined, one, again] = await Promise.all([sql`SELECT * FROM rowgate.usage`, sql`SELECT 1 AS one`, sql`SELECT * FROM rowgate.usage`]);
    expect([pipelined.length, one[0]?.['one'], again.length]).toEqual([2, 1, 2]);
    await sql.end();
  });

  test('never reaches the server, not even in a failed transaction', async () => {
    const rowgate = await start('failed');
    const client = await rowgate.connect('agent');
    await client.query('BEGIN');
    await client.query('SELECT 1/0').catch(() => undefined);
    expect((await client.query('SELECT * FROM rowgate.usage')).rowCount).toBe(2);
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    // Anything else about the schema is the server's to answer.
    await expect(client.query('SELECT used FROM rowgate.usage')).rejects.toMatchObject({ code: '42P01' });
    await client.end();
  });
});

describe('rowgate.request', () => {
  test('asks for more; the request waits for another person', async () => {
    const rowgate = await start('ask');
    const client = await rowgate.connect('agent');
    const { rows } = await client.query<{ request: string }>("SELECT rowgate.request('customer O''Brien''s complaint')");
    const id = /^g-[0-9a-f]+/.exec(rows[0]?.request ?? '')?.[0] ?? '';
    expect(rows[0]?.request).toContain('waits for approval by another person');
    expect((await as(rowgate, 'bob', 'grants')).text).toMatch(new RegExp(`${id}\\s+agent\\s+waiting.*customer O'Brien's complaint`));
    expect((await as(rowgate, 'bob', 'approve', id, '--rows', '4', '--for', '1h')).text).toContain('agent has 4 rows');
    expect((await client.query<Record<string, string>>('SELECT * FROM rowgate.usage')).rows.find((row) => row['window'] === '1h')).toMatchObject({ limit: '14' });
    await client.end();
  }, 30_000);

  test('takes its reason as a parameter, whichever way the client binds it', async () => {
    const rowgate = await start('bind');
    const client = await rowgate.connect('agent');
    expect((await client.query<{ request: string }>('SELECT rowgate.request($1)', ["it's"])).rows[0]?.request).toMatch(/^g-/);
    const named = { name: 'ask', text: 'SELECT rowgate.request($1)' };
    expect((await client.query<{ request: string }>({ ...named, values: ['again'] })).rows[0]?.request).toMatch(/^g-/);
    expect((await client.query<{ request: string }>({ ...named, values: [null] })).rows[0]?.request).toBe('refused: a grant needs a reason');
    expect((await client.query('SELECT $1::int AS one', [1])).rows).toEqual([{ one: 1 }]);
    await client.end();
    const sql = postgresJs({ host: '127.0.0.1', port: rowgate.port, user: 'agent', password: 'secret', database: 'postgres', max: 1 });
    const [asked, one] = await Promise.all([sql<{ request: string }[]>`SELECT rowgate.request(${'for the fair'})`, sql`SELECT ${1}::int AS one`]);
    expect([asked[0]?.request.slice(0, 2), one[0]?.['one']]).toEqual(['g-', 1]);
    await sql.end();
    const reasons = (await as(rowgate, 'bob', 'grants')).text;
    expect(reasons).toContain("it's");
    expect(reasons).toContain('for the fair');
  });

  test('cannot flood: three of one login may wait', async () => {
    const rowgate = await start('flood');
    const client = await rowgate.connect('agent');
    const answers: string[] = [];
    for (let n = 0; n < 5; n++) answers.push((await client.query<{ request: string }>("SELECT rowgate.request('please')")).rows[0]?.request ?? '');
    expect(answers.filter((answer) => answer.startsWith('g-'))).toHaveLength(3);
    expect(answers.at(-1)).toMatch(/^refused: 3 requests for agent wait already/);
    await client.end();
  });
});
