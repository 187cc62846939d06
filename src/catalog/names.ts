import type { FunctionUse, OperatorUse, RelationUse, TypeUse } from '../sql/facts.ts';
import type { FunctionRow, OperatorRow, RelationRow, TypeRow } from './catalog-rows.ts';
import type { SearchPath } from './reach-types.ts';
import { isTempSchema, type Snapshot } from './snapshot.ts';

/**
 * Names resolve as the server resolves them (PostgreSQL documentation, 5.10.3 "The Schema Search Path"; catalog/namespace.c), and where our
 * knowledge ends, to everything that they can mean: which session a temporary relation belongs to is not in the catalog, and a schema of the path
 * counts only for who may use it.
 */

const NONE: readonly never[] = [];
const CATALOG_ONLY: readonly string[] = ['pg_catalog'];

/** pg_catalog is searched first unless the path names it. */
function orderOf(searchPath: readonly string[]): readonly string[] {
  if (searchPath.length === 0) return CATALOG_ONLY;
  return searchPath.includes('pg_catalog') ? searchPath : ['pg_catalog', ...searchPath];
}

function inSchema(schema: string, wanted: string): boolean {
  return schema === wanted || (wanted === 'pg_temp' && isTempSchema(schema));
}

export function resolveRelations(snapshot: Snapshot, use: Pick<RelationUse, 'schema' | 'name'>, searchPath: SearchPath): readonly RelationRow[] {
  const named = snapshot.relationsByName.get(use.name);
  if (named === undefined) return NONE;
  const { schema } = use;
  if (schema !== undefined) return named.length === 1 && named[0]?.schema === schema ? named : named.filter((relation) => inSchema(relation.schema, schema));
  if (searchPath === undefined) return named;
  const found: RelationRow[] = [];
  for (const relation of named) if (isTempSchema(relation.schema)) found.push(relation);
  for (const candidate of orderOf(searchPath)) {
    const relation = named.find((row) => row.schema === candidate);
    if (relation === undefined) continue;
    found.push(relation);
    // What stands in front may be dropped or renamed by another session before the server resolves the name (it does so again after waiting for a
    // lock), so every schema of the path counts. Only the system's own relations stay where they are.
    if (candidate === 'pg_catalog') break;
  }
  return found;
}

/**
 * Every function that the name can mean: overloads are chosen by argument types, which the text does not show, so all schemas of the path count.
 * Temporary functions are only found by `pg_temp.name` (FuncnameGetCandidates, catalog/namespace.c).
 */
export function resolveFunctions(snapshot: Snapshot, use: Pick<FunctionUse, 'schema' | 'name'>, searchPath: SearchPath): readonly FunctionRow[] {
  const named = snapshot.functionsByName.get(use.name);
  if (named === undefined) return NONE;
  const { schema } = use;
  if (schema !== undefined) return named.filter((row) => inSchema(row.schema, schema));
  if (searchPath === undefined) return named;
  return named.filter((row) => row.schema === 'pg_catalog' || searchPath.includes(row.schema));
}

/** Operators made by users. Whether initdb made one of this name too is told by `Snapshot.builtinOperators`. */
export function resolveOperators(snapshot: Snapshot, use: OperatorUse, searchPath: SearchPath): readonly OperatorRow[] {
  const named = snapshot.operatorsByName.get(use.name);
  if (named === undefined) return NONE;
  const { schema } = use;
  if (schema !== undefined) return named.filter((row) => inSchema(row.schema, schema));
  return searchPath === undefined ? named : named.filter((row) => searchPath.includes(row.schema) || row.schema === 'pg_catalog');
}

export interface ResolvedType {
  readonly builtin: boolean;
  readonly types: readonly TypeRow[];
}

/** Types are looked for in the session's temporary schema too. */
export function resolveTypes(snapshot: Snapshot, use: TypeUse, searchPath: SearchPath): ResolvedType {
  const { schema, name } = use;
  const builtinSchemas = snapshot.builtinTypes.get(name) ?? NONE;
  const named = snapshot.typesByName.get(name) ?? NONE;
  if (schema !== undefined) return { builtin: builtinSchemas.includes(schema), types: named.filter((row) => inSchema(row.schema, schema)) };
  if (searchPath === undefined) return { builtin: builtinSchemas.length > 0, types: named };
  const types = named.filter((row) => isTempSchema(row.schema) || row.schema === 'pg_catalog' || searchPath.includes(row.schema));
  const builtin = builtinSchemas.some((candidate) => candidate === 'pg_catalog' || searchPath.includes(candidate));
  return { builtin, types };
}
