/** What is held of one database that sessions use. */

import type { Catalog } from '../catalog/catalog.ts';
import type { CopyBook } from '../catalog/copy-book.ts';
import type { ReachIndex } from '../catalog/reach-index.ts';
import type { ResolvedReach, SearchPath } from '../catalog/reach-types.ts';
import type { Snapshot } from '../catalog/snapshot.ts';
import type { StatementFacts } from '../sql/facts.ts';
import type { BookMarks } from './book-marks.ts';
import type { CodeChanges } from './code-changes.ts';

export interface HeldCatalog {
  /** Names that clients have for the database, of those that are in use. */
  readonly names: Set<string>;
  readonly key: string;
  /** Sets its copies apart from those of a database with the same oid on another server; empty for the main one. */
  readonly scope: string;
  readonly catalog: Catalog;
  opened: Promise<void>;
  /** Sessions in the database. */
  users: number;
  /** Its connection was given up. */
  released: boolean;
  idleTimer: NodeJS.Timeout | undefined;
  index: ReachIndex | undefined;
  /** Changes that were told of, and how many of them the newest snapshot is known to have. */
  changes: number;
  confirmed: number;
  readonly book: CopyBook;
  /** Of its server. */
  readonly marks: BookMarks;
  readonly codeChanges: CodeChanges;
  /** What the store said last of the fields that tell of changed definitions (`src/session/kept-copies.ts`). */
  told: { readonly definitions: string | undefined; readonly code: string | undefined };
  /** Copies that were over when the refresh that is under way was begun. */
  settled: readonly string[];
  copiesTimer: NodeJS.Timeout | undefined;
  /** It is being asked what others have made copies of. */
  asking: boolean;
  /** What the index was made of. */
  indexed: { readonly snapshot: Snapshot; readonly epoch: number; /** By what the store holds. */ readonly known: boolean } | undefined;
  /** Reaches of facts under one search path: facts are cached by text, so this saves the resolving too. */
  reaches: WeakMap<StatementFacts, { readonly path: SearchPath; readonly reach: ResolvedReach }>;
}

/** Grows whenever a relation becomes a copy, or a book of the server is marked or no longer is. */
export function epochOf({ book, marks }: HeldCatalog): number {
  return book.epoch + marks.epoch;
}

/** Where the store keeps which relations of the database are copies. */
export function copiesKey(held: HeldCatalog, snapshot: Snapshot): string {
  return `${held.scope}${snapshot.databaseOid}`;
}
