/** What a statement reaches once its names are resolved against the catalog. */

import type { BookTraces } from './bookkeeping.ts';

/** A class as the policy defines it, in the catalog's terms. */
export interface ClassDefinition {
  readonly name: string;
  /** Relation patterns: exact `schema.name` or globs (`crm.contact_*`, `*.customers`), each with its subject key columns (empty: none told). */
  readonly relations: readonly { readonly pattern: string; readonly subject: readonly string[] }[];
  /** Functions named by ops as reading the class, `schema.name`. */
  readonly functions: readonly { readonly pattern: string; readonly reads: boolean }[];
}

/** Categories of `deny` (see the configuration reference). */
export type DenyCategory =
  | 'copy_out' | 'derived_copy' | 'opaque' | 'code' | 'server_files' | 'remote' | 'replication' | 'fastpath' | 'packing' | 'statistics';

export interface ClassReach {
  readonly className: string;
  /** Least number of units that one delivered row costs: references (linked ones once) plus aggregate and window calls beyond the first. At least 1. */
  readonly width: number;
  /** One value may hold any number of rows: the row costs ceil(bytes / packed_unit_bytes). */
  readonly packs: boolean;
  /** The statement aggregates over the class: bytes beyond one packed unit a column cost as if packed. */
  readonly aggregated: boolean;
  /** Aggregate and window calls over the class: that many values of a row may sum up others. */
  readonly calls: number;
  /** What is packed into one value is proven to be of one person. */
  readonly onePerson?: boolean | undefined;
  /** However it packs, all that it gives is made of so many of the class's rows. */
  readonly mostRows?: number | undefined;
  /** What the calls add up is proven to be stored columns of the class, which nobody has shaped so that one number holds several. */
  readonly plainSums?: boolean | undefined;
  /** Qualified protected relations that are read, sorted, for audit and messages. */
  readonly relations: readonly string[];
}

export interface Reach {
  /** Empty only if the statement is proven to touch nothing protected. Sorted by class name. */
  readonly classes: readonly ClassReach[];
  /** Why the statement was charged to every class; empty if it was resolved exactly. */
  readonly opaque: readonly string[];
  readonly categories: ReadonlySet<DenyCategory>;
  /** Every relation that the statement names, resolved (`crm.customers`), for the audit record. */
  readonly relations: readonly string[];
  /** OIDs of relations that the verdict covers: those read, and every base relation behind views. A RowDescription that names a protected table outside of this set overrides the verdict. */
  readonly oids: ReadonlySet<number>;
  /** The statement moves values to where they are read for free: set_config, pg_notify, setval, advisory locks. */
  readonly sink: boolean;
  /** Where copies of the classes go; undefined where none is made, or nobody can tell where. */
  readonly copies: CopyTargets | undefined;
  /** It leaves cursors open under names that the session does not see. */
  readonly opensCursors: boolean;
  /** What it leaves in the server's own books; nothing if left out. */
  readonly traces?: BookTraces | undefined;
  /** Rows of a class may stand under another person's key afterwards. */
  readonly rekeys?: boolean | undefined;
  /** How much it tells without giving it back, by what it leaves behind: costs as if it were packed, before it begins. */
  readonly asideBytes?: number | undefined;
  /** Constants that it may hold are made when it is parsed, and making them runs code that reaches a class. */
  readonly runsAtParse?: boolean | undefined;
  /** Of a definition: where code writes to that may run from now on. */
  readonly attached?: Attached | undefined;
  /** No volatile function, no write: running it twice or not at all changes nothing. */
  readonly readOnly: boolean;
  /** True if every function is of the reviewed safe list, so an SQLSTATE class 42 error can depend on nothing but the text. */
  readonly pure: boolean;
}

/** What `reach` returns: the verdict, and the names that the snapshot lacks. */
export interface ResolvedReach extends Reach {
  /** Names that are not in the snapshot, as `relation "x"`; the statement is charged as opaque for them. Worth one refresh of the catalog and another try. */
  readonly misses: readonly string[];
}

/** What one row of a copy can hold of a class. */
export interface DerivedClass {
  readonly className: string;
  /** References to the class that went into one row. */
  readonly width: number;
  /** A value of it may hold any number of rows. */
  readonly packs: boolean;
}

/** Where code writes to that the open transaction has made or attached to something. */
export interface Attached {
  /** `SINK`: it signals. */
  readonly oids: ReadonlySet<number>;
  /** Relations that the catalog does not have yet. */
  readonly names: readonly { readonly schema: string | undefined; readonly name: string }[];
  /** It reads a class, or nobody can tell. */
  readonly reads: boolean;
}

/** Where a statement puts copies of the classes that it reaches. */
export interface CopyTargets {
  readonly oids: readonly number[];
  /** Relations that it makes, or gives another name. */
  readonly names: readonly { readonly schema: string | undefined; readonly name: string }[];
  readonly classes: readonly DerivedClass[];
  /** It feeds a relation of a class from the class in another shape, which would make the class itself hold more than its rows tell. */
  readonly reshapes: boolean;
}

/** By oid of the copy. */
export type DerivedRelations = ReadonlyMap<number, readonly DerivedClass[]>;

/** A relation that this session made in its open transaction: no other session sees it yet, so it is not in the snapshot. */
export interface LocalRelation {
  readonly schema: string | undefined;
  readonly name: string;
  /** Classes that the statement which made it had reached; none for most. */
  readonly classes: readonly string[];
  /** An enum, composite type or domain: no relation has its name thereby. */
  readonly onlyType: boolean;
  /** Its columns may be of types whose values code makes. */
  readonly makesValues?: boolean | undefined;
}

/** Where a session resolves unqualified names. `undefined`: not known, every schema counts. */
export type SearchPath = readonly string[] | undefined;
