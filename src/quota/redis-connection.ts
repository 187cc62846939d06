import { Redis, type RedisOptions } from 'ioredis';
import { scripts } from './redis-scripts.ts';
import { StoreUnavailableError } from './store.ts';

/** What ops should hear of. */
export type StoreNotice =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** Redis had forgotten grants; this process has put back what it knew. */
  | { readonly kind: 'refilled'; readonly counters: number; readonly units: number }
  /** Redis's clock ran ahead of this machine's by so much at once: windows end that much early. */
  | { readonly kind: 'clock_jumped'; readonly aheadMs: number }
  /** A setting of Redis under which counters can be lost. */
  | { readonly kind: 'misconfigured'; readonly text: string };

export interface ConnectionOptions {
  /** `redis://host:port/db`, or ioredis's options (Sentinel, TLS, ACL user). */
  readonly redis: string | RedisOptions;
  /** A call without an answer for this long fails, and its connection is dropped. Default 1000. */
  readonly commandTimeoutMs?: number;
  /** Calls that may wait for an answer at once; more fail immediately. Default 4096. */
  readonly maxInFlight?: number;
  readonly onNotice?: (notice: StoreNotice) => void;
}

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;

/** The Redis client, closed under failure: a call is answered soon or fails soon, nothing waits in a queue for a server that is away, nothing is sent twice. */
export class RedisConnection {
  readonly client: Redis;
  readonly #maxInFlight: number;
  readonly #notice: (notice: StoreNotice) => void;
  #inFlight = 0;
  #lastError = 'not connected yet';
  #up = false;

  constructor(options: ConnectionOptions, onReady: () => void) {
    const timeoutMs = options.commandTimeoutMs ?? 1000;
    this.#maxInFlight = options.maxInFlight ?? 4096;
    this.#notice = options.onNotice ?? (() => undefined);
    const own: RedisOptions & { replyMapping: 'legacy' } = {
      scripts,
      lazyConnect: true,
      protocol: 2,
      replyMapping: 'legacy',
      enableOfflineQueue: false,
      // A refund that is sent twice is taken off twice: lost calls stay lost.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      connectTimeout: timeoutMs,
      retryStrategy: (times) => Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10)) * (0.75 + Math.random() / 2),
      // A primary that was demoted answers READONLY: connect anew, to whoever is primary now.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    };
    this.client = typeof options.redis === 'string' ? new Redis(options.redis, own) : new Redis({ ...options.redis, ...own });
    this.client.on('error', (error: Error) => {
      this.#lastError = error.message;
    });
    this.client.on('ready', () => {
      this.#up = true;
      this.#notice({ kind: 'connected' });
      onReady();
      void this.#inspect();
    });
    this.client.on('close', () => {
      if (this.#up) this.#notice({ kind: 'disconnected', reason: this.#lastError });
      this.#up = false;
    });
  }

  /** Waits for the first attempt to connect, whatever comes of it: a proxy may start before its Redis. */
  async open(): Promise<void> {
    await this.client.connect().catch((error: unknown) => {
      this.#lastError = messageOf(error);
    });
  }

  /** Runs one call; every failure becomes `StoreUnavailableError`. */
  async call<T>(run: (client: Redis) => Promise<T>): Promise<T> {
    if (this.client.status !== 'ready') throw new StoreUnavailableError(`Redis is not connected (${this.#lastError})`);
    if (this.#inFlight >= this.#maxInFlight) throw new StoreUnavailableError(`Redis owes answers to ${this.#inFlight} calls`);
    this.#inFlight += 1;
    try {
      return await run(this.client);
    } catch (error) {
      const message = messageOf(error);
      // Without this, calls to a server that hangs would pile up behind the one that it does not answer.
      if (message === 'Command timed out' && this.client.status === 'ready') this.client.disconnect(true);
      throw new StoreUnavailableError(`Redis failed: ${message}`, { cause: error });
    } finally {
      this.#inFlight -= 1;
    }
  }

  close(): void {
    this.#up = false;
    this.client.disconnect();
  }

  async #inspect(): Promise<void> {
    try {
      const info = `${await this.client.info('memory')}\n${await this.client.info('persistence')}`;
      const value = (field: string): string | undefined => new RegExp(`^${field}:(.*?)\\r?$`, 'mu').exec(info)?.[1];
      if (value('maxmemory') !== '0' && value('maxmemory_policy') !== 'noeviction') {
        this.#notice({ kind: 'misconfigured', text: `maxmemory-policy is ${value('maxmemory_policy') ?? 'unknown'}: Redis may drop counters; set noeviction` });
      }
      if (value('aof_enabled') !== '1') {
        this.#notice({ kind: 'misconfigured', text: 'appendonly is off: counters since the last snapshot are lost when Redis and Rowgate both restart' });
      }
    } catch {
      // INFO may be forbidden to this user; then there is nothing to tell.
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
