/** Where a policy lets people copy (`deny` without `derived_copy`), the copy is charged like what it is a copy of, whichever way it was made. */

import { attackSuite, statements } from '../../support/attack.ts';
import { wire } from '../../support/wire-client.ts';

export const copiesInherit = attackSuite('copies-inherit', {
  sql: `
    CREATE TABLE public.inbox (id serial PRIMARY KEY, body text);
    CREATE TABLE public.pairs (a text, b text);
    CREATE TABLE public.queue (id serial PRIMARY KEY, body text);
    CREATE TABLE public.mirror (body text);
    CREATE TABLE public.plain (id int, body text);
    CREATE VIEW public.inbox_view AS SELECT body || '' AS body FROM public.inbox;
    CREATE FUNCTION public.keep(t text) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO public.inbox (body) VALUES (t)';
    CREATE FUNCTION public.keep_all() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE r record; BEGIN FOR r IN SELECT email FROM crm.customers LOOP INSERT INTO public.inbox (body) VALUES (r.email); END LOOP; END $$;
    CREATE FUNCTION public.all_of_them() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE r record; t text := ''; BEGIN FOR r IN SELECT email FROM crm.customers LOOP t := t || r.email || ' '; END LOOP; RETURN t; END $$;
    CREATE FUNCTION public.one_by_one() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$ SELECT email || '' FROM crm.customers $$;
    CREATE FUNCTION public.said() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE r record; BEGIN FOR r IN SELECT email FROM crm.customers LOOP RAISE NOTICE '%', r.email; END LOOP; END $$;
    CREATE PROCEDURE public.keep_by_call() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.inbox (body) SELECT email FROM crm.customers; END $$;
    CREATE FUNCTION public.mirrored() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.mirror VALUES (NEW.body); RETURN NEW; END $$;
    CREATE TRIGGER mirrored AFTER INSERT ON public.queue FOR EACH ROW EXECUTE FUNCTION public.mirrored();
    CREATE FUNCTION public.filled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN NEW.body := (SELECT string_agg(email, ' ') FROM crm.customers); RETURN NEW; END $$;
    CREATE TABLE public.filling (id int, body text);
    CREATE TRIGGER filled BEFORE INSERT ON public.filling FOR EACH ROW EXECUTE FUNCTION public.filled();
    CREATE FUNCTION public.opened() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE c refcursor := 'harmless'; BEGIN CLOSE c; OPEN c FOR SELECT string_agg(email, ' ') FROM crm.customers; END $$;
    CREATE DOMAIN public.telling AS text DEFAULT 'x';
    CREATE FUNCTION public.as_default(t text DEFAULT (public.all_of_them())) RETURNS text LANGUAGE sql AS 'SELECT t';
    CREATE FUNCTION public.as_record() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE r public.plain := (SELECT ROW(1, string_agg(email, ' '))::public.plain FROM crm.customers); BEGIN RETURN r.body; END $$;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO staff;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO staff;
  `,
});
const { attack, group } = copiesInherit;

const FEED = `INSERT INTO public.inbox (body) SELECT email FROM crm.customers`;
const clean = `TRUNCATE public.inbox, public.queue, public.mirror, public.pairs, public.filling`;

group('code that a DBA has made', 'opaque code', () => {
  for (const role of ['agent', 'lax'] as const) {
    attack('a function that returns everything in one text', statements('SELECT all_of_them()'), role);
    attack('a function that returns row by row', statements('SELECT * FROM one_by_one()'), role);
    attack('a function that says everything in notices', statements('SELECT said()'), role);
    attack('a function whose argument has a telling default', statements('SELECT as_default()'), role);
    attack('a function that begins with a record of everything', statements('SELECT as_record()'), role);
    attack('a trigger that fills the row that it is given', statements('INSERT INTO filling (id) VALUES (1) RETURNING body'), role);
    attack('a trigger that fills the row, read later', statements('INSERT INTO filling (id) VALUES (1)', 'SELECT body FROM filling'), role);
    attack('a cursor that a function opens under the name of a harmless one', statements('BEGIN', 'DECLARE harmless CURSOR FOR SELECT 1', 'SELECT opened()', 'FETCH ALL harmless', 'ROLLBACK'), role);
  }
});

