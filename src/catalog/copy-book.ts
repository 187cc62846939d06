import { randomUUID } from 'node:crypto';
import type { RelationRow } from './catalog-rows.ts';
import { mergeDerived } from './derived-classes.ts';
import type { CopyTargets, DerivedClass, DerivedRelations } from './reach-types.ts';
import { isTempSchema, type Snapshot } from './snapshot.ts';

/**
 * Which relations of one database hold copies of classes. As fields of text, since they are kept beside the counters:
 *
 *     o:OID:ROWTYPE:WIDTH:PACKS:CLASS   the relation is a copy. Its row type's oid is part of the name, so that an oid that is given out again is another relation
 *     n:UUID                            a relation of some name is about to be made; JSON of `Expected`
 *
 * A field is put before the statement reaches the server, so a process that sees a new relation and then reads the fields cannot miss that it is a copy.
 */
export class CopyBook {
  readonly #fields = new Map<string, string>();
  /** Expected ones of this process, and those whose transaction is over. */
  readonly #own = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #goneSinceMs = new Map<string, number>();
  #read = false;

  /** Changes whenever a relation becomes a copy. */
  epoch = 0;

  /** It was read what the store holds: until then every table may be a copy. */
  get known(): boolean {
    return this.#read;
  }

  /** What is not known of the targets yet. Put them into the store, then `add` them. */
  plan(targets: CopyTargets, snapshot: Snapshot, nowMs: number): ReadonlyMap<string, string> {
    const fields = new Map<string, string>();
    for (const [field, value] of this.fieldsOf(new Map(targets.oids.map((oid) => [oid, targets.classes])), snapshot, nowMs)) fields.set(field, value);
    for (const { schema, name } of targets.names) {
      const known = (snapshot.relationsByName.get(name) ?? []).map((relation) => relation.oid);
      const expected: Expected = { schema, name, known, classes: targets.classes, atMs: nowMs };
      fields.set(`n:${randomUUID()}`, JSON.stringify(expected));
    }
    return fields;
  }

