import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import typeorm from 'typeorm';
import { schema, step } from './steps.mjs';

const { DataSource, EntitySchema } = typeorm;
const Author = new EntitySchema({ name: 'Author', schema, columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'varchar', unique: true }, born: { type: 'timestamptz', nullable: true }, tags: { type: 'text', array: true, default: [] } }, relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author' } } });
const Book = new EntitySchema({ name: 'Book', schema, columns: { id: { type: 'uuid', primary: true }, title: { type: 'text' }, kind: { type: 'enum', enum: ['a', 'b'], default: 'a' }, price: { type: 'numeric', precision: 10, scale: 2, default: 0 } }, relations: { author: { type: 'many-to-one', target: 'Author', inverseSide: 'books' } }, indices: [{ columns: ['title'] }] });
const ca = process.env.PGSSLROOTCERT;
const source = new DataSource({ type: 'postgres', host: process.env.PGHOST, port: Number(process.env.PGPORT), username: process.env.PGUSER, password: process.env.PGPASSWORD, database: process.env.PGDATABASE, schema, entities: [Author, Book], installExtensions: false, ...(ca === undefined ? {} : { ssl: { ca: readFileSync(ca) } }) });
const withoutRandomness = (text) => text.replaceAll(/_[0-9a-f]{20,}/g, '_HASH');

await step('initialize', async () => { await source.initialize(); await source.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`); await source.query(`CREATE SCHEMA ${schema}`); });
await step('plan of synchronize', async () => (await source.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => withoutRandomness(query)));
await step('synchronize', async () => { await source.synchronize(); });
await step('plan afterwards', async () => (await source.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query));
await step('save', () => source.getRepository('Author').save({ name: 'x', born: new Date(0), tags: ['p', 'q'] }));
await step('save with a relation', () => source.getRepository('Book').save({ id: '00000000-0000-4000-8000-000000000001', title: 't', author: { id: 1 } }));
await step('find', () => source.getRepository('Author').find({ relations: { books: true } }));
await step('violation', () => source.getRepository('Author').insert({ name: 'x' }));
await step('transaction', () => source.transaction('SERIALIZABLE', async (manager) => { await manager.getRepository('Author').insert({ name: 'y' }); return manager.getRepository('Author').count(); }));
await step('query builder', () => source.getRepository('Author').createQueryBuilder('a').leftJoinAndSelect('a.books', 'b').where('a.id = :id', { id: 1 }).getMany());
await step('introspection', async () => { const runner = source.createQueryRunner(); const tables = await runner.getTables([`${schema}.author`, `${schema}.book`, 'crm.customers', 'crm.invoices']); const views = await runner.getViews([]); await runner.release(); return [views.length, tables.map((table) => [table.name, table.columns.map(({ name, type, isNullable, isPrimary, default: value }) => [name, type, isNullable, isPrimary, value ?? null]), table.indices.length, table.foreignKeys.map(({ columnNames, referencedTableName }) => [columnNames, referencedTableName])]).sort(([a], [b]) => (a < b ? -1 : 1))]; });
await step('clean up', async () => { await source.query(`DROP SCHEMA ${schema} CASCADE`); });
await step('end', () => source.destroy());
