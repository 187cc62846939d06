/** Quotas on people: exact, each person once a window, whatever column, format or statement tells who a row is about. */

import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Query, type Client, type DatabaseError } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { errorsOf, rowsOf, WireClient, wire } from '../support/wire-client.ts';

const LIMIT = 50;
let postgres: TestPostgres;
let rowgate: TestRowgate;
let client: Client;
let login = '';
let logins = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1500);
  const admin = await postgres.connect();
  await admin.query(`
    CREATE VIEW crm.renamed AS SELECT name AS who, id AS number FROM crm.customers;
    CREATE VIEW crm.joined AS SELECT i.amount, c.id AS cid, c.name FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id;
    CREATE VIEW crm.forged AS SELECT 1 AS id, name FROM crm.customers;
    CREATE VIEW crm.above AS SELECT number AS n, who FROM crm.renamed;
    CREATE TABLE crm.contacts (id int, tenant int, no text, email text, note text);
    INSERT INTO crm.contacts SELECT g, g % 3, 'n' || g, 'c' || g || '@example.cz', 'tab	and "quote"' FROM generate_series(1, 1500) g;
    GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA crm TO staff;
    DROP ROLE agent_2, agent_3;
    DO $$ BEGIN FOR i IN 1..100 LOOP EXECUTE format('CREATE ROLE agent_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret'); END LOOP; END $$;
  `);
  await admin.end();
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: `[{ class: customers, window: 1h, subjects: ${LIMIT}, action: block }]` });
});
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});
// A login for each test, so that each has the whole quota.
beforeEach(async () => {
  login = `agent_${++logins}`;
  client = await rowgate.connect(login);
});
afterEach(() => client.end().catch(() => undefined));

interface Outcome {
  readonly rows: number;
  readonly error: DatabaseError | undefined;
}

function run(text: string, values?: unknown[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const query = new Query(values === undefined ? { text } : { text, values });
    let rows = 0;
    query.on('row', () => rows++);
    query.on('end', () => resolve({ rows, error: undefined }));
    query.on('error', (error) => resolve({ rows, error: error as DatabaseError }));
    client.query(query);
  });
}

