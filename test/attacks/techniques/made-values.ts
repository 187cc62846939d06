/** Making a value of a type runs what the type's maker wrote (the check of a domain in an array), as early as Parse, and no text need name the type. */

import { attackSuite, statements, type Technique } from '../../support/attack.ts';
import { message, rowsOf, wire, type WireClient } from '../../support/wire-client.ts';

const FROM = [0, 150, 300, 450];

export const madeValues = attackSuite('made-values', {
  sql: `
    CREATE FUNCTION public.tells(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers WHERE id > n AND id <= n + 150); RETURN true; END $$;
    CREATE FUNCTION public.fails(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', (SELECT string_agg(email, ' ') FROM crm.customers WHERE id > n AND id <= n + 150); END $$;
    ${['tells', 'fails'].map((does) => `
      CREATE DOMAIN public.${does}_n AS int CHECK (public.${does}(VALUE));
      CREATE TYPE public.${does}_row AS (n public.${does}_n);
      CREATE TYPE public.${does}_range AS RANGE (subtype = public.${does}_n);
      CREATE TABLE public.${does}_kept (id int, one public.${does}_n, many public.${does}_n[], pair public.${does}_row, span public.${does}_range);
      CREATE VIEW public.${does}_seen AS SELECT many AS shown FROM public.${does}_kept;
      CREATE FUNCTION public.${does}_taken(public.${does}_n[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE FUNCTION public.${does}_given() RETURNS public.${does}_n[] LANGUAGE sql AS 'SELECT NULL::public.${does}_n[]';
      CREATE FUNCTION public.${does}_spared(text, public.${does}_n[]) RETURNS boolean LANGUAGE sql AS 'SELECT true';
      CREATE OPERATOR public.${does === 'tells' ? '<~>' : '<~~>'} (FUNCTION = public.${does}_spared, LEFTARG = text, RIGHTARG = public.${does}_n[]);
      CREATE DOMAIN public.${does}_text AS text CHECK (VALUE::public.${does}_n[] IS NOT NULL);
      CREATE TABLE public.${does}_checked (a text CHECK (a::public.${does}_n[] IS NOT NULL));
      GRANT ALL ON public.${does}_checked TO staff;
      CREATE PROCEDURE public.${does}_does(public.${does}_n[]) LANGUAGE plpgsql AS 'BEGIN END';
      SET check_function_bodies = off;
      ${FROM.map((n) => `CREATE FUNCTION public.${does}_validated_${n}() RETURNS boolean LANGUAGE sql AS $$ SELECT '{${n}}'::public.${does}_n[] IS NULL $$;`).join(' ')}
      GRANT ALL ON public.${does}_kept, public.${does}_seen TO staff;`).join('')}
    CREATE DOMAIN public.quoted_n AS int CHECK (query_to_xml('SELECT email FROM crm.customers WHERE id > ' || VALUE || ' AND id <= 150 + ' || VALUE, true, true, '')::text::int IS NOT NULL);
    CREATE TABLE public.quoted_kept (many public.quoted_n[]);
    GRANT ALL ON public.quoted_kept TO staff;
    CREATE AGGREGATE public.first_told(public.tells_n[]) (sfunc = array_smaller, stype = public.tells_n[], initcond = '{0}');
    CREATE AGGREGATE public.then_told(public.tells_n[]) (sfunc = array_smaller, stype = public.tells_n[], initcond = '{150}');
  `,
});
const { attack, group } = madeValues;

type Does = 'tells' | 'fails';

/** Ways to have a value made from a text: of a type that the text names, and of one that it does not. */
const TEXTS: readonly (readonly [string, (does: Does, n: number) => string])[] = [
  ['an array that is named', (does, n) => `SELECT '{${n}}'::${does}_n[] IS NULL`],
  ['a row that is named', (does, n) => `SELECT '(${n})'::${does}_row IS NULL`],
  ['a range that is named', (does, n) => `SELECT '[${n},${n}]'::${does}_range IS NULL`],
  ['the argument of a function', (does, n) => `SELECT ${does}_taken('{${n}}')`],
  ['the operand of an operator', (does, n) => `SELECT 'a' ${does === 'tells' ? '<~>' : '<~~>'} '{${n}}'`],
  ['compared with what a function gives', (does, n) => `SELECT ${does}_given() = '{${n}}'`],
  ['compared with a column, array', (does, n) => `SELECT 1 FROM ${does}_kept WHERE many = '{${n}}'`],
  ['beside a column, row', (does, n) => `SELECT coalesce(pair, '(${n})') FROM ${does}_kept`],
  ['compared with a column, range', (does, n) => `SELECT 1 FROM ${does}_kept WHERE span = '[${n},${n}]'`],
  ['compared with an array of columns', (does, n) => `SELECT 1 FROM ${does}_kept WHERE ARRAY[one] = '{${n}}'`],
  ['beside a whole row', (does, n) => `SELECT coalesce(k, '(1,${n},,,)') FROM ${does}_kept k`],
  ['compared with the column of a view', (does, n) => `SELECT 1 FROM ${does}_seen WHERE shown = '{${n}}'`],
  ['compared under EXPLAIN', (does, n) => `EXPLAIN SELECT 1 FROM ${does}_kept WHERE many = '{${n}}'`],
  ['in the place of NULL', (does, n) => `SELECT coalesce(many, '{${n}}') FROM ${does}_kept`],
  ['in a union', (does, n) => `SELECT many FROM ${does}_kept UNION ALL SELECT '{${n}}'`],
  ['stored', (does, n) => `INSERT INTO ${does}_kept (id, many) VALUES (1, '{${n}}')`],
  ['prepared', (does, n) => `PREPARE p${n} AS SELECT 1 FROM ${does}_kept WHERE many = '{${n}}'`],
  ['in the text of a view', (does, n) => `CREATE TEMP VIEW v${n} AS SELECT 1 FROM ${does}_kept WHERE many = '{${n}}'`],
  ['as the value of a column by default', (does, n) => `CREATE TEMP TABLE t${n} (many ${does}_n[] DEFAULT '{${n}}')`],
];

/** Where the value is made when the statement runs. */
const RUNS: readonly (readonly [string, (does: Does, n: number) => string])[] = [
  ['a domain whose check casts', (does, n) => `SELECT '{${n}}'::${does}_text`],
  ['a check that casts', (does, n) => `INSERT INTO ${does}_checked VALUES ('{${n}}')`],
  ['a domain that got its check in the same transaction', (does, n) => `BEGIN; CREATE DOMAIN pg_temp.d${n} AS int; ALTER DOMAIN pg_temp.d${n} ADD CHECK (${does}(VALUE)); SELECT '{${n}}'::pg_temp.d${n}[]`],
  ['a type of a domain of the same transaction', (does, n) => `BEGIN; CREATE DOMAIN pg_temp.e${n} AS int CHECK (${does}(VALUE)); CREATE TYPE pg_temp.r${n} AS (n pg_temp.e${n}); SELECT '(${n})'::pg_temp.r${n}`],
  ['a domain of the same transaction whose check is no function', (_, n) => `BEGIN; CREATE DOMAIN pg_temp.g${n} AS int CHECK (query_to_xml('SELECT email FROM crm.customers WHERE id > ${n} AND id <= ${n + 150}', true, true, '')::text::int > 0); SELECT '{${n}}'::pg_temp.g${n}[]`],
  ['a column of a table of the same transaction', (does, n) => `BEGIN; CREATE TEMP TABLE t${n} (many ${does}_n[]); SELECT 1 FROM t${n} WHERE many = '{${n}}'`],
  ['a parameter of PREPARE', (does, n) => `PREPARE q${n} (${does}_n[]) AS SELECT 1; EXECUTE q${n} ('{${n}}')`],
  ['a parameter of PREPARE whose type a column tells', (does, n) => `PREPARE q${n} AS SELECT 1 FROM ${does}_kept WHERE many = $1; EXECUTE q${n} ('{${n}}')`],
  ['a default of a function', (does, n) => `CREATE FUNCTION pg_temp.f${n}(a ${does}_n[] DEFAULT '{${n}}') RETURNS int LANGUAGE sql AS 'SELECT 1'`],
  ['a procedure', (does, n) => `CALL ${does}_does('{${n}}')`],
  ['LIKE in the same transaction', (does, n) => `BEGIN; CREATE TEMP TABLE t${n} (LIKE ${does}_kept); SELECT 1 FROM t${n} WHERE many = '{${n}}'`],
  ['a copy in the same transaction', (does, n) => `BEGIN; CREATE TEMP TABLE t${n} AS SELECT many FROM ${does}_kept; SELECT 1 FROM t${n} WHERE many = '{${n}}'`],
];

/** Functions of the server's that are told a type by its name or number. */
const BY_TYPE: readonly (readonly [string, (does: Does, n: number) => string])[] = [
  ['pg_input_is_valid', (does, n) => `SELECT pg_input_is_valid('{${n}}', '${does}_n[]')`],
  ['pg_input_error_info', (does, n) => `SELECT message FROM pg_input_error_info('{${n}}', '${does}_n[]')`],
  ['array_in', (does, n) => `SELECT array_in('{${n}}', (SELECT oid FROM pg_type WHERE typname = '${does}_n'), -1)`],
  ['record_in', (does, n) => `SELECT record_in('(${n})', (SELECT oid FROM pg_type WHERE typname = '${does}_row'), -1)::text`],
  ['range_in', (does, n) => `SELECT range_in('[${n},${n}]', (SELECT oid FROM pg_type WHERE typname = '${does}_range'), -1)`],
  ['domain_in', (does, n) => `SELECT domain_in('${n}', (SELECT oid FROM pg_type WHERE typname = '${does}_n'), -1) IS NULL`],
  ['multirange_in', (does, n) => `SELECT multirange_in('{[${n},${n}]}', (SELECT rngmultitypid FROM pg_range WHERE rngtypid = '${does}_range'::regtype), -1)`],
  ['the validator of functions in SQL', (does, n) => `SELECT fmgr_sql_validator('${does}_validated_${n}'::regproc)`],
];

const each = (ask: (client: WireClient, does: Does, n: number) => Promise<unknown>, does: Does): Technique => async ({ connect }) => {
  const client = await connect();
  for (const n of FROM) await ask(client, does, n);
};

/** Bind with one parameter in text form. */
function bind(statement: string, value: string): Buffer {
  const text = Buffer.from(value);
  const head = Buffer.concat([Buffer.from(`\0${statement}\0`), Buffer.from([0, 0, 0, 1])]);
  const size = Buffer.alloc(4);
  size.writeInt32BE(text.length);
  return message('B', head, size, text, Buffer.from([0, 0]));
}

/** Parse that says of which type its parameter is. */
function parseTyped(sql: string, oid: number): Buffer {
  const type = Buffer.alloc(4);
  type.writeUInt32BE(oid);
  return message('P', Buffer.from(`\0${sql}\0`), Buffer.from([0, 1]), type);
}

async function oidOf(client: WireClient, type: string): Promise<number> {
  return Number(String(rowsOf(await client.query(`SELECT oid FROM pg_type WHERE typname = '${type}'`))[0]?.[0]));
}

for (const does of ['tells', 'fails'] as const) {
  group(`${does}, Query`, 'opaque code', () => {
    for (const [name, sql] of [...TEXTS, ...RUNS]) attack(name, each((client, what, n) => client.query(sql(what, n)).then(() => client.query('ROLLBACK')), does), 'lax');
    if (does === 'tells') attack('the state of an aggregate', statements('SELECT first_told(NULL)', 'SELECT then_told(NULL)'), 'lax');
  });
  group(`${does}, by functions that are told a type`, 'opaque code', () => {
    for (const [name, sql] of BY_TYPE) attack(name, each((client, what, n) => client.query(sql(what, n)), does), 'lax');
  });
  group(`${does}, a transaction and Parse alone`, 'opaque code', () => {
    for (const [name, sql] of RUNS.filter(([, text]) => text('tells', 0).startsWith('BEGIN'))) {
      attack(name, each(async (client, what, n) => {
        const parts = sql(what, n).split('; ');
        for (const part of parts.slice(0, -1)) await client.query(part);
        await client.ask([wire.parse('', parts.at(-1) as string), wire.sync]);
        await client.query('ROLLBACK');
      }, does), 'lax');
    }
  });
  group(`${does}, Parse alone`, 'opaque code', () => {
    for (const [name, sql] of TEXTS.slice(0, 16)) attack(name, each((client, what, n) => client.ask([wire.parse('', sql(what, n)), wire.sync]), does), 'lax');
  });
  group(`${does}, Bind alone`, 'opaque code', () => {
    attack('a parameter of a type that Parse names by its number', each(async (client, what, n) => client.ask([parseTyped('SELECT $1 IS NULL', await oidOf(client, `_${what}_n`)), bind('', `{${n}}`), wire.sync]), does), 'lax');
    attack('a domain that Parse names by its number', each(async (client, what, n) => client.ask([parseTyped('SELECT $1 IS NULL', await oidOf(client, `${what}_n`)), bind('', String(n)), wire.sync]), does), 'lax');
    attack('a parameter that is compared with a column', each((client, what, n) => client.ask([wire.parse('', `SELECT 1 FROM ${what}_kept WHERE many = $1`), bind('', `{${n}}`), wire.sync]), does), 'lax');
    attack('a parameter that a function takes', each((client, what, n) => client.ask([wire.parse('', `SELECT ${what}_taken($1)`), bind('', `{${n}}`), wire.sync]), does), 'lax');
    attack('EXECUTE of what Parse named by its number', each(async (client, what, n) => {
      await client.ask([message('P', Buffer.from(`s${n}\0SELECT $1 IS NULL\0`), Buffer.from([0, 1]), parseTyped('', await oidOf(client, `_${what}_n`)).subarray(-4)), wire.sync]);
      await client.query(`EXECUTE s${n}('{${n}}')`);
    }, does), 'lax');
  });
}

group('a check that calls what the server brings along', 'opaque code', () => {
  const asked = (n: number): string => `SELECT 1 FROM quoted_kept WHERE many = '{${n}}'`;
  attack('Query', each((client, _, n) => client.query(asked(n)), 'fails'), 'lax');
  attack('Parse alone', each((client, _, n) => client.ask([wire.parse('', asked(n)), wire.sync]), 'fails'), 'lax');
});
