import { describe, expect, it } from 'vitest';
import { MemoryDerivedStore, type DerivedStore } from '../../../src/quota/derived-store.ts';
import { BookMarks, ServersMarks } from '../../../src/session/book-marks.ts';

/** As a store that several processes share. */
class Shared implements DerivedStore {
  readonly shared = true;
  readonly #kept = new MemoryDerivedStore();
  away = false;
  read(database: string): Promise<ReadonlyMap<string, string>> {
    return this.#kept.read(database);
  }
  put(database: string, fields: ReadonlyMap<string, string>): Promise<void> {
    return this.away ? Promise.reject(new Error('away')) : this.#kept.put(database, fields);
  }
  drop(database: string, fields: readonly string[]): Promise<void> {
    return this.#kept.drop(database, fields);
  }
}

const KNOWN_MS = 120;
const marksIn = (store: DerivedStore): BookMarks => new BookMarks(store, 'books', KNOWN_MS, () => undefined);

describe('marks of books', () => {
  it('are all there until the store was asked', async () => {
    const marks = marksIn(new MemoryDerivedStore());
    expect([...marks.marked]).toEqual(['counters', 'locks']);
    await marks.read();
    expect([...marks.marked]).toEqual([]);
    expect(marks.epoch).toBe(1);
  });

  it('hold at once, and whoever else marks waits until every process knows', async () => {
    const store = new Shared();
    const [here, there] = [marksIn(store), marksIn(store)];
    await Promise.all([here.read(), there.read()]);
    const start = performance.now();
    const marking = here.mark('counters', 'a');
    expect([...here.marked]).toEqual(['counters']);
    expect(here.settled('counters')).toBe(false);
    const another = here.mark('counters', 'b');
    await there.read();
    expect([...there.marked]).toEqual(['counters']);
    expect(await marking).toBe(true);
    expect(await another).toBe(false);
    expect(performance.now() - start).toBeGreaterThanOrEqual(KNOWN_MS - 5);
    expect(here.settled('counters')).toBe(true);
    expect(here.settled('locks')).toBe(false);
    expect([...(await store.read('books'))]).toEqual([['counters', 'a']]);
  });

  it('need no time where no other process shares the store', async () => {
    const marks = marksIn(new MemoryDerivedStore());
    await marks.read();
    await marks.mark('locks', 'a');
    expect(marks.settled('locks')).toBe(true);
  });

  it('are put back when the store has lost them, and not when they were taken back', async () => {
    const store = new Shared();
    const [here, there] = [marksIn(store), marksIn(store)];
    await here.read();
    await here.mark('counters', 'a');
    await there.read();
    await store.drop('books', ['counters']);
    await there.read();
    expect([...(await store.read('books'))]).toEqual([['counters', 'a']]);
    await here.forget();
    await there.read();
    expect([...there.marked]).toEqual([]);
    expect([...here.marked]).toEqual([]);
    await there.mark('counters', 'b');
    await here.read();
    expect([...here.marked]).toEqual(['counters']);
  });

  it('are none if the store could not keep them: the next statement tries again', async () => {
    const store = new Shared();
    const marks = marksIn(store);
    await marks.read();
    store.away = true;
    await expect(marks.mark('counters', 'a')).rejects.toThrow('away');
    await new Promise((resolve) => setTimeout(resolve, KNOWN_MS));
    expect(marks.settled('counters')).toBe(false);
    store.away = false;
    expect(await marks.mark('counters', 'a')).toBe(true);
  });

  it('of one server say nothing of another', async () => {
    const servers = new ServersMarks(new MemoryDerivedStore(), KNOWN_MS, () => undefined);
    const [main, other] = [servers.of(''), servers.of('db2:5432/')];
    await Promise.all([main.read(), other.read()]);
    await other.mark('counters', 'a');
    expect([...main.marked]).toEqual([]);
    expect(servers.of('db2:5432/')).toBe(other);
    await servers.forget();
    expect([...other.marked]).toEqual([]);
  });
});
