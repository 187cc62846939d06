/** Texts that two readers could read differently, names in every spelling, and who somebody is. */

import { attackSuite, statements, type Technique } from '../../support/attack.ts';
import { wire } from '../../support/wire-client.ts';

/** As long as a name can be. */
export const LONG_LOGIN = 'agent_' + 'l'.repeat(57);
export const readersAndLogins = attackSuite('readers-and-logins', {
  sql: `
    CREATE ROLE "${LONG_LOGIN}" LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE "Agent" LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE boss NOLOGIN; GRANT boss TO staff; GRANT USAGE ON SCHEMA crm TO boss; GRANT SELECT ON ALL TABLES IN SCHEMA crm TO boss;
    CREATE TABLE crm.parted (id int, email text) PARTITION BY RANGE (id);
    CREATE VIEW crm.nested AS SELECT * FROM (SELECT email || '' AS email FROM crm.active) a;
    CREATE MATERIALIZED VIEW crm.kept AS SELECT id, email || '' AS email FROM crm.customers;
    CREATE FUNCTION public.lookup(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM crm.customers WHERE id = n';
    CREATE FUNCTION public.definer() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM crm.customers';
    CREATE FUNCTION public.scs_off() RETURNS text LANGUAGE sql AS $$ SELECT set_config('standard_conforming_strings', 'off', false) $$;
    CREATE FUNCTION public.sjis() RETURNS text LANGUAGE sql AS $$ SELECT set_config('client_encoding', 'SJIS', false) $$;
    CREATE FUNCTION public.eat(a int, b text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(email, ' ') FROM crm.customers $$;
    CREATE OPERATOR public.@@@ (LEFTARG = int, RIGHTARG = text, FUNCTION = public.eat);
    CREATE OPERATOR public.|| (LEFTARG = int, RIGHTARG = text, FUNCTION = public.eat);
    CREATE TYPE public.wrapped AS (a int);
    CREATE FUNCTION public.unwrap(public.wrapped) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(email, ' ') FROM crm.customers $$;
    CREATE CAST (public.wrapped AS text) WITH FUNCTION public.unwrap(public.wrapped);
    CREATE FUNCTION public.check_it(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers); RETURN true; END $$;
    CREATE DOMAIN public.dom AS text CHECK (public.check_it(VALUE));
    CREATE FUNCTION public.seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers); RETURN NEW; END $$;
    CREATE TABLE public.watched (a int, b text DEFAULT public.lookup(1)); CREATE TRIGGER seen BEFORE INSERT ON public.watched FOR EACH ROW EXECUTE FUNCTION public.seen();
    CREATE AGGREGATE public.glue (text) (SFUNC = textcat, STYPE = text);
    CREATE TABLE public.own_rls (a int); ALTER TABLE public.own_rls ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON crm.parted, crm.nested, crm.kept TO staff; GRANT ALL ON public.watched, public.own_rls TO staff;
  `,
});
const { attack, group } = readersAndLogins;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

