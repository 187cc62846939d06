/** Names that are not there: whoever mistypes one reads the server's own words, through Rowgate as directly, with quotas too. */

import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { namesOnly } from '../../src/session/mistyped.ts';
import type { Judged } from '../../src/session/batch.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
let direct: Client;
let through: Client;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
  const admin = await postgres.connect();
  await admin.query('GRANT CREATE ON DATABASE postgres TO staff; GRANT CREATE ON SCHEMA public TO staff');
  await admin.end();
  rowgate = await startRowgate({ postgresPort: postgres.port });
  direct = await postgres.connect('agent');
  through = await rowgate.connect('agent');
});
afterAll(async () => {
  await direct.end();
  await through.end();
  await rowgate.stop();
  await postgres.stop();
});

interface Answer {
  readonly code?: string;
  readonly message?: string;
  readonly position?: string;
}

async function ask(client: Client, text: string, prepared = false): Promise<Answer> {
  try {
    await client.query(prepared ? { text, name: text } : text);
    return {};
  } catch (error) {
    const { code, message, position } = error as Answer;
    return { ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }), ...(position === undefined ? {} : { position }) };
  }
}

const FOUND_AT_PARSE = ['SELECT * FROM nx', 'SELECT nx FROM crm.customers', 'INSERT INTO nx VALUES (1)', 'EXPLAIN SELECT * FROM nx', 'SELECT nx(1)', 'SELECT 1::nx', 'DECLARE c CURSOR FOR SELECT * FROM nx', 'CREATE TABLE z AS SELECT * FROM nx'];
const FOUND_WHEN_RUN = [
  'COPY nx FROM STDIN', 'COPY nx TO STDOUT', 'COPY "N""x" TO STDOUT', 'TRUNCATE nx', 'TRUNCATE public.tariffs, nx', 'REFRESH MATERIALIZED VIEW nx', 'DROP TYPE nx', 'ALTER TABLE nx ADD x int', 'DROP TABLE nx', 'LOCK nx', 'VACUUM nx', 'CREATE INDEX ON nx (a)',
  'COMMENT ON TABLE nx IS $$a$$', 'GRANT SELECT ON nx TO PUBLIC', 'CREATE TABLE z (LIKE nx)', 'EXECUTE nx', 'FETCH nx', 'CLOSE nx', 'DEALLOCATE nx', 'SET ROLE nx', 'ROLLBACK TO nx',
];
/** The server points at a place in these, and the words are right without it. */
const WITHOUT_PLACE = ['COPY (SELECT * FROM nx) TO STDOUT', 'CREATE VIEW v AS SELECT * FROM nx', 'CREATE TABLE z (a int, b nx)', 'PREPARE p AS SELECT * FROM nx'];

test.each([...FOUND_AT_PARSE, ...FOUND_WHEN_RUN])('%s', async (text) => {
  const expected = await ask(direct, text);
  expect(expected.code).toBeDefined();
  expect(await ask(through, text)).toEqual(expected);
  if (!/^(SELECT|EXPLAIN|DECLARE|COPY)/.test(text)) expect(await ask(through, text, true)).toEqual(await ask(direct, text, true));
});

test.each(WITHOUT_PLACE)('%s', async (text) => {
  const { position, ...words } = await ask(direct, text);
  expect(position).toBeDefined();
  expect(await ask(through, text)).toEqual(words);
});

test('in a transaction, it has failed for both sides', async () => {
  for (const client of [direct, through]) {
    await client.query('BEGIN');
    expect(await ask(client, 'COPY nx TO STDOUT')).toEqual({ code: '42P01', message: 'relation "nx" does not exist' });
    expect(await ask(client, 'SELECT name FROM crm.customers WHERE id = 1')).toMatchObject({ code: '25P02', message: 'current transaction is aborted, commands ignored until end of transaction block' });
    await client.query('ROLLBACK');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  }
});

test('nobody is told of it as of a refusal', async () => {
  await ask(through, 'TRUNCATE nx');
  await ask(through, 'CREATE TABLE stolen AS SELECT * FROM crm.customers');
  await expect.poll(() => rowgate.audit().filter(({ event }) => event === 'statement_end').map(({ sql }) => sql), { timeout: 10_000 }).toContain('CREATE TABLE stolen AS SELECT * FROM crm.customers');
  expect(rowgate.audit().filter(({ event, sql }) => event === 'statement_end' && String(sql).startsWith('TRUNCATE'))).toEqual([]);
});

describe('what is sent instead of the statement', () => {
  const probe = (facts: object): string => namesOnly({ statement: { kind: 'known', facts }, judgement: { onlyMisses: true } } as unknown as Judged) ?? '';
  const relation = (name: string, schema?: string): object => ({ schema, name, mode: 'read', times: 1 });

  test('fails also where every name is there, before anything of it has run', async () => {
    const all = probe({ relations: [relation('tariffs'), relation('customers', 'crm')], types: [{ schema: 'pg_catalog', name: 'int4' }, { schema: undefined, name: 'text' }] });
    const admin = await postgres.connect();
    expect(await ask(admin, all)).toMatchObject({ code: '42883' });
    expect(await ask(admin, probe({ relations: [relation('tariffs'), relation('tariffs')], types: [] }))).toMatchObject({ code: '42883' });
    await admin.end();
  });

  test('takes names for nothing but names', async () => {
    const admin = await postgres.connect();
    const name = 'x", pg_sleep(3) AS "y';
    expect(await ask(admin, probe({ relations: [relation(name)], types: [] }))).toMatchObject({ code: '42P01', message: `relation "${name}" does not exist` });
    expect(await ask(admin, probe({ relations: [], types: [{ schema: undefined, name }] }))).toMatchObject({ code: '42704', message: `type "${name}" does not exist` });
    await admin.end();
  });
});
