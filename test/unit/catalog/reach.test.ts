import { describe, expect, it } from 'vitest';
import { reach } from '../../../src/catalog/reach.ts';
import type { CatalogRows } from '../../../src/catalog/catalog-rows.ts';
import { BASE, makeFacts, makeIndex, POLICY, reads } from './hand-made.ts';

const PUBLIC = ['public'];

describe('a name', () => {
  const named = (schema: string | undefined, name: string, searchPath: readonly string[] | undefined) => reach(makeFacts({ relations: [reads(schema, name)] }), { index: makeIndex(), searchPath });

  it('means what any schema of the path holds, since what stands in front may go', () => {
    expect(named(undefined, 'products', ['public', 'closed']).relations).toEqual(['closed.products', 'public.products']);
  });

  it('goes on behind a schema that the user may have no right to use', () => {
    expect(named(undefined, 'products', ['closed', 'public']).relations).toEqual(['closed.products', 'public.products']);
  });

  it('finds a temporary relation of any session, qualified and not', () => {
    expect(named(undefined, 'scratch', PUBLIC).relations).toEqual(['pg_temp_3.scratch']);
    expect(named('pg_temp', 'scratch', PUBLIC).relations).toEqual(['pg_temp_3.scratch']);
  });

  it('finds pg_catalog without its being in the path', () => {
    expect(named(undefined, 'pg_class', []).misses).toEqual([]);
  });

  it('is compared as it is: other case is another name', () => {
    expect(named('crm', 'Customers', PUBLIC).misses).toEqual(['relation "crm.Customers"']);
  });
});

describe('width', () => {
  const index = makeIndex({}, {}, { ...POLICY, classes: [{ name: 'customers', functions: [], relations: [{ pattern: 'crm.*', subject: ['id'] }, { pattern: 'crm.invoices', subject: ['customer_id'] }] }] });
  const width = (facts: Parameters<typeof makeFacts>[0]) => reach(makeFacts(facts), { index, searchPath: PUBLIC }).classes[0]?.width;

  it('counts linked references once, by the largest', () => {
    const relations = [reads('crm', 'customers', 3), reads('crm', 'invoices', 2), reads('crm', 'customers')];
    expect(width({ relations })).toBe(6);
    expect(width({ relations, links: [{ left: 0, leftColumn: 'id', right: 1, rightColumn: 'customer_id' }] })).toBe(4);
    expect(width({ relations, links: [{ left: 0, leftColumn: 'id', right: 1, rightColumn: 'customer_id' }, { left: 1, leftColumn: 'customer_id', right: 2, rightColumn: 'id' }] })).toBe(3);
  });

  it('is not taken in by links on other columns or to oneself', () => {
    const relations = [reads('crm', 'customers'), reads('crm', 'invoices')];
    expect(width({ relations, links: [{ left: 0, leftColumn: 'id', right: 1, rightColumn: 'id' }] })).toBe(2);
    expect(width({ relations, links: [{ left: 0, leftColumn: 'id', right: 0, rightColumn: 'id' }] })).toBe(2);
  });

  it('wants every column of a key that has several', () => {
    const both = makeIndex({}, {}, { ...POLICY, classes: [{ name: 'customers', functions: [], relations: [{ pattern: 'crm.invoices', subject: ['region', 'customer_id'] }] }] });
    const relations = [reads('crm', 'invoices'), reads('crm', 'invoices')];
    const tie = (column: string) => ({ left: 0, leftColumn: column, right: 1, rightColumn: column });
    const of = (links: ReturnType<typeof tie>[]) => reach(makeFacts({ relations, links }), { index: both, searchPath: PUBLIC }).classes[0]?.width;
    expect(of([tie('customer_id')])).toBe(2);
    expect(of([tie('customer_id'), tie('region')])).toBe(1);
  });

  it('saturates', () => {
    expect(width({ relations: [reads('crm', 'customers', 1e9), reads('crm', 'customers', 1e9)] })).toBe(1e9);
  });

  it('is at least 1 for a write that reads nothing', () => {
    expect(width({ kind: 'insert', relations: [{ schema: 'crm', name: 'customers', mode: 'write', times: 1 }] })).toBe(1);
  });
});