group('names', 'names', () => {
  const spelled = [
    ['quoted', 'SELECT email FROM "crm"."customers"'],
    ['U& escapes', String.raw`SELECT email FROM U&"cr\006d".U&"cust\006fmers"`],
    ['U& escapes with another escape character', `SELECT email FROM U&"cr!006d" UESCAPE '!'.customers`],
    ['comments in between', 'SELECT email FROM crm/**/./* /* nested */ */customers -- x'],
    ['upper case', 'SELECT EMAIL FROM CRM.CUSTOMERS'],
    ['a CTE of the same name that reads the table', 'WITH customers AS (SELECT email FROM crm.customers) SELECT * FROM customers'],
    ['ONLY in parentheses', 'SELECT email FROM ONLY (crm.customers)'],
    ['TABLE', 'TABLE crm.customers'],
    ['a parenthesised join', 'SELECT email FROM (crm.customers JOIN public.tariffs t ON t.name = tariff)'],
    ['three part name', 'SELECT email FROM postgres.crm.customers'],
    ['TABLESAMPLE', 'SELECT email FROM crm.customers TABLESAMPLE SYSTEM (100)'],
    ['LATERAL, VALUES and set operations', 'SELECT x.email FROM (VALUES (1)) v(a), LATERAL (SELECT email FROM crm.customers UNION ALL SELECT NULL) x'],
    ['views over views', 'SELECT email FROM crm.nested'],
    ['a materialised copy', 'SELECT email FROM crm.kept'],
    ['a DEFAULT of an argument', 'SELECT * FROM (SELECT (c).email FROM (SELECT c FROM crm.customers c) s) t'],
    ['XMLTABLE', `SELECT x.* FROM crm.customers c, XMLTABLE('/r' PASSING xmlelement(name r, email) COLUMNS e text PATH '.') x`],
    ['JSON_TABLE', `SELECT x.* FROM crm.customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (e text PATH '$.email')) x`],
    ['ORDER BY USING and DISTINCT ON', 'SELECT DISTINCT ON (email) email FROM crm.customers ORDER BY email USING <'],
    ['FOR UPDATE', 'SELECT email FROM crm.customers FOR UPDATE SKIP LOCKED'],
  ] as const;
  for (const [name, sql] of spelled) attack(`name: ${name}`, statements(sql));
});

group('code of an administrator', 'opaque code', () => {
  const code = [
    ['a SQL function, row by row', 'SELECT lookup(g) FROM generate_series(1, 5000) g'],
    ['a SECURITY DEFINER function', 'SELECT definer()'],
    ['an operator', `SELECT 1 @@@ 'x'`],
    ['an operator that looks built in', `SELECT 1 OPERATOR(public.||) 'x'::text`],
    ['an operator that looks built in, by search_path', `SET search_path = public, pg_catalog; SELECT 1 || 'x'::text`],
    ['a cast', 'SELECT ROW(1)::wrapped::text'],
    ['a function by attribute notation', 'SELECT (ROW(1)::wrapped).unwrap'],
    ['a function called as a type', 'SELECT unwrap(ROW(1)::wrapped)'],
    ['a domain', `SELECT 'x'::dom`],
    ['an array of a domain', `SELECT ARRAY['x']::dom[]`],
    ['a trigger', 'INSERT INTO watched (a) VALUES (1)'],
    ['an aggregate of the administrator', `SELECT glue(email) FROM crm.customers`],
    ['cursor_to_xml', `BEGIN; DECLARE c CURSOR FOR SELECT email FROM crm.customers; SELECT cursor_to_xml('c', 5000, true, true, ''); COMMIT`],
    ['database_to_xml', `SELECT database_to_xml(true, true, '')`],
    ['a policy that an agent adds to an own table', 'SELECT query_to_xml_and_xmlschema($$SELECT email FROM crm.customers$$, true, true, $$$$)'],
  ] as const;
  for (const [name, sql] of code) for (const role of ['agent', 'lax'] as const) attack(`code: ${name}`, statements(sql), role, 0);
});

