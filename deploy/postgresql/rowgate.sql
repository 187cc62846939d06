-- Once on each server, as a superuser. Rowgate reads the catalog with this login, and no table of yours.
CREATE ROLE rowgate LOGIN PASSWORD 'change me' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 50;

-- What would let a login round Rowgate on the same server: look, and take away what is not needed.
SELECT rolname AS "superusers, who may read any file and run any program" FROM pg_roles WHERE rolsuper;
SELECT rolname AS "may stream the whole server" FROM pg_roles WHERE rolreplication;
SELECT m.rolname AS login, r.rolname AS "reads or writes files, or runs programs"
  FROM pg_auth_members am JOIN pg_roles r ON r.oid = am.roleid JOIN pg_roles m ON m.oid = am.member
 WHERE r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program');
SELECT extname AS "reaches other servers" FROM pg_extension WHERE extname IN ('dblink', 'postgres_fdw', 'file_fdw');