group('copies, read afterwards', 'derived copies', () => {
  const read = `SELECT string_agg(body, ' ') FROM public.inbox`;
  attack('by a function that stores its argument', statements('SELECT keep(email) FROM crm.customers', read, clean), 'lax');
  attack('by a function that copies', statements('SELECT keep_all()', read, clean), 'lax');
  attack('by a procedure', statements('CALL keep_by_call()', read, clean), 'lax');
  attack('by a DO block', statements(`DO $$ BEGIN ${FEED}; END $$`, read, clean), 'lax');
  attack('by a trigger of another table', statements(`INSERT INTO public.queue (body) SELECT email FROM crm.customers`, `SELECT string_agg(body, ' ') FROM public.mirror`, clean), 'lax');
  attack('through a view over the copy', statements(FEED, 'SELECT body FROM public.inbox_view', clean), 'lax');
  attack('in the same text', statements(`BEGIN; ${FEED}; ${read}; COMMIT`, clean), 'lax');
  attack('in the same pipeline', async ({ connect }) => {
    const client = await connect();
    await client.ask([wire.query(FEED), wire.query(read)], 2);
    await client.query(clean);
  }, 'lax');
  attack('in one pipeline of the extended protocol', async ({ connect }) => {
    const client = await connect();
    await client.ask([wire.run(FEED), wire.run(read), wire.sync]);
    await client.query(clean);
  }, 'lax');
  attack('copied on into another table', statements(FEED, `INSERT INTO public.pairs (a) SELECT body FROM public.inbox`, `SELECT string_agg(a, ' ') FROM public.pairs`, clean), 'lax');
  attack('renamed in the transaction that makes it', statements(({ own }) => `BEGIN; CREATE TABLE ${own} AS SELECT email FROM crm.customers; ALTER TABLE ${own} RENAME TO ${own}_b; COMMIT`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}_b`), 'lax');
  attack('moved to another schema', statements(({ own }) => `CREATE SCHEMA ${own}; CREATE TABLE public.${own} AS SELECT email FROM crm.customers`, ({ own }) => `ALTER TABLE public.${own} SET SCHEMA ${own}`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}.${own}`), 'lax');
  attack('made by EXECUTE of a prepared statement', statements('PREPARE everything AS SELECT email FROM crm.customers', ({ own }) => `CREATE TABLE ${own} AS EXECUTE everything`, ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`), 'lax');
  attack('read by another login', async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect({ user: 'agent' })];
    await maker.query(`CREATE TABLE public.${attacker.own} AS SELECT email FROM crm.customers`);
    await maker.query(`GRANT ALL ON public.${attacker.own} TO public`);
    await reader.query(`SELECT string_agg(email, ' ') FROM public.${attacker.own}`);
  }, 'lax');
  attack('made by a DBA, read by an agent', async (attacker) => {
    const [maker, reader] = [await attacker.connect({ user: 'dba' }), await attacker.connect()];
    await maker.query(`CREATE TABLE public.${attacker.own} AS SELECT email FROM crm.customers`);
    await maker.query(`GRANT ALL ON public.${attacker.own} TO public`);
    await reader.query(`SELECT string_agg(email, ' ') FROM public.${attacker.own}`);
  });
  attack('filled while a reader waits for its lock', async (attacker) => {
    const [maker, reader] = [await attacker.connect(), await attacker.connect()];
    const { own } = attacker;
    await maker.query(`CREATE TABLE public.${own} (body text)`);
    await reader.query(`SELECT count(*) FROM public.${own}`);
    await maker.query('BEGIN');
    await maker.query(`LOCK TABLE public.${own} IN ACCESS EXCLUSIVE MODE`);
    const answer = reader.query(`SELECT string_agg(body, ' ') FROM public.${own}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await maker.query(`INSERT INTO public.${own} SELECT email FROM crm.customers`);
    await maker.query('COMMIT');
    await answer;
  }, 'lax');
  for (const [how, write] of [
    ['INSERT', (view: string) => `INSERT INTO ${view} SELECT id, email FROM crm.customers`],
    ['UPDATE', (view: string) => `UPDATE ${view} v SET body = email FROM crm.customers c WHERE c.id = v.id`],
    ['MERGE', (view: string) => `MERGE INTO ${view} v USING crm.customers c ON c.id = v.id WHEN MATCHED THEN UPDATE SET body = email`],
  ] as const) attack(`${how} by way of a view over a view, the table is read`, statements(
    ({ own }) => `CREATE TABLE public.${own} AS SELECT g AS id, '' AS body FROM generate_series(1, 3000) g`,
    ({ own }) => `CREATE VIEW public.${own}_v AS SELECT * FROM public.${own}`,
    ({ own }) => `CREATE VIEW public.${own}_w AS SELECT * FROM public.${own}_v`,
    ({ own }) => write(`public.${own}_w`),
    ({ own }) => `SELECT string_agg(body, ' ') FROM public.${own}`,
  ), 'lax');
  attack('a held cursor over a view that is another one by the time of FETCH', statements(
    ({ own }) => `CREATE VIEW public.${own} AS SELECT string_agg(email, ' ') AS all FROM crm.customers`,
    ({ own }) => `BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT * FROM public.${own}; COMMIT`,
    ({ own }) => `DROP VIEW public.${own}`,
    ({ own }) => `CREATE VIEW public.${own} AS SELECT 'x'::text AS all`,
    'SELECT 1', 'FETCH ALL held', 'CLOSE held',
  ), 'lax');
  attack('two people a row, read as if it were one', statements('INSERT INTO public.pairs SELECT a.email, b.email FROM crm.customers a JOIN crm.customers b ON b.id = a.id + 1', 'SELECT a, b FROM public.pairs', clean), 'lax');
});
