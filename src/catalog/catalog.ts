import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import type { Analysis, RoutineBody } from '../sql/facts.ts';
import { CatalogUnavailableError } from './errors.ts';
import { buildSnapshot, routineTexts, ruleTexts, type Snapshot, snapshotVersion } from './snapshot.ts';
import { inCatalogTransaction, readCatalog, readDigest, type ReadLimits } from './snapshot-reader.ts';

export interface CatalogOptions {
  /** How to log in: host, port, user, password, ssl. `database` says which catalog is read. */
  readonly connection: ClientConfig & { readonly database: string };
  /** Opens the connection, encrypted as it is to be. Without it `connection` says where the server is. */
  readonly connect?: () => Promise<Duplex>;
  /** Facts of views' and rules' texts; may take its time. */
  readonly analyse: (sql: string) => Analysis | Promise<Analysis>;
  /** What the bodies of routines do, by their definition; may take its time. */
  readonly readRoutine: (definition: string) => RoutineBody | Promise<RoutineBody>;
  /** How often the server is asked whether its catalog has changed, in milliseconds. */
  readonly refreshMs: number;
  /** Default 10,000. */
  readonly statementTimeoutMs?: number;
  /** The server is about to be asked. */
  readonly onBegin?: () => void;
  /** The snapshot is of a state that the server had since `onBegin`; what it returns is waited for. */
  readonly onConfirmed?: (snapshot: Snapshot) => Promise<void>;
  /** A snapshot with another content is there. Not called for the first one. */
  readonly onChange?: (snapshot: Snapshot) => void;
  /** A refresh failed; the next one is tried by itself. */
  readonly onError?: (error: CatalogUnavailableError) => void;
}

export interface CatalogHealth {
  /** There is a snapshot, and the last attempt to confirm it succeeded. */
  readonly ready: boolean;
  readonly lastError: CatalogUnavailableError | undefined;
  /** Milliseconds since 1970 at which the newest confirmed state began, undefined before the first. */
  readonly confirmedAt: number | undefined;
  readonly version: string | undefined;
}

const LOCK_TIMEOUT_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 15_000;
/** XX000 internal_error, 42P01 undefined_table and 42883 undefined_function: pg_get_viewdef met something that was dropped meanwhile. */
const TRY_AGAIN = new Set(['XX000', '42P01', '42883']);
const ATTEMPTS = 3;

