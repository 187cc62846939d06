/** Which relations of the databases are copies: brought together from the store, where all processes keep them, and from each snapshot of the catalog. */

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReachIndex } from '../catalog/reach-index.ts';
import type { CopyTargets } from '../catalog/reach-types.ts';
import { noLongerShown } from '../catalog/shown-copies.ts';
import type { Snapshot } from '../catalog/snapshot.ts';
import type { DerivedStore } from '../quota/derived-store.ts';
import { copiesKey, type HeldCatalog } from './held-catalog.ts';

/**
 * How often it is asked what other processes have made copies of, and how long a statement that makes one waits until they have: an answer that was under way
 * (`store.timeout`), the pause, and an answer.
 */
export const COPIES_POLL_MS = 400;
export const COPIES_KNOWN_MS = 2_500;
const COPIES_AGAIN_MS = 100;
/** Among the fields of a database's copies: another value whenever somebody has changed definitions. */
const DEFINITIONS = 'd';
/** Likewise for those of functions and the like. */
const CODE = 'c';

export class KeptCopies {
  readonly #store: DerivedStore;
  readonly #isHeld: (held: HeldCatalog) => boolean;
  /** Makes another index, if there are copies that the one at hand does not know of. */
  readonly #reindexIfNew: (held: HeldCatalog, snapshot: Snapshot) => void;

  constructor(store: DerivedStore, isHeld: (held: HeldCatalog) => boolean, reindexIfNew: (held: HeldCatalog, snapshot: Snapshot) => void) {
    this.#store = store;
    this.#isHeld = isHeld;
    this.#reindexIfNew = reindexIfNew;
  }

  /** Between two looks at the catalog, also while nobody is in the database: whoever comes next must know them. A store that is away has its say at the next look. */
  async lookAgain(held: HeldCatalog): Promise<void> {
    if (held.released || held.index === undefined || !held.book.known || held.asking) return;
    held.asking = true;
    try {
      const kept = await this.#read(held, held.index.snapshot);
      if (held.book.addFound(kept)) this.#reindexIfNew(held, held.index.snapshot);
    } catch {
      // Likewise.
    } finally {
      held.asking = false;
    }
  }

  /** Resolves when the store has them, and all processes know of them. Returns the names of those that are expected; rejects if they cannot be kept. */
  async remember(held: HeldCatalog, targets: CopyTargets): Promise<readonly string[]> {
    const { snapshot } = held.index as ReachIndex;
    const fields = held.book.plan(targets, snapshot, Date.now());
    if (fields.size === 0) return [];
    await this.#store.put(copiesKey(held, snapshot), fields);
    held.book.add(fields);
    // Tables that all processes know already: whoever reads them there must know them for copies before there is anything in them.
    if (this.#store.shared && [...fields.keys()].some((field) => field.startsWith('o:'))) await sleep(COPIES_KNOWN_MS);
    // Not a newer snapshot: the copies in that one are still being asked for.
    this.#reindexIfNew(held, (held.index as ReachIndex).snapshot);
    return [...fields.keys()].filter((field) => field.startsWith('n:'));
  }

  /** A snapshot was read. Copies are asked for after it, so that none in it can be missing, and before anybody is judged by it. */
  async confirmed(held: HeldCatalog, snapshot: Snapshot): Promise<void> {
    const key = copiesKey(held, snapshot);
    const { settled } = held;
    try {
      await held.marks.read();
      const lost = held.book.take(await this.#read(held, snapshot), snapshot);
      if (lost.size > 0) await this.#store.put(key, lost);
      const { put, drop } = held.book.resolve(snapshot, settled, Date.now());
      // First the copies that were found, then what they were expected by.
      if (put.size > 0) await this.#store.put(key, put);
      held.book.add(put);
      if (drop.length > 0) await this.#store.drop(key, drop);
      held.book.forget(drop);
    } catch {
      // The store is away: what is known stays known. What was expected stays expected, and is looked for in the snapshot by the next refresh;
      // until then its names are guarded here.
      held.book.add(held.book.resolve(snapshot, [], Date.now()).put);
      if (!held.book.known) this.#learnSoon(held);
    }
    const { index: before, indexed } = held;
    this.#reindexIfNew(held, snapshot);
    if (before !== undefined && indexed?.known === true && indexed.snapshot !== snapshot) await this.#keepWhatWasShown(held, before, snapshot);
  }

  /** Asks for them if nobody has yet. The store may be away: then nothing is known afterwards, either. */
  async learn(held: HeldCatalog): Promise<void> {
    if (held.index === undefined) return;
    try {
      const kept = await this.#read(held, held.index.snapshot);
      // A newer snapshot may have asked for them meanwhile.
      if (held.book.known || !this.#isHeld(held)) return;
      held.book.take(kept, held.index.snapshot);
      this.#reindexIfNew(held, held.index.snapshot);
    } catch {
      // Likewise.
    }
  }

  /** Lets the other processes know that definitions have changed, and whether functions have. */
  tell(held: HeldCatalog, snapshot: Snapshot, what: 'definitions' | 'code'): void {
    const definitions = randomUUID();
    const code = what === 'code' ? definitions : held.told.code;
    this.#store.put(copiesKey(held, snapshot), new Map(what === 'code' ? [[DEFINITIONS, definitions], [CODE, definitions]] : [[DEFINITIONS, definitions]])).then(
      () => {
        held.told = { definitions, code };
        // What another process told of a moment before was overwritten by it.
        held.changes += 1;
        if (what === 'code') held.codeChanges.note({ functionName: undefined });
      },
      () => undefined, // They see it at their next look at the catalog.
    );
  }

  /** What the catalog showed is remembered from the snapshot on that does not show it. */
  async #keepWhatWasShown(held: HeldCatalog, before: ReachIndex, snapshot: Snapshot): Promise<void> {
    const fields = held.book.fieldsOf(noLongerShown(before, held.index as ReachIndex), snapshot, Date.now());
    if (fields.size === 0) return;
    held.book.add(fields);
    this.#reindexIfNew(held, snapshot);
    // If the store is away: `take` puts back what it lacks.
    await this.#store.put(copiesKey(held, snapshot), fields).catch(() => undefined);
  }

  /** A process that was started while the store was away takes every table for a copy: no longer than it must. */
  #learnSoon(held: HeldCatalog): void {
    clearTimeout(held.copiesTimer);
    held.copiesTimer = setTimeout(() => {
      void this.learn(held).then(() => {
        if (!held.book.known && this.#isHeld(held)) this.#learnSoon(held);
      });
    }, COPIES_AGAIN_MS);
    held.copiesTimer.unref();
  }

  /** What the store holds. On the way it is seen whether another process knows of definitions that have changed. */
  async #read(held: HeldCatalog, snapshot: Snapshot): Promise<ReadonlyMap<string, string>> {
    const kept = new Map(await this.#store.read(copiesKey(held, snapshot)));
    const told = { definitions: kept.get(DEFINITIONS), code: kept.get(CODE) };
    const before = held.told;
    held.told = told;
    if (told.definitions !== undefined && told.definitions !== before.definitions) held.changes += 1;
    if (told.code !== undefined && told.code !== before.code) held.codeChanges.note({ functionName: undefined });
    kept.delete(DEFINITIONS);
    kept.delete(CODE);
    return kept;
  }
}
