import knexModule from 'knex';
import { schema, step } from './steps.mjs';

const ca = process.env.PGSSLROOTCERT;
const knex = knexModule({ client: 'pg', connection: { host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, password: process.env.PGPASSWORD, database: process.env.PGDATABASE, ...(ca === undefined ? {} : { ssl: { ca: (await import('node:fs')).readFileSync(ca) } }) }, searchPath: [schema, 'public'], pool: { min: 0, max: 2 } });

await step('schema', async () => { await knex.raw(`DROP SCHEMA IF EXISTS ${schema} CASCADE`); await knex.raw(`CREATE SCHEMA ${schema}`); });
await step('create table', () => knex.schema.withSchema(schema).createTable('people', (table) => { table.increments(); table.string('name').notNullable().unique(); table.jsonb('data'); table.timestamp('born', { useTz: true }); }));
await step('has table', () => knex.schema.withSchema(schema).hasTable('people'));
await step('has column', () => knex.schema.withSchema(schema).hasColumn('people', 'name'));
await step('column info', () => knex('people').withSchema(schema).columnInfo());
await step('insert', () => knex('people').withSchema(schema).insert([{ name: 'a', data: { x: 1 } }, { name: 'b', born: new Date(0) }]).returning(['id', 'name']));
await step('upsert', () => knex('people').withSchema(schema).insert({ name: 'a', data: { x: 2 } }).onConflict('name').merge().returning('*'));
await step('select', () => knex('people').withSchema(schema).where('name', 'like', '%').orderBy('id').select('*'));
await step('violation', () => knex('people').withSchema(schema).insert({ name: 'a' }));
await step('transaction', () => knex.transaction(async (trx) => { await trx('people').withSchema(schema).insert({ name: 'c' }); await trx.transaction(async (inner) => { await inner('people').withSchema(schema).insert({ name: 'c' }); }).catch(() => undefined); return trx('people').withSchema(schema).count(); }));
await step('stream', async () => { const out = []; for await (const row of knex.select(knex.raw('g FROM generate_series(1, 300) g')).stream()) out.push(row.g); return out.length; });
await step('alter table', () => knex.schema.withSchema(schema).alterTable('people', (table) => { table.integer('age').defaultTo(3); table.index(['name', 'age']); }));
await step('migrations table', () => knex.migrate.currentVersion({ schemaName: schema }));
await step('customers', () => knex('crm.customers').where({ id: 5 }).first());
await step('clean up', () => knex.raw(`DROP SCHEMA ${schema} CASCADE`));
await step('end', () => knex.destroy());