/** People counted, by the usage page. */
async function used(): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/usage?principal=${login}`, { headers: { authorization: 'Bearer test-token' } });
  const { usage } = (await answer.json()) as { usage: { used: number; dimension: string }[] };
  return usage.find(({ dimension }) => dimension === 'subjects')?.used ?? -1;
}

async function copyOut(sql: string): Promise<{ readonly bytes: Buffer; readonly error: DatabaseError | undefined }> {
  const chunks: Buffer[] = [];
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(chunk), done()) });
  const error = await pipeline(client.query(copyTo(sql)), sink).then(() => undefined, (failed: unknown) => failed as DatabaseError);
  return { bytes: Buffer.concat(chunks), error };
}

describe('the exact cut', () => {
  test.each([
    ['one table', 'SELECT * FROM crm.customers ORDER BY id'],
    ['an alias of the key', 'SELECT c.name, c.id AS "what is this" FROM crm.customers c ORDER BY 2'],
    ['the key alone', 'SELECT id FROM crm.customers'],
    ['a sub-select', 'SELECT x.k, x.name FROM (SELECT id AS k, name FROM crm.customers) x'],
    ['a CTE', 'WITH t AS (SELECT id, name FROM crm.customers) SELECT * FROM t'],
    ['a join on the key, told by one side', 'SELECT c.id, c.name, i.amount FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id'],
    ['a join on the key, told by the other side', 'SELECT i.customer_id, c.name FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id'],
    ['a join with an unprotected table', 'SELECT c.id, t.price FROM crm.customers c JOIN tariffs t ON t.name = c.tariff'],
    ['a view', 'SELECT id, name FROM crm.active'],
    ['a view that renames its key', 'SELECT who, number AS k FROM crm.renamed'],
    ['a view over a view', 'SELECT who, n FROM crm.above'],
    ['a view that joins', 'SELECT name, amount, cid FROM crm.joined'],
    ['another table of the class', 'SELECT customer_id, amount FROM crm.invoices'],
  ])('%s: exactly the quota of people, then the refusal', async (_, sql) => {
    const { rows, error } = await run(sql);
    expect(rows).toBe(LIMIT);
    expect(error).toMatchObject({ code: '53400', severity: 'ERROR' });
    expect(error?.message).toContain(`subject quota for class "customers" is used up: ${LIMIT} of ${LIMIT} in 1h`);
    expect(error?.detail).toMatch(/allows 50 people of class "customers" in any 1h to each login; 50 people are used\. Before it stopped, this statement delivered 50 rows\. The next units come free at/);
    expect(await used()).toBe(LIMIT);
    expect((await client.query('SELECT count(*)::int AS n FROM tariffs')).rows).toEqual([{ n: 5 }]);
  });

  test('the same people are free, in one statement and in others, also when the quota is used up', async () => {
    expect((await run('SELECT id FROM crm.customers WHERE id <= 30')).rows).toBe(30);
    expect((await run('SELECT c.id, g FROM crm.customers c, generate_series(1, 20) g WHERE id <= 40')).rows).toBe(800);
    expect(await used()).toBe(40);
    expect((await run('SELECT id FROM crm.customers ORDER BY id')).rows).toBe(LIMIT);
    for (let i = 1; i <= 3; i++) expect(await run('SELECT id, name FROM crm.customers WHERE id <= 50')).toEqual({ rows: 50, error: undefined });
    expect((await run('SELECT customer_id, amount FROM crm.invoices WHERE customer_id <= 51 ORDER BY customer_id')).rows).toBe(50);
    expect((await run('SELECT id FROM crm.customers WHERE id = $1', [51])).error).toMatchObject({ code: '53400' });
    expect(await used()).toBe(LIMIT);
  });

  test('the person behind the last one is not counted, nor anybody behind a LIMIT', async () => {
    expect((await run('SELECT id FROM crm.customers LIMIT 7')).rows).toBe(7);
    expect(await used()).toBe(7);
  });
});

describe('formats and statements', () => {
  test('text and binary, int and bigint, give one key', async () => {
    const raw = await WireClient.connect({ port: rowgate.port, user: login });
    const text = await raw.query('SELECT id, name FROM crm.customers WHERE id <= 40');
    expect(rowsOf(text)).toHaveLength(40);
    const binary = await raw.ask([wire.parse('', 'SELECT id, name FROM crm.customers WHERE id <= 40'), wire.bind('', '', true), wire.describe('P', ''), wire.execute(''), wire.sync]);
    expect(rowsOf(binary)).toHaveLength(40);
    expect(await used()).toBe(40);
    raw.destroy();
  });

  test.each([true, false])('a statement that was described once and then only bound and executed (binary: %s)', async (binary) => {
    const raw = await WireClient.connect({ port: rowgate.port, user: login });
    await raw.ask([wire.parse('s', 'SELECT name, id FROM crm.customers WHERE id <= 40'), wire.describe('S', 's'), wire.sync]);
    for (let i = 0; i < 3; i++) {
      const answer = await raw.ask([wire.bind('', 's', binary), wire.execute(''), wire.sync]);
      expect(rowsOf(answer)).toHaveLength(40);
    }
    expect(await used()).toBe(40);
    raw.destroy();
  });

  test('a statement that nobody described counts each row as somebody new', async () => {
    const raw = await WireClient.connect({ port: rowgate.port, user: login });
    for (let i = 0; i < 2; i++) await raw.ask([wire.run('SELECT id FROM crm.customers WHERE id <= 20'), wire.sync]);
    expect(await used()).toBe(40);
    expect(errorsOf(await raw.ask([wire.run('SELECT id FROM crm.customers WHERE id <= 20'), wire.sync]))).toEqual(['53400']);
    raw.destroy();
  });

  test('cursors, row-limited portals, PREPARE and EXECUTE', async () => {
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id, name FROM crm.customers ORDER BY id');
    expect(await used()).toBe(0);
    for (let i = 0; i < 3; i++) expect((await client.query('FETCH 10 FROM c')).rows).toHaveLength(10);
    await client.query('MOVE ABSOLUTE 0 FROM c');
    expect((await client.query('FETCH 30 FROM c')).rows).toHaveLength(30);
    // MOVE tells how many rows there are.
    expect(await used()).toBe(31);
    await client.query('COMMIT');
    await client.query('PREPARE p AS SELECT id FROM crm.customers WHERE id <= 30');
    expect((await client.query('EXECUTE p')).rows).toHaveLength(30);
    const raw = await WireClient.connect({ port: rowgate.port, user: login });
    const answer = await raw.ask([wire.parse('', 'SELECT id FROM crm.customers ORDER BY id'), wire.bind('', ''), wire.describe('P', ''), wire.execute('', 20), wire.execute('', 20), wire.execute('', 20), wire.sync]);
    expect(rowsOf(answer)).toHaveLength(49);
    expect(errorsOf(answer)).toEqual(['53400']);
    raw.destroy();
  });

  test('rows that come in many parts, in chunks that end anywhere', async () => {
    const { rows, error } = await run("SELECT id, repeat('x', 5000) FROM crm.customers ORDER BY id");
    expect(rows).toBe(LIMIT);
    expect(error).toMatchObject({ code: '53400' });
  });
});

describe('rows whose people are not told, or not all', () => {
  test('no key, no same person', async () => {
    expect((await run('SELECT name FROM crm.customers')).rows).toBe(LIMIT);
    expect((await run('SELECT name FROM crm.customers WHERE id = 1')).error).toMatchObject({ code: '53400' });
  });

  test.each([
    ['the same key twice beside somebody else', 'SELECT a.id, a.id AS again, b.name FROM crm.customers a, crm.customers b WHERE a.id = 1'],
    ['a fixed person beside everybody', 'SELECT f.id, c.name FROM crm.customers c, (SELECT id FROM crm.customers WHERE id = 1) f'],
    ['a scalar sub-select', 'SELECT c.id, (SELECT name FROM crm.customers d WHERE d.id = c.id + g) FROM crm.customers c, generate_series(1, 500) g WHERE c.id = 1'],
    ['the neighbour in a window', 'SELECT id, lag(name) OVER (ORDER BY id) FROM crm.customers'],
    ['a view that makes its key up', 'SELECT id, name FROM crm.forged'],
    ['a union', 'SELECT 1 AS id, name FROM crm.customers UNION ALL SELECT id, name FROM crm.customers WHERE false'],
    ['a key that is NULL', 'SELECT n.id, c.name FROM crm.customers c LEFT JOIN crm.customers n ON n.id = -1'],
    ['a key that is cast', 'SELECT 1::int AS id, name FROM crm.customers'],
  ])('%s', async (_, sql) => {
    const { rows, error } = await run(sql);
    expect(rows).toBeLessThanOrEqual(LIMIT);
    expect(error).toMatchObject({ code: '53400' });
  });

  test('somebody in two columns of a row is one of its people; the other may be anybody', async () => {
    expect((await run('SELECT a.id, a.id AS again, b.name FROM crm.customers a, crm.customers b WHERE a.id = 1')).rows).toBe(LIMIT - 1);
    expect(await used()).toBe(LIMIT);
  });

  test('two people a row are two', async () => {
    expect((await run('SELECT a.id, b.id, a.name, b.name FROM crm.customers a JOIN crm.customers b ON b.id = a.id + 100 ORDER BY a.id')).rows).toBe(LIMIT / 2);
    expect(await used()).toBe(LIMIT);
  });

  test('aggregates count as units, packed ones by their bytes', async () => {
    expect((await client.query('SELECT tariff, count(*) FROM crm.customers GROUP BY tariff')).rows).toHaveLength(5);
    expect(await used()).toBe(5);
    expect((await run("SELECT string_agg(name, ',') FROM crm.customers")).error).toMatchObject({ code: '53400' });
  });
});

describe('what tells something without a row', () => {
  test('an empty answer, an error and a count of changed rows cost one person each', async () => {
    expect((await run('SELECT id FROM crm.customers WHERE id < 0')).rows).toBe(0);
    expect(await used()).toBe(1);
    expect((await run('SELECT 1 / (id - id) FROM crm.customers')).error).toMatchObject({ code: '22012' });
    expect(await used()).toBe(2);
    await client.query('UPDATE crm.customers SET name = name WHERE id = 1');
    expect(await used()).toBe(3);
  });

  test('when the quota is used up they are refused, and nothing is changed', async () => {
    await run('SELECT id FROM crm.customers');
    expect((await run("SELECT id FROM crm.customers WHERE id = 700 AND name LIKE 'A%'")).error).toMatchObject({ code: '53400' });
    expect((await run('SELECT 1 / (id - id) FROM crm.customers')).error).toMatchObject({ code: '53400' });
    expect((await run("UPDATE crm.customers SET name = 'changed' WHERE id = 1")).error).toMatchObject({ code: '53400' });
    const admin = await postgres.connect();
    expect((await admin.query("SELECT FROM crm.customers WHERE name = 'changed'")).rowCount).toBe(0);
    await admin.end();
    expect(await run('SELECT id FROM crm.customers WHERE id = 5')).toEqual({ rows: 1, error: undefined });
  });
});

describe('COPY', () => {
  test.each([
    ['a table', 'COPY crm.customers TO STDOUT'],
    ['some columns', 'COPY crm.customers (name, id, email) TO STDOUT'],
    ['a query', 'COPY (SELECT name, c.id FROM crm.customers c WHERE id > 0) TO STDOUT'],
    ['a view', 'COPY (SELECT * FROM crm.renamed) TO STDOUT'],
    ['csv', 'COPY crm.customers TO STDOUT (FORMAT csv, HEADER)'],
    ['csv with every value in quotes', 'COPY crm.customers TO STDOUT (FORMAT csv, FORCE_QUOTE *)'],
    ['lines within quotes', "COPY (SELECT E'a\n\",b' AS x, id FROM crm.customers) TO STDOUT CSV"],
  ])('%s: exactly the quota of people, and the same ones again', async (_, sql) => {
    const first = await copyOut(sql);
    expect(first.error).toMatchObject({ code: '53400' });
    expect(await used()).toBe(LIMIT);
    const again = await copyOut(sql);
    expect(again.bytes.equals(first.bytes)).toBe(true);
    expect(again.bytes.toString().split('\n').length).toBeGreaterThan(LIMIT);
    // In a look-up they are the same people.
    const id = sql.includes('renamed') ? 'number' : 'id';
    expect((await run(`SELECT ${id} FROM ${sql.includes('renamed') ? 'crm.renamed' : 'crm.customers'}`)).rows).toBe(LIMIT);
  });

  test('binary', async () => {
    const { bytes, error } = await copyOut('COPY crm.customers (id, name) TO STDOUT (FORMAT binary)');
    expect(error).toMatchObject({ code: '53400' });
    expect(bytes.toString('latin1').match(/Customer/g)).toHaveLength(LIMIT);
    expect((await run('SELECT id FROM crm.customers')).rows).toBe(LIMIT);
  });

  test.each([
    ['no key', 'COPY crm.customers (name) TO STDOUT'],
    ['another delimiter', "COPY crm.customers TO STDOUT (DELIMITER '|')"],
    ['an expression', 'COPY (SELECT id + 0, name FROM crm.customers) TO STDOUT'],
    ['a fixed person beside everybody', 'COPY (SELECT f.id, c.name FROM crm.customers c, crm.customers f WHERE f.id = 1) TO STDOUT'],
  ])('%s: each row counts as somebody new', async (_, sql) => {
    const { bytes, error } = await copyOut(sql);
    expect(error).toMatchObject({ code: '53400' });
    expect(bytes.toString().split('\n').filter(Boolean).length).toBeLessThanOrEqual(LIMIT);
  });
});

describe('keys stay what they are', () => {
  test.each([
    ['one key for all', 'UPDATE crm.invoices SET customer_id = 1'],
    ['through a view', 'UPDATE crm.renamed SET number = number + 1 WHERE number = 1500'],
    ['on conflict', 'INSERT INTO crm.invoices VALUES (1, 1, 1) ON CONFLICT (id) DO UPDATE SET customer_id = 1'],
    ['MERGE', 'MERGE INTO crm.invoices i USING (VALUES (1)) v(x) ON true WHEN MATCHED THEN UPDATE SET customer_id = 1'],
    ['rows of others put under one key', 'INSERT INTO crm.invoices SELECT id + 10000, 1, id FROM crm.customers'],
    ['in a CTE', 'WITH u AS (UPDATE crm.invoices SET customer_id = 1 RETURNING *) SELECT * FROM u'],
    ['prepared', 'PREPARE u AS UPDATE crm.invoices SET customer_id = 1'],
  ])('%s is refused', async (_, sql) => {
    const { error } = await run(sql);
    expect(error).toMatchObject({ code: '42501' });
    expect(error?.message).toContain('derived_copy');
  });

  test('other columns, and rows that the client knows, may be written', async () => {
    expect((await run("UPDATE crm.customers SET name = 'Customer 9' WHERE id = 9")).error).toBeUndefined();
    expect((await run('INSERT INTO crm.invoices VALUES (99999, 3, 5)')).error).toBeUndefined();
    expect((await run('DELETE FROM crm.invoices WHERE id = 99999')).error).toBeUndefined();
  });
});

test('the same number in another database is another person', async () => {
  const admin = await postgres.connect();
  await admin.query('CREATE DATABASE other');
  await admin.end();
  const other = await postgres.connect('postgres', 'other');
  await other.query("CREATE SCHEMA crm; CREATE TABLE crm.customers AS SELECT g AS id, 'x' AS name FROM generate_series(1, 100) g; GRANT USAGE ON SCHEMA crm TO staff; GRANT SELECT ON crm.customers TO staff");
  await other.end();
  expect((await run(`SELECT id FROM crm.customers ORDER BY id LIMIT ${LIMIT - 10}`)).error).toBeUndefined();
  const elsewhere = await rowgate.connect(login, { database: 'other' });
  const rows: unknown[] = [];
  const query = elsewhere.query(new Query({ text: `SELECT id FROM crm.customers ORDER BY id LIMIT ${LIMIT}` }));
  const code = await new Promise((resolve) => {
    query.on('row', (row) => rows.push(row));
    query.on('end', () => resolve(undefined));
    query.on('error', (error) => resolve((error as DatabaseError).code));
  });
  expect({ rows: rows.length, code }).toEqual({ rows: 10, code: '53400' });
  await elsewhere.end();
});
