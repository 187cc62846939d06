/** A company's database with much that is not protected, and Rowgate in front of it as it is shipped: secure defaults, nothing trusted by name. */

import { CHEAP_LOGINS, serverMajor, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

export const LOGINS = ['agent', 'agent_marketing', 'agent_dba'] as const;
/** `agent` answers the telephone, `agent_marketing` writes reports, `agent_dba` owns what is not protected. All are metered. */
export type Login = (typeof LOGINS)[number];

const SCHEMA = `
  ${CHEAP_LOGINS}
  CREATE ROLE rowgate LOGIN PASSWORD 'secret';
  CREATE ROLE staff;
  CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'secret';
  CREATE ROLE agent LOGIN PASSWORD 'secret' IN ROLE staff;
  CREATE ROLE agent_marketing LOGIN PASSWORD 'secret' IN ROLE staff;
  CREATE ROLE agent_dba LOGIN CREATEROLE PASSWORD 'secret' IN ROLE staff, pg_monitor, pg_signal_backend${serverMajor >= 17 ? ', pg_maintain' : ''};
  CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION btree_gist; CREATE EXTENSION unaccent; CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pgcrypto; CREATE EXTENSION tablefunc;

  CREATE SCHEMA crm;
  CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL, msisdn text NOT NULL, email text NOT NULL, tariff text NOT NULL, city text, since date NOT NULL DEFAULT DATE '2020-01-01');
  INSERT INTO crm.customers SELECT g, 'Customer ' || g, '+420' || (600000000 + g), 'c' || g || '@example.cz', 'tariff ' || g % 5, 'City ' || g % 20, DATE '2015-01-01' + g % 3000 FROM generate_series(1, 2000) g;
  CREATE TABLE crm.invoices (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES crm.customers, amount numeric NOT NULL, issued date NOT NULL);
  INSERT INTO crm.invoices SELECT g, 1 + g % 2000, g % 500, DATE '2026-01-01' + g % 300 FROM generate_series(1, 6000) g;
  CREATE INDEX ON crm.invoices (customer_id);
  CREATE INDEX ON crm.customers (email);
  CREATE FUNCTION crm.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('customers', NEW.id::text); RETURN NULL; END $$;
  CREATE TRIGGER tell AFTER UPDATE ON crm.customers FOR EACH ROW EXECUTE FUNCTION crm.tell();
  CREATE VIEW crm.active AS SELECT id, name, email FROM crm.customers;

  CREATE SCHEMA shop AUTHORIZATION agent_dba;
  SET ROLE agent_dba;
  SET search_path = shop, public;
  CREATE TYPE shop.state AS ENUM ('open', 'waiting', 'closed');
  CREATE TYPE shop.place AS (street text, town text);
  CREATE DOMAIN shop.money_amount AS numeric(12, 2) CHECK (VALUE >= 0);
  CREATE TABLE shop.tariffs (name text PRIMARY KEY, price shop.money_amount NOT NULL, valid daterange NOT NULL DEFAULT '[2020-01-01,)', tags text[] NOT NULL DEFAULT '{}', info jsonb NOT NULL DEFAULT '{}');
  INSERT INTO shop.tariffs (name, price) SELECT 'tariff ' || g, g * 100 FROM generate_series(0, 4) g;
  CREATE TABLE shop.products (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text NOT NULL UNIQUE, price numeric NOT NULL, gross numeric GENERATED ALWAYS AS (price * 1.21) STORED, body tsvector, parent int REFERENCES shop.products);
  INSERT INTO shop.products (label, price, body, parent) SELECT 'Product ' || g, g * 10, to_tsvector('simple', 'product number ' || g), NULLIF(g / 2, 0) FROM generate_series(1, 200) g;
  CREATE TABLE shop.tickets (id bigserial PRIMARY KEY, customer_id int, state shop.state NOT NULL DEFAULT 'open', body text NOT NULL, changed timestamptz NOT NULL DEFAULT now());
  INSERT INTO shop.tickets (customer_id, body) SELECT g, 'ticket ' || g FROM generate_series(1, 300) g;
  CREATE TABLE shop.events (at timestamptz NOT NULL, kind text NOT NULL, size int NOT NULL DEFAULT 0) PARTITION BY RANGE (at);
  CREATE TABLE shop.events_2026_01 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE shop.events_2026_02 PARTITION OF shop.events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO shop.events SELECT timestamptz '2026-01-01 00:00+00' + g * interval '1 hour', 'kind ' || g % 3, g FROM generate_series(0, 1400) g;
  CREATE VIEW shop.dear AS SELECT label, price FROM shop.products WHERE price > 1000;
  CREATE MATERIALIZED VIEW shop.by_kind AS SELECT kind, count(*) AS n, sum(size) AS size FROM shop.events GROUP BY kind;
  CREATE UNIQUE INDEX ON shop.by_kind (kind);
  CREATE SEQUENCE shop.numbers;
  CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := now(); NEW.body := trim(NEW.body); RETURN NEW; END $$;
  CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON shop.tickets FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE FUNCTION shop.price_of(wanted text) RETURNS numeric LANGUAGE sql STABLE AS $$ SELECT price FROM shop.tariffs WHERE name = wanted $$;
  CREATE FUNCTION shop.gross(net numeric, rate numeric DEFAULT 0.21) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN round(net * (1 + rate), 2); END $$;
  CREATE FUNCTION shop.search(words text) RETURNS SETOF shop.products LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY SELECT * FROM shop.products p WHERE p.body @@ plainto_tsquery('simple', words); END $$;
  CREATE PROCEDURE shop.close_old() LANGUAGE plpgsql AS $$ BEGIN UPDATE shop.tickets SET state = 'closed' WHERE changed < now() - interval '1 year'; END $$;
  CREATE AGGREGATE shop.product_of (numeric) (SFUNC = numeric_mul, STYPE = numeric);
  ALTER TABLE shop.tickets ENABLE ROW LEVEL SECURITY;
  CREATE POLICY all_of_them ON shop.tickets USING (true);
  COMMENT ON TABLE shop.tariffs IS 'what we sell';
  CREATE STATISTICS shop.together (dependencies) ON label, price FROM shop.products;
  CREATE RULE quiet AS ON DELETE TO shop.dear DO INSTEAD NOTHING;
  RESET ROLE; RESET search_path;
  CREATE TABLE shop.orders (id int PRIMARY KEY, customer_id int NOT NULL, note text);
  INSERT INTO shop.orders SELECT g, g FROM generate_series(1, 100) g;
  CREATE TABLE shop.outbox (order_id int NOT NULL); CREATE TABLE shop.visits (at timestamptz NOT NULL DEFAULT now());
  CREATE FUNCTION shop.send_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM crm.customers WHERE id = NEW.customer_id AND tariff = 'tariff 1') THEN INSERT INTO shop.outbox VALUES (NEW.id); END IF; RETURN NULL; END $$;
  CREATE TRIGGER send_out AFTER INSERT OR UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.send_out();
  CREATE FUNCTION shop.check_in(who int) RETURNS SETOF boolean LANGUAGE plpgsql AS $$ BEGIN IF NOT EXISTS (SELECT FROM crm.customers WHERE id = who) THEN RETURN NEXT false; RETURN; END IF; INSERT INTO shop.visits DEFAULT VALUES; RETURN NEXT true; END $$;
  GRANT USAGE ON SCHEMA crm, shop TO staff;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm, shop TO staff;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO staff;
  GRANT CREATE ON DATABASE postgres TO agent_dba; GRANT CREATE ON SCHEMA public TO staff; GRANT TEMPORARY ON DATABASE postgres TO staff;
  ANALYZE;
`;

export interface Office {
  readonly postgres: TestPostgres;
  readonly rowgate: TestRowgate;
  /** Units that statements have cost since the start. */
  used(): Promise<number>;
  stop(): Promise<void>;
}

export async function openOffice(): Promise<Office> {
  const postgres = await startPostgres(['-c', 'max_prepared_transactions=5']);
  const admin = await postgres.connect();
  await admin.query(SCHEMA);
  await admin.end();
  const rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 20000, action: block }]' });
  return {
    postgres, rowgate,
    async used() {
      // The counters of quotas hold what sessions keep ready, too.
      const values = (await rowgate.metrics()).matchAll(/^rowgate_units_total\{.*\} (\d+)$/gm);
      return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
    },
    async stop() {
      await rowgate.stop();
      await postgres.stop();
    },
  };
}
