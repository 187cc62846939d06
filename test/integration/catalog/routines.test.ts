/** Bodies of functions and triggers, read from a real catalog: what calling them reaches. */

import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.ts';
import { reach } from '../../../src/catalog/reach.ts';
import type { ReachIndex } from '../../../src/catalog/reach-index.ts';
import { makeReachIndex } from '../../../src/catalog/shown-copies.ts';
import type { ResolvedReach } from '../../../src/catalog/reach-types.ts';
import { Analyser } from '../../../src/sql/analyser.ts';
import { startServer, type TestServer } from './postgres-server.ts';

const SCHEMA = `
  CREATE SCHEMA crm; CREATE SCHEMA audit;
  CREATE EXTENSION dblink;
  CREATE TABLE crm.customers (id int PRIMARY KEY, name text, tariff text, changed timestamptz);
  CREATE TABLE public.products (id int PRIMARY KEY, title text, changed timestamptz);
  CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int, total numeric, changed timestamptz);
  CREATE TABLE public.notes (body text);
  CREATE TABLE audit.look_ups (who text, at timestamptz, what int);
  CREATE TABLE audit.customer_log (who text, old jsonb);
  CREATE TABLE audit.order_log (id int);
  CREATE TABLE audit.counts (n int);

  CREATE FUNCTION net(gross numeric, rate numeric DEFAULT 1.21) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round(gross / rate, 2)';
  CREATE FUNCTION slug(t text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text := lower(t); BEGIN r := regexp_replace(r, '[^a-z]+', '-', 'g'); RETURN r; END $$;
  CREATE FUNCTION titles() RETURNS SETOF text LANGUAGE sql AS 'SELECT title FROM public.products';
  CREATE FUNCTION quiet() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hello %', clock_timestamp(); END $$;
  CREATE FUNCTION factorial(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF n < 2 THEN RETURN 1; END IF; RETURN n * public.factorial(n - 1); END $$;

  CREATE FUNCTION name_of(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM crm.customers WHERE id = i';
  CREATE FUNCTION two_of(i int) RETURNS text LANGUAGE sql AS 'SELECT a.name || b.name FROM crm.customers a, crm.customers b';
  CREATE FUNCTION everybody() RETURNS json LANGUAGE sql AS 'SELECT json_agg(c) FROM crm.customers c';
  CREATE FUNCTION gathered() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r record; t text := ''; BEGIN FOR r IN SELECT name FROM crm.customers LOOP t := t || r.name; END LOOP; RETURN t; END $$;
  CREATE FUNCTION by_query(i int) RETURNS SETOF crm.customers LANGUAGE plpgsql SECURITY DEFINER SET search_path TO 'crm' AS $$ BEGIN RETURN QUERY SELECT * FROM customers WHERE id = i; END $$;
  CREATE FUNCTION hidden_in_default(t text DEFAULT public.name_of(1)) RETURNS text LANGUAGE sql AS 'SELECT t';
  CREATE FUNCTION hidden_in_record() RETURNS text LANGUAGE plpgsql AS $$ DECLARE c crm.customers := (SELECT x FROM crm.customers x LIMIT 1); BEGIN RETURN c.name; END $$;
  CREATE FUNCTION outer_one(i int) RETURNS text LANGUAGE sql AS 'SELECT public.name_of(i)';
  CREATE FUNCTION recurring(i int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT name FROM crm.customers WHERE id = i) || public.recurring(i - 1); END $$;
  CREATE FUNCTION atomic_one(i int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT name FROM crm.customers WHERE id = i; END;
  CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text);
  CREATE FUNCTION add_name(s text, i int) RETURNS text LANGUAGE sql AS 'SELECT s || public.name_of(i)';
  CREATE AGGREGATE names_of(int) (SFUNC = add_name, STYPE = text);

  CREATE FUNCTION dynamic_one(t text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE t; END';
  CREATE FUNCTION uses_dynamic(t text) RETURNS void LANGUAGE sql AS 'SELECT public.dynamic_one(t)';
  CREATE FUNCTION far_away() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public.dblink_connect('x'); END $$;
  CREATE FUNCTION reads_files() RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file('x') $$;
  CREATE FUNCTION makes_table() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE public.made AS SELECT * FROM crm.customers; END $$;

  CREATE FUNCTION keep(t text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.notes VALUES (t)';
  CREATE FUNCTION keep_all() RETURNS void LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT name FROM crm.customers LOOP INSERT INTO public.notes VALUES (r.name); END LOOP; END $$;
  CREATE FUNCTION keep_by_variable() RETURNS void LANGUAGE plpgsql AS $$ DECLARE v text; BEGIN SELECT name INTO v FROM crm.customers; PERFORM public.keep(v); END $$;
  CREATE FUNCTION spelled() RETURNS void LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT name FROM crm.customers LOOP FOR i IN 1..255 LOOP
    IF ascii(r.name) = i THEN INSERT INTO public.notes VALUES (i); END IF; END LOOP; END LOOP; END $$;
  CREATE FUNCTION look_up(i int) RETURNS SETOF crm.customers LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit.look_ups VALUES (current_user, now(), i); RETURN QUERY SELECT * FROM crm.customers WHERE id = i; END $$;
  CREATE FUNCTION told(t text) RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('c', t) $$;
  CREATE FUNCTION cursor_of() RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT name FROM crm.customers; RETURN c; END $$;
  CREATE PROCEDURE change_tariff(i int, t text) LANGUAGE plpgsql AS $$ BEGIN UPDATE crm.customers SET tariff = t WHERE id = i; COMMIT; END $$;
  CREATE PROCEDURE count_up() LANGUAGE plpgsql AS $$ BEGIN UPDATE audit.counts SET n = n + 1; END $$;

  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := now(); RETURN NEW; END $$;
  CREATE FUNCTION log_customer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit.customer_log VALUES (current_user, to_jsonb(OLD)); RETURN NULL; END $$;
  CREATE FUNCTION check_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM crm.customers WHERE id = NEW.customer_id) THEN RAISE 'no such customer'; END IF;
    NEW.changed := now(); INSERT INTO audit.order_log VALUES (NEW.id); RETURN NEW; END $$;
  CREATE FUNCTION fill_title() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := (SELECT string_agg(name, ' ') FROM crm.customers); RETURN NEW; END $$;
  CREATE TABLE public.filled (id int, title text);
  CREATE TRIGGER touch BEFORE UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER touch BEFORE UPDATE ON public.products FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER log AFTER UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION log_customer();
  CREATE TRIGGER check_it BEFORE INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION check_order();
  CREATE TRIGGER fill BEFORE INSERT ON public.filled FOR EACH ROW EXECUTE FUNCTION fill_title();
  CREATE TABLE public.dynamic (id int);
  CREATE FUNCTION run_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT ' || NEW.id; RETURN NEW; END $$;
  CREATE TRIGGER run_it BEFORE INSERT ON public.dynamic FOR EACH ROW EXECUTE FUNCTION run_it();
  CREATE TABLE public.ring (id int);
  CREATE FUNCTION ring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() < 2 THEN UPDATE public.ring SET id = id + 1; END IF; RETURN NULL; END $$;
  CREATE TRIGGER ring AFTER UPDATE ON public.ring EXECUTE FUNCTION ring();

  CREATE FUNCTION guard(i int) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM crm.customers WHERE id = i)';
  CREATE DOMAIN known_id AS int CHECK (public.guard(VALUE));
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE FUNCTION takes_domain(i known_id) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION takes_positive(i positive) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE public.defaulted (id int, t text DEFAULT public.name_of(1));
  CREATE VIEW public.named AS SELECT id, public.name_of(id) AS name FROM public.products;
  CREATE VIEW public.sluggish AS SELECT public.slug(title) FROM public.products;
  CREATE FUNCTION mood_text(text) RETURNS text LANGUAGE sql AS 'SELECT lower($1)';
  CREATE OPERATOR public.<~> (RIGHTARG = text, FUNCTION = mood_text);
  CREATE OPERATOR public.<@@> (RIGHTARG = int, FUNCTION = name_of);
`;

