#!/bin/sh
# Commands of psql that take more than one question, or whose answers change from one moment to the next (their lines are counted).
psql -X -c '\l'
psql -X -c '\l+' | wc -l
psql -X -c '\dconfig+' | wc -l
psql -X -c '\conninfo' | wc -l
psql -X <<'SQL'
SELECT name, price FROM shop.tariffs ORDER BY 1 \gdesc
SELECT id, email FROM crm.customers \gdesc
SELECT 1 AS a \gset
\echo :a
SELECT kind, 'n', n FROM shop.by_kind ORDER BY 1 \crosstabview
SELECT format('SELECT %s', g) FROM generate_series(1, 3) g \gexec
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT count(*) FROM shop.tariffs;
COMMIT;
\copy (SELECT name FROM shop.tariffs ORDER BY 1) TO STDOUT
\set FETCH_COUNT 3
SELECT id FROM shop.products ORDER BY id LIMIT 7;
\dt shop.*
SQL
