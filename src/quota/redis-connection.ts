import { performance } from 'node:perf_hooks';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { scripts } from './redis-scripts.ts';
import { SentinelWatch } from './sentinel-watch.ts';
import { NotCarriedOutError, StoreUnavailableError } from './store.ts';

/** What ops should hear of. */
export type StoreNotice =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  /** Redis had forgotten grants; this process has put back what it knew. */
  | { readonly kind: 'refilled'; readonly counters: number; readonly units: number }
  /** What was granted while Redis was away is counted there now. */
  | { readonly kind: 'debt_settled'; readonly counters: number; readonly units: number }
  /** The journal cannot be written; grants are remembered in memory only. */
  | { readonly kind: 'journal_failing'; readonly reason: string }
  /** Redis's clock ran ahead of this machine's by so much at once: windows end that much early. */
  | { readonly kind: 'clock_jumped'; readonly aheadMs: number }
  /** It is not the primary any more, though it says so: the Sentinels know of another, and the connection goes there. */
  | { readonly kind: 'stale_primary'; readonly primary: string }
  /** Versions that do not count alike met at one store: this one, of layout `own`, counts nothing there. */
  | { readonly kind: 'other_layout'; readonly layout: number; readonly own: number }
  /** A setting of Redis under which counters can be lost. */
  | { readonly kind: 'misconfigured'; readonly text: string };

/** A Redis Cluster: the nodes to ask for the others, and how each of them is logged in to. */
export interface ClusterTarget {
  readonly cluster: readonly { readonly host: string; readonly port: number }[];
  readonly options?: Pick<RedisOptions, 'username' | 'password' | 'tls'>;
}

export interface ConnectionOptions {
  /** `redis://host:port/db`, ioredis's options (Sentinel, TLS, ACL user), or a Cluster. */
  readonly redis: string | RedisOptions | ClusterTarget;
  /** TLS for a `rediss://` URL: which authority signs the server's certificate. */
  readonly tls?: ConnectionTls | undefined;
  /** A call without an answer for this long fails, and its connection is dropped. Default 1000. */
  readonly commandTimeoutMs?: number;
  /** Calls that may wait for an answer at once; more fail immediately. Default 4096. */
  readonly maxInFlight?: number;
  readonly onNotice?: (notice: StoreNotice) => void;
}

export interface ConnectionTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
}

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;
/** A Cluster's node that did not answer is not asked for this long. */
const REST_MS = 300;

/** The Redis client, closed under failure: a call is answered soon or fails soon, nothing waits in a queue for a server that is away, nothing is sent twice. */
/** A heartbeat comes every second. */
const SILENCE_MS = 1_500;

