import type { ClientBase } from 'pg';
import { locksNamed } from '../sql/traces.ts';
import { builtinFunction } from './builtin-functions.ts';
import * as queries from './catalog-queries.ts';
import type { CatalogRows, DependencyRow, FunctionRow, RelationRow, RuleRow } from './catalog-rows.ts';

/** How long one question may take, and how long to wait for a lock that somebody holds on a view. */
export interface ReadLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';

function sqlstateOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

async function ask<Row extends readonly unknown[]>(client: ClientBase, text: string, values: unknown[] = []): Promise<readonly Row[]> {
  const result = await client.query<Row[]>({ text, values, rowMode: 'array' } as never);
  return result.rows as unknown as readonly Row[];
}

/**
 * Runs `read` on one state of the catalog. READ ONLY and without a search_path, so that nothing of a user's can be called and every name is
 * printed in full. `search_path = ''` still finds pg_catalog, which is always searched.
 */
export async function inCatalogTransaction<T>(client: ClientBase, limits: ReadLimits, read: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await client.query(
      `SET LOCAL search_path = ''; SET LOCAL statement_timeout = ${Math.trunc(limits.statementTimeoutMs)}; SET LOCAL lock_timeout = ${Math.trunc(limits.lockTimeoutMs)}`,
    );
    const value = await read();
    await client.query('COMMIT');
    return value;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined); // A broken connection cannot roll back; the first error tells more.
    throw error;
  }
}

/** Changes whenever the catalog does; see `DIGEST`. */
export async function readDigest(client: ClientBase): Promise<string> {
  const [row] = await ask<[string]>(client, queries.DIGEST);
  return row?.[0] ?? '';
}

async function textsOf(client: ClientBase, query: string, oids: readonly number[]): Promise<readonly (readonly [number, string | null])[]> {
  return ask<[number, string | null]>(client, query, [oids]);
}

/**
 * Texts of views, rules and routines. Somebody who holds a lock on a view would keep all of them waiting, so after a time-out they are asked for one by one, and
 * what stays locked is left without a text: it counts as opaque, and nothing else suffers.
 */
async function readTexts(client: ClientBase, query: string, oids: readonly number[]): Promise<ReadonlyMap<number, string | null>> {
  if (oids.length === 0) return new Map();
  await client.query('SAVEPOINT texts');
  try {
    return new Map(await textsOf(client, query, oids));
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE && sqlstateOf(error) !== QUERY_CANCELED) throw error;
  }
  const texts = new Map<number, string | null>();
  await client.query('ROLLBACK TO texts; SET LOCAL lock_timeout = 20');
  for (const oid of oids) {
    try {
      await client.query('SAVEPOINT texts');
      for (const [found, text] of await textsOf(client, query, [oid])) texts.set(found, text);
      await client.query('RELEASE texts');
    } catch (error) {
      if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      await client.query('ROLLBACK TO texts');
    }
  }
  return texts;
}

async function readRules(client: ClientBase): Promise<readonly RuleRow[]> {
  const rules = await ask<[number, number, RuleRow['event']]>(client, queries.RULES);
  const texts = await readTexts(client, queries.RULE_TEXTS, rules.map(([oid]) => oid));
  return rules.map(([oid, relation, event]) => ({ oid, relation, event, text: texts.get(oid) ?? null }));
}