/** One database's catalog: a snapshot, kept up to date over one connection. */
export class Catalog {
  readonly #options: CatalogOptions;
  readonly #limits: ReadLimits;
  #client: Client | undefined;
  #snapshot: Snapshot | undefined;
  #digest: string | undefined;
  #analyses: ReadonlyMap<string, Analysis> = new Map();
  #bodies: ReadonlyMap<string, RoutineBody> = new Map();
  #running: Promise<Snapshot> | undefined;
  #queued: Promise<Snapshot> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #lastError: CatalogUnavailableError | undefined;
  #confirmedAt: number | undefined;
  #closed = false;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#limits = { statementTimeoutMs: options.statementTimeoutMs ?? 10_000, lockTimeoutMs: LOCK_TIMEOUT_MS };
  }

  get database(): string {
    return this.#options.connection.database;
  }

  get health(): CatalogHealth {
    return {
      ready: this.#snapshot !== undefined && this.#lastError === undefined && !this.#closed,
      lastError: this.#lastError,
      confirmedAt: this.#confirmedAt,
      version: this.#snapshot?.version,
    };
  }

  /** The newest snapshot. It may be older than a failed refresh: `health` tells. */
  current(): Snapshot {
    if (this.#snapshot === undefined) throw this.#lastError ?? new CatalogUnavailableError(this.database, 'it has not been read yet');
    return this.#snapshot;
  }

  /**
   * A snapshot of a state that the server had after this call. Calls that come while a refresh is under way share the next one: the running one may
   * have begun before what the caller wants to see was committed.
   */
  refresh(): Promise<Snapshot> {
    if (this.#closed) return Promise.reject(new CatalogUnavailableError(this.database, 'it is closed'));
    if (this.#running === undefined) return this.#start();
    this.#queued ??= this.#running.catch(() => undefined).then(() => {
      this.#queued = undefined;
      return this.#closed ? Promise.reject(new CatalogUnavailableError(this.database, 'it is closed')) : this.#start();
    });
    return this.#queued;
  }

  /**
   * Nobody uses the database now: the connection is given up, since the server neither drops nor copies a database that somebody is connected to.
   * The snapshot stays, for the next `refresh` to confirm. False if a refresh is under way.
   */
  release(): boolean {
    if (this.#running !== undefined || this.#queued !== undefined) return false;
    clearTimeout(this.#timer);
    this.#dropClient();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined); // It is going away in either case.
    await this.#running?.catch(() => undefined);
  }

  #start(): Promise<Snapshot> {
    clearTimeout(this.#timer);
    const running = this.#attempt().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    this.#running = running;
    running.catch(() => undefined); // Whoever asked gets the error; a poll asks for nobody.
    return running;
  }

  #schedule(): void {
    if (this.#closed || this.#queued !== undefined) return;
    const backoffMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 10));
    const delayMs = this.#failures === 0 ? this.#options.refreshMs : Math.min(backoffMs, Math.max(this.#options.refreshMs, MIN_BACKOFF_MS));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#running === undefined && !this.#closed) void this.#start().catch(() => undefined);
    }, delayMs);
    this.#timer.unref();
  }

  async #attempt(): Promise<Snapshot> {
    try {
      const snapshot = await this.#load();
      this.#failures = 0;
      this.#lastError = undefined;
      return snapshot;
    } catch (cause) {
      this.#failures += 1;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const error = cause instanceof CatalogUnavailableError ? cause : new CatalogUnavailableError(this.database, reason, cause);
      this.#lastError = error;
      this.#dropClient();
      if (!this.#closed) this.#options.onError?.(error);
      throw error;
    }
  }

  async #load(): Promise<Snapshot> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#loadOnce();
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : '';
        if (attempt >= ATTEMPTS || !TRY_AGAIN.has(code)) throw error;
      }
    }
  }

  async #loadOnce(): Promise<Snapshot> {
    const client = await this.#connected();
    const beganAt = Date.now();
    this.#options.onBegin?.();
    const read = await inCatalogTransaction(client, this.#limits, async () => {
      const digest = await readDigest(client);
      return { digest, rows: digest === this.#digest && this.#snapshot !== undefined ? undefined : await readCatalog(client) };
    });
    if (this.#closed) throw new CatalogUnavailableError(this.database, 'it is closed');
    if (read.rows !== undefined) {
      const version = snapshotVersion(read.rows);
      if (version !== this.#snapshot?.version) {
        const analyses = await this.#analyse(ruleTexts(read.rows));
        const bodies = await this.#readRoutines(routineTexts(read.rows));
        const first = this.#snapshot === undefined;
        this.#snapshot = buildSnapshot(read.rows, analyses, version, bodies);
        this.#analyses = analyses;
        this.#bodies = bodies;
        if (!first) this.#options.onChange?.(this.#snapshot);
      }
      // A view that somebody had locked is asked for again next time.
      this.#digest = read.rows.rules.some((rule) => rule.text === null) ? undefined : read.digest;
    }
    this.#confirmedAt = beganAt;
    if (this.#snapshot === undefined) throw new CatalogUnavailableError(this.database, 'it could not be read');
    await this.#options.onConfirmed?.(this.#snapshot);
    return this.#snapshot;
  }

  /** Only texts that are new are analysed. An analyser that fails leaves the text opaque. */
  async #analyse(texts: readonly string[]): Promise<ReadonlyMap<string, Analysis>> {
    const analyses = new Map<string, Analysis>();
    for (const text of texts) {
      if (analyses.has(text)) continue;
      const known = this.#analyses.get(text);
      // An opaque answer may have been a full queue: it is worth another try.
      if (known !== undefined && known.kind !== 'opaque') {
        analyses.set(text, known);
        continue;
      }
      try {
        analyses.set(text, await this.#options.analyse(text));
      } catch (error) {
        analyses.set(text, { kind: 'opaque', reason: `the analyser failed: ${error instanceof Error ? error.message : String(error)}` });
      }
      if (analyses.size % 64 === 0) await new Promise((resolve) => setImmediate(resolve)); // Sessions go on meanwhile.
    }
    return analyses;
  }

  /** As `#analyse`. A body that stays unread is opaque. */
  async #readRoutines(definitions: readonly string[]): Promise<ReadonlyMap<string, RoutineBody>> {
    const bodies = new Map<string, RoutineBody>();
    for (const definition of definitions) {
      if (bodies.has(definition)) continue;
      const known = this.#bodies.get(definition);
      const body = known ?? (await Promise.resolve(this.#options.readRoutine(definition)).catch(() => undefined));
      if (body !== undefined) bodies.set(definition, body);
      if (known === undefined && bodies.size % 16 === 0) await new Promise((resolve) => setImmediate(resolve)); // Sessions go on meanwhile.
    }
    return bodies;
  }

  async #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client;
    const stream = await this.#options.connect?.();
    const client = new Client({
      application_name: 'rowgate catalog',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      // The server's own time-out comes first; this one is for a server that does not answer at all.
      query_timeout: this.#limits.statementTimeoutMs + 5_000,
      // The password's proof is bound to the server's certificate, where there is one.
      enableChannelBinding: stream instanceof TLSSocket,
      ...this.#options.connection,
      ...(stream === undefined ? {} : { stream: () => stream }),
    });
    // Without a listener a lost connection would end the process. The next refresh connects again.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    try {
      await client.connect();
      // Nothing of the login's own settings may change what names mean or how values look.
      await client.query(`SET search_path = ''; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET jit = off`);
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
    if (this.#closed) {
      await client.end();
      throw new CatalogUnavailableError(this.database, 'it is closed');
    }
    this.#client = client;
    return client;
  }

  #dropClient(): void {
    const client = this.#client;
    this.#client = undefined;
    void client?.end().catch(() => undefined);
  }
}
