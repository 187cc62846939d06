/** What is paid before Execute, and beside it: once, and nothing where nothing can be told. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { errorsOf, rowsOf, WireClient, wire } from '../support/wire-client.ts';

const LIMIT = 20;
let postgres: TestPostgres;
let rowgate: TestRowgate;
let client: WireClient;
let login = '';
let logins = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 200);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE FUNCTION public.name_of(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM crm.customers WHERE id = n';
    CREATE FUNCTION public.fixed(n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT name FROM crm.customers WHERE id = n); END $$;
    CREATE FUNCTION public.seen(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (n); RETURN (SELECT name FROM crm.customers WHERE id = n); END $$;
    CREATE FUNCTION public.fail_at(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF n > 3 THEN RAISE EXCEPTION USING ERRCODE = 'ABCDE'; END IF; RETURN true; END $$;
    CREATE FUNCTION public.known(n int) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM crm.customers WHERE id = n)';
    CREATE DOMAIN public.known_id AS int CHECK (public.known(VALUE));
    CREATE DOMAIN public.short AS text CHECK (length(VALUE) < 9);
    CREATE TABLE public.log (n int);
    CREATE TABLE public.cases (id int, of public.known_id[], label public.short);
    CREATE TABLE public.parts (id int) PARTITION BY LIST (id);
    ${[1, 2, 3].map((n) => `CREATE TABLE public.parts_${n} PARTITION OF public.parts FOR VALUES IN (${n});`).join(' ')}
    CREATE TABLE public.keyed (id int PRIMARY KEY);
    GRANT ALL ON public.log, public.cases, public.parts, public.keyed TO staff;
    DROP ROLE agent_2, agent_3;
    DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE ROLE agent_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret'); EXECUTE format('CREATE ROLE counted_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret'); EXECUTE format('CREATE ROLE lax_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret'); END LOOP; END $$;
    GRANT CREATE, TEMPORARY ON DATABASE postgres TO staff;
  `);
  await admin.end();
  const quotas = `[{ class: customers, window: 1h, rows: 100000, action: block }]
  lax:
    members: ["lax_*"]
    deny: []
    quotas: [{ class: customers, window: 1h, rows: 100000, action: block }]
  counted:
    members: ["counted_*"]
    deny: []
    quotas: [{ class: customers, window: 1h, subjects: ${LIMIT}, action: block }]`;
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas });
}, 60_000);
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});
beforeEach(async () => {
  login = `agent_${++logins}`;
  client = await WireClient.connect({ port: rowgate.port, user: login });
  return () => client.destroy();
});

/** Units of all that the login did. */
async function units(): Promise<number> {
  const of = (event: string): readonly Record<string, unknown>[] => rowgate.audit().filter((record) => record['principal'] === login && record['event'] === event);
  await expect.poll(() => of('statement_start').filter(({ statement_id: id }) => of('statement_end').every((end) => end['statement_id'] !== id))).toEqual([]);
  return of('statement_end').reduce((sum, record) => sum + (record['units'] as number), 0);
}

