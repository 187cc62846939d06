import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Catalog, type CatalogOptions } from '../../../src/catalog/catalog.ts';
import { CatalogUnavailableError } from '../../../src/catalog/errors.ts';
import { isMemberOf, rolesOf } from '../../../src/catalog/members.ts';
import type { Snapshot } from '../../../src/catalog/snapshot.ts';
import type { Analysis } from '../../../src/sql/facts.ts';
import { CRM_SCHEMA } from './crm-schema.ts';
import { startServer, type TestServer } from './postgres-server.ts';

let server: TestServer;
let admin: Client;
const open: Catalog[] = [];

beforeAll(async () => {
  server = await startServer();
  admin = await server.connect();
  await admin.query(CRM_SCHEMA);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((catalog) => catalog.close()));
});

afterAll(async () => {
  await admin?.end();
  await server?.stop();
});

const nothing: Analysis = { kind: 'opaque', reason: 'not asked' };

function makeCatalog(options: Partial<CatalogOptions> = {}): Catalog {
  const catalog = new Catalog({
    connection: { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'secret', database: 'postgres' },
    analyse: () => nothing,
    readRoutine: () => ({ statements: [], arguments: [], filled: [], catches: false, loops: false, opensCursors: false, types: [], searchPath: undefined, opaque: ['is not asked'] }),
    refreshMs: 60_000,
    ...options,
  });
  open.push(catalog);
  return catalog;
}

const has = (snapshot: Snapshot, name: string): boolean => snapshot.relationsByName.has(name);

