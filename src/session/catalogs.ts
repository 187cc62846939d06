/** The catalogs of the databases that sessions use: a snapshot each, and what the policy's classes mean in it. */

import { Catalog } from '../catalog/catalog.ts';
import { CopyBook } from '../catalog/copy-book.ts';
import { reach } from '../catalog/reach.ts';
import type { ReachIndex, ReachPolicy } from '../catalog/reach-index.ts';
import { makeReachIndex } from '../catalog/shown-copies.ts';
import type { CopyTargets, LocalRelation, ResolvedReach, SearchPath } from '../catalog/reach-types.ts';
import type { Snapshot } from '../catalog/snapshot.ts';
import type { DerivedStore } from '../quota/derived-store.ts';
import type { Analysis, RoutineBody, StatementFacts } from '../sql/facts.ts';
import { ServersMarks } from './book-marks.ts';
import { CodeChanges } from './code-changes.ts';
import { epochOf, type HeldCatalog } from './held-catalog.ts';
import { COPIES_KNOWN_MS, COPIES_POLL_MS, KeptCopies } from './kept-copies.ts';
import { upstreamId, type Routes } from './routes.ts';
import { connectForPg } from './upstream.ts';

export interface CatalogLogin {
  readonly user: string;
  readonly password: string | undefined;
}

export interface CatalogsOptions {
  readonly login: CatalogLogin;
  readonly routes: Routes;
  readonly refreshMs: number;
  readonly analyse: (sql: string) => Analysis | Promise<Analysis>;
  readonly readRoutine: (definition: string) => RoutineBody | Promise<RoutineBody>;
  /** Where it is kept which relations are copies. */
  readonly copies: DerivedStore;
  readonly onRefreshed: () => void;
  readonly onError: (error: Error) => void;
}

/** Whether other processes learn of a change of definitions, and whether it was one of functions. */
export type Elsewhere = 'untold' | 'told' | 'code told';

/** DROP DATABASE waits 5 s for others to leave (`CountOtherDBBackends`, src/backend/storage/ipc/procarray.c). */
const IDLE_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
const NOW = {};

export class Catalogs {
  #options: CatalogsOptions;
  #policy: ReachPolicy;
  /** By the name that clients have for the database. */
  readonly #byName = new Map<string, HeldCatalog>();
  /** Of `#byName`, the entry that was asked for last: a statement asks a dozen times. */
  #latest: { readonly name: string; readonly held: HeldCatalog } | undefined;
  /** By server and database. */
  readonly #held = new Map<string, HeldCatalog>();

  /** By `HeldCatalog.scope`. */
  readonly marks: ServersMarks;
  readonly #copies: KeptCopies;
  readonly #copiesPoll: NodeJS.Timeout | undefined;

  constructor(options: CatalogsOptions, policy: ReachPolicy) {
    this.#options = options;
    this.#policy = policy;
    this.#copies = new KeptCopies(options.copies, (held) => this.#held.get(held.key) === held, (held, snapshot) => this.#reindexIfNew(held, snapshot));
    this.marks = new ServersMarks(options.copies, COPIES_KNOWN_MS, (marks) => {
      for (const held of this.#held.values()) if (held.marks === marks && held.index !== undefined) this.#reindexIfNew(held, held.index.snapshot);
    });
    if (options.copies.shared) {
      this.#copiesPoll = setInterval(() => {
        for (const held of this.#held.values()) void this.#copies.lookAgain(held);
        this.marks.lookAgain();
      }, COPIES_POLL_MS).unref();
    }
  }

  get(database: string): HeldCatalog {
    const held = this.#find(database);
    if (held === undefined) throw new Error(`the catalog of "${database}" was not opened`);
    return held;
  }

  #find(database: string): HeldCatalog | undefined {
    if (this.#latest?.name === database) return this.#latest.held;
    const known = this.#byName.get(database);
    if (known !== undefined) {
      this.#latest = { name: database, held: known };
      return known;
    }
    const target = this.#options.routes.find(database);
    const held = target === undefined ? undefined : this.#held.get(target.key);
    if (held !== undefined) this.#name(held, database);
    return held;
  }

