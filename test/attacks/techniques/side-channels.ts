/** Everything that is not a row: errors, notices, notifications, settings, statistics, plans, sequences, locks, large objects. */

import { attackSuite, CUSTOMERS, statements, type Technique } from '../../support/attack.ts';
import { message, rowsOf, wire } from '../../support/wire-client.ts';

export const sideChannels = attackSuite('side-channels', {
  sql: `
    CREATE FUNCTION public.tell(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', t; RETURN 1; END $$;
    CREATE FUNCTION public.tell_all() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE r record; BEGIN FOR r IN SELECT email FROM crm.customers LOOP RAISE NOTICE '%', r.email; END LOOP; END $$;
    CREATE FUNCTION public.fail(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', t; END $$;
    CREATE FUNCTION public.run(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE q; END $$;
    CREATE FUNCTION public.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('changes', NEW.email); RETURN NEW; END $$;
    CREATE TRIGGER tell_change AFTER UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION public.tell_change();
    CREATE TABLE public.unique_notes (body text UNIQUE);
    GRANT ALL ON public.unique_notes TO staff;
  `,
});
const { attack, group } = sideChannels;
const SOME = (from: number, count: number): string => `(SELECT string_agg(email, ' ') FROM crm.customers WHERE id > ${from} AND id <= ${from + count})`;

/** One statement after another over the whole base, `count` customers in each. */
function sweep(count: number, sql: (from: number) => string, extra: readonly string[] = []): Technique {
  return async ({ connect }) => {
    const client = await connect();
    for (const each of extra) await client.query(each);
    for (let from = 0; from < Math.min(CUSTOMERS, count * 40); from += count) await client.query(sql(from));
  };
}

