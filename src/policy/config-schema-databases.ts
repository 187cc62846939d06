import { mapOf, port, section, text } from './config-fields.ts';
import { upstreamTls } from './config-schema-tls.ts';

/** Which server a database is on. */
export const databasesSection = mapOf(
  section({
    host: text('a host name or address, or the directory of a Unix socket').optional().meta({
      description: 'Host of the server that the database is on, as `upstream.host`.',
      'x-default': '`upstream.host`',
      examples: ['billing-db.internal'],
    }),
    port: port(1).optional().meta({ description: 'TCP port of that server.', 'x-default': '5432 with `host`, else `upstream.port`', examples: [5432] }),
    tls: upstreamTls.optional().meta({
      description: 'Encryption between Rowgate and that server, with the keys of `upstream.tls`.',
      'x-default': '`upstream.tls`',
      examples: [{ mode: 'verify-full', ca: 'ca.crt' }],
    }),
    database: text('a database name').optional().meta({
      description: 'Name of the database on that server.',
      'x-default': 'the name that the client asked for',
      examples: ['billing_2024'],
    }),
  }),
  'a mapping of database names to servers',
).meta({
  description: 'Databases that are on another server than `upstream`, by the name that clients ask for, or a glob. An exact name counts before a glob, an earlier glob before a later one. Without a key `upstream` in the file, a database that is not named here does not exist.',
  examples: [{ billing: { host: 'billing-db.internal' }, archive: { host: 'archive-db.internal', database: 'crm_2019' }, 'dwh_*': { host: 'dwh.internal', port: 5433 } }],
});
