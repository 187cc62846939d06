/** A small CRM, with most of the ways in which a table's rows can be reached under another name. */
export const CRM_SCHEMA = `
  CREATE SCHEMA crm;
  CREATE SCHEMA audit;
  CREATE SCHEMA shadow;
  CREATE EXTENSION pg_trgm;
  CREATE EXTENSION pgcrypto;
  CREATE EXTENSION dblink;
  CREATE EXTENSION postgres_fdw;

  CREATE TABLE crm.customers (id int PRIMARY KEY, name text, phone text, region text, notes text);
  CREATE TABLE crm.invoices (id int PRIMARY KEY, customer_id int REFERENCES crm.customers ON DELETE CASCADE, amount numeric, issued date);
  CREATE TABLE crm.contact_mail (id int, customer_id int, mail text);
  CREATE TABLE crm.calls (id int, customer_id int, at date) PARTITION BY RANGE (at);
  CREATE TABLE crm.calls_2024 PARTITION OF crm.calls FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
  CREATE TABLE public.calls_2025 (id int, customer_id int, at date);
  ALTER TABLE crm.calls ATTACH PARTITION public.calls_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE public.person (id int, name text);
  CREATE TABLE crm.vip () INHERITS (crm.customers);
  CREATE TABLE crm.staff (desk text) INHERITS (public.person);
  CREATE TABLE public.products (id int PRIMARY KEY, title text);
  CREATE TABLE public.notes (id int PRIMARY KEY, body text);
  CREATE TABLE audit.log (id int, what text);
  CREATE TABLE shadow.products (id int);
  CREATE TABLE shadow."odd.name*" (id int);
  CREATE SEQUENCE public.ticket;

  CREATE VIEW crm.customer_view AS SELECT id, name FROM crm.customers;
  CREATE VIEW public.view_over_view AS SELECT v.name, i.amount FROM crm.customer_view v JOIN crm.invoices i ON i.customer_id = v.id;
  CREATE VIEW public.packed AS SELECT region, json_agg(c) AS everybody FROM crm.customers c GROUP BY region;
  CREATE VIEW public.twice AS SELECT a.name, b.name AS other FROM crm.customers a, crm.customers b;
  CREATE VIEW public.product_view AS SELECT lower(title) AS title FROM public.products;
  CREATE VIEW public.xml_view AS SELECT query_to_xml('SELECT 1', true, true, '');
  CREATE MATERIALIZED VIEW public.customer_copy AS SELECT * FROM crm.customers;

  CREATE FUNCTION public.mystery(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE ''SELECT '' || $1; RETURN 1; END';
  CREATE FUNCTION public.trusted_one(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION crm.find_customer(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM crm.customers WHERE id = $1';
  CREATE FUNCTION shadow.lower(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN $1; END';
  CREATE FUNCTION public.full_name(crm.customers) RETURNS text LANGUAGE plpgsql AS 'BEGIN EXECUTE $1.name; RETURN $1.name; END';
  CREATE FUNCTION public.log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE NEW.name; RETURN NEW; END';
  CREATE VIEW public.mystery_view AS SELECT public.mystery(id) FROM public.products;
  CREATE TABLE public.triggered (id int, name text);
  CREATE TRIGGER watch BEFORE INSERT OR UPDATE ON public.triggered FOR EACH ROW EXECUTE FUNCTION public.log_it();
  CREATE TABLE public.ruled (id int);
  CREATE RULE divert AS ON INSERT TO public.ruled DO ALSO INSERT INTO audit.log SELECT c.id, c.name FROM crm.customers c;
  CREATE TABLE public.answering (id int);
  CREATE RULE answer AS ON UPDATE TO public.answering DO INSTEAD SELECT query_to_xml('SELECT 1', true, true, '');
  CREATE TABLE public.defaulted (id int DEFAULT public.mystery(1));
  CREATE DOMAIN public.checked AS int CHECK (public.mystery(VALUE) > 0);
  CREATE DOMAIN public.plain AS int CHECK (VALUE > 0);
  CREATE TYPE public.mood AS ENUM ('good', 'bad');
  CREATE TYPE public.pair AS (a int, b public.checked);

  CREATE FUNCTION shadow.same(public.mood, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN EXECUTE $2; RETURN true; END';
  CREATE OPERATOR public.= (LEFTARG = public.mood, RIGHTARG = text, FUNCTION = shadow.same);
  CREATE OPERATOR public.<~~> (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
  CREATE OPERATOR public.<!!> (LEFTARG = public.mood, RIGHTARG = text, FUNCTION = shadow.same);
  CREATE TABLE public.moods (id int, m public.mood);

  CREATE TABLE public.guarded (id int);
  ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON public.guarded USING (public.mystery(id) = 1);

  CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost');
  CREATE FOREIGN TABLE public.far (id int) SERVER elsewhere;
  CREATE FOREIGN TABLE crm.far_customers (id int) SERVER elsewhere;

  CREATE ROLE support; CREATE ROLE tier1; CREATE ROLE anna LOGIN; CREATE ROLE boss LOGIN SUPERUSER;
  GRANT tier1 TO anna; GRANT support TO tier1;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
`;
