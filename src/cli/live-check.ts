/** Holds a policy against the server that it is for: what names nothing there, and where staff could come round the proxy. */

import { Client } from 'pg';
import { UpstreamTls } from '../auth/upstream-tls.ts';
import { CatalogUnavailableError } from '../catalog/errors.ts';
import { compilePattern } from '../catalog/patterns.ts';
import type { ReachIndex } from '../catalog/reach-index.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Config } from '../policy/config.ts';
import type { ConfigPath, Finding } from '../policy/config-path.ts';
import { connectForPg } from '../session/upstream.ts';
import { MemoryDerivedStore } from '../quota/derived-store.ts';
import { Analyser } from '../sql/analyser.ts';
import { openCatalogs } from './catalogs-of.ts';
import { routesOf } from './routes-of.ts';

export interface LiveFindings {
  /** The server or a database could not be asked. */
  readonly errors: readonly string[];
  /** What the file names and the server does not have. */
  readonly findings: readonly Finding[];
  /** What is wrong at the server itself. */
  readonly warnings: readonly string[];
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Reads the catalogs of the databases with the configuration's catalog login. */
export async function checkLive(config: Config, databases: readonly string[]): Promise<LiveFindings> {
  const policy = compilePolicy(config);
  const analyser = await Analyser.create({ maxBytes: config.limits.maxStatementBytes });
  const tls = new UpstreamTls(config.upstream.tls);
  const quiet = (): void => undefined; // open() tells of the error itself
  const catalogs = openCatalogs(config, policy, { routes: routesOf(config).routes, analyse: (text) => analyser.analyse(text), readRoutine: (text) => analyser.readRoutine(text), copies: new MemoryDerivedStore(), onRefreshed: quiet, onError: quiet });
  const errors: string[] = [];
  const indexes: ReachIndex[] = [];
  try {
    for (const database of databases) {
      try {
        await catalogs.open(database);
        indexes.push(catalogs.index(database));
      } catch (error) {
        errors.push(error instanceof CatalogUnavailableError ? error.message : `the catalog of database "${database}" is not available: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const [first] = databases;
    if (errors.length > 0 || first === undefined) return { errors, findings: [], warnings: [] };
    const server = await serverFindings(config, tls, first);
    return { errors, findings: [...policyFindings(config, indexes), ...server.findings], warnings: server.warnings };
  } finally {
    await catalogs.close();
    await analyser.close();
  }
}

/** Pure: what the policy names and no catalog has. */
function policyFindings(config: Config, indexes: readonly ReachIndex[]): readonly Finding[] {
  const found: Finding[] = [];
  for (const cls of config.classes) {
    if (indexes.every((index) => !index.members.present.has(cls.name))) found.push(finding(['classes', cls.name], `matches no relation in ${inDatabases(indexes)}`));
    else for (const { pattern, subject } of cls.relations) found.push(...relationFindings(['classes', cls.name, 'relations', pattern], pattern, subject, cls.name, indexes));
  }
  for (const role of config.roles) {
    role.members.forEach((member, at) => {
      const exists = member.kind === 'glob' || indexes.some((index) => index.snapshot.roles.has(member.value));
      if (!exists) found.push(finding(['roles', role.name, 'members', at], `the server has no ${member.kind === 'pg_role' ? 'role' : 'login'} "${member.value}"`));
    });
  }
  return found;
}

function finding(path: ConfigPath, message: string): Finding {
  return { path, at: 'key', message, hint: undefined };
}

function relationFindings(path: ConfigPath, pattern: string, subject: readonly string[], className: string, indexes: readonly ReachIndex[]): readonly Finding[] {
  const { matches } = compilePattern(pattern);
  const matched = indexes.flatMap((index) => [...index.snapshot.relations.values()].filter((relation) => index.members.classesOf.get(relation.oid)?.has(className) === true && matches(relation.schema, relation.name)).map((relation) => ({ index, relation })));
  if (matched.length === 0) return [finding(path, `matches no relation in ${inDatabases(indexes)}`)];
  return matched.flatMap(({ index, relation }) => {
    const columns = index.snapshot.columns.get(relation.oid)?.names ?? [];
    const missing = subject.filter((column) => !columns.includes(column));
    return missing.length === 0 ? [] : [finding([...path, 'subject'], `${relation.schema}.${relation.name} has no column ${missing.map((column) => `"${column}"`).join(', ')}, so each of its rows counts as another person`)];
  });
}

function inDatabases(indexes: readonly ReachIndex[]): string {
  return `database ${indexes.map((index) => `"${index.snapshot.database}"`).join(', ')}`;
}

/** pg_hba_file_rules is there for superusers and those whom one let read it; without the right there is nothing to say. */
const HBA_RULES = `SELECT line_number, type, array_to_string(user_name, ',') AS users, address, netmask, auth_method
  FROM pg_catalog.pg_hba_file_rules WHERE error IS NULL AND type LIKE 'host%' AND auth_method <> 'reject'`;

async function serverFindings(config: Config, tls: UpstreamTls, database: string): Promise<{ readonly findings: readonly Finding[]; readonly warnings: readonly string[] }> {
  const stream = await connectForPg({ host: config.upstream.host, port: config.upstream.port, tls }, CONNECT_TIMEOUT_MS);
  const client = new Client({ stream: () => stream, user: config.catalog.user, password: config.catalog.password?.reveal(), database, application_name: 'rowgate check' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const own = await client.query<{ rolsuper: boolean }>('SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user');
    const findings = own.rows[0]?.rolsuper === true ? [finding(['catalog', 'user'], `"${config.catalog.user}" is a superuser; a login without any right on tables is enough`)] : [];
    const rules = await client.query<HbaRule>(HBA_RULES).catch(() => undefined);
    return { findings, warnings: (rules?.rows ?? []).flatMap(openRule) };
  } finally {
    await client.end();
  }
}

interface HbaRule {
  readonly line_number: number;
  readonly type: string;
  readonly users: string;
  readonly address: string | null;
  readonly netmask: string | null;
  readonly auth_method: string;
}

/** A rule that lets more than one host in: staff could connect past the proxy. */
function openRule(rule: HbaRule): readonly string[] {
  const oneHost = rule.netmask === '255.255.255.255' || rule.netmask === 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' || rule.address === 'samehost';
  if (oneHost) return [];
  return [`pg_hba.conf line ${rule.line_number}: lets ${rule.users === 'all' ? 'every login' : rule.users} in from ${rule.address ?? 'anywhere'}${rule.netmask === null ? '' : ` (${rule.netmask})`} by ${rule.auth_method}: who is there can go round Rowgate; name Rowgate's address alone`];
}