/** Reads the whole catalog; to be called within `inCatalogTransaction`. */
export async function readCatalog(client: ClientBase): Promise<CatalogRows> {
  const [server] = await ask<[number, string, number]>(client, queries.SERVER);
  if (server === undefined) throw new Error('the server did not tell its version');
  const namespaces = await ask<[number, string, boolean, string]>(client, queries.NAMESPACES);
  const relations = await ask<[number, string, string, RelationRow['kind'], number, number]>(client, queries.RELATIONS);
  const columns = await ask<[number, number[], string[], number[]]>(client, queries.COLUMNS);
  const inherits = await ask<[number, number]>(client, queries.INHERITS);
  const indexes = await ask<[number, number]>(client, queries.INDEXES);
  const uniqueKeys = await ask<[number, string[]]>(client, queries.UNIQUE_KEYS);
  const dependencies = await ask<[CatalogRows['dependencies'][number]['via'], number, CatalogRows['dependencies'][number]['target'], number]>(client, queries.DEPENDENCIES);
  const expressions = await ask<[CatalogRows['dependencies'][number]['via'], number, number, boolean]>(client, queries.EXPRESSION_FUNCTIONS);
  const triggers = await ask<[number, number, string, (string | null)[]]>(client, queries.TRIGGERS);
  const eventTriggers = await ask<[number, string]>(client, queries.EVENT_TRIGGERS);
  const routines = await ask<[number]>(client, queries.ROUTINES);
  const definitions = await readTexts(client, queries.ROUTINE_TEXTS, routines.map(([oid]) => oid));
  const aggregates = new Map((await ask<[number, string[], string[]]>(client, queries.AGGREGATES)).map(([oid, parts, states]) => [oid, { parts: parts.map(Number), states: states.map(Number) }]));
  const foreignKeys = await ask<[number, number, string[], boolean, boolean]>(client, queries.FOREIGN_KEYS);
  const functions = await ask<[number, string, string, FunctionRow['kind'], string, FunctionRow['volatility'], boolean, string | null, number | null, boolean]>(client, queries.FUNCTIONS);
  const operators = await ask<[number, string, string, number, number, number]>(client, queries.OPERATORS);
  const builtinOperators = await ask<[string]>(client, queries.BUILTIN_OPERATORS);
  const casts = await ask<[number, number, number, number, boolean]>(client, queries.CASTS);
  const types = await ask<[number, string, string, number, number, number, string]>(client, queries.TYPES);
  const builtinTypes = await ask<[string, string]>(client, queries.BUILTIN_TYPES);
  const roles = await ask<[number, string]>(client, queries.ROLES);
  const memberships = await ask<[number, number, string]>(client, queries.MEMBERSHIPS);
  return {
    serverVersion: server[0],
    database: server[1],
    databaseOid: server[2],
    namespaces: namespaces.map(([oid, name, publicUsage, rights]) => ({ oid, name, publicUsage, rights })),
    relations: relations.map(([oid, schema, name, kind, toast, rowType]) => ({ oid, schema, name, kind, toast, rowType })),
    columns: columns.map(columnsInOrder),
    indexes: indexes.map(([relation, count]) => ({ relation, count })),
    uniqueKeys: uniqueKeys.map(([relation, columns]) => ({ relation, columns })),
    inherits: inherits.map(([child, parent]) => ({ child, parent })),
    rules: await readRules(client),
    dependencies: [...dependencies.map(([via, owner, target, oid]) => ({ via, owner, target, oid })), ...notable(expressions, functions)],
    triggers: triggers.map(([relation, fn, name, tables]) => ({ relation, function: fn, name, tables: tables.filter((each) => each !== null) })),
    eventTriggers: eventTriggers.map(([fn, name]) => ({ function: fn, name })),
    foreignKeys: foreignKeys.map(([referenced, referencing, columns, onDelete, onUpdate]) => ({ referenced, referencing, columns, onDelete, onUpdate })),
    functions: functions.map(([oid, schema, name, kind, language, volatility, securityDefiner, extension, soleArgument, returnsSet]) => ({
      oid, schema, name, kind, language, volatility, securityDefiner, extension, soleArgument, returnsSet,
      ...definitionOf(definitions.get(oid)), ...aggregates.get(oid),
    })),
    operators: operators.map(([oid, schema, name, left, right, fn]) => ({ oid, schema, name, left, right, function: fn })),
    builtinOperators: builtinOperators.map(([name]) => name),
    casts: casts.map(([oid, source, target, fn, implicit]) => ({ oid, source, target, function: fn, implicit })),
    types: types.map(([oid, schema, name, base, element, relation, kind]) => ({ oid, schema, name, base, element, relation, kind })),
    builtinTypes: builtinTypes.map(([schema, name]) => ({ schema, name })),
    roles: roles.map(([oid, name]) => ({ oid, name })),
    memberships: memberships.map(([role, member, inherits]) => ({ role, member, inherits })),
  };
}

/** As PostgreSQL numbers them, whatever order they came in. */
export function columnsInOrder([relation, attnums, names, types]: readonly [number, readonly number[], readonly string[], readonly number[]]): CatalogRows['columns'][number] {
  if (attnums.every((attnum, i) => i === 0 || attnum > (attnums[i - 1] as number))) return { relation, attnums, names, types };
  const order = attnums.map((_, i) => i).toSorted((a, b) => (attnums[a] as number) - (attnums[b] as number));
  const sorted = <T>(values: readonly T[]): T[] => order.map((at) => values[at] as T);
  return { relation, attnums: sorted(attnums), names: sorted(names), types: sorted(types) };
}

/** Of the built-in functions in expressions those that do more than compute. A default that looks a name up (nextval) has it from its own text, not from a row. */
function notable(
  expressions: readonly (readonly [DependencyRow['via'], number, number, boolean])[], functions: readonly (readonly [number, string, string, ...unknown[]])[],
): readonly DependencyRow[] {
  const names = new Map(functions.map(([oid, , name]) => [oid, name]));
  return expressions.flatMap(([via, owner, oid, plain]) => {
    const name = names.get(oid) ?? '';
    const verdict = builtinFunction(name, oid);
    return verdict.kind === 'safe' && (plain || !(verdict.resolves || locksNamed(name))) ? [] : [{ via, owner, target: 'function' as const, oid }];
  });
}

function definitionOf(definition: string | null | undefined): Pick<FunctionRow, 'definition'> {
  return definition === null || definition === undefined ? {} : { definition };
}