  #name(held: HeldCatalog, database: string): void {
    held.names.add(database);
    this.#byName.set(database, held);
  }

  /** Clients may have any number of names for one database: those of nobody are forgotten. */
  #forgetNames(held: HeldCatalog): void {
    this.#latest = undefined;
    for (const name of held.names) this.#byName.delete(name);
    held.names.clear();
  }

  has(database: string): boolean {
    return this.#find(database)?.index !== undefined;
  }

  /** Resolves when there is a snapshot. A database whose catalog cannot be read is forgotten, and tried again by the next who asks. */
  open(database: string): Promise<void> {
    const known = this.#find(database);
    if (known !== undefined) {
      if (known.released) this.#reopen(known);
      this.#releaseWhenIdle(known);
      return known.opened;
    }
    const target = this.#options.routes.find(database);
    if (target === undefined) return Promise.reject(new Error(`no server has the database "${database}"`));
    const { login } = this.#options;
    const catalog = new Catalog({
      connect: () => connectForPg(target.address, CONNECT_TIMEOUT_MS),
      connection: { user: login.user, password: login.password, database: target.database, application_name: 'rowgate catalog' },
      analyse: this.#options.analyse,
      readRoutine: this.#options.readRoutine,
      refreshMs: this.#options.refreshMs,
      onBegin: () => {
        held.settled = held.book.settled;
      },
      onConfirmed: (snapshot) => this.#copies.confirmed(held, snapshot),
      onError: this.#options.onError,
    });
    const opened = catalog.refresh().then(
      () => undefined,
      (error: unknown) => {
        this.#held.delete(target.key);
        this.#forgetNames(held);
        void catalog.close();
        throw error;
      },
    );
    opened.catch(() => undefined); // Whoever opened it gets the error.
    const scope = target.address === this.#options.routes.main ? '' : `${upstreamId(target.address)}/`;
    const held: HeldCatalog = { key: target.key, scope, marks: this.marks.of(scope), names: new Set(), catalog, opened, users: 0, released: false, idleTimer: undefined, index: undefined, changes: 0, confirmed: 0, book: new CopyBook(), codeChanges: new CodeChanges(), told: { definitions: undefined, code: undefined }, settled: [], copiesTimer: undefined, asking: false, indexed: undefined, reaches: new WeakMap() };
    this.#held.set(target.key, held);
    this.#name(held, database);
    this.#releaseWhenIdle(held);
    return opened;
  }

  /** A session begins in the database. */
  use(database: string): void {
    const held = this.get(database);
    held.users++;
    if (held.released) this.#reopen(held);
  }

  /** A session has ended. */
  leave(database: string): void {
    const held = this.#find(database);
    if (held === undefined) return;
    held.users--;
    this.#releaseWhenIdle(held);
  }

  #reopen(held: HeldCatalog): void {
    held.released = false;
    // What happened meanwhile was not seen: statements wait for a new snapshot.
    held.changes += 1;
    // It stays stale: a change may be told of while this snapshot is under way.
    held.opened = held.catalog.refresh().then(
      () => undefined,
      (error: unknown) => {
        held.released = true; // the next who asks tries again
        throw error;
      },
    );
    held.opened.catch(() => undefined);
  }

  #releaseWhenIdle(held: HeldCatalog): void {
    clearTimeout(held.idleTimer);
    held.idleTimer = setTimeout(() => {
      if (held.users > 0) return;
      held.released = held.catalog.release();
      if (held.released) this.#forgetNames(held);
      if (!held.released) this.#releaseWhenIdle(held);
    }, IDLE_MS);
    held.idleTimer.unref();
  }

  index(database: string): ReachIndex {
    const { index } = this.get(database);
    if (index === undefined) throw new Error(`the catalog of "${database}" was not read yet`);
    return index;
  }

  reach(database: string, facts: StatementFacts, path: SearchPath, local: readonly LocalRelation[], { redefined = false, index }: { readonly redefined?: boolean; readonly index?: ReachIndex } = NOW): ResolvedReach {
    const held = this.get(database);
    if (local.length > 0 || redefined || index !== undefined) return reach(facts, { index: index ?? this.index(database), searchPath: path, local, redefined });
    const known = held.reaches.get(facts);
    if (known !== undefined && samePath(known.path, path)) return known.reach;
    const found = reach(facts, { index: this.index(database), searchPath: path });
    held.reaches.set(facts, { path, reach: found });
    return found;
  }

  /** `elsewhere`: the other processes are told, too. */
  markStale(database: string, elsewhere: Elsewhere): void {
    const held = this.#find(database);
    if (held !== undefined) this.#markStale(held, elsewhere);
  }

  markAllStale(elsewhere: Elsewhere): void {
    for (const held of this.#held.values()) this.#markStale(held, elsewhere);
  }

  #markStale(held: HeldCatalog, elsewhere: Elsewhere): void {
    held.changes += 1;
    if (elsewhere === 'untold' || !this.#options.copies.shared || held.index === undefined) return;
    this.#copies.tell(held, held.index.snapshot, elsewhere === 'code told' ? 'code' : 'definitions');
  }

  async refresh(database: string): Promise<Snapshot> {
    const held = this.get(database);
    // A change that comes while the question is under way must be asked about again; and until the answer is there, nobody is judged by the old snapshot.
    const { changes } = held;
    const snapshot = await held.catalog.refresh();
    held.confirmed = Math.max(held.confirmed, changes);
    this.#options.onRefreshed();
    return snapshot;
  }

  /** Something was changed that the snapshot may lack. */
  isStale(database: string): boolean {
    const { changes, confirmed } = this.get(database);
    return confirmed < changes;
  }

  applyPolicy(policy: ReachPolicy): void {
    this.#policy = policy;
    for (const held of this.#held.values()) if (held.index !== undefined) this.#reindex(held, held.index.snapshot);
  }

  /** Age of the least recently confirmed snapshot in seconds. */
  ageSeconds(nowMs: number): number | undefined {
    const ages = [...this.#held.values()].filter(({ released }) => !released).flatMap(({ catalog }) => {
      const { confirmedAt } = catalog.health;
      return confirmedAt === undefined ? [] : [(nowMs - confirmedAt) / 1000];
    });
    return ages.length === 0 ? undefined : Math.max(...ages);
  }

  /** Why catalogs that sessions need cannot be read; empty if all is well. */
  problems(): readonly string[] {
    return [...this.#held.values()].flatMap(({ catalog, index, released }) => {
      const { ready, lastError } = catalog.health;
      return ready || released || index === undefined ? [] : [lastError?.message ?? 'not read yet'];
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#copiesPoll);
    await Promise.all(
      [...this.#held.values()].map(({ catalog, idleTimer, copiesTimer }) => {
        clearTimeout(idleTimer);
        clearTimeout(copiesTimer);
        return catalog.close();
      }),
    );
  }

  /**
   * Keeps what the targets are copies of. Resolves when the store has it: only then may the statement be forwarded. Returns what to call `settleCopies` with when
   * the transaction is over. Rejects if it cannot be kept.
   */
  rememberCopies(database: string, targets: CopyTargets): Promise<readonly string[]> {
    this.index(database);
    return this.#copies.remember(this.get(database), targets);
  }

  settleCopies(database: string, fields: readonly string[]): void {
    this.#find(database)?.book.settle(fields);
  }

  /** Changes when a relation becomes a copy, or a book of the server is marked: what was judged before may have been judged too lightly. */
  copiesEpoch(database: string): number {
    return epochOf(this.get(database));
  }

  /** Undefined if it is known which relations are copies. Else each is taken for one: whoever would be charged for that asks the store first, which fails at once where it is away. */
  copiesUnknown(database: string): Promise<void> | undefined {
    const held = this.get(database);
    return held.book.known ? undefined : this.#copies.learn(held);
  }

  #reindexIfNew(held: HeldCatalog, snapshot: Snapshot): void {
    if (held.indexed?.snapshot !== snapshot || held.indexed.epoch !== epochOf(held)) this.#reindex(held, snapshot);
  }

  #reindex(held: HeldCatalog, snapshot: Snapshot): void {
    if (this.#held.get(held.key) !== held) return;
    const derived = held.book.derived(snapshot, this.#policy.classes.map((cls) => cls.name));
    held.index = makeReachIndex(snapshot, { ...this.#policy, derived, marked: held.marks.marked });
    held.indexed = { snapshot, epoch: epochOf(held), known: held.book.known };
    held.reaches = new WeakMap();
  }
}

function samePath(a: SearchPath, b: SearchPath): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && a.length === b.length && a.every((schema, i) => schema === b[i]);
}
