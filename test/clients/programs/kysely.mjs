import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { schema, step } from './steps.mjs';

const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ max: 2, ...(process.env.PGSSLROOTCERT === undefined ? { ssl: false } : {}) }), cursor: Cursor }) });
const lab = db.withSchema(schema);

await step('schema', async () => { await db.schema.dropSchema(schema).ifExists().cascade().execute(); await db.schema.createSchema(schema).execute(); });
await step('create table', async () => { await lab.schema.createTable('pet').addColumn('id', 'serial', (c) => c.primaryKey()).addColumn('name', 'varchar(40)', (c) => c.notNull()).addColumn('kind', 'text', (c) => c.defaultTo('cat').check(sql`kind <> ''`)).execute(); });
await step('insert', () => lab.insertInto('pet').values([{ name: 'a' }, { name: 'b', kind: 'dog' }]).returningAll().execute());
await step('select', () => lab.selectFrom('pet').selectAll().where('name', 'in', ['a', 'b']).orderBy('id').execute());
await step('violation', () => lab.insertInto('pet').values({ name: 'c', kind: '' }).execute());
await step('stream', async () => { const out = []; for await (const row of lab.selectFrom('pet').select('name').orderBy('id').stream(1)) out.push(row); return out; });
await step('transaction', () => db.transaction().setIsolationLevel('serializable').execute(async (trx) => { await trx.withSchema(schema).insertInto('pet').values({ name: 'd' }).execute(); return trx.withSchema(schema).selectFrom('pet').select(({ fn }) => fn.countAll().as('n')).execute(); }));
await step('introspection of schemas', async () => (await db.introspection.getSchemas()).map(({ name }) => name).filter((name) => name === schema || name === 'crm').sort());
await step('introspection of tables', async () => (await db.introspection.getTables({ withInternalKyselyTables: true })).filter((each) => each.schema === schema || each.schema === 'crm').map(({ columns, ...table }) => ({ ...table, columns: [...columns].sort((a, b) => (a.name < b.name ? -1 : 1)) })).sort((a, b) => (`${a.schema}.${a.name}` < `${b.schema}.${b.name}` ? -1 : 1)));
await step('customers', () => db.selectFrom('crm.customers').selectAll().where('id', '=', 3).execute());
await step('clean up', () => db.schema.dropSchema(schema).cascade().execute());
await step('end', () => db.destroy());
