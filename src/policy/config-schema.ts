import { z } from 'zod';
import { accessShape } from './config-schema-access.ts';
import { auditSection } from './config-schema-audit.ts';
import { auth } from './config-schema-auth.ts';
import { databasesSection } from './config-schema-databases.ts';
import { alertsSection } from './config-schema-outlets.ts';
import { limitsSection } from './config-schema-limits.ts';
import { store } from './config-schema-store.ts';
import { listenSection } from './config-schema-listen.ts';
import { upstreamTls } from './config-schema-tls.ts';
import {
  SECRET_DOCS, choice, duration, flag, listOf, mapOf, port, secret, section, text, wholeNumber,
} from './config-fields.ts';

/** The configuration: the one source of the loader's rules, `config/rowgate.schema.json` and `docs/configuration.md`. */

export const upstreamSection = section({
  host: text('a host name or address, or the directory of a Unix socket').prefault('127.0.0.1').meta({
    description: 'Host of the PostgreSQL server, or, if it begins with `/`, the directory of its Unix socket. On a Unix socket the server\'s `local` lines of `pg_hba.conf` hold for everybody: `peer` and `trust` there would let anybody in.',
    examples: ['db.internal', '/run/postgresql'],
  }),
  port: port(1).prefault(5432).meta({ description: 'TCP port of the PostgreSQL server.', examples: [5432] }),
  tls: upstreamTls.prefault({}).meta({ description: 'Encryption between Rowgate and the server, for sessions, cancel requests and Rowgate\'s own logins.', examples: [{ mode: 'verify-full', ca: 'ca.crt' }] }),
  databases: listOf(text('a database name or glob'), 'a list of database names or globs')
    .optional()
    .meta({
      description: 'Databases that principals with limits may connect to, by name or glob. Principals without limits reach every database.',
      'x-default': 'the databases that hold at least one relation of a class',
      examples: [['crm', 'crm_*']],
    }),
}).meta({
  description: 'The PostgreSQL server behind Rowgate.',
  examples: [{ host: 'db.internal', port: 5432, databases: ['crm'] }],
});

const catalog = section({
  user: text('a login name').meta({
    description: 'Login with which Rowgate reads the system catalogs. It needs no access to any table of yours.',
    examples: ['rowgate'],
  }),
  password: secret('a password').optional().meta({
    ...SECRET_DOCS,
    description: 'Password of the catalog login. Take it from the environment or a file.',
    'x-default': 'no password is sent',
    examples: ['${ROWGATE_PASSWORD}', '${file:/run/secrets/rowgate}'],
  }),
  refresh: duration({ min: '1s', max: '1h' }).prefault('5s').meta({
    description: 'How often the catalog is looked at for new tables, views, partitions and functions.',
    examples: ['5s'],
  }),
}).meta({
  description: 'How Rowgate learns what exists in the database, to resolve names as the server does.',
  examples: [{ user: 'rowgate', password: '${ROWGATE_PASSWORD}', refresh: '5s' }],
});

const admin = section({
  host: text('a host name or address').prefault('127.0.0.1').meta({ description: 'Address of the HTTP server for metrics, health and administration.', examples: ['127.0.0.1'] }),
  port: port(0).prefault(9187).meta({ description: 'TCP port of the HTTP server. 0 takes a free one and logs it.', examples: [9187] }),
  token: secret('a token').optional().meta({
    ...SECRET_DOCS,
    description: 'Bearer token for everything but `/metrics`, `/healthz` and `/readyz`.',
    'x-default': 'those pages are closed',
    examples: ['${ROWGATE_ADMIN_TOKEN}'],
  }),
  people: mapOf(secret('a token').meta(SECRET_DOCS), 'a mapping of names to tokens').prefault({}).meta({
    description: 'A token for each administrator, so that the audit log knows who granted what, and a grant that one asks for is approved by another. The shared `token` counts as one person named `admin`.',
    examples: [{ alice: '${ALICE_TOKEN}', bob: '${file:secrets/bob}' }],
  }),
  four_eyes: flag().prefault(false).meta({ description: 'Every raise of limits needs a second person: `rowgate grant` only asks for it.', examples: [true] }),
}).meta({ description: 'The HTTP server for Prometheus and for administrators.', examples: [{ host: '127.0.0.1', port: 9187, token: '${ROWGATE_ADMIN_TOKEN}' }] });

const metrics = section({
  principal_label: flag().prefault(false).meta({
    description: 'Label usage metrics with the login name. Off, the number of series is bounded by the policy; on, it grows with the number of logins.',
    examples: [true],
  }),
}).meta({ description: 'What Prometheus sees.', examples: [{ principal_label: true }] });

const log = section({
  level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).prefault('info').meta({
    description: 'Least severe level of log lines that is written to standard output.',
    examples: ['info'],
  }),
}).meta({ description: 'The operational log (not the audit record).', examples: [{ level: 'info' }] });

export const configSchema = section({
  version: z.literal(1, { error: '1, the version of this format' }).meta({ description: 'Version of this format. Always 1.', examples: [1] }),
  listen: listenSection.prefault({}),
  // Optional, not filled in: `databases` alone leaves no server for the rest.
  upstream: upstreamSection.optional(),
  databases: databasesSection.prefault({}),
  auth: auth.prefault({}),
  catalog,
  store,
  audit: auditSection.prefault({}),
  alerts: alertsSection.prefault({}),
  admin: admin.prefault({}),
  metrics: metrics.prefault({}),
  log: log.prefault({}),
  limits: limitsSection.prefault({}),
  workers: z.union([wholeNumber(1, 64), z.literal('auto')], { error: 'a whole number from 1 to 64, or auto' }).prefault(1).meta({
    'x-type': 'whole number or `auto`',
    description: 'Processes that serve the port together, `auto` for one a core. Each has its own sessions; one that ends takes only those with it and is started again.',
    examples: ['auto', 4],
  }),
  ...accessShape,
}).meta({ title: 'Rowgate configuration', description: 'Configuration of Rowgate, a data-loss-prevention proxy for PostgreSQL.' });

/** The file after parsing: units converted, defaults filled in, still in the file's own words. `config.ts` makes a `Config` of it. */
export type ParsedConfig = z.output<typeof configSchema>;

export type JsonSchema = { readonly [key: string]: unknown };

/** JSON Schema of the file as it is written, before interpolation and units. */
export function configJsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    // zod drops the examples of values that are converted; ours are all written as in the file.
    override: ({ zodSchema, jsonSchema }) => {
      const examples = z.globalRegistry.get(zodSchema)?.['examples'];
      if (Array.isArray(examples)) jsonSchema.examples = examples;
    },
  }) as JsonSchema;
}
