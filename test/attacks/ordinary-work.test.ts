/** What looks like an attack from afar and is ordinary work: none of it is refused for a login with the secure default. */

import { describe, expect, test } from 'vitest';
import { useTestBed } from '../support/attack-tests.ts';
import { WireClient, errorsOf, rowsOf, wire, type WireMessage } from '../support/wire-client.ts';

const bed = useTestBed({
  // What a trigger's function does is not analysed: ops vouch for it.
  extra: 'trusted_functions: [public.touch]',
  sql: `
    CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := trim(NEW.body); RETURN NEW; END $$;
    CREATE TABLE public.tickets (id serial PRIMARY KEY, customer_id int, body text);
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON public.tickets FOR EACH ROW EXECUTE FUNCTION public.touch();
    CREATE DOMAIN public.short AS text CHECK (length(VALUE) < 100);
    GRANT ALL ON public.tickets TO staff; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO staff;
  `,
});
let logins = 0;
const open = (options: { options?: string; clientEncoding?: string } = {}): Promise<WireClient> => WireClient.connect({ port: bed().rowgate.port, user: `agent_${++logins}`, ...options });
const said = (messages: readonly WireMessage[]): string => messages.filter(({ type }) => type === 'E').map(({ body }) => body.toString('utf8').replaceAll('\0', ' ')).join('; ');

describe('statements', () => {
  const ordinary = [
    ['a look-up for change', 'SELECT * FROM crm.customers WHERE id = 5 FOR UPDATE'],
    ['an update of one customer', `UPDATE crm.customers SET tariff = 'tariff 1' WHERE id = 5 RETURNING id`],
    ['an update with a sub-select', `UPDATE crm.customers SET tariff = (SELECT name FROM tariffs ORDER BY price LIMIT 1) WHERE id = 5`],
    ['an upsert', `INSERT INTO crm.customers VALUES (5, 'a', 'b', 'c', 'd') ON CONFLICT (id) DO UPDATE SET tariff = excluded.tariff`],
    ['a new invoice with a look-up', `INSERT INTO crm.invoices (id, customer_id, amount) SELECT 100001, id, 10 FROM crm.customers WHERE id = 5`],
    ['an upsert of an invoice', `INSERT INTO crm.invoices VALUES (1, 1, 5) ON CONFLICT (id) DO NOTHING`],
    ['a report by tariff', 'SELECT tariff, count(*), min(id), max(id) FROM crm.customers GROUP BY tariff ORDER BY 1'],
    ['a report over invoices', `SELECT date_trunc('month', now()), sum(amount), avg(amount) FROM crm.invoices`],
    ['a list of names in one value', `SELECT string_agg(name, ', ') FROM (SELECT name FROM crm.customers ORDER BY id LIMIT 3) x`],
    ['row numbers', 'SELECT row_number() OVER (ORDER BY id), name FROM crm.customers WHERE id < 10'],
    ['a note', `INSERT INTO notes (body) VALUES ('x') RETURNING id`],
    ['a note about a customer, with a trigger of the administrator', `INSERT INTO tickets (customer_id, body) VALUES (5, ' x ') RETURNING id`],
    ['a temporary table of tariffs', 'CREATE TEMP TABLE t AS SELECT * FROM tariffs; SELECT * FROM t; DROP TABLE t'],
    ['a temporary table of ids, joined', 'CREATE TEMP TABLE wanted (id int); INSERT INTO wanted VALUES (1), (2); SELECT c.name FROM wanted JOIN crm.customers c USING (id); DROP TABLE wanted'],
    ['a setting of the application', `SELECT set_config('app.user', '42', false)`],
    ['an advisory lock', 'SELECT pg_advisory_lock(42), pg_advisory_unlock(42)'],
    ['an own view of tariffs', 'CREATE VIEW my_tariffs AS SELECT * FROM tariffs; SELECT * FROM my_tariffs; DROP VIEW my_tariffs'],
    ['notify without data', `NOTIFY c, 'done'`],
    ['a domain', `SELECT 'x'::short`],
    ['explain', 'EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM crm.customers WHERE id = 5'],
    ['client_encoding of a Windows desktop', `SET client_encoding = 'WIN1250'; SET client_encoding = 'UTF8'`],
    ['settings of drivers', `SET extra_float_digits = 3; SET application_name = 'x'; SET DateStyle = ISO; SET TIME ZONE 'UTC'; SET statement_timeout = 0; RESET ALL`],
    ['a session reset of a pool', 'DISCARD ALL'],
    ['large statements', `SELECT ${Array.from({ length: 1000 }, (_, i) => `'${i}' AS c${i}`).join(', ')}`],
    ['a long IN list', `SELECT name FROM crm.customers WHERE id IN (${Array.from({ length: 3000 }, (_, i) => 90_000 + i).join(', ')})`],
  ] as const;
  for (const [name, sql] of ordinary) test(name, async () => {
    const client = await open();
    for (const each of sql.split('; ')) expect(said(await client.query(each)), each.slice(0, 80)).toBe('');
    client.destroy();
  });

  test('a temporary table of tariffs, made and read in one Query', async () => {
    const client = await open();
    expect(said(await client.query('CREATE TEMP TABLE t AS SELECT * FROM tariffs; SELECT * FROM t; DROP TABLE t'))).toBe('');
  });

  test('set_config with a parameter, as web frameworks do', async () => {
    const client = await open();
    const answer = await client.ask([wire.parse('', `SELECT set_config('app.user', $1::text, true)`), wire.describe('S', ''), wire.sync]);
    expect(said(answer)).toBe('');
  });

  test('a cursor in one Query costs what its rows cost', async () => {
    const client = await open();
    const answer = await client.query('BEGIN; DECLARE c CURSOR FOR SELECT email FROM crm.customers; FETCH 150 c; CLOSE c; COMMIT');
    expect([rowsOf(answer).length, errorsOf(answer)]).toEqual([150, []]);
  });

  test('DISCARD ALL and a prepared look-up in one pipeline cost one unit a row', async () => {
    const client = await open();
    await client.ask([wire.query('DISCARD ALL'), wire.run('SELECT email FROM crm.customers WHERE id <= 150'), wire.sync], 2);
    expect(rowsOf(client.messages).length).toBe(150);
  });

  test('search_path set once, then unqualified names', async () => {
    const client = await open();
    await client.query('SET search_path = crm, public');
    expect(rowsOf(await client.query('SELECT email FROM customers WHERE id <= 199')).length).toBe(199);
  });

  test('a savepoint round every statement, as psql and pgjdbc do it', async () => {
    const client = await open();
    await client.query('BEGIN');
    for (let i = 1; i <= 20; i++) {
      await client.query('SAVEPOINT s');
      expect(rowsOf(await client.query(`SELECT email FROM crm.customers WHERE id = ${i}`)).length).toBe(1);
      await client.query('RELEASE s');
    }
    expect(errorsOf(await client.query('COMMIT'))).toEqual([]);
  });
});
