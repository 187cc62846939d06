/** Definitions through Rowgate: a migration is not held up by the catalog that each of its statements changes, and whoever comes behind it is judged by what it made. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
beforeAll(async () => {
  postgres = await startPostgres(['-c', 'max_prepared_transactions=2']);
  await makeCustomerBase(postgres, 500);
  // It does not look by itself while a test runs.
  rowgate = await startRowgate({ postgresPort: postgres.port, edit: (text) => text.replace('refresh: 2s', 'refresh: 10m') });
});
afterAll(async () => {
  await rowgate?.stop();
  await postgres?.stop();
});

async function catalogsRead(): Promise<number> {
  return Number(/^rowgate_catalog_refreshes_total (\d+)/m.exec(await rowgate.metrics())?.[1]);
}

async function refusal(client: Client, sql: string): Promise<string | undefined> {
  return client.query(sql).then(() => undefined, (error: { code?: string }) => error.code);
}

test('tables, indexes, types and transactions of a login without quotas do not have the catalog read', async () => {
  const dba = await rowgate.connect('dba');
  const before = await catalogsRead();
  for (let n = 0; n < 40; n++) {
    await dba.query('BEGIN');
    await dba.query(`CREATE TABLE public.made_${n} (id int PRIMARY KEY, at timestamptz DEFAULT now(), CHECK (id > 0))`);
    await dba.query(`CREATE INDEX ON public.made_${n} (at)`);
    await dba.query(`CREATE TYPE public.kind_${n} AS ENUM ('a')`);
    await dba.query('COMMIT');
    await dba.query(`COMMENT ON TABLE public.made_${n} IS 'made'`);
    await dba.query(`CREATE TABLE public.child_${n} () INHERITS (public.made_${n})`);
    await dba.query('SELECT 1');
  }
  // COMMIT runs what was deferred and waits.
  expect(await catalogsRead() - before).toBeLessThanOrEqual(42);
  const made = await catalogsRead();
  for (let n = 0; n < 40; n++) {
    await dba.query(`CREATE TABLE public.more_${n} () INHERITS (public.made_${n})`);
    await dba.query(`DROP TABLE public.child_${n}`);
    await dba.query('SELECT 1');
  }
  expect(await catalogsRead() - made).toBeLessThanOrEqual(1);
  await dba.end();
});

test('what they made is known to whoever comes next', async () => {
  const [dba, agent] = [await rowgate.connect('dba'), await rowgate.connect('agent')];
  await agent.query('SELECT 1');
  await dba.query('CREATE TABLE public.heirs () INHERITS (crm.customers); GRANT SELECT ON public.heirs TO staff');
  await dba.query(`INSERT INTO public.heirs SELECT 1000 + g, 'n', 'm', 'e', 't' FROM generate_series(1, 300) g`);
  expect(await refusal(agent, 'SELECT * FROM public.heirs')).toBe('53400');
  // Its maker may copy it as soon as it is there; the copy is one.
  await dba.query('CREATE TABLE public.again () INHERITS (crm.customers)');
  await dba.query('CREATE VIEW public.seen AS SELECT * FROM public.heirs');
  await dba.query('CREATE TABLE public.taken AS SELECT email FROM public.seen');
  await dba.query('GRANT SELECT ON public.taken TO staff');
  const other = await rowgate.connect('agent_2');
  expect(await refusal(other, 'SELECT * FROM public.taken')).toBe('53400');
  for (const client of [dba, agent, other]) await client.end();
});

test('a login with quotas waits for the catalog behind a definition of anybody', async () => {
  const [dba, agent] = [await rowgate.connect('dba'), await rowgate.connect('agent_3')];
  await dba.query('CREATE TABLE public.plain (email text); GRANT SELECT ON public.plain TO staff');
  expect(await refusal(agent, 'SELECT * FROM public.plain')).toBeUndefined();
  await dba.query('DROP TABLE public.plain');
  await dba.query('CREATE VIEW public.plain AS SELECT email FROM crm.customers');
  await dba.query('GRANT SELECT ON public.plain TO staff');
  expect(await refusal(agent, 'SELECT * FROM public.plain')).toBe('53400');
  for (const client of [dba, agent]) await client.end();
});

test('a login with quotas is not kept waiting for as long as a migration lasts', async () => {
  const [dba, agent] = [await rowgate.connect('dba'), await rowgate.connect('agent_2')];
  let answered = 0;
  let over = false;
  const migration = (async () => {
    for (let n = 0; n < 3000 && !over; n++) await dba.query(`CREATE TABLE public.step_${n} (id int)`);
  })();
  const work = (async () => {
    for (; answered < 20; answered++) await agent.query(`SELECT name, price FROM public.tariffs`);
    over = true;
  })();
  await migration;
  const meanwhile = answered;
  await work;
  expect(meanwhile).toBe(20);
  for (const client of [dba, agent]) await client.end();
}, 60_000);

test('a function that a prepared transaction has replaced is another once it is committed, also for a statement that waits', async () => {
  const [dba, agent, admin] = [await rowgate.connect('dba'), await rowgate.connect('agent'), await postgres.connect()];
  const define = (body: string): string => `CREATE OR REPLACE FUNCTION public.greeting(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ${body}; END $$`;
  await dba.query(define(`'hello'`));
  expect((await agent.query('SELECT public.greeting(1)')).rows).toEqual([{ greeting: 'hello' }]);
  await admin.query(`BEGIN; ${define('(SELECT string_agg(email, $m$ $m$) FROM crm.customers)')}; PREPARE TRANSACTION 'other'`);
  await admin.query('BEGIN; LOCK TABLE public.tariffs IN ACCESS EXCLUSIVE MODE');
  const answer = refusal(agent, 'SELECT public.greeting(1), count(*), pg_sleep(1) FROM public.tariffs');
  await sleep(300);
  await dba.query(`COMMIT PREPARED 'other'`);
  await admin.query('COMMIT');
  await sleep(300);
  await admin.query(define(`'hello'`));
  expect(await answer).toBe('53400');
  for (const client of [dba, agent, admin]) await client.end();
});

test('reading a report that is refreshed each night costs what it did', async () => {
  const [dba, admin] = [await rowgate.connect('dba'), await postgres.connect()];
  await admin.query('CREATE MATERIALIZED VIEW public.by_tariff AS SELECT tariff, count(*) AS people FROM crm.customers GROUP BY tariff; GRANT SELECT ON public.by_tariff TO staff');
  await admin.query(`CREATE ROLE agent_9 LOGIN PASSWORD 'secret' IN ROLE staff`);
  await dba.query('COMMENT ON MATERIALIZED VIEW public.by_tariff IS NULL');
  const agent = await rowgate.connect('agent_9');
  const cost = async (): Promise<number> => {
    const used = async (): Promise<number> => (await agent.query<{ used: string }>('SELECT * FROM rowgate.usage')).rows.reduce((sum, row) => sum + Number(row.used), 0);
    const before = await used();
    await agent.query('SELECT * FROM public.by_tariff');
    return (await used()) - before;
  };
  const first = await cost();
  await dba.query('REFRESH MATERIALIZED VIEW public.by_tariff');
  expect(await cost()).toBe(first);
  for (const client of [dba, agent, admin]) await client.end();
});
