#!/bin/sh
# Runs once, when the database is made: Rowgate's login, an employee, and a table that is worth protecting.
set -eu
psql -v ON_ERROR_STOP=1 -v rowgate="$ROWGATE_PASSWORD" -v agent="$AGENT_PASSWORD" -U postgres <<'SQL'
SET password_encryption = 'scram-sha-256';
CREATE ROLE rowgate LOGIN PASSWORD :'rowgate';
CREATE ROLE agent LOGIN PASSWORD :'agent';
CREATE SCHEMA crm;
CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);
INSERT INTO crm.customers SELECT g, 'Customer ' || g, 'c' || g || '@example.com' FROM generate_series(1, 10000) g;
GRANT USAGE ON SCHEMA crm TO agent;
GRANT SELECT ON crm.customers TO agent;
SQL
