#!/bin/sh
# Scripts of psql, one file of output each; a JSON line for each with what was printed. psql's own words name the port: that is taken out, and so are process ids.
# shellcheck disable=SC2016
out=$(mktemp -d)
count=0
# Debian's psql is a script that looks for the program: it takes longer than most steps.
for bin in /usr/lib/postgresql/*/bin; do [ -x "$bin/psql" ] && PATH=$bin:$PATH; done
step() {
  count=$((count + 1))
  printf '%s' "$1" >"$out/$count.name"
  shift
  "$@" >"$out/$count.text" 2>&1 </dev/null
  echo $? >"$out/$count.code"
}
tell() {
  node -e '
    const { readFileSync } = require("node:fs");
    const [count, port, dir] = process.argv.slice(1);
    for (let i = 1; i <= Number(count); i++) {
      const part = (name) => readFileSync(`${dir}/${i}.${name}`, "utf8");
      console.log(JSON.stringify({ step: part("name"), ok: [part("code").trim(), part("text").replaceAll(port, "PORT").replaceAll(dir, "DIR").replaceAll(/PID \d+/g, "PID")] }));
    }' "$count" "$PGPORT" "$out"
  rm -rf "$out"
}
trap tell EXIT
p() { psql -X -v VERBOSITY=verbose -v ON_ERROR_STOP=0 "$@"; }
step schema p -c "DROP SCHEMA IF EXISTS $LAB CASCADE" -c "CREATE SCHEMA $LAB"
export PGOPTIONS="-c search_path=$LAB,public"
step 'tables' p -c "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL DEFAULT 'x', n numeric CHECK (n > 0)); CREATE INDEX t_v ON t (v); CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE SEQUENCE s; CREATE TYPE e AS ENUM ('a', 'b'); COMMENT ON TABLE t IS 'a table'; CREATE VIEW w AS SELECT id FROM t"
for command in '\d' '\d+ t' '\d+ w' '\d+ p' '\d t_v' '\d s' '\dt' '\dv+' '\di' '\ds' '\dT+ e' '\dn' '\dp t' '\ddp' '\du staff' '\dd t' '\df lower' '\da count' '\do ||' '\dC' '\dL' '\dx' '\des' '\dew' '\det' '\drds' '\dy' '\dO' '\dRp' '\dRs' '\dX' '\dA' '\db' '\dF' '\dFd' '\dg staff' '\l template0' '\sv w' '\sf pg_catalog.lower(text)' '\z t' '\dconfig work_mem' '\encoding' '\d no_such_table' '\d crm.customers' '\dP+'; do
  step "$command" p -c "$command"
done
step 'statements and timing' p -Atc 'SELECT 1' -c 'SELECT 2; SELECT 3' -c ''
step 'errors' p -c 'SELEC' -c 'SELECT nothing FROM t' -c 'SELECT 1/0' -c 'INSERT INTO t VALUES (1, NULL)' -c 'SELECT 1'
step 'errdetail and errverbose' p -c "INSERT INTO t VALUES (1, 'a', 1)" -c "INSERT INTO t VALUES (1, 'a', 1)" -c '\errverbose'
printf '10\tten\t1\n11\televen\t2\n' >"$out/data"
step 'copy from a file' p -c "\\copy t FROM '$out/data'" -c 'TABLE t'
step 'copy to a file' p -c "\\copy (SELECT * FROM t ORDER BY id) TO '$out/back' CSV HEADER" -c "\\! cat $out/back"
step 'copy that fails' p -c "\\copy t (id) FROM '$out/data'" -c 'SELECT count(*) FROM t'
cat >"$out/script" <<'SQL'
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO t VALUES (20, 'twenty', 1);
INSERT INTO t VALUES (20, 'again', 1);
SELECT count(*) FROM t;
COMMIT;
\set AUTOCOMMIT off
SELECT 1;
ROLLBACK;
\set AUTOCOMMIT on
SELECT 'a' AS x, 1 AS y \gset v_
\echo :v_x :v_y
SELECT format('SELECT %s AS made', g) FROM generate_series(1, 3) g \gexec
SELECT id, v FROM t ORDER BY id \gdesc
SELECT id, v, n FROM t ORDER BY id \crosstabview id v n
SELECT * FROM t ORDER BY id LIMIT 1 \gx
\set FETCH_COUNT 7
SELECT g FROM generate_series(1, 20) g;
\unset FETCH_COUNT
\if true
COPY t FROM STDIN;
30	thirty	1
\.
\endif
COPY (SELECT id FROM t ORDER BY id) TO STDOUT;
PREPARE q (int) AS SELECT v FROM t WHERE id = $1;
EXECUTE q (30);
LISTEN here; NOTIFY here;
SELECT * FROM crm.customers WHERE id = 27;
\lo_list
\conninfo
SELECT 1 \; SELECT 2;
SET client_min_messages TO notice;
DROP TABLE IF EXISTS never_was;
SELECT 'the end' AS said;
SQL
step 'a script' p -f "$out/script"
step 'a script in one transaction' p -1 -f "$out/script"
step 'large object' p -q -c "\\lo_import '$out/data' 'an object'" -c 'SELECT lo_unlink(max(oid)) FROM pg_largeobject_metadata'
step 'wrong password' env PGPASSWORD=wrong psql -X -c 'SELECT 1'
step 'unknown database' psql -X -d no_such_database -c 'SELECT 1'
step 'unknown user' psql -X -U nobody_here -c 'SELECT 1'
step 'bad option' env PGOPTIONS='-c no_such=1' psql -X -c 'SELECT 1'
step 'clean up' p -c "DROP SCHEMA $LAB CASCADE"
