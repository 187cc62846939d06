/** The commands that ask a running Rowgate, as ops type them. */

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 200, action: block }, { class: customers, window: statement, rows: 50, action: block }]' });
}, 60_000);
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});

async function command(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, ...args]);
  return stdout;
}

async function refused(...args: readonly string[]): Promise<string> {
  const failed = await run(process.execPath, [MAIN, ...args]).then(() => undefined, (error: { stderr: string; code: number }) => error);
  expect(failed?.code).toBe(1);
  return failed?.stderr ?? '';
}

function explain(sql: string, ...more: readonly string[]): Promise<string> {
  return command('explain', '-c', rowgate.configPath, '--user', 'agent', '--database', 'postgres', sql, ...more);
}

describe('explain', () => {
  test('a view is shown with the way to the table behind it, what a row costs, and what is left', async () => {
    const client = await rowgate.connect('agent');
    await client.query('SELECT * FROM crm.customers LIMIT 7');
    await client.end();
    const text = await explain('SELECT a.name, t.price FROM crm.active a, tariffs t');
    expect(text).toContain('crm.active (read): crm.active (view)  => customers: crm.active (view) -> crm.customers');
    expect(text).toContain('tariffs (read): public.tariffs (table)');
    expect(text).toContain('customers: a row costs at least 1 unit');
    expect(text).toMatch(/support\/customers\/rows\/1h: 200 rows \(block\), 7 used, 193 left, next free in/);
    expect(text).toContain('decision    allow, within the quotas: 50 rows at most');
  });

  test('a limit that is used up decides, and one that was raised for a while is shown as it is', async () => {
    const client = await rowgate.connect('agent_3');
    for (let n = 0; n < 4; n++) await client.query('SELECT * FROM crm.customers LIMIT 50');
    const explainOther = (): Promise<string> => command('explain', '-c', rowgate.configPath, '--user', 'agent_3', '--database', 'postgres', 'SELECT * FROM crm.customers');
    expect(await explainOther()).toMatch(/decision    block by rule support\/customers\/rows\/1h \(SQLSTATE 53400\): its limit is used up; the next units come free in /);
    await command('grant', 'agent_3', '--rows', '30', '--for', '1h', '--reason', 'x', '-c', rowgate.configPath);
    const text = await explainOther();
    expect(text).toMatch(/rows\/1h: 230 rows \(block\), 200 used, 30 left/);
    expect(text).toContain('decision    allow, within the quotas: 30 rows at most');
    await client.end();
  }, 30_000);

  test('what Rowgate answers itself is told as that, and nothing is nothing', async () => {
    expect(await explain('SELECT * FROM rowgate.usage')).toContain('answered by Rowgate itself');
    expect(await refused('explain', '-c', rowgate.configPath, '--user', 'agent', '--database', 'postgres', ' -- only a comment')).toMatch(/^there is no statement in it/);
  });

  test('who does not read the output to its end gets no error', async () => {
    const { stderr } = await run('sh', ['-c', `"${process.execPath}" "${MAIN}" audit schema | true`]);
    expect(stderr).toBe('');
  });

  test('what touches nothing protected costs nothing', async () => {
    const text = await explain('SELECT * FROM tariffs WHERE lower(name) = $1');
    expect(text).toContain('lower: trusted (pg_catalog.lower is on the reviewed list)');
    expect(text).toContain('none: costs nothing');
    expect(text).toContain('decision    allow: touches nothing protected');
  });

  test('a function that is not trusted is named with the reason, and the rule that refuses it', async () => {
    const text = await explain("SELECT pg_read_file('/etc/passwd')");
    expect(text).toMatch(/pg_read_file: not trusted/);
    expect(text).toMatch(/block by rule support\/deny\/(server_files|opaque)/);
  });

  test('a login in no role is refused by the rule for such', async () => {
    const text = await command('explain', '-c', rowgate.configPath, '--user', 'temp', '--database', 'postgres', 'SELECT * FROM crm.customers');
    expect(text).toContain('block by rule unlisted/block');
  });

  test('packing is told', async () => {
    expect(await explain('SELECT json_agg(c) FROM crm.customers c')).toContain('a row costs by its bytes');
  });

  test('the same as JSON', async () => {
    const [statement] = JSON.parse(await explain('SELECT 1 FROM crm.customers', '--json')) as [{ classes: { className: string }[]; verdict: { kind: string } }];
    expect(statement).toMatchObject({ classes: [{ className: 'customers' }], verdict: { kind: 'allow' } });
  });

  test('a text that is no SQL is one clear line', async () => {
    expect(await refused('explain', '-c', rowgate.configPath, '--user', 'agent', '--database', 'postgres', 'SELEC 1')).toMatch(/grammar rejects it at character 1: /);
  });
});

