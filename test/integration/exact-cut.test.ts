/** Whatever the way of asking, exactly the quota's rows reach the client, and the session goes on afterwards. */

import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client, DatabaseError, Query } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const LIMIT = 200;
let postgres: TestPostgres;
let rowgate: TestRowgate;
let client: Client;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1500);
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  rowgate = await startRowgate({ postgresPort: postgres.port });
  client = await rowgate.connect();
});
afterEach(async () => {
  await client.end().catch(() => undefined);
  await rowgate.stop();
});

interface Outcome {
  readonly rows: number;
  readonly error: DatabaseError | undefined;
}

/** Counts the rows that arrive, also those in front of an error. */
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

async function expectUsable(): Promise<void> {
  const { rows } = await client.query('SELECT count(*)::int AS n FROM tariffs');
  expect(rows).toEqual([{ n: 5 }]);
}

function expectQuotaError(error: DatabaseError | undefined): void {
  expect(error).toBeInstanceOf(DatabaseError);
  expect(error).toMatchObject({ code: '53400', severity: 'ERROR' });
  expect(error?.message).toContain('customers');
  expect(error?.detail).toMatch(/support\/customers\/rows\/1h.*200 rows/);
  expect(error?.detail).toMatch(/The next units come free at \d{4}-/);
  expect(error?.hint).toContain('data-protection@example.com');
}

describe('exactly 200 rows arrive, never 201', () => {
  test('SELECT * in the simple protocol', async () => {
    const { rows, error } = await run('SELECT * FROM crm.customers');
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expectUsable();
  });

  test('SELECT * in the extended protocol', async () => {
    const { rows, error } = await run('SELECT * FROM crm.customers WHERE id > $1', [0]);
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expectUsable();
  });

  test('paging with LIMIT and OFFSET', async () => {
    let rows = 0;
    let error: DatabaseError | undefined;
    for (let page = 0; page < 10 && error === undefined; page++) {
      const outcome = await run('SELECT * FROM crm.customers ORDER BY id LIMIT 30 OFFSET $1', [page * 30]);
      rows += outcome.rows;
      error = outcome.error;
    }
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expectUsable();
  });

  test('a cursor with FETCH', async () => {
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT * FROM crm.customers');
    let rows = 0;
    let error: DatabaseError | undefined;
    while (error === undefined && rows < 1500) {
      const outcome = await run('FETCH 70 FROM c');
      rows += outcome.rows;
      error = outcome.error;
    }
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    await expectUsable();
  });

  test('a cursor WITH HOLD after its transaction', async () => {
    await client.query('BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM crm.customers; COMMIT');
    const { rows, error } = await run('FETCH ALL FROM c');
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expectUsable();
  });

  test('a portal with row limit 10', async () => {
    const cursor = client.query(new Cursor('SELECT * FROM crm.customers'));
    let rows = 0;
    let error: unknown;
    while (error === undefined && rows < 1500) {
      try {
        rows += (await cursor.read(10)).length;
      } catch (caught) {
        error = caught;
      }
    }
    expect(rows).toBe(LIMIT);
    expectQuotaError(error as DatabaseError);
    await cursor.close().catch(() => undefined);
    await expectUsable();
  });

  for (const format of ['text', 'csv', 'csv, HEADER', 'binary']) {
    test(`COPY (SELECT ...) TO STDOUT (FORMAT ${format})`, async () => {
      let bytes = Buffer.alloc(0);
      const sink = new Writable({
        write(chunk: Buffer, _encoding, done) {
          bytes = Buffer.concat([bytes, chunk]);
          done();
        },
      });
      const copying = pipeline(client.query(copyTo(`COPY (SELECT id FROM crm.customers ORDER BY id) TO STDOUT (FORMAT ${format})`)), sink);
      await expect(copying).rejects.toMatchObject({ code: '53400' });
      // A binary row here: field count (2 bytes), length (4), integer (4); in front of all a header of 19 bytes.
      const lines = format === 'binary' ? (bytes.length - 19) / 10 : bytes.toString('utf8').trimEnd().split('\n').length;
      expect(lines).toBe(LIMIT + (format.endsWith('HEADER') ? 1 : 0));
      await expectUsable();
    });
  }

  test('300 sessions of one row each at the same time', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const one = await rowgate.connect();
        try {
          return (await one.query('SELECT * FROM crm.customers WHERE id = $1', [i + 1])).rows.length;
        } catch (error) {
          expect(error).toMatchObject({ code: '53400' });
          return 0;
        } finally {
          await one.end();
        }
      }),
    );
    expect(outcomes.reduce((sum, rows) => sum + rows, 0)).toBe(LIMIT);
    await expectUsable();
  });

  test('30 sessions that each ask for everything at the same time', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const one = await rowgate.connect();
        const counted = await new Promise<number>((resolve) => {
          const query = new Query('SELECT * FROM crm.customers');
          let rows = 0;
          query.on('row', () => rows++);
          query.on('end', () => resolve(rows));
          query.on('error', () => resolve(rows));
          one.query(query);
        });
        await one.end();
        return counted;
      }),
    );
    const total = outcomes.reduce((sum, rows) => sum + rows, 0);
    expect(total).toBeLessThanOrEqual(LIMIT);
    // Each refused statement costs its least charge, and a unit held by another at that moment is not to be had.
    expect(total).toBeGreaterThan(LIMIT / 2);
  });

  test('EXECUTE of a prepared statement', async () => {
    await client.query('PREPARE everyone AS SELECT * FROM crm.customers');
    const { rows, error } = await run('EXECUTE everyone');
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
    await expectUsable();
  });

  test('a view over the class', async () => {
    const { rows, error } = await run('SELECT * FROM crm.active');
    expect(rows).toBe(LIMIT);
    expectQuotaError(error);
  });

  test('an exactly fitting result is no refusal', async () => {
    const { rows, error } = await run(`SELECT * FROM crm.customers LIMIT ${LIMIT}`);
    expect(rows).toBe(LIMIT);
    expect(error).toBeUndefined();
    expect(await run('SELECT * FROM crm.customers LIMIT 1')).toMatchObject({ rows: 0, error: { code: '53400' } });
  });

  test('a statement that starts with an empty quota does not reach the server', async () => {
    await run('SELECT * FROM crm.customers');
    const { error } = await run(`UPDATE crm.customers SET tariff = 'stolen' WHERE id = 1 RETURNING *`);
    expectQuotaError(error);
    const admin = await postgres.connect();
    expect((await admin.query('SELECT tariff FROM crm.customers WHERE id = 1')).rows).toEqual([{ tariff: 'tariff 1' }]);
    await admin.end();
  });
});

