import type { DerivedStore } from './derived-store.ts';
import type { RedisConnection } from './redis-connection.ts';

/** A hash for each database, shared by every process that shares the counters. */
export class RedisDerivedStore implements DerivedStore {
  readonly shared = true;
  readonly #connection: RedisConnection;
  readonly #prefix: string;

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
  }

  async read(database: string): Promise<ReadonlyMap<string, string>> {
    const found = await this.#connection.call((client) => client.hgetall(this.#key(database)));
    return new Map(Object.entries(found));
  }

  async put(database: string, fields: ReadonlyMap<string, string>): Promise<void> {
    if (fields.size === 0) return;
    await this.#connection.call((client) => client.hset(this.#key(database), ...[...fields].flat()));
  }

  async drop(database: string, fields: readonly string[]): Promise<void> {
    if (fields.length === 0) return;
    await this.#connection.call((client) => client.hdel(this.#key(database), ...fields));
  }

  #key(database: string): string {
    return `${this.#prefix}copies:${database}`;
  }
}
