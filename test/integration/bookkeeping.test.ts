/** When the server's counters and locks cost units, and when they do not: whatever honest work was done, and after ops have emptied them. */

import { Redis } from 'ioredis';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CHEAP_LOGINS, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const COUNTERS = 'SELECT relname, seq_scan FROM pg_stat_user_tables ORDER BY 1 LIMIT 3';
const LOCKS = 'SELECT locktype FROM pg_locks LIMIT 1';
const LOGINS = ['agent', 'agent_quiet', 'agent_serial', 'agent_denied', 'dba'] as const;

let postgres: TestPostgres;
let redis: TestRedis;
let rowgates: readonly TestRowgate[];

beforeAll(async () => {
  postgres = await startPostgres();
  redis = await startRedis();
  const admin = await postgres.connect();
  await admin.query(`
    ${CHEAP_LOGINS}
    CREATE ROLE rowgate LOGIN PASSWORD 'secret';
    ${LOGINS.map((login) => `CREATE ROLE ${login} LOGIN PASSWORD 'secret';`).join(' ')}
    ALTER ROLE agent_quiet SET track_counts = off;
    ALTER ROLE agent_serial SET default_transaction_isolation = serializable;
    CREATE SCHEMA crm;
    CREATE TABLE crm.customers (id int NOT NULL, email text NOT NULL) PARTITION BY HASH (id);
    ${Array.from({ length: 12 }, (_, i) => `CREATE TABLE crm.customers_${i} PARTITION OF crm.customers FOR VALUES WITH (MODULUS 12, REMAINDER ${i});`).join(' ')}
    INSERT INTO crm.customers SELECT g, 'c' || g || '@example.cz' FROM generate_series(1, 500) g;
    CREATE TABLE crm.invoices (id int PRIMARY KEY, customer_id int NOT NULL);
    CREATE VIEW crm.active AS SELECT id, email FROM crm.customers;
    CREATE VIEW crm.twice AS SELECT a.id FROM crm.customers a JOIN crm.customers b USING (id);
    ${Array.from({ length: 10 }, (_, i) => `CREATE TABLE public.t${i} (id int);`).join(' ')}
    CREATE TABLE public.indexed (id int); ${Array.from({ length: 12 }, () => 'CREATE INDEX ON public.indexed (id);').join(' ')}
    CREATE VIEW public.nine AS SELECT t1.id FROM ${Array.from({ length: 9 }, (_, i) => `public.t${i}`).join(' NATURAL JOIN ')};
    GRANT USAGE ON SCHEMA crm TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA crm, public TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC;`);
  await admin.end();
  rowgates = await Promise.all([1, 2].map(() => startRowgate({
    postgresPort: postgres.port,
    store: `{ redis: "${redis.url}" }`,
    quotas: '[{ class: customers, window: 1h, rows: 100000, action: block }]\n  careful:\n    members: [agent_denied]\n    deny: [statistics]\n    quotas: [{ class: customers, window: 1h, rows: 100000, action: block }]',
  })));
}, 60_000);
afterAll(async () => {
  await Promise.all(rowgates.map((each) => each.stop()));
  await redis.stop();
  await postgres.stop();
});