test('clients that hang up while their units are asked for hold nothing back from others', async () => {
  for (let i = 0; i < 40; i++) {
    const one = await rowgate.connect();
    one.on('error', () => undefined);
    one.query('SELECT * FROM crm.customers LIMIT 1').catch(() => undefined);
    if (i % 2 === 0) await new Promise((resolve) => setTimeout(resolve, i / 10));
    (one as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
  let rows = 0;
  while ((await run('SELECT * FROM crm.customers LIMIT 1')).rows === 1) rows++;
  expect(rows).toBeGreaterThanOrEqual(LIMIT - 40);
  // Nobody is waited for any more.
  const startMs = Date.now();
  expectQuotaError((await run('SELECT * FROM crm.customers LIMIT 1')).error);
  expect(Date.now() - startMs).toBeLessThan(1500);
});

describe('a row costs what it can describe', () => {
  async function unitsOf(sql: string): Promise<number> {
    await run(sql);
    await expect.poll(() => rowgate.audit().some((record) => record['event'] === 'statement_end')).toBe(true);
    return rowgate.audit().filter((record) => record['event'] === 'statement_end').reduce((sum, record) => sum + (record['units'] as number), 0);
  }

  test('json_agg of all customers does not get out', async () => {
    const { rows, error } = await run('SELECT json_agg(c) FROM crm.customers c');
    expect(rows).toBe(0);
    expectQuotaError(error);
    await expectUsable();
  });

  test('three copies of customers side by side cost three units a row', async () => {
    expect(await unitsOf('SELECT c1.*, c2.*, c3.* FROM crm.customers c1 JOIN crm.customers c2 ON c2.id = c1.id + 1 JOIN crm.customers c3 ON c3.id = c1.id + 2 LIMIT 10')).toBe(30);
  });

  test('100 scalar sub-selects in one row cost 100 units', async () => {
    expect(await unitsOf(`SELECT ${Array.from({ length: 100 }, (_, i) => `(SELECT email FROM crm.customers WHERE id = ${i + 1}) AS e${i}`).join(', ')}`)).toBe(100);
  });

  test('1,000 filtered aggregates in one row do not fit into 200 units', async () => {
    const { rows, error } = await run(`SELECT ${Array.from({ length: 1000 }, (_, i) => `max(email) FILTER (WHERE id = ${i + 1}) AS e${i}`).join(', ')} FROM crm.customers`);
    expect(rows).toBe(0);
    expect(error).toMatchObject({ code: '53400' });
    await expectUsable();
  });

  test('joins on the subject key count the person once', async () => {
    expect(await unitsOf('SELECT c.name, i.amount FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id ORDER BY i.id LIMIT 10')).toBe(10);
  });

  test('a report costs one unit a line', async () => {
    expect(await unitsOf('SELECT tariff, count(*) FROM crm.customers GROUP BY tariff')).toBe(5);
  });

  test('what touches no class costs nothing and is not on record', async () => {
    await client.query('SELECT * FROM tariffs');
    await client.query('SELECT now(), current_user, version()');
    expect(rowgate.audit().filter((record) => String(record['event']).startsWith('statement'))).toEqual([]);
  });
});
