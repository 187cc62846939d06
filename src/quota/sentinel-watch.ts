/**
 * Whether the server that this process is connected to still is the primary. A client that asks a Sentinel which has not heard of a failover yet, and
 * reaches the old primary that has just come back, would stay there until the Sentinels demote it, ten seconds and more later: beside the others,
 * who count elsewhere. So the Sentinels are asked again, all of them, and the one with the newest configuration is believed.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';

export interface SentinelWatchOptions {
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  /** Login and TLS of the Sentinels. */
  readonly connection: RedisOptions;
  /** Where the connection leads now; undefined: nowhere. */
  readonly connected: () => { readonly address: string; readonly port: number } | undefined;
  readonly onStale: (primary: string) => void;
  readonly everyMs?: number;
}

/** Well within the time for which nobody is granted anything by a server that was started anew. */
const EVERY_MS = 500;
const TIMEOUT_MS = 1000;

interface Primary {
  readonly host: string;
  readonly port: number;
  /** Of the Sentinels' configuration: each failover has a higher one. */
  readonly epoch: number;
}

export class SentinelWatch {
  readonly #options: SentinelWatchOptions;
  readonly #clients: readonly Redis[];
  /** Those that owe an answer: one that hangs is not asked again, and nobody waits for it. */
  readonly #asked = new Set<Redis>();
  readonly #timer: NodeJS.Timeout;
  #newest: Primary | undefined;

  constructor(options: SentinelWatchOptions) {
    this.#options = options;
    this.#clients = options.sentinels.map(({ host, port }) => {
      const client = new Redis({ ...options.connection, host, port, protocol: 2, replyMapping: 'legacy', enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS, enableReadyCheck: false, disableClientInfo: true });
      client.on('error', () => undefined);
      return client;
    });
    this.#timer = setInterval(() => this.check(), options.everyMs ?? EVERY_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.disconnect();
  }

  /** Asks now, besides now and then. */
  check(): void {
    for (const client of this.#clients) {
      if (this.#asked.has(client)) continue;
      this.#asked.add(client);
      // No Sentinel, or no name service: the next time.
      void this.#ask(client).catch(() => undefined).finally(() => this.#asked.delete(client));
    }
  }

  async #ask(client: Redis): Promise<void> {
    const answer = (await client.call('SENTINEL', 'MASTER', this.#options.name)) as readonly string[];
    const value = (field: string): string | undefined => answer[answer.indexOf(field) + 1];
    const [host, port, epoch] = [value('ip'), Number(value('port')), Number(value('config-epoch'))];
    if (host !== undefined && port > 0 && epoch >= (this.#newest?.epoch ?? 0)) this.#newest = { host, port, epoch };
    await this.#compare();
  }

  async #compare(): Promise<void> {
    const newest = this.#newest;
    const before = this.#options.connected();
    if (newest === undefined || before === undefined) return;
    if (newest.port === before.port && (await addressesOf(newest.host)).has(plain(before.address))) return;
    // It may have moved meanwhile.
    const now = this.#options.connected();
    if (newest === this.#newest && now !== undefined && now.address === before.address && now.port === before.port) this.#options.onStale(`${newest.host}:${newest.port}`);
  }
}

async function addressesOf(host: string): Promise<ReadonlySet<string>> {
  if (isIP(host) !== 0) return new Set([plain(host)]);
  return new Set((await lookup(host, { all: true })).map(({ address }) => plain(address)));
}

/** An IPv4 address that came over an IPv6 socket. */
function plain(address: string): string {
  return address.replace(/^::ffff:/iu, '');
}