export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #maxInFlight: number;
  readonly #timeoutMs: number;
  readonly #notice: (notice: StoreNotice) => void;
  readonly #restsUntilMs = new Map<string, number>();
  #inFlight = 0;
  #lastError = NEVER_CONNECTED;
  #up = false;
  #answeredAtMs = -Infinity;
  #told = '';
  #watch: SentinelWatch | undefined;

  constructor(options: ConnectionOptions, onReady: () => void) {
    this.#timeoutMs = options.commandTimeoutMs ?? 1000;
    this.#maxInFlight = options.maxInFlight ?? 4096;
    this.#notice = options.onNotice ?? (() => undefined);
    this.client = openClient(options, this.#timeoutMs);
    this.client.on('error', (error: Error) => {
      this.#lastError = error.message;
    });
    this.client.on('ready', () => {
      this.#up = true;
      this.#watch?.check();
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
    this.#watch ??= this.#watchSentinels();
    await this.client.connect().catch((error: unknown) => {
      // The reason came with an event before; this one may only say that the connection is closed.
      if (this.#lastError === NEVER_CONNECTED) this.#lastError = messageOf(error);
    });
  }

  /** False as soon as it is known that a call would fail, and where nothing was heard for longer than the heartbeat leaves. */
  get reachable(): boolean {
    return this.client.status === 'ready' && performance.now() - this.#answeredAtMs < SILENCE_MS;
  }

  /** Throws if a call would fail without being sent. */
  check(domain = ''): void {
    if (this.client.status !== 'ready') throw new NotCarriedOutError(`Redis is not connected (${this.#lastError})`);
    if (this.#inFlight >= this.#maxInFlight) throw new NotCarriedOutError(`Redis owes answers to ${this.#inFlight} calls`);
    if ((this.#restsUntilMs.get(domain) ?? 0) > performance.now()) throw new NotCarriedOutError(`Redis does not answer (${this.#lastError})`);
  }

  /** Runs one call; every failure becomes `StoreUnavailableError`. `domain`: what a Cluster's node is known by. */
  async call<T>(run: (client: Redis | Cluster) => Promise<T>, domain = ''): Promise<T> {
    this.check(domain);
    this.#inFlight += 1;
    try {
      const answer = this.client instanceof Cluster ? await this.#within(run(this.client)) : await run(this.client);
      this.#answeredAtMs = performance.now();
      return answer;
    } catch (error) {
      const message = messageOf(error);
      // Without this, calls to a server that hangs would pile up behind the one that it does not answer.
      if (message === TIMED_OUT) this.#hangs(domain);
      throw new StoreUnavailableError(`Redis failed: ${message}`, { cause: error });
    } finally {
      this.#inFlight -= 1;
    }
  }

  close(): void {
    this.#up = false;
    this.#watch?.close();
    this.client.disconnect();
  }

  #watchSentinels(): SentinelWatch | undefined {
    const { client } = this;
    if (client instanceof Cluster || client.options.sentinels == null || client.options.name === undefined) return undefined;
    const { name, sentinels, sentinelUsername, sentinelPassword, enableTLSForSentinelMode, tls } = client.options;
    return new SentinelWatch({
      name,
      sentinels: sentinels.map(({ host = '127.0.0.1', port = 26_379 }) => ({ host, port })),
      connection: {
        ...(sentinelUsername == null ? {} : { username: sentinelUsername }),
        ...(sentinelPassword == null ? {} : { password: sentinelPassword }),
        ...(enableTLSForSentinelMode === true && tls !== undefined ? { tls } : {}),
      },
      connected: () => {
        const { remoteAddress, remotePort } = client.status === 'ready' ? (client.stream as { readonly remoteAddress?: string; readonly remotePort?: number }) : {};
        return remoteAddress === undefined || remotePort === undefined ? undefined : { address: remoteAddress, port: remotePort };
      },
      onStale: (primary) => {
        this.#notice({ kind: 'stale_primary', primary });
        client.disconnect(true);
      },
    });
  }

  /** One node of a Cluster may hang while the others answer: its connection stays, and its classes are closed for a moment. */
  #hangs(domain: string): void {
    this.#lastError = TIMED_OUT;
    if (this.client instanceof Cluster) this.#restsUntilMs.set(domain, performance.now() + REST_MS);
    else if (this.client.status === 'ready') this.client.disconnect(true);
  }

  /** A Cluster's client follows redirections, each with a timeout of its own: together they may take no longer than one. */
  #within<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(TIMED_OUT)), this.#timeoutMs);
      answer.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Tells once of settings under which counters can be lost. */
  async #inspect(): Promise<void> {
    const nodes = this.client instanceof Cluster ? this.client.nodes('master') : [this.client];
    const texts = (await Promise.all(nodes.map((node) => findings(node).catch(() => [])))).flat();
    const text = [...new Set(texts)].join('; ');
    if (text === this.#told) return;
    this.#told = text;
    for (const each of new Set(texts)) this.#notice({ kind: 'misconfigured', text: each });
  }
}

const TIMED_OUT = 'Command timed out';
const NEVER_CONNECTED = 'not connected yet';

function openClient(options: ConnectionOptions, timeoutMs: number): Redis | Cluster {
  const each = {
    // CLIENT SETINFO is of no use here, and a user with the least rights may not send it: each connection would leave a line in the ACL log (Redis 7.2, Valkey).
    disableClientInfo: true,
    protocol: 2 as const,
    replyMapping: 'legacy' as const,
    // A refund that is sent twice is taken off twice: lost calls stay lost.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
    connectTimeout: timeoutMs,
  };
  const retryStrategy = (times: number): number => Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10)) * (0.75 + Math.random() / 2);
  const tls = options.tls === undefined ? {} : { tls: definedOnly(options.tls) };
  const { redis } = options;
  if (typeof redis === 'object' && 'cluster' in redis) {
    return new Cluster([...redis.cluster], {
      scripts,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy,
      // A command whose connection broke may have been carried out: it is not sent again.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshInterval: 5000,
      slotsRefreshTimeout: timeoutMs,
      scaleReads: 'master',
      redisOptions: { ...redis.options, ...tls, ...each },
    });
  }
  const own: RedisOptions & { replyMapping: 'legacy' } = {
    ...each,
    ...tls,
    scripts,
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy,
    // A primary that was demoted answers READONLY: connect anew, to whoever is primary now.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  if (typeof redis === 'string') return new Redis(redis, own);
  return new Redis({ ...redis, ...own, ...(redis.sentinels === undefined ? {} : { sentinelRetryStrategy: retryStrategy, sentinelCommandTimeout: timeoutMs }) });
}

/** What could make this server lose counters, as far as its user may ask. */
async function findings(node: Redis): Promise<string[]> {
  const info = `${await node.info('memory')}\n${await node.info('persistence')}\n${await node.info('replication')}`;
  const value = (field: string): string | undefined => new RegExp(`^${field}:(.*?)\\r?$`, 'mu').exec(info)?.[1];
  const found: string[] = [];
  if (value('maxmemory') !== '0' && value('maxmemory_policy') !== 'noeviction') {
    found.push(`maxmemory-policy is ${value('maxmemory_policy') ?? 'unknown'}: Redis may drop counters; set noeviction`);
  }
  if (value('aof_enabled') !== '1') {
    found.push('appendonly is off: counters since the last snapshot are lost when Redis and Rowgate both restart');
  } else if (value('aof_last_write_status') === 'err') {
    found.push('Redis cannot write its append-only file: counters are lost when Redis and Rowgate both restart');
  }
  if (Number(value('connected_slaves') ?? 0) > 0) {
    // Refused to a user without CONFIG, and then not known.
    const [, least] = await (node.config('GET', 'min-replicas-to-write') as Promise<readonly string[]>).catch(() => [undefined, undefined]);
    if (least === '0') found.push('min-replicas-to-write is 0: a primary that is cut off from its replicas goes on granting after another was promoted; set it to 1');
  }
  return found;
}

function definedOnly(tls: ConnectionTls): Record<string, string> {
  return Object.fromEntries(Object.entries(tls).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
