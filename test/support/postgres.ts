/** A real PostgreSQL for tests, in a directory of its own. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { EmbeddedPostgres, majorVersion, reachableTmpdir } from '../../src/cli/demo/embedded-postgres.ts';
import { freePort } from './free-port.ts';

/** The programs of another version, which `npm run matrix` names. */
const BINARIES = process.env['ROWGATE_TEST_POSTGRES'];
export const serverMajor = majorVersion(BINARIES);
/** Makes logins cheap where the server can (PostgreSQL 16): one iteration instead of 4,096. */
export const CHEAP_LOGINS = `SET password_encryption = 'scram-sha-256'; ${serverMajor >= 16 ? 'SET scram_iterations = 1;' : ''}`;

export interface TestPostgres {
  readonly port: number;
  connect(user?: string, database?: string): Promise<Client>;
  stop(): Promise<void>;
}

export async function startPostgres(flags: readonly string[] = [], binaries = BINARIES): Promise<TestPostgres> {
  const directory = mkdtempSync(join(reachableTmpdir(), 'rowgate-pg-'));
  // As root, the server runs as another user, who must come through here.
  chmodSync(directory, 0o711);
  const port = await freePort();
  const server = new EmbeddedPostgres({ directory, port, superuser: 'postgres', password: 'secret', settings: { max_connections: '500' }, flags, binaries });
  await server.start();
  return {
    port,
    async connect(user = 'postgres', database = 'postgres') {
      const client = new Client({ host: '127.0.0.1', port, user, password: 'secret', database });
      await client.connect();
      return client;
    },
    async stop() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Logins `agent` (support), `agent_2`, `temp` (in no role), `dba`, `rowgate` (catalog), and a small customer base of `count` people. */
export async function makeCustomerBase(postgres: TestPostgres, count: number): Promise<void> {
  const admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE rowgate LOGIN PASSWORD 'secret';
    CREATE ROLE staff;
    CREATE ROLE agent LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_2 LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE agent_3 LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE temp LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'secret';
    CREATE SCHEMA crm;
    CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL, msisdn text NOT NULL, email text NOT NULL, tariff text NOT NULL);
    INSERT INTO crm.customers SELECT g, 'Customer ' || g, '+420' || (600000000 + g), 'c' || g || '@example.cz', 'tariff ' || g % 5 FROM generate_series(1, ${count}) g;
    CREATE TABLE crm.invoices (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES crm.customers, amount numeric NOT NULL);
    INSERT INTO crm.invoices SELECT g, 1 + g % ${count}, g * 10 FROM generate_series(1, ${count}) g;
    CREATE VIEW crm.active AS SELECT id, name, email FROM crm.customers;
    CREATE TABLE public.tariffs (name text PRIMARY KEY, price numeric);
    INSERT INTO public.tariffs SELECT 'tariff ' || g, g * 100 FROM generate_series(0, 4) g;
    CREATE TABLE public.notes (id serial PRIMARY KEY, body text);
    GRANT USAGE ON SCHEMA crm TO staff;
    GRANT ALL ON ALL TABLES IN SCHEMA crm, public TO staff;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO staff;
    GRANT CREATE ON SCHEMA public TO staff;
    ANALYZE;
  `);
  await admin.end();
}
