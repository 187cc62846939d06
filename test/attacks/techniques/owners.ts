/** Logins with quotas that own the tables of a class, and everything around them. */

import { attackSuite, statements, type Attacker, type Technique } from '../../support/attack.ts';

export const owners = attackSuite('owners', {
  sql: `ALTER SCHEMA crm OWNER TO staff; ALTER TABLE crm.customers OWNER TO staff; ALTER TABLE crm.invoices OWNER TO staff; ALTER VIEW crm.active OWNER TO staff; CREATE TABLE crm.moved () INHERITS (crm.customers);
    INSERT INTO crm.moved SELECT id + 100000, name, msisdn, email, tariff FROM ONLY crm.customers; ALTER TABLE crm.moved OWNER TO staff`,
});
const { attack, group } = owners;

const as = (...sql: readonly string[]): Technique => statements(...sql.map((each) => ({ own }: Attacker) => each.replaceAll('OWN', own)));
const read = (name: string): string => `SELECT string_agg(email || '', ' ') FROM ${name}`;

group('another name for the table', 'names', () => {
  attack('renamed', as('ALTER TABLE crm.customers RENAME TO OWN', read('crm.OWN'), 'ALTER TABLE crm.OWN RENAME TO customers'), 'lax');
  attack('moved', as('ALTER TABLE crm.customers SET SCHEMA public', read('public.customers'), 'ALTER TABLE public.customers SET SCHEMA crm'), 'lax');
  attack('the schema renamed', as('ALTER SCHEMA crm RENAME TO OWN', read('OWN.customers'), 'ALTER SCHEMA OWN RENAME TO crm'), 'lax');
  attack('renamed in a transaction', as('BEGIN', 'ALTER TABLE crm.customers RENAME TO OWN', read('crm.OWN'), 'ROLLBACK'), 'lax');
  attack('renamed in one text', as(`BEGIN; ALTER TABLE crm.customers RENAME TO OWN; ${read('crm.OWN')}; ROLLBACK`), 'lax');
  attack('renamed, another one in its place', as('ALTER TABLE crm.customers RENAME TO OWN', 'CREATE TABLE crm.customers (id int, email text)', read('crm.OWN'), 'DROP TABLE crm.customers', 'ALTER TABLE crm.OWN RENAME TO customers'), 'lax');
  attack('renamed twice', as('ALTER TABLE crm.customers RENAME TO OWN', 'ALTER TABLE crm.OWN RENAME TO OWN_b', read('crm.OWN_b'), 'ALTER TABLE crm.OWN_b RENAME TO customers'), 'lax');
  attack('renamed by DO', as("DO $$ BEGIN EXECUTE 'ALTER TABLE crm.customers RENAME TO OWN'; END $$", read('crm.OWN'), 'ALTER TABLE crm.OWN RENAME TO customers'), 'lax');
  attack('a child that leaves', as('ALTER TABLE crm.moved NO INHERIT crm.customers', read('crm.moved'), 'ALTER TABLE crm.moved INHERIT crm.customers'), 'lax');
  attack('a child that leaves and is renamed', as('ALTER TABLE crm.moved NO INHERIT crm.customers', 'ALTER TABLE crm.moved RENAME TO OWN', read('crm.OWN'), 'ALTER TABLE crm.OWN RENAME TO moved', 'ALTER TABLE crm.moved INHERIT crm.customers'), 'lax');
  attack('a child that leaves, by code', as("DO $$ BEGIN EXECUTE 'ALTER TABLE crm.moved NO INHERIT crm.customers'; END $$", read('crm.moved'), 'ALTER TABLE crm.moved INHERIT crm.customers'), 'lax');
  attack('a parent that is dropped', as('CREATE TABLE public.OWN (LIKE crm.customers)', 'CREATE TABLE public.OWN_c () INHERITS (public.OWN)', 'ALTER TABLE public.OWN INHERIT crm.customers', `INSERT INTO public.OWN_c SELECT * FROM ONLY crm.customers`, 'ALTER TABLE public.OWN NO INHERIT crm.customers', read('public.OWN_c')), 'lax');
  attack('a parent', as('CREATE TABLE public.OWN (LIKE crm.customers)', 'ALTER TABLE crm.customers INHERIT public.OWN', read('public.OWN'), 'ALTER TABLE crm.customers NO INHERIT public.OWN'), 'lax');
  attack('a partition', as('ALTER TABLE crm.moved NO INHERIT crm.customers', 'CREATE TABLE public.OWN (LIKE crm.customers) PARTITION BY LIST (id)', 'ALTER TABLE public.OWN ATTACH PARTITION crm.customers DEFAULT', read('public.OWN'), 'ALTER TABLE public.OWN DETACH PARTITION crm.customers', 'ALTER TABLE crm.moved INHERIT crm.customers'), 'lax');
});