group('readers', 'parser differentials', () => {
  /** Two harmless strings; with backslash escapes one string and a second statement. */
  const STRING = String.raw`SELECT '\', '; SELECT email FROM crm.customers; --'`;
  const off: readonly (readonly [string, Technique])[] = [
    ['SET', statements('SET standard_conforming_strings = off', STRING)],
    ['set_config', statements(`SELECT set_config('standard_conforming_strings', 'off', false)`, STRING)],
    ['set_config with a name in parts', statements(`SELECT set_config('standard_' || 'conforming_strings', 'off', false)`, STRING)],
    ['UPDATE pg_settings', statements(`UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'`, STRING)],
    ['SET LOCAL', statements('BEGIN; SET LOCAL standard_conforming_strings = off', STRING)],
    ['ALTER ROLE and a new session', async ({ connect, user }) => {
      await (await connect()).query(`ALTER ROLE ${user} SET standard_conforming_strings = off`);
      const client = await connect().catch(() => undefined);
      await client?.query(STRING);
    }],
    ['startup options', async ({ connect }) => {
      const client = await connect({ options: '-c standard_conforming_strings=off' }).catch(() => undefined);
      await client?.query(STRING);
    }],
    ['a function of the administrator, pipelined', async ({ connect }) => {
      const client = await connect();
      await client.ask([wire.query('SELECT scs_off()'), wire.query(STRING)], 2, 2000);
    }],
  ];
  for (const [name, technique] of off) for (const role of ['agent', 'lax'] as const) attack(`standard_conforming_strings off by ${name}`, technique, role, 0);

  // 0x95 0x5c is one character in SJIS; a reader of bytes takes its second half for a backslash.
  const TRICK = Buffer.concat([Buffer.from(`SELECT E'`), hex('955c'), Buffer.from(`'; SELECT email FROM crm.customers; --'`)]);
  for (const [name, sql] of [['SET', 'SET client_encoding = SJIS'], ['SET NAMES', `SET NAMES 'GBK'`], ['set_config', `SELECT set_config('client_encoding', 'BIG5', false)`], ['a function', 'SELECT sjis()'], ['a name with other signs', `SET client_encoding = 's-j-i-s'`]] as const) {
    attack(`client_encoding of two bytes by ${name}`, async ({ connect }) => {
      const client = await connect();
      await client.ask([wire.query(sql), wire.query(TRICK)], 2, 2000);
    }, 'lax', 0);
  }
  const ALL = 'SELECT email FROM crm.customers';
  const odd: readonly (readonly [string, Buffer])[] = [
    ['a megabyte of blanks', Buffer.from(`${' '.repeat(1_100_000)}${ALL}`)],
    ['900 kB of comment', Buffer.from(`/*${'x'.repeat(900_000)}*/ ${ALL}`)],
    ['nested comments', Buffer.from(`${'/*'.repeat(2_000)}${'*/'.repeat(2_000)} ${ALL}`)],
    ['deep parentheses', Buffer.from(`SELECT * FROM ${'('.repeat(500)}${ALL}${')'.repeat(500)} x`)],
    ['a long sum', Buffer.from(`SELECT email, ${Array.from({ length: 9_000 }, () => '1').join('+')} FROM crm.customers`)],
    ['a long UNION', Buffer.from(Array.from({ length: 300 }, () => ALL).join(' UNION '))],
    ['invalid UTF-8 in a comment', Buffer.concat([Buffer.from('/*'), hex('ff'), Buffer.from(`*/ ${ALL}`)])],
    ['a NUL behind a harmless text', Buffer.concat([Buffer.from('SELECT 1\0'), Buffer.from(ALL)])],
    ['a vertical tab and a form feed', Buffer.from(`SELECT\f email\v FROM\f crm.customers`)],
    ['no-break space in names', Buffer.from(`SELECT email FROM crm.customers\u00a0c`)],
    ['dollar quotes that hold another statement', Buffer.from(`SELECT $a$; $b$ $a$; ${ALL}; SELECT $b$ $b$`)],
    ['backslash at the end of an escape string', Buffer.from(String.raw`SELECT E'\\'; ${ALL}; --'`)],
    ['continued strings', Buffer.from(`SELECT 'a'\n'b'; ${ALL}`)],
    ['a psql-like semicolon in BEGIN ATOMIC', Buffer.from(`SELECT 1;;;${ALL};;`)],
  ];
  for (const [name, text] of odd) attack(`text: ${name}`, async ({ connect }) => {
    const client = await connect();
    await client.query(text, 9_000);
  }, 'agent', 0);
});

group('who it is', 'attribution', () => {
  attack('SET ROLE and SET SESSION AUTHORIZATION', statements('SET ROLE boss', 'SELECT email FROM crm.customers', 'SET SESSION AUTHORIZATION DEFAULT', 'SELECT email FROM crm.customers'));
  attack('role in startup options, another search_path and application_name', async ({ connect }) => {
    const client = await connect({ options: '-c role=boss -c search_path=crm -c application_name=x' });
    await client.query('SELECT email FROM customers');
  });

});
