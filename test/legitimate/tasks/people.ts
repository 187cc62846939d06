/** Support and marketing: what costs units costs exactly these, and no more. */

import { metered, work, type Workload } from './case.ts';

export const SUPPORT: Workload = {
  title: 'support',
  login: 'agent',
  work: [
    metered(1, 'looks a customer up by number', 'SELECT * FROM crm.customers WHERE id = 42'),
    metered(1, 'looks a customer up by telephone', `SELECT id, name, tariff FROM crm.customers WHERE msisdn = '+420600000042'`),
    metered(1, 'finds nobody', `SELECT * FROM crm.customers WHERE email = 'nobody@example.cz'`),
    metered(1, 'asks by a view', 'SELECT * FROM crm.active WHERE id = 7'),
    metered(3, 'reads the invoices of a customer', 'SELECT c.name, i.amount, i.issued FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id WHERE c.id = 42 ORDER BY i.issued'),
    metered(1, 'adds the invoices of a customer up', 'SELECT sum(amount) FROM crm.invoices WHERE customer_id = 42'),
    metered(1, 'joins a customer with the tariff', 'SELECT c.name, t.price FROM crm.customers c JOIN shop.tariffs t ON t.name = c.tariff WHERE c.id = 42'),
    metered(1, 'left joins tickets', `SELECT c.name, k.body FROM crm.customers c LEFT JOIN shop.tickets k ON k.customer_id = c.id WHERE c.id = 42`),
    metered(10, 'searches by name', `SELECT id, name FROM crm.customers WHERE name ILIKE 'customer 10%' ORDER BY name LIMIT 10`),
    metered(1, 'changes a tariff', `UPDATE crm.customers SET tariff = 'tariff 2' WHERE id = 42`),
    metered(1, 'changes a tariff and reads the row back', `UPDATE crm.customers SET tariff = 'tariff 2' WHERE id = 42 RETURNING id, tariff`),
    metered(3, 'takes a new customer in and out again', `INSERT INTO crm.customers VALUES (90001, 'New', '+420', 'n@example.cz', 'tariff 1') RETURNING id`, 'UPDATE crm.customers SET city = NULL WHERE id = 90001', 'DELETE FROM crm.customers WHERE id = 90001'),
    metered(1, 'locks a row to change it', 'BEGIN', 'SELECT id FROM crm.customers WHERE id = 42 FOR UPDATE', 'COMMIT'),
    metered(1, 'asks whether somebody is there', 'SELECT EXISTS (SELECT 1 FROM crm.customers WHERE id = 42)'),
    metered(1, 'counts', 'SELECT count(*) FROM crm.invoices WHERE customer_id = 42'),
    work('lists tariffs', 'SELECT * FROM shop.tariffs ORDER BY price', 'TABLE shop.tariffs'),
    work('works on tickets', `INSERT INTO shop.tickets (customer_id, body) VALUES (42, '  no signal ') RETURNING state, body`, `UPDATE shop.tickets SET state = 'closed' WHERE customer_id = 42`, `DELETE FROM shop.tickets WHERE body = 'no signal'`),
    work('calls functions of the house', `SELECT shop.price_of('tariff 2'), shop.gross(100), shop.gross(100, 0.1)`, `SELECT label FROM shop.search('product number 7')`, 'SELECT label, shop.gross(price) FROM shop.products ORDER BY id LIMIT 5'),
    work('asks in every way of SQL', 'WITH d AS (SELECT * FROM shop.dear) SELECT count(*), max(price) FROM d', 'SELECT label FROM shop.products p WHERE EXISTS (SELECT 1 FROM shop.products c WHERE c.parent = p.id) ORDER BY id FETCH FIRST 5 ROWS ONLY', 'SELECT kind, sum(size) OVER w, rank() OVER w FROM shop.by_kind WINDOW w AS (ORDER BY size)', `SELECT x FROM generate_series(1, 3) x UNION ALL VALUES (4) EXCEPT SELECT 2 ORDER BY 1`, 'SELECT DISTINCT ON (kind) kind, at FROM shop.events ORDER BY kind, at', 'SELECT t.name, l.n FROM shop.tariffs t, LATERAL (SELECT count(*) n FROM shop.products p WHERE p.price > t.price) l ORDER BY 1'),
    work('a tree of products', `WITH RECURSIVE up AS (SELECT id, parent, label, 1 AS depth FROM shop.products WHERE id = 200 UNION ALL SELECT p.id, p.parent, p.label, depth + 1 FROM up JOIN shop.products p ON p.id = up.parent) SELECT string_agg(label, ' < ' ORDER BY depth) FROM up`),
    work('JSON, arrays, ranges, text search', `SELECT json_agg(t ORDER BY name) FROM shop.tariffs t`, `SELECT jsonb_build_object('a', array_agg(label ORDER BY id)) FROM shop.products WHERE id < 4`, `SELECT name FROM shop.tariffs WHERE valid @> current_date AND NOT tags && ARRAY['old'] AND info -> 'x' IS NULL ORDER BY 1`, `SELECT ts_headline('simple', label, to_tsquery('simple', 'product')) FROM shop.products WHERE body @@ to_tsquery('simple', '7 | 8') ORDER BY id`, `SELECT label FROM shop.products WHERE label % 'Produkt 7' ORDER BY similarity(label, 'Produkt 7') DESC, label LIMIT 3`, `SELECT JSON_VALUE('{"a": 1}', '$.a'), JSON_QUERY('[1, 2]', '$[*]' WITH WRAPPER), 'x' IS JSON`, `SELECT * FROM JSON_TABLE('[{"a": 1}]', '$[*]' COLUMNS (a int PATH '$.a'))`, `SELECT xmlelement(name a, 1), xmlforest(1 AS b), xmlparse(content '<a/>')`),
    work('functions of extensions', `SELECT unaccent('čau'), 'a=>1'::hstore -> 'a', 'A'::citext = 'a'::citext, length(uuid_generate_v4()::text), encode(digest('x', 'sha256'), 'hex')`, 'SELECT count(*) FROM normal_rand(3, 0, 1)'),
    work('a cursor over what is not protected', 'BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT label FROM shop.products ORDER BY id', 'FETCH 10 c', 'FETCH BACKWARD 3 c', 'MOVE ABSOLUTE 50 IN c', 'FETCH RELATIVE 2 c', 'CLOSE c', 'COMMIT'),
    work('a cursor WITH HOLD', 'BEGIN', 'DECLARE h CURSOR WITH HOLD FOR SELECT label FROM shop.products', 'COMMIT', 'FETCH FORWARD 20 h', 'CLOSE h'),
    work('COPY of what is not protected', 'COPY shop.tariffs TO STDOUT', `COPY (SELECT label, price FROM shop.products) TO STDOUT (FORMAT csv, HEADER)`, 'COPY shop.products (label) TO STDOUT (FORMAT binary)'),
    work('prepared statements', 'PREPARE p (int) AS SELECT label FROM shop.products WHERE id = $1', 'EXECUTE p (3)', 'EXPLAIN EXECUTE p (3)', 'DEALLOCATE p'),
    work('LISTEN and NOTIFY between programs', 'LISTEN tickets', `NOTIFY tickets`, 'SELECT 1', 'UNLISTEN *'),
    work('NOTIFY with a payload, for others', `NOTIFY tickets, 'changed'`, `SELECT pg_notify('tickets', 'changed')`),
    // Where a payload came from cannot be told at its reader.
    metered(2, 'a notification with a payload', 'LISTEN tickets', `NOTIFY tickets, 'changed'`, 'SELECT 1', 'UNLISTEN *'),
  ],
};

