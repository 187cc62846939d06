/** Ways out of the server that are not a query over the class: its files, its catalogs, other servers, settings, code that runs by itself. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attackSuite, statements, type Role } from '../../support/attack.ts';
import { serverMajor } from '../../support/postgres.ts';

const files = join(tmpdir(), `rowgate-side-door-${process.pid}`);
export const sideDoors = attackSuite('side-doors', {
  files: [files],
  sql: `
    CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
    GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program TO staff;
    GRANT EXECUTE ON FUNCTION pg_read_file(text), pg_read_binary_file(text) TO staff;
    GRANT EXECUTE ON FUNCTION dblink_connect_u(text) TO staff;
    GRANT SELECT ON pg_statistic, pg_largeobject TO staff;
    ALTER TABLE crm.customers ALTER email SET STATISTICS 2000;
    CREATE TABLE crm.doubled () INHERITS (crm.customers); INSERT INTO crm.doubled SELECT id + 100000, name, msisdn, email, tariff FROM ONLY crm.customers, generate_series(1, 2) WHERE id <= 400;
    CREATE STATISTICS crm.doubled_s (mcv) ON name, email FROM crm.doubled; ALTER STATISTICS crm.doubled_s SET STATISTICS 1000; ANALYZE crm.doubled; ALTER TABLE crm.doubled OWNER TO staff;
    ANALYZE crm.customers;
    SELECT lo_from_bytea(4242, (SELECT string_agg(email, ' ')::bytea FROM crm.customers));
    ALTER LARGE OBJECT 4242 OWNER TO staff;
    CREATE TABLE public.kept (body text);
    GRANT ALL ON public.kept TO staff;
    GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw, file_fdw TO staff;
    ${serverMajor >= 15 ? 'GRANT SET ON PARAMETER session_preload_libraries TO staff; GRANT ALTER SYSTEM ON PARAMETER work_mem TO staff;' : ''}
  `,
});
const { attack, group } = sideDoors;
const read = `SELECT string_agg(body, ' ') FROM public.kept`;

for (const role of ['agent', 'lax'] as const satisfies readonly Role[]) {
  group(`side doors, ${role}`, 'side doors', () => {
    attack('COPY to a file, pg_read_file', statements(`COPY (SELECT email FROM crm.customers) TO '${files}'`, `SELECT pg_read_file('${files}')`), role);
    attack('COPY to a program, pg_read_binary_file', statements(`COPY (SELECT email FROM crm.customers) TO PROGRAM 'cat > ${files}'`, `SELECT convert_from(pg_read_binary_file('${files}'), 'UTF8')`), role);
    attack('COPY to a file, COPY from it into a table', statements(`COPY (SELECT email FROM crm.customers) TO '${files}'`, `COPY public.kept FROM '${files}'`, read, 'TRUNCATE public.kept'), role);
    attack('a file as a foreign table', statements(
      `COPY (SELECT email FROM crm.customers) TO '${files}'`,
      ({ own }) => `CREATE SERVER ${own} FOREIGN DATA WRAPPER file_fdw`,
      ({ own }) => `CREATE FOREIGN TABLE ${own} (email text) SERVER ${own} OPTIONS (filename '${files}')`,
      ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`,
    ), role);
    attack('dblink to the same server', statements(({ user, bed: { postgres } }) =>
      `SELECT * FROM dblink('host=127.0.0.1 port=${postgres.port} dbname=postgres user=${user} password=secret', 'SELECT email FROM crm.customers') AS t(email text)`), role);
    attack('a foreign table on the same server', statements(
      ({ own, bed: { postgres } }) => `CREATE SERVER ${own} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '${postgres.port}', dbname 'postgres')`,
      ({ own, user }) => `CREATE USER MAPPING FOR ${user} SERVER ${own} OPTIONS (user '${user}', password 'secret')`,
      ({ own }) => `CREATE FOREIGN TABLE ${own} (email text) SERVER ${own} OPTIONS (schema_name 'crm', table_name 'customers')`,
      ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}`,
    ), role);
    attack('IMPORT FOREIGN SCHEMA of the same server', statements(
      ({ own, bed: { postgres } }) => `CREATE SCHEMA ${own}; CREATE SERVER ${own} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '${postgres.port}', dbname 'postgres')`,
      ({ own, user }) => `CREATE USER MAPPING FOR ${user} SERVER ${own} OPTIONS (user '${user}', password 'secret')`,
      ({ own }) => `IMPORT FOREIGN SCHEMA crm FROM SERVER ${own} INTO ${own}`,
      ({ own }) => `SELECT string_agg(email, ' ') FROM ${own}.customers`,
    ), role);
    attack('pg_statistic', statements('SELECT stavalues1::text, stavalues2::text, stavalues3::text FROM pg_statistic'), role);
    attack('pg_stats_ext', statements(`SELECT most_common_vals FROM pg_stats_ext WHERE tablename = 'doubled'`), role);
    attack('pg_largeobject', statements(`SELECT string_agg(convert_from(data, 'UTF8'), '' ORDER BY pageno) FROM pg_largeobject WHERE loid = 4242`), role);
    attack('lo_get', statements(`SELECT convert_from(lo_get(4242), 'UTF8')`), role);
    attack('loread', statements('BEGIN', `SELECT convert_from(loread(lo_open(4242, 262144), 1000000), 'UTF8')`, 'COMMIT'), role);
    attack('a value in a setting of its own, SHOW', statements(`SELECT length(set_config('x.y', (SELECT string_agg(email, ' ') FROM crm.customers), false))`, 'SHOW x.y'), role);
  });
}