  /** Those of the copies that are not among them yet. */
  fieldsOf(copies: DerivedRelations, snapshot: Snapshot, nowMs: number): ReadonlyMap<string, string> {
    const fields = new Map<string, string>();
    for (const [oid, classes] of copies) {
      const relation = snapshot.relations.get(oid);
      if (relation !== undefined) for (const field of fieldsOf(relation, classes)) if (!this.#fields.has(field)) fields.set(field, String(nowMs));
    }
    return fields;
  }

  add(fields: ReadonlyMap<string, string>): void {
    for (const [field, value] of fields) {
      this.#fields.set(field, value);
      if (field.startsWith('n:')) this.#own.add(field);
      else this.epoch += 1;
    }
  }

  /** The transactions that these relations were expected of are over: the next snapshot has them, or they are not coming. */
  settle(fields: readonly string[]): void {
    for (const field of fields) this.#settled.add(field);
  }

  /** Settled before the snapshot that is about to be read was begun. */
  get settled(): readonly string[] {
    return [...this.#settled];
  }

  /** Takes over what the store holds. Returns what it has lost and is still true. */
  take(kept: ReadonlyMap<string, string>, snapshot: Snapshot): ReadonlyMap<string, string> {
    if (!this.#read) this.epoch += 1;
    this.#read = true;
    const lost = new Map<string, string>();
    for (const [field, value] of this.#fields) {
      if (kept.has(field)) continue;
      if (field.startsWith('n:') ? this.#own.has(field) : existing(field, snapshot) !== undefined) lost.set(field, value);
      else this.#fields.delete(field);
    }
    for (const [field, value] of kept) {
      if (!this.#fields.has(field) && field.startsWith('o:')) this.epoch += 1;
      this.#fields.set(field, value);
    }
    return lost;
  }

  /** Copies that another process has told the store of. True if there are any. */
  addFound(kept: ReadonlyMap<string, string>): boolean {
    const { epoch } = this;
    for (const [field, value] of kept) {
      if (!field.startsWith('o:') || this.#fields.has(field)) continue;
      this.#fields.set(field, value);
      this.epoch += 1;
    }
    return this.epoch !== epoch;
  }

  /** What the snapshot tells of relations that were expected, and of those that are gone. `settled`: as it was before the snapshot was begun. */
  resolve(snapshot: Snapshot, settled: readonly string[], nowMs: number): { readonly put: ReadonlyMap<string, string>; readonly drop: readonly string[] } {
    const put = new Map<string, string>();
    const drop: string[] = [];
    const over = new Set(settled);
    for (const [field, value] of this.#fields) {
      if (field.startsWith('o:')) {
        if (this.#gone(field, snapshot, nowMs)) drop.push(field);
        continue;
      }
      const expected = parseExpected(value);
      if (expected === undefined) continue;
      for (const relation of madeSince(expected, snapshot)) for (const found of fieldsOf(relation, expected.classes)) if (!this.#fields.has(found)) put.set(found, String(nowMs));
      if (over.has(field) || nowMs - expected.atMs > EXPECTED_FOR_MS) drop.push(field);
    }
    return { put, drop };
  }

  forget(fields: readonly string[]): void {
    for (const field of fields) {
      this.#fields.delete(field);
      this.#own.delete(field);
      this.#settled.delete(field);
      this.#goneSinceMs.delete(field);
    }
  }

  /** Another process may have read the catalog later than this one: only what stays gone is dropped. */
  #gone(field: string, snapshot: Snapshot, nowMs: number): boolean {
    if (existing(field, snapshot) !== undefined) {
      this.#goneSinceMs.delete(field);
      return false;
    }
    const since = this.#goneSinceMs.get(field) ?? nowMs;
    this.#goneSinceMs.set(field, since);
    return nowMs - since > GONE_FOR_MS;
  }

  /** For the reach index. Before anything was read, every relation with rows counts as a packed copy of every class. */
  derived(snapshot: Snapshot, classNames: readonly string[]): DerivedRelations {
    const derived = new Map<number, readonly DerivedClass[]>();
    if (!this.#read) {
      const all = classNames.map((className) => ({ className, width: 1, packs: true }));
      for (const relation of snapshot.relations.values()) if (relation.oid >= FIRST_USER_OID && STORED_KINDS.has(relation.kind)) derived.set(relation.oid, all);
      return derived;
    }
    for (const field of this.#fields.keys()) {
      const found = field.startsWith('o:') ? existing(field, snapshot) : undefined;
      if (found !== undefined) derived.set(found.oid, mergeDerived(derived.get(found.oid) ?? [], [found.copied]));
    }
    return derived;
  }
}

interface Expected {
  readonly schema: string | undefined;
  readonly name: string;
  /** Relations of this name that were there before. */
  readonly known: readonly number[];
  readonly classes: readonly DerivedClass[];
  readonly atMs: number;
}

const FIRST_USER_OID = 16384;
const STORED_KINDS: ReadonlySet<RelationRow['kind']> = new Set(['r', 'p', 'm', 'f']);
/** A prepared transaction may be committed by somebody else, much later. */
const EXPECTED_FOR_MS = 7 * 24 * 3_600_000;
const GONE_FOR_MS = 60_000;

function fieldsOf(relation: RelationRow, classes: readonly DerivedClass[]): string[] {
  return classes.map(({ className, width, packs }) => `o:${relation.oid}:${relation.rowType}:${width}:${packs ? 1 : 0}:${className}`);
}

function existing(field: string, snapshot: Snapshot): { readonly oid: number; readonly copied: DerivedClass } | undefined {
  const [, oid, rowType, width, packs, className] = /^o:(\d+):(\d+):(\d+):([01]):(.*)$/s.exec(field) ?? [];
  if (className === undefined || snapshot.relations.get(Number(oid))?.rowType !== Number(rowType)) return undefined;
  return { oid: Number(oid), copied: { className, width: Number(width), packs: packs === '1' } };
}

/** Not views: what they are copies of is in the snapshot that they are in. */
function madeSince({ schema, name, known }: Expected, snapshot: Snapshot): readonly RelationRow[] {
  return (snapshot.relationsByName.get(name) ?? []).filter((relation) =>
    STORED_KINDS.has(relation.kind) && !known.includes(relation.oid) && (schema === undefined || schema === relation.schema || (schema === 'pg_temp' && isTempSchema(relation.schema))));
}

function parseExpected(value: string): Expected | undefined {
  try {
    return JSON.parse(value) as Expected;
  } catch {
    return undefined;
  }
}
