/** Verifiers from pg_authid, over one connection of a login that may read it. */

import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { Client } from 'pg';
import { DEFAULT_ITERATIONS, parseVerifier } from './scram.ts';
import { VerifierSourceError, type FoundVerifier, type VerifierSource } from './verifiers.ts';

export interface LookupOptions {
  readonly connect: () => Promise<Duplex>;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
}

interface Waiting {
  readonly user: string;
  resolve(found: FoundVerifier): void;
  reject(error: Error): void;
}

const QUERY_TIMEOUT_MS = 5_000;
/** A password whose time is over is none (get_role_password, src/backend/libpq/crypt.c). */
const VERIFIERS = `
  SELECT r.rolname::text, r.rolpassword, (r.rolvaliduntil IS NOT NULL AND r.rolvaliduntil < pg_catalog.now()) AS expired
    FROM pg_catalog.pg_authid r WHERE r.rolname = ANY ($1::pg_catalog.name[])`;
/** The number that new verifiers get, from PostgreSQL 16 on; before it was always 4096. */
const ITERATIONS = `SELECT pg_catalog.current_setting('scram_iterations', true)`;

/**
 * Asked at each login, never from a cache, since a client's proof depends on the salt: with an old one, a new password is wrong and the old one
 * still right. Logins that come while a question is under way share the next one, so a crowd costs one query at a time.
 */
export class LookupVerifiers implements VerifierSource {
  readonly #options: LookupOptions;
  #client: Client | undefined;
  #waiting: Waiting[] = [];
  #asking = false;
  #closed = false;
  iterations = DEFAULT_ITERATIONS;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  find(user: string): Promise<FoundVerifier> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ user, resolve, reject });
      if (!this.#asking) void this.#ask();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting;
      this.#waiting = [];
      try {
        const found = await this.#query([...new Set(asked.map(({ user }) => user))]);
        for (const { user, resolve } of asked) resolve(found.get(user) ?? { kind: 'none', why: 'there is no such login' });
      } catch (cause) {
        const error = new VerifierSourceError(`auth.lookup cannot be asked: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        for (const { reject } of asked) reject(error);
      }
    }
    this.#asking = false;
  }

  async #query(users: readonly string[]): Promise<ReadonlyMap<string, FoundVerifier>> {
    // A connection that was idle may be gone without anybody knowing: then a new one gets the question, once.
    const idle = this.#client !== undefined;
    try {
      return await this.#queryOnce(users);
    } catch (error) {
      if (!idle) throw error;
      return this.#queryOnce(users);
    }
  }

  async #queryOnce(users: readonly string[]): Promise<ReadonlyMap<string, FoundVerifier>> {
    const client = await this.#connected();
    try {
      const { rows } = await client.query<{ rolname: string; rolpassword: string | null; expired: boolean }>({ name: 'verifiers', text: VERIFIERS, values: [users] });
      return new Map(rows.map((row) => [row.rolname, verifierOf(row)]));
    } catch (error) {
      this.#drop(client);
      throw error;
    }
  }

  async #connected(): Promise<Client> {
    if (this.#closed) throw new Error('it is closed');
    if (this.#client !== undefined) return this.#client;
    const { user, password, database, connect } = this.#options;
    const stream = await connect();
    const client = new Client({
      user, password, database, stream: () => stream, enableChannelBinding: stream instanceof TLSSocket,
      application_name: 'rowgate login', query_timeout: QUERY_TIMEOUT_MS, connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    });
    client.on('error', () => this.#drop(client));
    client.on('end', () => this.#drop(client));
    try {
      await client.connect();
      const { rows } = await client.query<[string | null]>({ text: `SET search_path = ''; SET statement_timeout = ${QUERY_TIMEOUT_MS}; ${ITERATIONS}`, rowMode: 'array' }).then((results) => (results as unknown as { rows: [string | null][] }[])[2] ?? { rows: [] });
      this.iterations = Number(rows[0]?.[0] ?? DEFAULT_ITERATIONS);
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
    return client;
  }

  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    void client.end().catch(() => undefined);
  }
}

function verifierOf(row: { readonly rolpassword: string | null; readonly expired: boolean }): FoundVerifier {
  if (row.expired) return { kind: 'none', why: 'the password is no longer valid (VALID UNTIL)' };
  if (row.rolpassword === null) return { kind: 'none', why: 'the login has no password' };
  const verifier = parseVerifier(row.rolpassword);
  return verifier === undefined ? { kind: 'none', why: 'the password is not stored for SCRAM-SHA-256 (password_encryption); it must be set anew' } : { kind: 'verifier', verifier };
}
