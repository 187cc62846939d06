/**
 * The test bed of `test/attacks`: a customer base with canary tokens, one Rowgate in front of it, and a login of its own
 * for each run of a technique, so that every run starts with a full quota.
 */

import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from 'pg';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { startRowgate, type TestRowgate } from './rowgate.ts';
import { WireClient, type WireTarget } from './wire-client.ts';

export const QUOTA = 200;
export const CUSTOMERS = 5_000;
const LOGINS = 150;
const TOKEN = /cnry-\d{6}-[0-9a-f]{8}/g;

/** Who attacks: `agent` has the secure default, `lax` denies nothing. */
export type Role = 'agent' | 'lax';

export interface Attacker {
  /** A name that no other run uses, for relations and functions. */
  readonly own: string;
  readonly user: string;
  readonly direct: boolean;
  readonly port: number;
  readonly bed: TestBed;
  connect(options?: Partial<WireTarget>): Promise<WireClient>;
  /** Bytes that were decoded from an encoding that hides tokens. */
  decoded: string;
}

export interface TestBed {
  readonly postgres: TestPostgres;
  readonly rowgate: TestRowgate;
  readonly admin: Client;
  /** Tokens by id. */
  readonly tokens: ReadonlyMap<number, string>;
}

async function makeBase(postgres: TestPostgres): Promise<void> {
  const admin = await postgres.connect();
  await admin.query(`
    SET password_encryption = 'scram-sha-256'; SET scram_iterations = 1;
    CREATE ROLE rowgate LOGIN PASSWORD 'secret';
    CREATE ROLE staff;
    CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'secret';
    CREATE ROLE agent LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE temp LOGIN PASSWORD 'secret' IN ROLE staff;
    DO $$ BEGIN FOR i IN 1..${LOGINS * 2} LOOP
      EXECUTE format('CREATE ROLE agent_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret');
      EXECUTE format('CREATE ROLE lax_%s LOGIN PASSWORD %L IN ROLE staff', i, 'secret');
    END LOOP; END $$;
    CREATE SCHEMA crm;
    CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL, msisdn text NOT NULL, email text NOT NULL, tariff text NOT NULL);
    INSERT INTO crm.customers SELECT g, 'Customer ' || g, '+420' || (600000000 + g), 'cnry-' || lpad(g::text, 6, '0') || '-' || substr(md5('salt' || g), 1, 8), 'tariff ' || g % 5 FROM generate_series(1, ${CUSTOMERS}) g;
    CREATE TABLE crm.invoices (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES crm.customers, amount numeric NOT NULL);
    INSERT INTO crm.invoices SELECT g, 1 + g % ${CUSTOMERS}, g * 10 FROM generate_series(1, ${CUSTOMERS}) g;
    CREATE VIEW crm.active AS SELECT id, name, email FROM crm.customers;
    CREATE TABLE public.tariffs (name text PRIMARY KEY, price numeric);
    INSERT INTO public.tariffs SELECT 'tariff ' || g, g * 100 FROM generate_series(0, 4) g;
    CREATE TABLE public.notes (id serial PRIMARY KEY, body text);
    CREATE SEQUENCE public.counter;
    GRANT USAGE ON SCHEMA crm TO staff;
    GRANT ALL ON ALL TABLES IN SCHEMA crm, public TO staff;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO staff;
    GRANT CREATE ON SCHEMA public TO staff;
    GRANT CREATE, TEMPORARY ON DATABASE postgres TO staff;
    ANALYZE;
  `);
  await admin.end();
}

export interface BedOptions {
  /** More SQL for the base, run by the superuser. */
  readonly sql?: string;
  /** `packed_unit_bytes` of the class; the default if left out. */
  readonly packedUnitBytes?: number;
  /** More top-level YAML. */
  readonly extra?: string;
}

/** Starts the servers of a test file. Call at its top. */
export function useTestBed(options: BedOptions = {}): () => TestBed {
  let bed: TestBed | undefined;
  beforeAll(async () => {
    const postgres = await startPostgres();
    await makeBase(postgres);
    const admin = await postgres.connect();
    if (options.sql !== undefined) await admin.query(options.sql);
    const { rows } = await admin.query<{ id: number; email: string }>('SELECT id, email FROM crm.customers');
    const rowgate = await startRowgate({
      postgresPort: postgres.port,
      ...(options.packedUnitBytes === undefined ? {} : { packedUnitBytes: options.packedUnitBytes }),
      ...(options.extra === undefined ? {} : { extra: options.extra }),
      quotas: `[{ class: customers, window: 1h, rows: ${QUOTA}, action: block }]
  lax:
    members: ["lax_*"]
    deny: []
    quotas: [{ class: customers, window: 1h, rows: ${QUOTA}, action: block }]`,
    });
    bed = { postgres, rowgate, admin, tokens: new Map(rows.map(({ id, email }) => [id, email])) };
  });
  afterAll(async () => {
    await bed?.admin.end();
    await bed?.rowgate.stop();
    await bed?.postgres.stop();
  });
  return () => bed as TestBed;
}

let logins = 0;

/** Distinct customers whose token is in what was received. */
export function countTokens(bytes: readonly Buffer[], tokens: ReadonlyMap<number, string>, decoded = ''): number {
  const known = new Set(tokens.values());
  const found = new Set<string>();
  const take = (text: string): void => {
    for (const [token] of text.matchAll(TOKEN)) if (known.has(token)) found.add(token);
  };
  for (const each of bytes) take(each.toString('latin1'));
  take(decoded);
  return found.size;
}

export type Technique = (attacker: Attacker) => Promise<void>;

export interface Outcome {
  readonly tokens: number;
  readonly clients: readonly WireClient[];
}

/** Runs a technique once, directly or through Rowgate, with a login of its own. */
export async function carryOut(bed: TestBed, role: Role, direct: boolean, technique: Technique): Promise<Outcome> {
  const clients: WireClient[] = [];
  const number = ++logins;
  const user = `${role}_${number}`;
  const port = direct ? bed.postgres.port : bed.rowgate.port;
  const attacker: Attacker = {
    own: `own_${number}`, user, direct, port, bed, decoded: '',
    async connect(options = {}) {
      const client = await WireClient.connect({ port, user, ...options });
      clients.push(client);
      return client;
    },
  };
  await technique(attacker);
  const tokens = countTokens(clients.map((client) => client.received()), bed.tokens, attacker.decoded);
  for (const client of clients) client.destroy();
  return { tokens, clients };
}

/** The test of one technique: it works on the bare server, and Rowgate bounds it. */
export function attack(bed: () => TestBed, name: string, technique: Technique, role: Role = 'agent', least = QUOTA + 1): void {
  test(`${name} [${role}]`, async () => {
    const direct = await carryOut(bed(), role, true, technique);
    const through = await carryOut(bed(), role, false, technique);
    const table = process.env['ROWGATE_ATTACK_TABLE'];
    if (table !== undefined) appendFileSync(table, `| ${name} | ${role} | ${direct.tokens} | ${through.tokens} | ${through.tokens <= QUOTA ? 'bounded' : 'LEAK'} |\n`);
    expect(direct.tokens, 'the technique works on the bare server').toBeGreaterThanOrEqual(least);
    expect(through.tokens, 'customers that came through Rowgate').toBeLessThanOrEqual(QUOTA);
  });
}

/** A technique that runs statements one after another on one connection. */
export function statements(...sql: readonly (string | ((attacker: Attacker) => string))[]): Technique {
  return async (attacker) => {
    const client = await attacker.connect();
    for (const each of sql) await client.query(typeof each === 'string' ? each : each(attacker));
  };
}
