/**
 * Which of a server's own books (`catalog/bookkeeping.ts`) may say what stands in a class, because a statement has run that could have written it there. Kept beside the
 * counters, a field for each: a book stays marked until ops say that it was emptied, since neither counters nor locks tell whose doing they are.
 */

import { performance } from 'node:perf_hooks';
import { LEDGERS, type Ledger } from '../catalog/bookkeeping.ts';
import type { DerivedStore } from '../quota/derived-store.ts';

/** In the place of a mark: ops have taken it back, and who still knows it must not put it there again. */
const FORGOTTEN = '-';
const ALL: ReadonlySet<Ledger> = new Set(LEDGERS);

/** Of one server. */
export class BookMarks {
  readonly #store: DerivedStore;
  readonly #key: string;
  /** How long until all processes know a mark that the store holds, in milliseconds. */
  readonly #knownMs: number;
  readonly #onChange: () => void;
  /** Since when this process knows of a mark, in milliseconds of the monotonic clock. */
  readonly #since = new Map<Ledger, number>();
  #values: ReadonlyMap<string, string> = new Map();
  #read = false;
  #marked: ReadonlySet<Ledger> = ALL;

  /** Changes whenever a book is marked or no longer is. */
  epoch = 0;

  constructor(store: DerivedStore, key: string, knownMs: number, onChange: () => void) {
    this.#store = store;
    this.#key = key;
    this.#onChange = onChange;
    this.#knownMs = store.shared ? knownMs : 0;
  }

  /** All, until it was read what the store holds. */
  get marked(): ReadonlySet<Ledger> {
    return this.#marked;
  }

  /** Every process knows of the mark. */
  settled(ledger: Ledger): boolean {
    const since = this.#since.get(ledger);
    return since !== undefined && performance.now() - since >= this.#knownMs;
  }

  /** Takes over what the store holds, and puts back what it has lost. Rejects if it cannot be asked. */
  async read(): Promise<void> {
    const kept = await this.#store.read(this.#key);
    const lost = new Map([...this.#values].filter(([ledger, value]) => !kept.has(ledger) && value !== FORGOTTEN));
    const values = new Map([...kept, ...lost]);
    for (const ledger of LEDGERS) {
      const value = values.get(ledger);
      if (value === undefined || value === FORGOTTEN) this.#since.delete(ledger);
      else if (!this.#since.has(ledger)) this.#since.set(ledger, performance.now());
    }
    this.#values = values;
    this.#read = true;
    this.#changed();
    if (lost.size > 0) await this.#store.put(this.#key, lost);
  }

  /** In force at once. Resolves when every process knows, rejects if it cannot be kept. `by`: for who looks into the store. True if it is new. */
  async mark(ledger: Ledger, by: string): Promise<boolean> {
    const fresh = !this.#since.has(ledger);
    if (fresh) {
      this.#since.set(ledger, performance.now());
      this.#values = new Map([...this.#values, [ledger, by]]);
      this.#changed();
    }
    // Whoever comes while the first is under way, or found it in the store a moment ago, waits for the rest of the time.
    try {
      await this.#store.put(this.#key, new Map([[ledger, this.#values.get(ledger) ?? by]]));
    } catch (error) {
      // Nobody else knows, so the next statement must try again.
      if (fresh) {
        this.#since.delete(ledger);
        this.#values = new Map([...this.#values].filter(([each]) => each !== ledger));
        this.#changed();
      }
      throw error;
    }
    const left = this.#knownMs - (performance.now() - (this.#since.get(ledger) ?? 0));
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(left) + 1));
    return fresh;
  }

  /** Ops have emptied the books: `pg_stat_reset()`, and no serializable transaction is left. */
  async forget(): Promise<void> {
    const forgotten = new Map(LEDGERS.map((ledger) => [ledger, FORGOTTEN]));
    await this.#store.put(this.#key, forgotten);
    this.#values = forgotten;
    this.#since.clear();
    this.#changed();
  }

  #changed(): void {
    if (!this.#read) return;
    const marked = new Set(this.#since.keys());
    if (marked.size === this.#marked.size && [...marked].every((ledger) => this.#marked.has(ledger))) return;
    this.#marked = marked;
    this.epoch += 1;
    this.#onChange();
  }
}

/** Those of all servers, by what sets one apart in the store. */
export class ServersMarks {
  readonly #marks = new Map<string, BookMarks>();
  readonly #make: (key: string, onChange: () => void) => BookMarks;
  readonly #onChange: (marks: BookMarks) => void;

  constructor(store: DerivedStore, knownMs: number, onChange: (marks: BookMarks) => void) {
    this.#onChange = onChange;
    this.#make = (scope, changed) => new BookMarks(store, `${scope}books`, knownMs, changed);
  }

  of(scope: string): BookMarks {
    const known = this.#marks.get(scope);
    if (known !== undefined) return known;
    const marks = this.#make(scope, () => this.#onChange(marks));
    this.#marks.set(scope, marks);
    return marks;
  }

  /** A store that is away has its say at the next look. */
  lookAgain(): void {
    for (const marks of this.#marks.values()) marks.read().catch(() => undefined);
  }

  /** The main server's too, where nobody has logged in yet. Rejects if it cannot be kept. */
  async forget(): Promise<void> {
    this.of('');
    await Promise.all([...this.#marks.values()].map((marks) => marks.forget()));
  }
}