export const MARKETING: Workload = {
  title: 'marketing',
  login: 'agent_marketing',
  work: [
    metered(5, 'customers by tariff', 'SELECT tariff, count(*) FROM crm.customers GROUP BY tariff ORDER BY tariff'),
    metered(1, 'one customer\'s invoices in a line', `SELECT string_agg(amount::text, ', ' ORDER BY issued) FROM crm.invoices WHERE customer_id = 7`),
    metered(5, 'one customer\'s row as JSON', 'SELECT json_agg(c) FROM crm.customers c WHERE c.id = 7'),
    metered(11, 'a few customers with their invoices', 'SELECT customer_id, array_agg(amount ORDER BY id) FROM crm.invoices WHERE customer_id BETWEEN 10 AND 20 GROUP BY customer_id'),
    work('names of tariffs in an array', `SELECT array_agg(name ORDER BY name), string_agg(name, ', '), json_agg(price) FROM shop.tariffs`),
    metered(15, 'turnover with an average that is rounded', 'SELECT EXTRACT(month FROM issued), sum(amount), avg(amount), min(issued) FROM crm.invoices GROUP BY 1 ORDER BY 1 LIMIT 5'),
    metered(15, 'customers by tariff, first and last', 'SELECT tariff, count(*), min(since), max(since) FROM crm.customers GROUP BY tariff ORDER BY 1'),
    metered(10, 'turnover by tariff', 'SELECT c.tariff, count(*), sum(i.amount) FROM crm.invoices i JOIN crm.customers c ON c.id = i.customer_id GROUP BY c.tariff ORDER BY 1'),
    metered(10, 'turnover by month', `SELECT date_trunc('month', issued), sum(amount) FROM crm.invoices GROUP BY 1 ORDER BY 1`),
    // One more for the count in HAVING.
    metered(40, 'customers by city', 'SELECT city, count(*) FROM crm.customers GROUP BY city HAVING count(*) > 10 ORDER BY 2 DESC'),
    metered(1, 'how many', 'SELECT count(*) FROM crm.customers'),
    metered(1, 'how many with a condition', `SELECT count(*) FILTER (WHERE since > DATE '2019-01-01') FROM crm.customers`),
    metered(5, 'the average', 'SELECT tariff, avg(id) FROM crm.customers GROUP BY 1'),
    metered(2, 'a share', `SELECT round(100.0 * count(*) FILTER (WHERE tariff = 'tariff 1') / count(*), 1) FROM crm.customers`),
    metered(5, 'the tariffs and how many have them', 'SELECT t.name, t.price, (SELECT count(*) FROM crm.customers c WHERE c.tariff = t.name) FROM shop.tariffs t ORDER BY 1'),
    metered(5, 'the tariffs and how many have them, by a join', 'SELECT t.name, t.price, count(c.id) FROM shop.tariffs t LEFT JOIN crm.customers c ON c.tariff = t.name GROUP BY t.name, t.price ORDER BY 1'),
    metered(100, 'the first hundred', 'SELECT id, name FROM crm.customers ORDER BY id LIMIT 100'),
    metered(100, 'a page with row numbers', 'SELECT row_number() OVER (ORDER BY id), id FROM crm.customers ORDER BY id LIMIT 100'),
    // DECLARE tells of the unit that the first row uses.
    metered(51, 'a cursor of fifty', 'BEGIN', 'DECLARE c CURSOR FOR SELECT id, email FROM crm.customers', 'FETCH 50 c', 'CLOSE c', 'COMMIT'),
    metered(20, 'a file of twenty', 'COPY (SELECT id, name FROM crm.customers WHERE id <= 20) TO STDOUT (FORMAT csv)'),
    work('reports over what is not protected', 'SELECT kind, count(*), sum(size), avg(size), min(at), max(at), stddev(size) FROM shop.events GROUP BY ROLLUP (kind)', `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY size), mode() WITHIN GROUP (ORDER BY kind) FROM shop.events`, 'SELECT kind, size FROM shop.by_kind ORDER BY size DESC', 'SELECT shop.product_of(x) FROM (VALUES (2.0), (3.0)) v(x)'),
    work('temporary tables of what is not protected', 'CREATE TEMP TABLE mine AS SELECT * FROM shop.products WHERE id < 50', 'CREATE INDEX ON mine (label)', 'ANALYZE mine', 'INSERT INTO mine (label, price) VALUES (\'x\', 1)', 'SELECT count(*) FROM mine', 'DROP TABLE mine', 'SELECT label INTO TEMP other FROM shop.products', 'SELECT count(*) FROM other', 'DROP TABLE other', 'CREATE TEMP VIEW v AS SELECT 1 AS a', 'SELECT * FROM v', 'DROP VIEW v'),
    work('an own table, filled from constants', 'CREATE TABLE public.campaign (id int PRIMARY KEY, name text)', `INSERT INTO public.campaign VALUES (1, 'spring'), (2, 'autumn') ON CONFLICT DO NOTHING`, `MERGE INTO public.campaign c USING (VALUES (2, 'winter')) v(id, name) ON c.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)`, 'SELECT * FROM public.campaign ORDER BY id', 'TRUNCATE public.campaign', 'DROP TABLE public.campaign'),
    work('plans of statements that are not protected', 'EXPLAIN SELECT * FROM shop.products WHERE id = 1', 'EXPLAIN (COSTS OFF, FORMAT JSON) SELECT * FROM shop.products', 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF, BUFFERS OFF) SELECT count(*) FROM shop.tariffs'),
  ],
};
