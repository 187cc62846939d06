import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childrenOf } from '../support/children.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { untilTrue } from '../support/redis-processes.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

/** `workers: 3`, with counters in the primary's memory. */

const LIMIT = 60;
let postgres: TestPostgres;
let rowgate: TestRowgate;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  const dba = await postgres.connect();
  await dba.query("CREATE ROLE agent_many LOGIN PASSWORD 'secret' IN ROLE staff; CREATE ROLE agent_copy LOGIN PASSWORD 'secret' IN ROLE staff");
  await dba.end();
  rowgate = await startRowgate({ postgresPort: postgres.port, extra: 'workers: 3\nlimits: { max_sessions_per_principal: 12 }', role: 'deny: []', people: '{ ada: ada-token, ben: ben-token }', quotas: `[{ class: customers, window: 1h, rows: ${LIMIT} }]` });
});
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});

function pids(): number[] {
  return childrenOf(rowgate.process.pid as number);
}

async function admin(path: string, method = 'GET'): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${rowgate.adminPort}${path}`, { method, headers: { authorization: 'Bearer test-token' } });
  return (await answer.json()) as Record<string, unknown>;
}

async function rows(client: Client, count: number): Promise<number> {
  let got = 0;
  for (let i = 1; i <= count; i += 1) got += await client.query(`SELECT id FROM crm.customers WHERE id = ${i}`).then((result) => result.rows.length, () => 0);
  return got;
}

/** All at once, and then one by one: near the end of a quota, units that another worker's statement holds for a moment are refused. */
async function takeAll(clients: readonly Client[]): Promise<number> {
  const together = await Promise.all(clients.map((client) => rows(client, 10)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const last = await rows(clients[0] as Client, 20);
  return last + together.reduce((sum, each) => sum + each, 0);
}

function verify(file: string, ...options: string[]): void {
  execFileSync(process.execPath, ['dist/cli/main.js', 'audit', 'verify', join(rowgate.directory, file), ...options], { stdio: 'pipe' });
}

describe('several workers', () => {
  it('are one Rowgate: one port, one count, one list of sessions, one page of metrics, and audit files that nobody else writes', async () => {
    const clients = await Promise.all(Array.from({ length: 9 }, () => rowgate.connect()));
    expect(pids()).toHaveLength(3);
    // One of them will be ended.
    for (const client of clients) client.on('error', () => undefined);
    expect(await takeAll(clients)).toBe(LIMIT);
    const { sessions } = (await admin('/v1/sessions')) as { sessions: { session_id: string; principal: string }[] };
    expect(sessions).toHaveLength(9);
    expect((await admin('/v1/usage?principal=agent')) as { usage: unknown[] }).toMatchObject({ usage: [{ used: LIMIT, limit: LIMIT, principal: 'agent' }] });
    const metrics = await rowgate.metrics();
    expect(metrics).toContain(`rowgate_rows_total{role="support",class="customers"} ${LIMIT}`);
    expect(metrics).toMatch(/^rowgate_sessions(?:_active)? 9$/mu);
    // By its id, wherever it is.
    const [one] = sessions;
    expect(await admin(`/v1/sessions/${one?.session_id}`, 'DELETE')).toEqual({ ended: one?.session_id });
    await untilTrue(async () => ((await admin('/v1/sessions')) as { sessions: unknown[] }).sessions.length === 8);
    for (const client of clients) await client.end().catch(() => undefined);
    const files = readdirSync(rowgate.directory).filter((name) => name.endsWith('.ndjson')).toSorted();
    expect(files).toEqual(['audit.w1.ndjson', 'audit.w2.ndjson', 'audit.w3.ndjson']);
    const records = files.map((file) => readFileSync(join(rowgate.directory, file), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>));
    expect(records.flat().filter(({ event }) => event === 'session_start')).toHaveLength(9);
    // The kernel hands connections to the workers in turn: none is left out.
    for (const part of records) expect(part.filter(({ event }) => event === 'session_start').length).toBeGreaterThan(0);
    // Each file is a chain of its own, and its end is known from elsewhere.
    const { heads } = (await admin('/v1/audit/head')) as { heads: { writer: string; chain: string; seq: number; mac: string }[] };
    expect(heads.map(({ writer }) => writer).toSorted()).toEqual(['w1', 'w2', 'w3']);
    for (const { writer, chain, seq, mac } of heads) verify(`audit.${writer}.ndjson`, '--head', `${chain}:${seq}:${mac}`);
  });

  it('count the sessions of a login together', async () => {
    const clients: Client[] = [];
    // Logins are tried one by one: what one worker counts, the others hear of a moment later.
    let refused: unknown;
    for (let i = 0; i < 14 && refused === undefined; i += 1) {
      await rowgate.connect('agent_many').then((client) => clients.push(client), (error: unknown) => (refused = error));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(clients).toHaveLength(12);
    expect(refused).toMatchObject({ code: '53300' });
    await clients.pop()?.end();
    await untilTrue(() => rowgate.connect('agent_many').then((client) => clients.push(client) === 12));
    for (const client of clients) await client.end();
  });

  it('share what somebody grants, and which tables are copies', async () => {
    const granted = await fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/grants`, {
      method: 'POST',
      headers: { authorization: 'Bearer ada-token', 'content-type': 'application/json' },
      body: JSON.stringify({ principal: 'agent_copy', class: 'customers', rows: 30, for_ms: 600_000, reason: 'campaign' }),
    });
    expect(granted.status).toBe(200);
    expect(await admin('/v1/grants')).toMatchObject({ grants: [{ principal: 'agent_copy', rows: 30, requested_by: 'ada' }] });
    const clients = await Promise.all(Array.from({ length: 6 }, () => rowgate.connect('agent_copy')));
    const limits = async (): Promise<unknown[]> => Promise.all(clients.map(async (client) => (await client.query<{ limit: string }>('SELECT * FROM rowgate.usage')).rows[0]?.limit));
    await untilTrue(async () => (await limits()).every((limit) => limit === String(LIMIT + 30)));
    const [first, ...others] = clients as [Client, ...Client[]];
    await first.query('CREATE TABLE public.taken AS SELECT id, name FROM crm.customers WHERE id <= 40');
    const used = async (): Promise<number> => Number((await first.query<{ used: string }>('SELECT * FROM rowgate.usage')).rows[0]?.used);
    const before = await used();
    // Any worker knows at once that it is a copy.
    for (const other of others) expect((await other.query('SELECT * FROM public.taken LIMIT 2')).rowCount).toBe(2);
    await untilTrue(async () => (await used()) >= before + 2 * others.length);
    for (const client of clients) await client.end();
  });

  it('take a new configuration together', async () => {
    const text = readFileSync(rowgate.configPath, 'utf8');
    writeFileSync(rowgate.configPath, text.replace(`rows: ${LIMIT}`, `rows: ${LIMIT + 30}`));
    expect(await admin('/v1/reload', 'POST')).toMatchObject({ ok: true });
    const clients = await Promise.all(Array.from({ length: 6 }, () => rowgate.connect()));
    expect(await takeAll(clients)).toBe(30);
    for (const client of clients) await client.end();
  });

  it('pass a cancel request on, whichever of them gets it', async () => {
    const client = await rowgate.connect();
    for (let i = 0; i < 4; i += 1) {
      const sleeping = client.query('SELECT pg_sleep(30)').then(() => 'slept', (error: { code?: string }) => error.code);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const keys = client as unknown as { processID: number; secretKey: number };
      const { connect } = await import('node:net');
      const packet = Buffer.alloc(16);
      packet.writeInt32BE(16, 0);
      packet.writeInt32BE(80_877_102, 4);
      packet.writeInt32BE(keys.processID, 8);
      packet.writeInt32BE(keys.secretKey, 12);
      connect(rowgate.port, '127.0.0.1').end(packet);
      expect(await sleeping).toBe('57014');
    }
    await client.end();
  });

  it('lose only their own sessions when one is killed, and it comes back', async () => {
    const clients = await Promise.all(Array.from({ length: 9 }, () => rowgate.connect('dba')));
    for (const client of clients) client.on('error', () => undefined);
    // What it counts itself is known as of the last scrape.
    const [counted] = /^rowgate_rows_total.* [1-9][0-9]*$/mu.exec(await rowgate.metrics()) ?? [];
    expect(counted).toBeDefined();
    const before = pids();
    process.kill(before[0] as number, 'SIGKILL');
    await untilTrue(async () => ((await admin('/v1/sessions')) as { sessions: unknown[] }).sessions.length < 9);
    const alive = await Promise.all(clients.map((client) => client.query('SELECT 1').then(() => true, () => false)));
    // As many as the others said that they have; each had some.
    expect(alive.filter(Boolean)).toHaveLength(((await admin('/v1/sessions')) as { sessions: unknown[] }).sessions.length);
    expect(alive).toContain(true);
    expect(alive).toContain(false);
    // Somebody serves, also before it is back.
    const meanwhile = await rowgate.connect('dba');
    await meanwhile.query('SELECT 1');
    await meanwhile.end();
    await untilTrue(() => Promise.resolve(pids().length === 3 && !pids().includes(before[0] as number)));
    // What was counted stays counted: the primary has it.
    expect((await admin('/v1/usage?principal=agent')) as { usage: unknown[] }).toMatchObject({ usage: [{ used: LIMIT + 30 }] });
    expect(await rowgate.metrics()).toContain(counted);
    for (const client of clients) await client.end().catch(() => undefined);
  });

  it('begin a worker that comes later as the others began, also where the file has changed since or does not load any more', async () => {
    writeFileSync(rowgate.configPath, 'version: 1\nworkers: nonsense\n');
    expect(await admin('/v1/reload', 'POST')).toMatchObject({ error: 'invalid_config' });
    const [before] = pids();
    process.kill(before as number, 'SIGKILL');
    await untilTrue(() => Promise.resolve(pids().length === 3 && !pids().includes(before as number)));
    // All serve, by the limit that was reloaded last.
    await untilTrue(async () => (await fetch(`http://127.0.0.1:${rowgate.adminPort}/readyz`)).ok);
    const clients = await Promise.all(Array.from({ length: 9 }, () => rowgate.connect()));
    await untilTrue(async () => {
      const limits = await Promise.all(clients.map(async (client) => (await client.query<{ limit: string }>('SELECT * FROM rowgate.usage')).rows[0]?.limit));
      return limits.every((limit) => limit === String(LIMIT + 30));
    });
    for (const client of clients) await client.end();
  });

  it('end together, and leave nobody behind', async () => {
    const children = pids();
    const client = await rowgate.connect('dba');
    client.on('error', () => undefined);
    const exited = new Promise<number | null>((resolve) => rowgate.process.once('exit', (code) => resolve(code)));
    rowgate.process.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 300));
    rowgate.process.kill('SIGTERM');
    expect(await exited).toBe(0);
    for (const pid of children) expect(() => process.kill(pid, 0)).toThrow();
  });
});
