/**
 * The test bed of `test/attacks`: a customer base with canary tokens, Rowgate in front of it, and a login of its own
 * for each run of a technique, so that every run starts with a full quota. Knows nothing of vitest: the tests and
 * `npm run attacks` run the same lists of techniques (`test/attacks/techniques`).
 */

import { rmSync } from 'node:fs';
import type { Client } from 'pg';
import { countTokens } from './canaries.ts';
import { CHEAP_LOGINS, startPostgres, type TestPostgres } from './postgres.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { startRowgate, type TestRowgate } from './rowgate.ts';
import { WireClient, type WireTarget } from './wire-client.ts';

export const QUOTA = 200;
export const CUSTOMERS = 5_000;
const LOGINS = 250;

/** Who attacks: `agent` has the secure default, `lax` denies nothing. */
export type Role = 'agent' | 'lax';

export interface Attacker {
  /** A name that no other run uses, for relations and functions. */
  readonly own: string;
  readonly user: string;
  readonly direct: boolean;
  readonly port: number;
  readonly bed: TestBed;
  /** As many customers as a technique has to bring that brings them one by one: more than its quota allows. */
  readonly customers: number;
  connect(options?: Partial<WireTarget>): Promise<WireClient>;
  /** Bytes that were decoded from an encoding that hides tokens. */
  decoded: string;
}

export interface TestBed {
  readonly postgres: TestPostgres;
  readonly rowgate: TestRowgate;
  readonly rowgates: readonly TestRowgate[];
  readonly admin: Client;
  /** Tokens by id. */
  readonly tokens: ReadonlyMap<number, string>;
  /** The number of a login that nobody has used. */
  nextLogin(): number;
  stop(): Promise<void>;
}

async function makeBase(postgres: TestPostgres): Promise<void> {
  const admin = await postgres.connect();
  await admin.query(`
    ${CHEAP_LOGINS}
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
  /** What errors and notices show the role `lax`. */
  readonly errors?: 'full';
  /** More top-level YAML. */
  readonly extra?: string;
  /** Rowgate processes; more than one share a Redis, and connections go to them in turn. */
  readonly processes?: number;
  /** Files that techniques let the server write. */
  readonly files?: readonly string[];
}

/** Starts the servers of a suite. */
export async function startBed(options: BedOptions = {}): Promise<TestBed> {
  const postgres = await startPostgres();
  await makeBase(postgres);
  const admin = await postgres.connect();
  if (options.sql !== undefined) await admin.query(options.sql);
  const { rows } = await admin.query<{ id: number; email: string }>('SELECT id, email FROM crm.customers');
  const processes = options.processes ?? 1;
  let logins = 0;
  const redis: TestRedis | undefined = processes > 1 ? await startRedis() : undefined;
  const rowgates = await Promise.all(Array.from({ length: processes }, () => startRowgate({
    postgresPort: postgres.port,
    ...(redis === undefined ? {} : { store: `{ redis: "${redis.url}" }` }),
    ...(options.packedUnitBytes === undefined ? {} : { packedUnitBytes: options.packedUnitBytes }),
    ...(options.extra === undefined ? {} : { extra: options.extra }),
    quotas: `[{ class: customers, window: 1h, rows: ${QUOTA}, action: block }]
  lax:
    members: ["lax_*"]
    deny: []${options.errors === undefined ? '' : `\n    errors: ${options.errors}`}
    quotas: [{ class: customers, window: 1h, rows: ${QUOTA}, action: block }]`,
  })));
  return {
    postgres, rowgate: rowgates[0] as TestRowgate, rowgates, admin, tokens: new Map(rows.map(({ id, email }) => [id, email])),
    nextLogin: () => ++logins,
    async stop() {
      await admin.end();
      await Promise.all(rowgates.map((each) => each.stop()));
      await redis?.stop();
      await postgres.stop();
      for (const file of options.files ?? []) rmSync(file, { force: true });
    },
  };
}

export type Technique = (attacker: Attacker) => Promise<void>;

export interface Outcome {
  readonly tokens: number;
  readonly clients: readonly WireClient[];
}

/** Runs a technique once, directly or through Rowgate, with a login of its own that has used up `spent` units already (directly: would have). */
export async function carryOut(bed: TestBed, role: Role, direct: boolean, technique: Technique, spent = 0): Promise<Outcome> {
  const clients: WireClient[] = [];
  const number = bed.nextLogin();
  const user = `${role}_${number}`;
  const ports = direct ? [bed.postgres.port] : bed.rowgates.map((each) => each.port);
  const port = ports[0] as number;
  if (!direct && spent > 0) {
    const before = await WireClient.connect({ port, user });
    await before.query(`SELECT id FROM crm.customers LIMIT ${spent}`);
    await before.end();
  }
  const attacker: Attacker = {
    own: `own_${number}`, user, direct, port, bed, customers: QUOTA - spent + 10, decoded: '',
    async connect(options = {}) {
      const client = await WireClient.connect({ port: ports[clients.length % ports.length] as number, user, ...options });
      clients.push(client);
      return client;
    },
  };
  await technique(attacker);
  const tokens = countTokens(clients.map((client) => client.received()), bed.tokens, attacker.decoded);
  for (const client of clients) client.destroy();
  return { tokens, clients };
}

/** A technique that runs statements one after another on one connection. */
export function statements(...sql: readonly (string | ((attacker: Attacker) => string))[]): Technique {
  return async (attacker) => {
    const client = await attacker.connect();
    for (const each of sql) await client.query(typeof each === 'string' ? each : each(attacker));
  };
}

/** Classes of techniques: those of the threat model (docs/threat-model.md). */
export type TechniqueClass =
  | 'volume' | 'cursors and portals' | 'COPY' | 'packing' | 'width' | 'encodings of values' | 'derived copies' | 'names' | 'opaque code' | 'errors'
  | 'side channels' | 'side doors' | 'prepared world' | 'parser differentials' | 'attribution' | 'blind questions' | 'hostile combinations';

export interface Attack {
  readonly name: string;
  readonly group: string;
  readonly techniqueClass: TechniqueClass;
  readonly technique: Technique;
  readonly role: Role;
  /** Customers that it must bring from the bare server, or the technique does not work: more than the quota allows if left out; 0 where the server may refuse it by itself. */
  readonly least: number | undefined;
  /** Units that are used up beforehand. */
  readonly spent: number;
}

export interface AttackSuite {
  /** The test file that runs it. */
  readonly name: string;
  readonly bed: BedOptions;
  readonly attacks: readonly Attack[];
  /** Opens a group of techniques of one class: those that `add` adds belong to it. */
  readonly group: (title: string, techniqueClass: TechniqueClass, add: () => void) => void;
  readonly attack: (name: string, technique: Technique, role?: Role, least?: number, spent?: number) => void;
}

/** A list of techniques that share a test bed. */
export function attackSuite(name: string, bed: BedOptions = {}): AttackSuite {
  const attacks: Attack[] = [];
  let current: { readonly group: string; readonly techniqueClass: TechniqueClass } | undefined;
  return {
    name, bed, attacks,
    group(title, techniqueClass, add) {
      current = { group: title, techniqueClass };
      add();
      current = undefined;
    },
    attack(attackName, technique, role = 'agent', least, spent = 0) {
      if (current === undefined) throw new Error(`${attackName} stands in no group`);
      attacks.push({ ...current, name: attackName, technique, role, least, spent });
    },
  };
}