describe('Bind', () => {
  test.each(['name_of', 'fixed', 'seen'])('and Execute of %s are one execution', async (name) => {
    await client.ask([wire.parse('s', `SELECT ${name}(7)`), wire.sync]);
    for (let i = 0; i < 5; i++) expect(rowsOf(await client.ask([wire.bind('', 's'), wire.describe('P', ''), wire.execute(''), wire.sync]))).toHaveLength(1);
    expect(await units()).toBe(5);
  });

  test('of several portals in one group, executed in another order', async () => {
    await client.ask([wire.parse('s', 'SELECT seen(7)'), wire.sync]);
    const answer = await client.ask([wire.bind('a', 's'), wire.bind('b', 's'), wire.bind('c', 's'), wire.execute('b'), wire.execute('a'), wire.close('P', 'b'), wire.execute('c'), wire.sync]);
    expect(rowsOf(answer)).toHaveLength(3);
    expect(await units()).toBe(3);
  });

  test('alone costs a unit, if planning runs code', async () => {
    for (let i = 0; i < 4; i++) expect((await client.ask([wire.parse('', `SELECT fixed(${i})`), wire.bind('', ''), wire.sync])).map(({ type }) => type).join('')).toBe('12Z');
    expect(await units()).toBe(4);
  });

  test('alone costs nothing for a plain look-up, nor where no class is in reach', async () => {
    for (const sql of ['SELECT name FROM crm.customers WHERE id = 1', 'SELECT fail_at(1)', 'SELECT 1']) await client.ask([wire.parse('', sql), wire.bind('', ''), wire.sync]);
    expect(await units()).toBe(0);
  });

  test('a portal that goes on in another group is paid for by rows', async () => {
    await client.query('BEGIN');
    await client.ask([wire.parse('', 'SELECT name, name_of(id) FROM crm.customers LIMIT 6'), wire.bind('p', ''), wire.execute('p', 2), wire.sync]);
    const before = await units();
    expect(rowsOf(await client.ask([wire.execute('p', 2), wire.sync]))).toHaveLength(2);
    expect(rowsOf(await client.ask([wire.execute('p', 2), wire.sync]))).toHaveLength(2);
    expect(await units()).toBe(3 * before);
  });

  test('and a statement that was skipped, in a group that failed', async () => {
    const answer = await client.ask([wire.parse('', 'SELECT fixed(1)'), wire.bind('', ''), wire.parse('bad', 'SELEC'), wire.bind('', 'bad'), wire.execute(''), wire.sync]);
    expect(answer.map(({ type }) => type).join('')).toBe('12EZ');
    expect(rowsOf(await client.query('SELECT 1'))).toHaveLength(1);
    expect(await units()).toBe(1);
  });

  test('does not leave people uncounted, nor counts them twice', async () => {
    login = `counted_${logins}`;
    client.destroy();
    client = await WireClient.connect({ port: rowgate.port, user: login });
    await client.ask([wire.parse('s', 'SELECT fixed(7)'), wire.sync]);
    for (let i = 0; i < LIMIT / 2; i++) await client.ask([wire.bind('', 's'), wire.execute(''), wire.sync]);
    for (let i = 0; i < LIMIT / 2; i++) expect(errorsOf(await client.ask([wire.bind('', 's'), wire.sync]))).toEqual([]);
    expect(errorsOf(await client.ask([wire.bind('', 's'), wire.sync]))).toHaveLength(1);
    expect(errorsOf(await client.ask([wire.bind('', 's'), wire.execute(''), wire.sync]))).toHaveLength(1);
    expect(rowsOf(await client.query('SELECT 1'))).toHaveLength(1);
  });
});

describe('Parse', () => {
  test('costs a unit if a constant runs code over a class, however it comes by its type', async () => {
    for (const sql of ["SELECT '{7}'::known_id[]", "SELECT id FROM cases WHERE of = '{7}'", "SELECT id FROM cases WHERE of = '{7}' AND label = 'x'"]) {
      expect((await client.ask([wire.parse('', sql), wire.sync])).map(({ type }) => type).join('')).toBe('1Z');
    }
    expect(await units()).toBe(3);
  });

  test('costs nothing if it runs none', async () => {
    for (const sql of ["SELECT 'x'::short", "SELECT name FROM crm.customers WHERE name = 'x'", "SELECT body FROM notes WHERE body = '{7}'", 'SELECT fixed(1)']) await client.ask([wire.parse('', sql), wire.sync]);
    expect(await units()).toBe(0);
  });
});

describe('an error', () => {
  test('costs a unit beside the rows before it', async () => {
    const answer = await client.query('SELECT id FROM crm.customers WHERE id <= 5 AND fail_at(id)');
    expect(rowsOf(answer)).toHaveLength(3);
    expect(await units()).toBe(4);
  });

  test('costs the least where there were none', async () => {
    expect(errorsOf(await client.query('SELECT id FROM crm.customers WHERE fail_at(id + 9)'))).toHaveLength(1);
    expect(await units()).toBe(1);
  });

  test('that no value can be in costs nothing more', async () => {
    await client.query('SET statement_timeout = 500');
    const answer = await client.query('SELECT name, pg_sleep(0.1) FROM crm.customers');
    expect(errorsOf(answer)).toHaveLength(1);
    expect(await units()).toBe(Math.max(1, rowsOf(answer).length));
  });
});

describe('what is left behind', () => {
  beforeEach(async () => {
    login = `lax_${logins}`;
    client.destroy();
    client = await WireClient.connect({ port: rowgate.port, user: login });
  });

  test.each([
    ["INSERT INTO parts SELECT 1 + (query_to_xml('SELECT 1', true, true, '') IS NULL)::int", 9],
    ['INSERT INTO log VALUES (1)', 0],
    ['INSERT INTO log SELECT id FROM crm.customers', 3],
    ['INSERT INTO log SELECT id FROM crm.customers WHERE id = 7', 1],
    ['INSERT INTO keyed SELECT id + 1000 FROM crm.customers', 5],
    ['INSERT INTO parts SELECT 1 + id % 3 FROM crm.customers', 9],
    ['CREATE TEMP TABLE mine AS SELECT name FROM crm.customers', 3],
    ['SELECT id FROM crm.customers ORDER BY random() LIMIT 5', 6],
    ['SELECT id FROM crm.customers ORDER BY id LIMIT 5', 5],
  ])('%s costs %i', async (sql, expected) => {
    expect(errorsOf(await client.query(sql))).toEqual([]);
    expect(await units()).toBe(expected);
  });
});
