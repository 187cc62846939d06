import { describe, expect, it } from 'vitest';
import { CopyBook } from '../../../src/catalog/copy-book.ts';
import type { CatalogRows, RelationRow } from '../../../src/catalog/catalog-rows.ts';
import type { CopyTargets, DerivedClass } from '../../../src/catalog/reach-types.ts';
import { buildSnapshot, type Snapshot } from '../../../src/catalog/snapshot.ts';
import { BASE } from './hand-made.ts';

const CUSTOMERS: DerivedClass = { className: 'customers', width: 1, packs: false };
const table = (oid: number, schema: string, name: string, rowType = oid + 10_000): RelationRow => ({ oid, schema, name, kind: 'r', toast: 0, rowType });
const snapshot = (...relations: RelationRow[]): Snapshot => buildSnapshot({ ...BASE, relations: [...BASE.relations, ...relations] } as CatalogRows, new Map());
const targets = (more: Partial<CopyTargets>): CopyTargets => ({ oids: [], names: [], classes: [CUSTOMERS], reshapes: false, ...more });
const NOTES = table(31_000, 'public', 'notes');

function opened(): CopyBook {
  const book = new CopyBook();
  book.take(new Map(), snapshot());
  return book;
}

describe('a book of copies', () => {
  it('takes every table for a copy until it has been read', () => {
    const book = new CopyBook();
    expect(book.derived(snapshot(NOTES), ['customers']).get(NOTES.oid)).toEqual([{ className: 'customers', width: 1, packs: true }]);
    book.take(new Map(), snapshot(NOTES));
    expect(book.derived(snapshot(NOTES), ['customers']).size).toBe(0);
  });

  it('remembers a table by oid, once', () => {
    const book = opened();
    const fields = book.plan(targets({ oids: [NOTES.oid] }), snapshot(NOTES), 1);
    expect(fields.size).toBe(1);
    book.add(fields);
    expect(book.derived(snapshot(NOTES), ['customers'])).toEqual(new Map([[NOTES.oid, [CUSTOMERS]]]));
    expect(book.plan(targets({ oids: [NOTES.oid] }), snapshot(NOTES), 2).size).toBe(0);
    expect(book.derived(snapshot({ ...NOTES, schema: 'x', name: 'other' }), ['customers']).size, 'renamed and moved').toBe(1);
  });

  it('keeps whichever copy says more', () => {
    const book = opened();
    for (const classes of [[{ ...CUSTOMERS, width: 3 }], [{ ...CUSTOMERS, packs: true }], [CUSTOMERS]]) book.add(book.plan(targets({ oids: [NOTES.oid], classes }), snapshot(NOTES), 1));
    expect(book.derived(snapshot(NOTES), ['customers']).get(NOTES.oid)).toEqual([{ className: 'customers', width: 3, packs: true }]);
  });

  it('does not take another relation for it that has got its oid', () => {
    const book = opened();
    book.add(book.plan(targets({ oids: [NOTES.oid] }), snapshot(NOTES), 1));
    expect(book.derived(snapshot(table(NOTES.oid, 'public', 'fresh', 77_777)), ['customers']).size).toBe(0);
  });

  it('finds a table that is made later under the name, and not one that was there', () => {
    const book = opened();
    book.add(book.plan(targets({ names: [{ schema: undefined, name: 'notes' }] }), snapshot(NOTES), 1));
    const made = table(31_001, 'crm', 'notes');
    const { put } = book.resolve(snapshot(NOTES, made), [], 2);
    expect(put.size).toBe(1);
    book.add(put);
    expect([...book.derived(snapshot(NOTES, made), ['customers']).keys()]).toEqual([made.oid]);
  });

  it('stops expecting a table when its transaction was over before the catalog was read', () => {
    const book = opened();
    const fields = book.plan(targets({ names: [{ schema: 'public', name: 'never' }] }), snapshot(), 1);
    book.add(fields);
    expect(book.resolve(snapshot(), book.settled, 2).drop).toEqual([]);
    const before = book.settled;
    book.settle([...fields.keys()]);
    expect(book.resolve(snapshot(), before, 3).drop, 'it may have been committed behind this snapshot').toEqual([]);
    expect(book.resolve(snapshot(), book.settled, 4).drop).toEqual([...fields.keys()]);
  });

  it('drops what stays gone for a minute', () => {
    const book = opened();
    const fields = book.plan(targets({ oids: [NOTES.oid] }), snapshot(NOTES), 1);
    book.add(fields);
    expect(book.resolve(snapshot(), [], 1_000).drop).toEqual([]);
    expect(book.resolve(snapshot(NOTES), [], 50_000).drop).toEqual([]);
    expect(book.resolve(snapshot(), [], 60_000).drop).toEqual([]);
    expect(book.resolve(snapshot(), [], 130_000).drop).toEqual([...fields.keys()]);
  });

  it('learns what other processes have kept, and gives back what the store has lost', () => {
    const [one, other] = [opened(), opened()];
    const fields = one.plan(targets({ oids: [NOTES.oid] }), snapshot(NOTES), 1);
    one.add(fields);
    const epoch = other.epoch;
    expect(other.take(fields, snapshot(NOTES)).size).toBe(0);
    expect(other.epoch).toBeGreaterThan(epoch);
    expect(other.derived(snapshot(NOTES), ['customers']).size).toBe(1);
    expect(one.take(new Map(), snapshot(NOTES))).toEqual(fields);
    expect(one.take(new Map(), snapshot()), 'the table is gone as well').toEqual(new Map());
  });
});