let server: TestServer;
let admin: Client;
let catalog: Catalog;
let analyser: Analyser;
let index: ReachIndex;

beforeAll(async () => {
  server = await startServer();
  admin = await server.connect();
  await admin.query(SCHEMA);
  analyser = await Analyser.create();
  catalog = new Catalog({
    connection: { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'secret', database: 'postgres' },
    analyse: (sql) => analyser.analyse(sql), readRoutine: (definition) => analyser.readRoutine(definition),
    refreshMs: 60_000,
  });
  const classes = [{ name: 'customers', relations: [{ pattern: 'crm.customers', subject: ['id'] }], functions: [] }];
  index = makeReachIndex(await catalog.refresh(), { classes, trustedFunctions: [] });
});

afterAll(async () => {
  await catalog?.close();
  await analyser?.close();
  await admin?.end();
  await server?.stop();
});

async function reachOf(sql: string): Promise<ResolvedReach> {
  const analysis = await analyser.analyse(sql);
  if (analysis.kind !== 'statements' || analysis.statements[0] === undefined) throw new Error(`${sql}: ${analysis.kind}`);
  return reach(analysis.statements[0], { index, searchPath: ['public'] });
}

/** `customers:2+ copies`, `?` in front where the statement is opaque. */
async function summary(sql: string): Promise<string> {
  const { classes, opaque, categories, sink } = await reachOf(sql);
  const marks = [...(categories.has('derived_copy') ? ['copies'] : []), ...(sink ? ['sink'] : [])];
  return (opaque.length > 0 ? '?' : '') + [...classes.map((cls) => `${cls.className}:${cls.width}${cls.packs ? '+' : ''}`), ...marks].join(' ');
}