describe('check --connect', () => {
  test('tells what the policy names and the server does not have, and rules that let staff go round', async () => {
    const path = join(rowgate.directory, 'other.yaml');
    writeFileSync(path, readFileSync(rowgate.configPath, 'utf8').replace('crm.invoices: { subject: customer_id }', 'crm.invoices: { subject: no_such }\n      crm.nothing: {}').replace('user: rowgate', 'user: dba').replace('members: [dba, postgres]', 'members: [dba, { pg_role: ghosts }]'));
    const { stderr, stdout } = await run(process.execPath, [MAIN, 'check', '-c', path, '--connect', 'postgres']);
    expect(stdout).toContain('config is valid');
    expect(stderr).toMatch(/^warning: \S+other\.yaml:\d+:7: classes\.customers\.relations\["crm\.nothing"\]: matches no relation in database "postgres"$/m);
    expect(stderr).toMatch(/^warning: \S+other\.yaml:\d+:\d+: classes\.customers\.relations\["crm\.invoices"\]\.subject: crm\.invoices has no column "no_such"/m);
    expect(stderr).toMatch(/^warning: \S+other\.yaml:\d+:\d+: roles\.dba\.members\[1\]: the server has no role "ghosts"$/m);
    expect(stderr).toMatch(/^warning: \S+other\.yaml:\d+:\d+: catalog\.user: "dba" is a superuser/m);
    expect(stderr).not.toContain('crm.customers"]');
  });

  test('a server that does not answer is an error', async () => {
    const path = join(rowgate.directory, 'nowhere.yaml');
    writeFileSync(path, readFileSync(rowgate.configPath, 'utf8').replace(String(postgres.port), String(await freePort())));
    expect(await refused('check', '-c', path, '--connect')).toMatch(/^the catalog of database "postgres" is not available: connect ECONNREFUSED[^:]*:\d+\n$/m);
  });
});

describe('audit verify', () => {
  test('fills in a pattern that the shell did not, and says which file cannot be read', async () => {
    expect(await command('audit', 'verify', '-c', rowgate.configPath, join(rowgate.directory, '*.ndjson'))).toContain('all records fit together');
    const failing = (...args: readonly string[]): Promise<{ code: number; stderr: string }> => run(process.execPath, [MAIN, 'audit', 'verify', ...args]).then(() => ({ code: 0, stderr: '' }), (error: { code: number; stderr: string }) => error);
    expect(await failing(join(rowgate.directory, 'none-*.ndjson'))).toMatchObject({ code: 2, stderr: expect.stringMatching(/^no file matches ".*none-\*\.ndjson"\n$/) as string });
    expect(await failing(rowgate.directory)).toMatchObject({ code: 2, stderr: expect.stringMatching(/: is a directory; name its files: .*\*\.ndjson\n$/) as string });
  });
});

describe('usage and sessions', () => {
  test('usage shows a login that has gone, with its share', async () => {
    const client = await rowgate.connect('agent_2');
    await client.query('SELECT * FROM crm.customers LIMIT 50');
    await client.end();
    const text = await command('usage', '-c', rowgate.configPath);
    expect(text).toMatch(/25 %\s+agent_2\s+customers\s+1h\s+50 rows\s+200 rows/);
    expect(JSON.parse(await command('usage', '-c', rowgate.configPath, '--principal', 'agent_2', '--json'))).toMatchObject([{ principal: 'agent_2', used: 50 }]);
  });

  test('a session is listed, and ends when it is killed, with the error that PostgreSQL gives', async () => {
    const client = await rowgate.connect('agent');
    const ended = new Promise<Error & { code?: string }>((resolve) => { client.on('error', resolve); });
    await client.query('SELECT 1');
    const sessions = JSON.parse(await command('sessions', '-c', rowgate.configPath, '--json')) as { session_id: string; principal: string }[];
    expect(sessions).toMatchObject([{ principal: 'agent' }]);
    expect(await command('sessions', 'kill', sessions[0]?.session_id ?? '', '-c', rowgate.configPath)).toContain('ended');
    expect((await ended).code).toBe('57P01');
    expect(await command('sessions', '-c', rowgate.configPath)).toContain('Nobody is connected.');
    expect(await refused('sessions', 'kill', 'nobody', '-c', rowgate.configPath)).toContain('there is no session of this id');
    expect(rowgate.audit().find((record) => record['event'] === 'session_end' && record['reason'] === 'ended by an administrator')).toBeDefined();
  });

  test('a wrong token, a wrong address and no address are one clear line each', async () => {
    expect(await refused('usage', '--url', `http://127.0.0.1:${rowgate.adminPort}`, '--token', 'wrong')).toContain('does not take the admin token');
    expect(await refused('usage', '--url', `http://127.0.0.1:${await freePort()}`)).toMatch(/no Rowgate answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)/);
    expect(await refused('usage')).toContain('say where Rowgate is');
    expect(await refused('usage', '-c', rowgate.configPath, '--token', 'wrong')).toContain('does not take the admin token');
    expect(await command('usage', '-c', rowgate.configPath, '--principal', 'temp')).toBe('Login "temp" has no quota, as far as this Rowgate knows.\n');
  });
});
