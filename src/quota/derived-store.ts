/** Where it is kept which relations hold copies of protected data, beside the counters. Two implementations pass one test suite: memory and Redis. */
export interface DerivedStore {
  /** Other processes put fields into it too. */
  readonly shared: boolean;
  /** All that is kept of a database. Rejects with `StoreUnavailableError` if the store cannot answer. */
  read(database: string): Promise<ReadonlyMap<string, string>>;
  /** Resolves when they are kept. Fields only ever come and go: the same field from two processes is the same fact. */
  put(database: string, fields: ReadonlyMap<string, string>): Promise<void>;
  drop(database: string, fields: readonly string[]): Promise<void>;
}

/** For one process: gone when the process is. */
export class MemoryDerivedStore implements DerivedStore {
  readonly shared = false;
  readonly #databases = new Map<string, Map<string, string>>();

  read(database: string): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map(this.#databases.get(database)));
  }

  put(database: string, fields: ReadonlyMap<string, string>): Promise<void> {
    const kept = this.#databases.get(database) ?? new Map<string, string>();
    this.#databases.set(database, kept);
    for (const [field, value] of fields) kept.set(field, value);
    return Promise.resolve();
  }

  drop(database: string, fields: readonly string[]): Promise<void> {
    for (const field of fields) this.#databases.get(database)?.delete(field);
    return Promise.resolve();
  }
}