group('code at the table', 'derived copies', () => {
  const WRITES = ['CREATE TABLE public.OWN_kept (k text)', 'GRANT ALL ON public.OWN_kept TO staff', 'CREATE FUNCTION public.OWN_f(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept VALUES ($1); RETURN true; END $$', 'CREATE FUNCTION public.OWN_i(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_f($1); END $$'];
  const run = (...sql: readonly string[]): Technique => as(...WRITES, ...sql, 'SELECT k FROM public.OWN_kept', 'DROP FUNCTION public.OWN_f CASCADE', 'DROP FUNCTION IF EXISTS public.OWN_i CASCADE');
  const trigger = (body: string, when: string): readonly string[] => [`CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`, `CREATE TRIGGER OWN ${when} ON crm.customers FOR EACH ROW EXECUTE FUNCTION public.OWN_t()`];
  const DROP = 'DROP TRIGGER OWN ON crm.customers';
  attack('an index', run('CREATE INDEX OWN_x ON crm.customers (public.OWN_i(email))', 'DROP INDEX crm.OWN_x'), 'lax');
  attack('a check', run('ALTER TABLE crm.customers ADD CONSTRAINT OWN CHECK (public.OWN_f(email))', 'ALTER TABLE crm.customers DROP CONSTRAINT OWN'), 'lax');
  attack('a generated column', run('ALTER TABLE crm.customers ADD COLUMN OWN boolean GENERATED ALWAYS AS (public.OWN_i(email)) STORED', 'ALTER TABLE crm.customers DROP COLUMN OWN'), 'lax');
  attack('statistics', run('CREATE STATISTICS crm.OWN_s ON (public.OWN_i(email)), id FROM crm.customers', 'ANALYZE crm.customers', 'DROP STATISTICS crm.OWN_s'), 'lax');
  attack('a trigger that is given the row', run(...trigger('INSERT INTO public.OWN_kept VALUES (NEW.email); RETURN NEW;', 'AFTER UPDATE'), 'UPDATE crm.customers SET tariff = tariff', DROP), 'lax');
  const LOGS = (what: string): string => `CREATE OR REPLACE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept ${what}; RETURN NEW; END $$`;
  attack('a trigger that gathers, and then does not', run(LOGS("SELECT string_agg(email, ' ') FROM crm.customers"), 'CREATE TRIGGER OWN AFTER UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', 'UPDATE crm.customers SET tariff = tariff WHERE id = 1', LOGS('VALUES (NEW.email)'), 'SELECT k FROM public.OWN_kept', DROP), 'lax');
  attack('a trigger that keeps the change back', run(...trigger('INSERT INTO public.OWN_kept VALUES (OLD.email); RETURN NULL;', 'BEFORE DELETE'), 'DELETE FROM crm.customers', DROP), 'lax');
  attack('a rule', run('CREATE RULE OWN AS ON UPDATE TO crm.customers DO ALSO INSERT INTO public.OWN_kept VALUES (OLD.email)', 'UPDATE crm.customers SET tariff = tariff', 'DROP RULE OWN ON crm.customers'), 'lax');
  attack('a policy', run('ALTER TABLE crm.customers ENABLE ROW LEVEL SECURITY', 'ALTER TABLE crm.customers FORCE ROW LEVEL SECURITY', 'CREATE POLICY OWN ON crm.customers USING (public.OWN_f(email))', 'SELECT count(*) FROM crm.customers', 'DROP POLICY OWN ON crm.customers', 'ALTER TABLE crm.customers NO FORCE ROW LEVEL SECURITY', 'ALTER TABLE crm.customers DISABLE ROW LEVEL SECURITY'), 'lax');
  attack('a default that reads it', run(`CREATE FUNCTION public.OWN_d() RETURNS text LANGUAGE sql AS $$ ${read('crm.customers')} $$`, 'ALTER TABLE public.OWN_kept ALTER k SET DEFAULT public.OWN_d()', 'INSERT INTO public.OWN_kept DEFAULT VALUES'), 'lax');
});