group('errors that quote values', 'errors', () => {
  const casts = ['int', 'numeric', 'uuid', 'json', 'inet', 'date', 'interval', 'bytea', 'money', 'bool', 'point', 'macaddr', 'regclass', 'regtype', 'regproc', 'regrole', 'regnamespace', 'tsquery', 'jsonpath', 'aclitem', 'xml', 'pg_lsn', 'int4range', 'txid_snapshot'];
  for (const type of casts) attack(`cast to ${type}`, sweep(150, (from) => `SELECT ('<&' || ${SOME(from, 150)})::${type}`), 'agent', 0);
  const calls = [
    ['current_setting', (s: string) => `current_setting(${s})`],
    ['set_config', (s: string) => `set_config('application_name', ${s}, false)`],
    ['set_config with the value as the name', (s: string) => `set_config(${s}, 'x', false)`],
    ['to_tsquery', (s: string) => `to_tsquery('simple', ${s})`],
    ['pg_relation_size by an implicit cast', (s: string) => `pg_relation_size(${s})`],
    ['nextval by an implicit cast', (s: string) => `nextval(${s})`],
    ['pg_input_is_valid', (s: string) => `pg_input_is_valid('x', ${s})`],
    ['pg_input_error_info', (s: string) => `(SELECT message FROM pg_input_error_info(${s}, 'int'))`],
    ['has_table_privilege', (s: string) => `has_table_privilege(${s}, 'SELECT')`],
    ['to_timestamp', (s: string) => `to_timestamp('x', ${s})`],
    ['date_trunc', (s: string) => `date_trunc(${s}, now())`],
    ['extract by date_part', (s: string) => `date_part(${s}, now())`],
    ['convert_from', (s: string) => `convert_from('x', ${s})`],
    ['encode', (s: string) => `encode('x', ${s})`],
    ['time zone', (s: string) => `now() AT TIME ZONE ${s}`],
    ['regular expression', (s: string) => `'x' ~ ('[' || ${s})`],
    ['jsonb_path_query', (s: string) => `(SELECT count(*) FROM jsonb_path_query('{}', (${s})::jsonpath))`],
    ['xpath', (s: string) => `xpath(${s}, '<a/>')`],
    ['parse_ident', (s: string) => `parse_ident(${s})`],
    ['format', (s: string) => `format('%' || ${s})`],
    ['to_number', (s: string) => `to_number('1', ${s})`],
    ['to_date', (s: string) => `to_date(${s}, 'YYYY')`],
    ['numeric_in by a function call', (s: string) => `int4in(${s}::cstring)`],
    ['tsqueryin by a function call', (s: string) => `tsqueryin(${s}::cstring)`],
    ['jsonb_populate_record', (s: string) => `jsonb_populate_record(NULL::crm.customers, jsonb_build_object('id', ${s}))`],
    ['make_interval and division', (s: string) => `1 / (length(${s}) - length(${s}))`],
  ] as const;
  for (const [name, call] of calls) attack(`error of ${name}`, sweep(150, (from) => `SELECT ${call(SOME(from, 150))}`), 'agent', 0);
  attack('an aclitem names a role that is not there, three tokens at a time', async (attacker) => {
    const client = await attacker.connect();
    for (let from = 0; from < 450; from += 3) await client.query(`SELECT (translate(${SOME(from, 3)}, '- ', '__') || '=r/postgres')::aclitem`);
    attacker.decoded = client.received().toString('latin1').replaceAll(/cnry_(\d{6})_([0-9a-f]{8})/g, 'cnry-$1-$2 ');
  });
  const cut = [
    ['pg_database_size', (s: string) => `pg_database_size(${s}::name)`],
    ['pg_tablespace_size', (s: string) => `pg_tablespace_size(${s}::name)`],
    ['to_ascii', (s: string) => `to_ascii('x', ${s}::name)`],
    ['pg_extension_update_paths', (s: string) => `(SELECT count(*) FROM pg_extension_update_paths(${s}::name))`],
    ['ts_parse', (s: string) => `(SELECT count(*) FROM ts_parse('"' || ${s} || '"', 'x'))`],
    ['ts_token_type', (s: string) => `(SELECT count(*) FROM ts_token_type('"' || ${s} || '"'))`],
    ['regclass as a function', (s: string) => `regclass('"' || ${s} || '"')`],
  ] as const;
  for (const [name, call] of cut) {
    attack(`error of ${name}, three tokens at a time`, async ({ connect }) => {
      const client = await connect();
      for (let from = 0; from < 450; from += 3) await client.query(`SELECT ${call(`replace(${SOME(from, 3)}, ' ', '')`)}`);
    });
  }
  attack('cast to tsvector, whole value', sweep(150, (from) => `SELECT (${SOME(from, 150)} || ':abc')::tsvector`));
  attack('cast to tsquery, whole value', sweep(150, (from) => `SELECT ${SOME(from, 150)}::tsquery`));
  attack('unique violation with the value in DETAIL', sweep(100, (from) => `WITH s AS (SELECT ${SOME(from, 100)} s) INSERT INTO unique_notes SELECT s FROM s, generate_series(1, 2)`), 'agent');
  attack('unique violation with the value in DETAIL', sweep(100, (from) => `WITH s AS (SELECT ${SOME(from, 100)} s) INSERT INTO unique_notes SELECT s FROM s, generate_series(1, 2)`), 'lax');
  attack('error of a cast in the WHERE of an extended query', async ({ connect }) => {
    const client = await connect();
    for (let from = 0; from < 3000; from += 150) await client.ask([wire.run(`SELECT 1 WHERE ${SOME(from, 150)}::tsquery IS NULL`), wire.sync]);
  }, 'agent', 0);
  attack('error of a cast under FETCH', async ({ connect }) => {
    const client = await connect();
    for (let from = 0; from < 3000; from += 150) await client.query(`BEGIN; DECLARE c CURSOR FOR SELECT ('&' || ${SOME(from, 150)})::tsquery; FETCH c`).then(() => client.query('ROLLBACK'));
  }, 'agent', 0);
  attack('error of a cast in a deferred place: the default of COPY TO', async ({ connect }) => {
    const client = await connect();
    for (let from = 0; from < 3000; from += 150) await client.query(`COPY (SELECT ('&' || ${SOME(from, 150)})::tsquery) TO STDOUT`);
  }, 'agent', 0);
});