describe('ordinary code is free', () => {
  it.each([
    'SELECT net(100)', 'SELECT slug(title) FROM products', 'SELECT * FROM titles()', 'SELECT quiet()', 'SELECT factorial(5)', 'SELECT joined(title) FROM products',
    'SELECT * FROM sluggish', `UPDATE products SET title = 'x' WHERE id = 1`, 'UPDATE ring SET id = 1', 'CALL count_up()', `SELECT keep('x')`, 'SELECT takes_positive(1)',
    `SELECT <~> 'A'`, `SELECT told('x')`, `DO $$ BEGIN PERFORM net(1); UPDATE products SET title = 'x'; END $$`,
  ])('%s', async (sql) => {
    expect(await summary(sql)).toBe('');
  });
});

describe('code over a class costs what its query costs', () => {
  it.each([
    ['SELECT name_of(1)', 'customers:1'],
    ['SELECT name_of(1), name_of(2)', 'customers:2'],
    ['SELECT name_of(id) FROM crm.customers', 'customers:2'],
    ['SELECT two_of(1)', 'customers:2'],
    ['SELECT everybody()', 'customers:1+'],
    ['SELECT gathered()', 'customers:1+'],
    ['SELECT * FROM by_query(1)', 'customers:1'],
    ['SELECT hidden_in_default()', 'customers:1'],
    ['SELECT hidden_in_record()', 'customers:1'],
    ['SELECT outer_one(1)', 'customers:1'],
    ['SELECT recurring(9)', 'customers:1+'],
    ['SELECT atomic_one(1)', 'customers:1'],
    ['SELECT names_of(id) FROM products', 'customers:1+'],
    ['SELECT takes_domain(1)', 'customers:1'],
    ['SELECT <@@> 1', 'customers:1'],
    ['SELECT * FROM named', 'customers:1'],
    ['SELECT cursor_of()', 'customers:1'],
    [`DO $$ BEGIN PERFORM name FROM crm.customers; END $$`, 'customers:1'],
    ['INSERT INTO orders VALUES (1, 2, 3)', 'customers:1'],
    [`CALL change_tariff(1, 'x')`, 'customers:1'],
    ['SELECT * FROM look_up(42)', 'customers:1'],
    [`UPDATE crm.customers SET tariff = 'x' WHERE id = 1`, 'customers:1'],
  ])('%s', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });
});

describe('code that copies', () => {
  it.each([
    ['SELECT keep_all()', 'customers:1+ copies'],
    ['SELECT spelled()', 'customers:1+ copies'],
    ['SELECT keep_by_variable()', 'customers:1 copies'],
    ['SELECT keep(name) FROM crm.customers', 'customers:1 copies'],
    ['SELECT keep(name_of(1))', 'customers:1 copies'],
    ['SELECT look_up(id) FROM crm.customers', 'customers:2 copies'],
    ['SELECT told(name) FROM crm.customers', 'customers:1 copies sink'],
    ['INSERT INTO filled (id) VALUES (1)', 'customers:1+'],
    ['SELECT * FROM filled', 'customers:1+'],
    ['SELECT * FROM audit.customer_log', 'customers:1'],
    ['SELECT * FROM audit.order_log', ''],
    ['SELECT * FROM products', ''],
    ['INSERT INTO defaulted (id) VALUES (1)', 'customers:1'],
    [`DO $$ BEGIN INSERT INTO notes SELECT name FROM crm.customers; END $$`, 'customers:1 copies'],
  ])('%s', async (sql, expected) => {
    expect(await summary(sql)).toBe(expected);
  });
});

describe('code that cannot be told', () => {
  it.each([
    [`SELECT dynamic_one('x')`, 'function public.dynamic_one runs dynamic SQL'],
    [`SELECT uses_dynamic('x')`, 'function public.dynamic_one runs dynamic SQL, by way of function public.uses_dynamic'],
    ['SELECT far_away()', 'function public.dblink_connect reaches another server, by way of function public.far_away'],
    ['SELECT reads_files()', 'function pg_read_file reads or writes files of the server, by way of function public.reads_files'],
    ['SELECT makes_table()', 'function public.makes_table runs CreateTableAsStmt, which is not followed'],
    ['INSERT INTO dynamic VALUES (1)', 'function public.run_it runs dynamic SQL, by way of trigger run_it on public.dynamic'],
    ['DO $$ BEGIN EXECUTE current_query(); END $$', 'the DO block runs dynamic SQL'],
  ])('%s', async (sql, reason) => {
    const { opaque, categories } = await reachOf(sql);
    expect(opaque).toEqual([reason]);
    expect([...categories].some((category) => ['opaque', 'remote', 'server_files'].includes(category))).toBe(true);
  });
});

describe('cursors', () => {
  it('that code leaves open are told of', async () => {
    expect((await reachOf('SELECT cursor_of()')).opensCursors).toBe(true);
    expect((await reachOf('SELECT name_of(1)')).opensCursors).toBe(false);
  });
});
