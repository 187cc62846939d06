import { readFileSync } from 'node:fs';
import { DataTypes, Sequelize } from 'sequelize';
import { schema, step } from './steps.mjs';

const ca = process.env.PGSSLROOTCERT;
const db = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, process.env.PGPASSWORD, { host: process.env.PGHOST, port: Number(process.env.PGPORT), dialect: 'postgres', logging: false, pool: { max: 2 }, schema, ...(ca === undefined ? {} : { dialectOptions: { ssl: { ca: readFileSync(ca) } } }) });
const Thing = db.define('thing', { name: { type: DataTypes.STRING, unique: true }, data: DataTypes.JSONB }, { timestamps: false });
// Sequelize makes an enum in a DO block.
const Kind = db.define('kind', { kind: DataTypes.ENUM('a', 'b') }, { timestamps: false });
const plain = (all) => (Array.isArray(all) ? all.map((each) => each.get({ plain: true })) : all.get({ plain: true }));

await step('schema', async () => { await db.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`); await db.createSchema(schema); });
await step('authenticate', () => db.authenticate());
await step('sync', async () => { await Thing.sync(); });
await step('sync with alter', async () => { await Thing.sync({ alter: true }); });
await step('sync of an enum', async () => { await Kind.sync(); });
await step('create', async () => plain(await Thing.bulkCreate([{ name: 'x', data: { q: 1 } }, { name: 'y' }])));
await step('find', async () => plain(await Thing.findAll({ where: { data: { q: 1 } } })));
await step('violation', () => Thing.create({ name: 'x' }));
await step('transaction', () => db.transaction(async (transaction) => { await Thing.create({ name: 'z' }, { transaction }); return Thing.count({ transaction }); }));
await step('schemas', async () => (await db.getQueryInterface().showAllSchemas()).filter((each) => String(each.schema_name ?? each) === schema || String(each.schema_name ?? each) === 'crm'));
await step('describe', () => db.getQueryInterface().describeTable({ tableName: 'things', schema }));
await step('describe customers', () => db.getQueryInterface().describeTable({ tableName: 'customers', schema: 'crm' }));
await step('indexes', async () => (await db.getQueryInterface().showIndex({ tableName: 'invoices', schema: 'crm' })).map(({ name, unique, primary, fields }) => ({ name, unique, primary, fields })));
await step('foreign keys', () => db.getQueryInterface().getForeignKeyReferencesForTable({ tableName: 'invoices', schema: 'crm' }));
await step('clean up', () => db.dropSchema(schema));
await step('end', () => db.close());
