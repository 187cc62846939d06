import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, jsonb, pgSchema, serial, text, timestamp } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { schema, step } from './steps.mjs';

const pool = new pg.Pool({ max: 2, ...(process.env.PGSSLROOTCERT === undefined ? { ssl: false } : {}) });
const db = drizzle(pool);
const lab = pgSchema(schema);
const items = lab.table('items', { id: serial().primaryKey(), name: text().notNull(), data: jsonb(), at: timestamp({ withTimezone: true }), size: integer() });
const customers = pgSchema('crm').table('customers', { id: integer().primaryKey(), name: text() });

await step('schema', async () => { await db.execute(sql.raw(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)); await db.execute(sql.raw(`CREATE SCHEMA ${schema}`)); await db.execute(sql.raw(`CREATE TABLE ${schema}.items (id serial PRIMARY KEY, name text NOT NULL, data jsonb, at timestamptz, size int)`)); });
await step('insert', () => db.insert(items).values([{ name: 'a', data: { x: 1 }, at: new Date(0), size: 1 }, { name: 'b', size: 2 }]).returning());
await step('select', () => db.select().from(items).where(eq(items.name, 'a')));
await step('prepared', async () => { const query = db.select().from(items).where(eq(items.id, sql.placeholder('id'))).prepare('item_by_id'); return [await query.execute({ id: 1 }), await query.execute({ id: 2 })]; });
await step('transaction', () => db.transaction(async (tx) => { await tx.insert(items).values({ name: 'c' }); await tx.transaction(async (inner) => { await inner.insert(items).values({ name: 'd' }); inner.rollback(); }).catch(() => undefined); return tx.select().from(items).orderBy(items.id); }));
await step('update', () => db.update(items).set({ size: sql`size + 1` }).where(eq(items.id, 1)).returning());
await step('error', () => db.execute(sql`SELECT nothing FROM ${items}`));
await step('customers', () => db.select().from(customers).where(eq(customers.id, 4)));
await step('clean up', async () => { await db.execute(sql.raw(`DROP SCHEMA ${schema} CASCADE`)); });
await step('end', () => pool.end());