group('notices, notifications and settings', 'side channels', () => {
  for (const role of ['agent', 'lax'] as const) {
    attack('RAISE NOTICE by an existing function, row by row', statements('SELECT tell(email) FROM crm.customers'), role);
    attack('RAISE NOTICE by an existing function, in bulk', statements('SELECT tell(string_agg(email, $$ $$)) FROM crm.customers'), role);
    attack('RAISE NOTICE by a SECURITY DEFINER function', statements('SELECT tell_all()'), role);
    attack('RAISE EXCEPTION by an existing function', statements('SELECT fail(string_agg(email, $$ $$)) FROM crm.customers'), role);
    attack('dynamic SQL by an existing function', statements(`SELECT run('SELECT email FROM crm.customers')`), role);
    attack('DO with RAISE', statements(`DO $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers); END $$`), role);
    attack('pg_notify to a second session', async ({ connect }) => {
      const [talker, listener] = [await connect(), await connect()];
      await listener.query('LISTEN c');
      for (let from = 0; from < CUSTOMERS; from += 300) await talker.query(`SELECT pg_notify('c', ${SOME(from, 300)})`);
      await listener.query('SELECT 1');
      await listener.query('SELECT 1');
    }, role);
    attack('a setting takes the value, SHOW gives it back', async ({ connect }) => {
      const client = await connect();
      for (let from = 0; from < CUSTOMERS; from += 1000) {
        await client.query(`SELECT length(set_config('app.x', ${SOME(from, 1000)}, false))`);
        await client.query('SHOW app.x');
        await client.query(`SELECT current_setting('app.x')`);
      }
    }, role);
    attack('application_name in ParameterStatus', async ({ connect }) => {
      const client = await connect();
      for (let from = 0; from < 600; from += 2) await client.query(`SELECT length(set_config('application_name', ${SOME(from, 2)}, false))`);
    }, role);
    attack('UPDATE pg_settings', async ({ connect }) => {
      const client = await connect();
      for (let from = 0; from < 600; from += 2) await client.query(`UPDATE pg_settings SET setting = ${SOME(from, 2)} WHERE name = 'application_name'`);
    }, role);
    attack('a sequence takes a number that the row gives', async (attacker) => {
      const client = await attacker.connect();
      for (let id = 1; id <= 300; id++) {
        await client.query(`SELECT setval('counter', ('x' || right(email, 8))::bit(32)::bigint + 1) > 0 FROM crm.customers WHERE id = ${id}`);
        const value = rowsOf(await client.query('SELECT last_value - 1 FROM counter'))[0]?.[0]?.toString() ?? '0';
        attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${BigInt(value).toString(16).padStart(8, '0')} `;
      }
    }, role);
    attack('advisory locks hold the values, pg_locks shows them', async (attacker) => {
      const client = await attacker.connect();
      await client.query(`SELECT count(pg_try_advisory_lock(id, ('x' || right(email, 8))::bit(32)::int)) FROM crm.customers WHERE id <= 2000`);
      for (const [id, hash] of rowsOf(await client.query(`SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'`))) {
        attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${BigInt(hash?.toString() ?? '0').toString(16).padStart(8, '0')} `;
      }
    }, role);
    attack('a large object takes the values and is read back', async ({ connect }) => {
      const client = await connect();
      const oid = rowsOf(await client.query(`SELECT lo_from_bytea(0, convert_to(string_agg(email, ' '), 'UTF8')) FROM crm.customers`))[0]?.[0]?.toString();
      if (oid !== undefined) await client.query(`SELECT convert_from(lo_get(${oid}), 'UTF8')`);
    }, role);
  }
});

group('notifications of others', 'side channels', () => {
  attack('NOTIFY of changed customers to a listening employee', async ({ connect, bed: { admin } }) => {
    const client = await connect();
    await client.query('LISTEN changes');
    await admin.query('UPDATE crm.customers SET tariff = tariff');
    await client.query('SELECT 1');
    await client.query('SELECT 1');
  });
});

group('what the server keeps about tables, sessions and plans', 'side doors', () => {
  attack('pg_stats', statements(`SELECT * FROM pg_stats WHERE schemaname = 'crm'`), 'agent', 90);
  attack('pg_stats, sliced', statements(`SELECT unnest(histogram_bounds::text::text[]) FROM pg_stats WHERE tablename = 'customers'`), 'agent', 90);
  attack('EXPLAIN ANALYZE VERBOSE', statements(`EXPLAIN (ANALYZE, VERBOSE) SELECT email FROM crm.customers WHERE email > (SELECT min(email) FROM crm.customers)`), 'agent', 0);
  attack('pg_stat_activity and pg_prepared_statements', statements('SELECT * FROM pg_stat_activity; SELECT * FROM pg_prepared_statements; SELECT * FROM pg_cursors'), 'agent', 0);
  attack('FunctionCall of json_agg and of lo_get', async ({ connect }) => {
    const client = await connect();
    const body = Buffer.concat([Buffer.from([0, 0, 5, 0xb0]), Buffer.from([0, 0]), Buffer.from([0, 0]), Buffer.from([0, 0])]);
    await client.ask([message('F', body)]);
    await client.ask([wire.query('SELECT 1')]);
  }, 'agent', 0);
});