describe('a snapshot', () => {
  it('is read whole by a login without any rights', async () => {
    const snapshot = await makeCatalog().refresh();
    expect(snapshot.serverVersion).toBeGreaterThan(140_000);
    expect(has(snapshot, 'customers')).toBe(true);
    await expect(server.connect('catalog').then(async (client) => client.query('SELECT * FROM crm.customers').finally(() => client.end()))).rejects.toThrow(/permission denied/);
  });

  it('holds definitions with qualified names', async () => {
    const snapshot = await makeCatalog().refresh();
    const view = snapshot.relationsByName.get('view_over_view')?.[0];
    expect(snapshot.rules.get(view?.oid ?? 0)?.[0]?.text).toMatch(/FROM \(crm\.customer_view v\s+JOIN crm\.invoices i/);
  });

  it('has the same version for the same content, and another for another', async () => {
    const first = await makeCatalog().refresh();
    const second = await makeCatalog().refresh();
    expect(second.version).toBe(first.version);
    await admin.query('CREATE TABLE public.version_test ()');
    expect((await makeCatalog().refresh()).version).not.toBe(first.version);
  });

  it('sees the temporary relations of other sessions', async () => {
    const other = await server.connect();
    await other.query('CREATE TEMP TABLE hidden_away (id int)');
    const relation = (await makeCatalog().refresh()).relationsByName.get('hidden_away')?.[0];
    expect(relation?.schema).toMatch(/^pg_temp_\d+$/);
    await other.end();
  });

  it('leaves out a view that somebody holds locked, and waits for nobody', async () => {
    const textOf = (snapshot: Snapshot, name: string) => snapshot.rules.get(snapshot.relationsByName.get(name)?.[0]?.oid ?? 0)?.[0]?.text;
    const catalog = makeCatalog();
    const other = await server.connect();
    try {
      await other.query('BEGIN; ALTER VIEW public.twice SET (security_barrier = true)');
      const locked = await catalog.refresh();
      expect(textOf(locked, 'twice')).toBeNull();
      expect(textOf(locked, 'packed')).toMatch(/json_agg/);
    } finally {
      await other.query('ROLLBACK');
      await other.end();
    }
    expect(textOf(await catalog.refresh(), 'twice')).toMatch(/SELECT/);
  });
});

describe('roles', () => {
  it('are members directly and through others, and superusers of nothing but what they were granted', async () => {
    const snapshot = await makeCatalog().refresh();
    expect(isMemberOf(snapshot, 'anna', 'tier1')).toBe(true);
    expect(isMemberOf(snapshot, 'anna', 'support')).toBe(true);
    expect(isMemberOf(snapshot, 'anna', 'anna')).toBe(true);
    expect(isMemberOf(snapshot, 'boss', 'support')).toBe(false);
    expect(isMemberOf(snapshot, 'nobody', 'nobody')).toBe(false);
    expect([...rolesOf(snapshot, 'anna')].sort()).toEqual(['anna', 'support', 'tier1']);
  });
});

describe('a refresh', () => {
  it('asks again if it was asked for while another one was under way', async () => {
    const catalog = makeCatalog();
    await catalog.refresh();
    const running = catalog.refresh();
    await admin.query('CREATE TABLE public.made_meanwhile ()');
    const later = catalog.refresh();
    expect(catalog.refresh()).toBe(later);
    await running;
    expect(has(await later, 'made_meanwhile')).toBe(true);
  });

  it('keeps the snapshot where nothing has changed', async () => {
    const catalog = makeCatalog();
    const first = await catalog.refresh();
    expect(await catalog.refresh()).toBe(first);
    expect(catalog.current()).toBe(first);
  });

  it.each([
    ['a table', 'CREATE TABLE public.c1 (id int)'],
    ['a column renamed', 'ALTER TABLE public.notes RENAME body TO text'],
    ['a view', 'CREATE VIEW public.c2 AS SELECT 1 AS one'],
    ['a view replaced', 'CREATE OR REPLACE VIEW public.c2 AS SELECT 2 AS one'],
    ['a function replaced', `CREATE OR REPLACE FUNCTION public.trusted_one(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'`],
    ['a trigger', 'CREATE TRIGGER t AFTER INSERT ON public.notes FOR EACH ROW EXECUTE FUNCTION public.log_it()'],
    ['a partition detached', 'ALTER TABLE crm.calls DETACH PARTITION public.calls_2025'],
    ['inheritance', 'ALTER TABLE crm.vip NO INHERIT crm.customers'],
    ['a schema renamed', 'ALTER SCHEMA shadow RENAME TO shade'],
    ['a membership', 'GRANT support TO boss'],
    ['a membership taken back', 'REVOKE support FROM boss'],
    ['a role', 'CREATE ROLE newcomer'],
    ['a default', 'ALTER TABLE public.notes ALTER id SET DEFAULT public.mystery(1)'],
    ['a policy', 'CREATE POLICY p ON public.notes USING (public.mystery(id) = 2)'],
    ['a domain check', 'ALTER DOMAIN public.plain ADD CHECK (public.mystery(VALUE) = 1)'],
    ['a table dropped', 'DROP TABLE public.c1'],
  ])('sees %s', async (_what, sql) => {
    const catalog = makeCatalog();
    const before = await catalog.refresh();
    await admin.query(sql);
    expect((await catalog.refresh()).version).not.toBe(before.version);
  });

  it('sees what an old transaction commits late', async () => {
    const slow = await server.connect();
    await slow.query('BEGIN; CREATE TABLE public.slow_one ()');
    await admin.query('CREATE TABLE public.quick_one ()');
    const catalog = makeCatalog();
    const before = await catalog.refresh();
    expect([has(before, 'slow_one'), has(before, 'quick_one')]).toEqual([false, true]);
    await slow.query('COMMIT');
    await slow.end();
    expect(has(await catalog.refresh(), 'slow_one')).toBe(true);
  });

  it('happens by itself, and tells of changes only', async () => {
    const onChange = vi.fn<(snapshot: Snapshot) => void>();
    const catalog = makeCatalog({ refreshMs: 20, onChange });
    await catalog.refresh();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(onChange).not.toHaveBeenCalled();
    await admin.query('CREATE TABLE public.polled ()');
    await vi.waitFor(() => expect(onChange).toHaveBeenCalledOnce(), 5_000);
    expect(has(catalog.current(), 'polled')).toBe(true);
  });
});

describe('the connection', () => {
  it('is made anew after it was lost', async () => {
    const catalog = makeCatalog();
    await catalog.refresh();
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rowgate catalog'`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(catalog.refresh()).resolves.toBeDefined();
    expect(catalog.health).toMatchObject({ ready: true, lastError: undefined });
  });

  it('comes back by itself with growing pauses', async () => {
    const onError = vi.fn<(error: CatalogUnavailableError) => void>();
    const connection = { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'wrong', database: 'postgres' };
    const catalog = makeCatalog({ connection, refreshMs: 60_000, onError });
    await expect(catalog.refresh()).rejects.toThrow(CatalogUnavailableError);
    expect(() => catalog.current()).toThrow(CatalogUnavailableError);
    expect(catalog.health.ready).toBe(false);
    connection.password = 'secret';
    await vi.waitFor(() => expect(catalog.health.ready).toBe(true), 5_000);
    expect(onError).toHaveBeenCalled();
  });

  it('keeps the last snapshot while the server is away, and says so', async () => {
    const connection = { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'secret', database: 'postgres' };
    const catalog = makeCatalog({ connection });
    const snapshot = await catalog.refresh();
    connection.port = 1;
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rowgate catalog'`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(catalog.refresh()).rejects.toThrow(CatalogUnavailableError);
    expect(catalog.current()).toBe(snapshot);
    expect(catalog.health).toMatchObject({ ready: false, version: snapshot.version });
  });

  it('is closed for good', async () => {
    const catalog = makeCatalog();
    await catalog.refresh();
    await catalog.close();
    await expect(catalog.refresh()).rejects.toThrow(/closed/);
    expect(catalog.health.ready).toBe(false);
  });

  it('fails with a typed error before it was ever read', () => {
    expect(() => makeCatalog().current()).toThrow(CatalogUnavailableError);
  });
});
