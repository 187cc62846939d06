/** What programs do by the way: settings, transactions, pings, resets, questions about themselves. */

import { metered, work, type Workload } from './case.ts';

export const SESSIONS: Workload = {
  title: 'sessions',
  login: 'agent',
  work: [
    work('pings', '', ';', 'SELECT 1', 'SELECT 1 AS ok', '-- ping', '/* ping */ SELECT 1'),
    work('settings', 'SET statement_timeout = 30000', `SET lock_timeout TO '5s'`, `SET SESSION idle_in_transaction_session_timeout = '10min'`, 'SET search_path = shop, public', `SET search_path TO "$user", public`, `SET DateStyle = 'ISO, DMY'`, `SET TIME ZONE 'Europe/Prague'`, `SET timezone TO 'UTC'`, 'SET extra_float_digits = 3', `SET application_name = 'report'`, `SET client_min_messages = warning`, 'SET bytea_output = hex', 'SET intervalstyle = iso_8601', `SET lc_messages = 'C'`, 'SET work_mem = \'16MB\'', 'SET enable_seqscan = on', 'SET jit = off', 'SET row_security = on', 'SET default_transaction_read_only = off', 'SET standard_conforming_strings = on', 'SET client_encoding = UTF8', `SET NAMES 'UTF8'`, 'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED', 'SET statement_timeout = DEFAULT', 'RESET timezone', 'RESET ALL'),
    work('asks for settings', 'SHOW search_path', 'SHOW server_version', 'SHOW TRANSACTION ISOLATION LEVEL', 'SHOW TimeZone', 'SHOW standard_conforming_strings', 'SHOW max_identifier_length', `SELECT current_setting('server_version_num')`, `SELECT current_setting('app.user', true)`, `SELECT setting FROM pg_settings WHERE name = 'max_connections'`, 'SHOW ALL'),
    work('settings of programs', `SELECT set_config('app.user', '42', false)`, `SELECT set_config('search_path', 'shop, public', false)`, `SELECT pg_catalog.set_config('search_path', '', false)`, `SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'`, `SET LOCAL app.user = '1'`, 'RESET ALL'),
    work('transactions', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', 'SELECT count(*) FROM shop.tariffs', 'COMMIT', 'START TRANSACTION', 'SAVEPOINT a', `INSERT INTO shop.tickets (body) VALUES ('x')`, 'ROLLBACK TO SAVEPOINT a', 'RELEASE a', 'ROLLBACK', 'BEGIN; SELECT 1; COMMIT', 'ABORT', 'BEGIN', 'SET TRANSACTION READ ONLY', 'COMMIT AND NO CHAIN'),
    work('mistakes are the server\'s to tell of', 'SELEC 1', 'SELECT * FROM nowhere', 'SELECT nothing FROM shop.tariffs', 'SELECT nosuch(1)', 'SELECT 1/0', `SELECT 'x'::int`, `INSERT INTO shop.tariffs (name) VALUES ('tariff 1')`, `INSERT INTO shop.tickets (state, body) VALUES ('odd', '')`, 'SELECT * FROM shop.tariffs WHERE', 'CREATE TABLE shop.tariffs (a int)', 'DROP TABLE public.notthere', 'DROP TABLE IF EXISTS public.notthere'),
    work('mistakes in names and syntax around a class', 'SELECT * FROM crm.custmers', 'SELECT * FROM crm.customers WHERE id = AND'),
    metered(2, 'mistakes in statements over a class are told of in full', 'SELECT emial FROM crm.customers', 'SELECT email, count(*) FROM crm.customers'),
    work('resets of pools', 'DISCARD ALL', 'DISCARD TEMP', 'DISCARD PLANS', 'DISCARD SEQUENCES', 'DEALLOCATE ALL', 'CLOSE ALL', 'UNLISTEN *', 'RESET SESSION AUTHORIZATION', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'ROLLBACK'),
    work('asks who and where it is', 'SELECT version()', 'SELECT current_user, session_user, current_database(), current_schema(), current_schemas(true)', 'SELECT pg_backend_pid() > 0, inet_server_port() IS NOT NULL', 'SELECT pg_is_in_recovery(), txid_current() > 0, pg_current_xact_id() IS NOT NULL', 'SELECT now() > date \'2020-01-01\', clock_timestamp() > now(), current_date > date \'2020-01-01\'', 'SELECT pg_postmaster_start_time() < now(), pg_conf_load_time() < now()', 'SELECT has_schema_privilege(\'shop\', \'USAGE\'), has_table_privilege(\'shop.tariffs\', \'SELECT\'), has_database_privilege(current_database(), \'TEMP\')', 'SELECT pg_advisory_lock(7), pg_advisory_unlock(7)', 'SELECT pg_try_advisory_xact_lock(7)', 'SELECT gen_random_uuid() IS NOT NULL, random() < 1, pg_sleep(0)'),
    work('sequences', `SELECT nextval('shop.numbers')`, `SELECT currval('shop.numbers') > 0`, `SELECT setval('shop.numbers', 1000)`, 'SELECT lastval() > 0', `SELECT pg_get_serial_sequence('shop.tickets', 'id')`, `SELECT last_value >= 0, is_called FROM shop.numbers`, `SELECT setval('shop.numbers', (SELECT max(id) FROM shop.products))`),
    work('several statements in one text', 'SELECT 1; SELECT 2; SELECT count(*) FROM shop.tariffs', `BEGIN; INSERT INTO shop.tickets (body) VALUES ('y'); ROLLBACK`),
    work('two-phase commit', 'BEGIN', `INSERT INTO shop.tickets (body) VALUES ('z')`, `PREPARE TRANSACTION 'office'`, `ROLLBACK PREPARED 'office'`),
    work('locks of tables', 'BEGIN', 'LOCK TABLE shop.tariffs IN SHARE MODE', 'COMMIT'),
    metered(2, 'a look-up between savepoints', 'BEGIN', 'SAVEPOINT s', 'SELECT name FROM crm.customers WHERE id = 1', 'RELEASE s', 'SAVEPOINT s', 'SELECT name FROM crm.customers WHERE id = 2', 'ROLLBACK TO s', 'COMMIT'),
    metered(2, 'a prepared look-up', 'PREPARE c (int) AS SELECT name FROM crm.customers WHERE id = $1', 'EXECUTE c (1)', 'EXECUTE c (2)', 'DEALLOCATE c'),
    metered(1, 'a look-up with search_path', 'SET search_path = crm, public', 'SELECT name FROM customers WHERE id = 1', 'RESET search_path'),
    // A unit a line.
    metered(2, 'the plan of a look-up', 'EXPLAIN SELECT name FROM crm.customers WHERE id = 1'),
  ],
};