describe('a view', () => {
  const depends = (oid: number): CatalogRows['dependencies'] => [{ via: 'rule', owner: 50001, target: 'relation', oid }];
  const read = makeFacts({ relations: [reads('public', 'view')] });

  it('is charged for what pg_depend says it reads, whatever its text seemed to say', () => {
    const index = makeIndex({ dependencies: depends(30001) }, { 'the view': { relations: [reads('public', 'products')] } });
    expect(reach(read, { index, searchPath: PUBLIC }).classes).toMatchObject([{ className: 'customers', width: 1, packs: true }]);
  });

  it('is not packed by a dependency that its text shows too', () => {
    const index = makeIndex({ dependencies: depends(30001) }, { 'the view': { relations: [reads('crm', 'customers')] } });
    expect(reach(read, { index, searchPath: PUBLIC }).classes).toMatchObject([{ className: 'customers', width: 1, packs: false }]);
  });

  it('is opaque if its text could not be read or understood', () => {
    expect(reach(read, { index: makeIndex(), searchPath: PUBLIC }).opaque).toEqual(['the definition of public.view is not understood']);
    expect(reach(read, { index: makeIndex({ rules: [{ oid: 50001, relation: 30010, event: '1', text: null }] }), searchPath: PUBLIC }).opaque).toHaveLength(1);
  });

  it('that reads itself is opaque, and does not hang', () => {
    const index = makeIndex({}, { 'the view': { relations: [reads('public', 'view')] } });
    expect(reach(read, { index, searchPath: PUBLIC }).opaque).toEqual(['a view or policy is defined in terms of itself']);
  });

  it('resolves its names without the path of the session', () => {
    const index = makeIndex({}, { 'the view': { relations: [reads(undefined, 'products')] } });
    expect(reach(read, { index, searchPath: PUBLIC }).opaque).toEqual(['relation "products" is not in the catalog']);
  });

  it('passes its references and calls on, as often as it is used', () => {
    const index = makeIndex({}, { 'the view': { relations: [reads('crm', 'customers', 2)], functions: [{ schema: undefined, name: 'count', times: 2, window: false }] } });
    const twice = makeFacts({ relations: [reads('public', 'view', 2)] });
    expect(reach(twice, { index, searchPath: PUBLIC }).classes).toMatchObject([{ width: 4 + 4 - 1, aggregated: true }]);
  });
});

describe('a row security policy', () => {
  const index = makeIndex({ dependencies: [{ via: 'read', owner: 30003, target: 'relation', oid: 30001 }] });

  it('that looks into a class makes every read reach it', () => {
    expect(reach(makeFacts({ relations: [reads('public', 'products')] }), { index, searchPath: PUBLIC }).classes).toMatchObject([{ className: 'customers', width: 1 }]);
  });

  it('does not make a write a copy of the class', () => {
    const relations = [reads('public', 'products'), { ...reads('public', 'products'), mode: 'write' as const }];
    const result = reach(makeFacts({ kind: 'update', modifies: true, relations }), { index, searchPath: PUBLIC });
    expect(result.classes).toHaveLength(1);
    expect(result.categories.has('derived_copy')).toBe(false);
  });
});

describe('a function', () => {
  const call = (name: string, schema?: string) => reach(makeFacts({ functions: [{ schema, name, times: 1, window: false }] }), { index: makeIndex(), searchPath: PUBLIC });

  it('that somebody put into pg_catalog is not one of initdb\'s', () => {
    expect(call('abs').opaque).toEqual(['the body of function pg_catalog.abs was not read']);
  });

  it('is called by a column\'s notation too', () => {
    const facts = (attributes: readonly string[]) => ({ ...makeFacts({ relations: [reads('crm', 'customers')] }), attributes });
    const of = (attributes: readonly string[]) => reach(facts(attributes), { index: makeIndex(), searchPath: PUBLIC });
    expect(of(['name', 'lower']).classes).toMatchObject([{ width: 1, packs: false, aggregated: false }]);
    expect(of(['json_agg']).classes).toMatchObject([{ packs: true, aggregated: true }]);
    expect(of(['mystery']).opaque).toEqual(['the body of function public.mystery was not read']);
  });

  it('counts with all the schemas where the path is not known', () => {
    const index = makeIndex({ functions: [...BASE.functions, { ...BASE.functions[3]!, oid: 60009, schema: 'closed', name: 'lower' }] });
    const facts = makeFacts({ functions: [{ schema: undefined, name: 'lower', times: 1, window: false }] });
    expect(reach(facts, { index, searchPath: PUBLIC }).opaque).toEqual([]);
    expect(reach(facts, { index, searchPath: undefined }).opaque).toEqual(['the body of function closed.lower was not read']);
  });
});

describe('a write', () => {
  it('runs the triggers of tables whose foreign key cascades', () => {
    const index = makeIndex({ foreignKeys: [{ referenced: 30003, referencing: 30002, columns: ['id'], onDelete: true, onUpdate: false }], triggers: [{ relation: 30002, function: 60001, name: 't' }] });
    const facts = makeFacts({ kind: 'delete', modifies: true, relations: [{ schema: 'public', name: 'products', mode: 'write', times: 1 }] });
    expect(reach(facts, { index, searchPath: PUBLIC }).opaque).toEqual(['the body of function public.mystery was not read, by way of trigger t on crm.invoices']);
  });
});

it('gives the same answer to the same question', () => {
  const facts = makeFacts({ relations: [reads('crm', 'customers'), reads('public', 'products')] });
  const index = makeIndex();
  expect(reach(facts, { index, searchPath: PUBLIC })).toEqual(reach(facts, { index, searchPath: PUBLIC }));
});