const forget = (rowgate: TestRowgate): Promise<Response> => fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/bookkeeping/forget`, { method: 'POST', headers: { authorization: 'Bearer test-token' } });
/** As long as another process may take to hear of it. */
const heard = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_000));

beforeEach(async () => {
  expect((await forget(rowgates[0] as TestRowgate)).status).toBe(200);
  await heard();
});

async function units(): Promise<number> {
  const texts = await Promise.all(rowgates.map((each) => each.metrics()));
  return texts.flatMap((text) => [...text.matchAll(/^rowgate_units_total\{.*\} (\d+)$/gm)]).reduce((sum, [, value]) => sum + Number(value), 0);
}

async function withClient<T>(login: string, work: (client: Client) => Promise<T>, rowgate = 0): Promise<T> {
  const client = await (rowgates[rowgate] as TestRowgate).connect(login);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What one statement costs a login. */
const costs = (login: string, sql: string, rowgate = 0): Promise<number> => withClient(login, async (client) => {
  const before = await units();
  await client.query(sql);
  return (await units()) - before;
}, rowgate);

const run = (login: string, ...sql: readonly string[]): Promise<void> => withClient(login, async (client) => {
  for (const each of sql) await client.query(each);
});

const joined = (count: number): string => Array.from({ length: count }, (_, i) => `, public.t${i}`).join('');

describe('counters stay free', () => {
  test.each([
    ['a join with eight tables', [`SELECT count(*) FROM crm.invoices i${joined(7)}`]],
    ['a class of many partitions, read once', ['SELECT count(*) FROM crm.customers']],
    ['by a view', ['SELECT count(*) FROM crm.active a JOIN public.t0 USING (id)']],
    ['a change of one', [`UPDATE crm.customers SET email = 'x@example.cz' WHERE id = 7`]],
    ['any number of tables, but no class', [`SELECT count(*) FROM public.nine, public.indexed${joined(10)}`]],
    ['temporary tables of the same transaction', ['BEGIN', ...Array.from({ length: 12 }, (_, i) => `CREATE TEMP TABLE own${i} (id int)`), 'SELECT count(*) FROM crm.customers c JOIN own3 USING (id)', 'ROLLBACK']],
  ] as const)('%s', async (_name, sql) => {
    await run('agent', ...sql);
    expect(await costs('agent', COUNTERS)).toBe(0);
    expect(await costs('agent', LOCKS)).toBe(0);
  });

  test('where the login is not counted at all', async () => {
    await run('agent_quiet', `SELECT count(*) FROM crm.customers c${joined(10)}`);
    expect(await costs('agent', COUNTERS)).toBe(0);
  });

  test('but not once it may have changed that', async () => {
    await withClient('agent_quiet', async (client) => {
      await expect(client.query('SET track_counts = on')).rejects.toMatchObject({ code: '42501' });
      await client.query(`SELECT count(*) FROM crm.customers c${joined(10)}`);
    });
    expect(await costs('agent', COUNTERS)).toBeGreaterThan(0);
  });

  test('whatever a login without quotas does', async () => {
    await run('dba', `SELECT count(*) FROM crm.customers c${joined(10)}`);
    expect(await costs('agent', COUNTERS)).toBe(0);
  });
});

describe('counters cost units, in every process', () => {
  test.each([
    ['after a join with more tables', [`SELECT count(*) FROM crm.customers c${joined(9)}`]],
    ['by a view over them', ['SELECT count(*) FROM crm.customers c, public.nine']],
    ['after a class of many partitions was read twice', ['SELECT count(*) FROM crm.customers a JOIN crm.customers b USING (id)']],
    ['by a view that reads it twice', ['SELECT count(*) FROM crm.twice']],
    ['where another table of the class can say how often it is scanned', ['SELECT count(*) FROM crm.invoices i JOIN crm.customers c ON c.id = i.customer_id']],
    ['after a table with many indexes', ['SELECT count(*) FROM crm.invoices i JOIN public.indexed USING (id)']],
    ['by a prepared statement', [`PREPARE p AS SELECT count(*) FROM crm.customers c${joined(9)}`, 'EXECUTE p']],
    ['by a cursor', ['BEGIN', `DECLARE d CURSOR FOR SELECT 1 FROM crm.customers c${joined(9)}`, 'COMMIT']],
    ['by partitions of the same transaction', ['BEGIN', 'CREATE TABLE public.parts (id int) PARTITION BY LIST (id)', ...Array.from({ length: 10 }, (_, i) => `CREATE TABLE public.parts${i} PARTITION OF public.parts FOR VALUES IN (${i})`), 'SELECT count(*) FROM crm.invoices i JOIN public.parts USING (id)', 'ROLLBACK']],
    ['by indexes of the same transaction', ['BEGIN', 'CREATE TEMP TABLE own (id int)', ...Array.from({ length: 10 }, () => 'CREATE INDEX ON own (id)'), 'SELECT count(*) FROM crm.invoices i JOIN own USING (id)', 'ROLLBACK']],
    ['in one text', [`BEGIN; CREATE TEMP TABLE own (id int); ${'CREATE INDEX ON own (id); '.repeat(10)} SELECT count(*) FROM crm.invoices i JOIN own USING (id); ROLLBACK`]],
  ] as const)('%s', async (_name, sql) => {
    await run('agent', ...sql);
    for (const rowgate of [0, 1]) {
      expect(await costs('agent', COUNTERS, rowgate)).toBeGreaterThan(0);
      expect(await costs('agent', `SELECT pg_stat_get_numscans('public.t0'::regclass)`, rowgate)).toBeGreaterThan(0);
      expect(await costs('agent', LOCKS, rowgate)).toBe(0);
    }
  });

  test('until ops forget, by either process, and it is on record who did it', async () => {
    await run('agent', `SELECT count(*) FROM crm.customers c${joined(9)}`);
    expect(await costs('agent', COUNTERS, 1)).toBeGreaterThan(0);
    const flags = (rowgates[0] as TestRowgate).audit().filter(({ event, rule_id: rule }) => event === 'flag' && rule === 'support/bookkeeping/counters');
    expect(flags.at(-1)).toMatchObject({ principal: 'agent', reason: expect.stringContaining('pg_stat_user_tables') as unknown });
    expect((await forget(rowgates[1] as TestRowgate)).status).toBe(200);
    await heard();
    for (const rowgate of [0, 1]) expect(await costs('agent', COUNTERS, rowgate)).toBe(0);
  });

  test('also when Redis has lost the mark', async () => {
    await run('agent', `SELECT count(*) FROM crm.customers c${joined(9)}`);
    const client = new Redis(redis.url);
    expect(await client.del(await client.keys('*copies:books'))).toBe(1);
    await client.quit();
    await heard();
    for (const rowgate of [0, 1]) expect(await costs('agent', COUNTERS, rowgate)).toBeGreaterThan(0);
  });
});

describe('locks cost units', () => {
  test.each([
    ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'agent', ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT count(*) FROM crm.invoices', 'COMMIT']],
    ['one text', 'agent', ['BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM crm.invoices; COMMIT']],
    ['a setting of the role', 'agent_serial', ['SELECT count(*) FROM crm.invoices']],
    ['a sequence whose name is worked out', 'agent', ['CREATE TEMP SEQUENCE s', `SELECT nextval('s')`, `SELECT count(currval('s' || left(email, 0))) FROM crm.customers`]],
  ] as const)('%s', async (_name, login, sql) => {
    await run(login, ...sql);
    for (const rowgate of [0, 1]) {
      expect(await costs('agent', LOCKS, rowgate)).toBeGreaterThan(0);
      expect(await costs('agent', 'SELECT count(*) FROM pg_lock_status()', rowgate)).toBeGreaterThan(0);
    }
  });

  test.each([
    ['a weaker transaction', ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM crm.invoices', 'COMMIT']],
    ['a serializable transaction over what is not protected', ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT count(*) FROM public.t0', 'COMMIT']],
    ['a sequence that is named', ['CREATE TEMP SEQUENCE s', `SELECT nextval('s')`, `SELECT count(currval('s')) FROM crm.invoices`]],
  ] as const)('but not after %s', async (_name, sql) => {
    await run('agent', ...sql);
    expect(await costs('agent', LOCKS)).toBe(0);
  });
});

test.each([COUNTERS, LOCKS, 'SELECT count(*) FROM pg_stats', `SELECT pg_stat_get_numscans('public.t0'::regclass)`])('deny: [statistics] refuses %s', async (sql) => {
  await withClient('agent_denied', async (client) => {
    await expect(client.query(sql)).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('careful/deny/statistics') as unknown });
    await client.query('SELECT count(*) FROM pg_stat_activity');
    await client.query('SELECT count(*) FROM pg_class');
  });
});
