// What kysely, knex, sequelize and typeorm ask a database about itself.
import knexModule from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { QueryTypes, Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';

const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = process.env;
const show = (name, value) => console.log(JSON.stringify([name, value]));
const tables = [['crm', 'customers'], ['crm', 'invoices'], ['shop', 'tariffs'], ['shop', 'products'], ['shop', 'tickets'], ['shop', 'events']];

const kysely = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool() }) });
show('kysely schemas', await kysely.introspection.getSchemas());
show('kysely tables', await kysely.introspection.getTables({ withInternalKyselyTables: true }));
await kysely.destroy();

const knex = knexModule({ client: 'pg', connection: { host, port, user, password, database } });
for (const [schema, table] of tables) {
  show('knex has', await knex.schema.withSchema(schema).hasTable(table));
  show('knex columns', await knex(table).withSchema(schema).columnInfo());
}
await knex.destroy();

const sequelize = new Sequelize({ dialect: 'postgres', host, port, username: user, password, database, logging: false });
const questions = sequelize.getQueryInterface();
await sequelize.authenticate();
show('sequelize tables', await questions.showAllTables());
show('sequelize schemas', await questions.showAllSchemas());
for (const [schema, tableName] of tables) {
  show('sequelize columns', await questions.describeTable({ schema, tableName }));
  show('sequelize indexes', await questions.showIndex({ schema, tableName }));
  show('sequelize keys', await questions.getForeignKeyReferencesForTable({ schema, tableName }));
}
show('sequelize query', await sequelize.query('SELECT name FROM shop.tariffs ORDER BY 1', { type: QueryTypes.SELECT }));
await sequelize.close();

// It looks for generated columns in a table of its own, which is not there: no products.
const typeorm = await new DataSource({ type: 'postgres', host, port: Number(port), username: user, password, database }).initialize();
const runner = typeorm.createQueryRunner();
show('typeorm tables', (await runner.getTables(tables.filter(([, name]) => name !== 'products').map((each) => each.join('.')))).map(({ name, columns, indices, foreignKeys, checks }) => [name, columns.map((each) => [each.name, each.type, each.default]), indices.length, foreignKeys.length, checks.length]));
show('typeorm views', (await runner.getViews(['crm.active', 'shop.dear'])).length);
await runner.release();
await typeorm.destroy();
