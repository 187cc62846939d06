/**
 * Statements whose only fault is that they name what the catalog does not have: most likely a typing error, and the server says it best. Where Parse looks names up,
 * the statement itself is parsed (`probeText`). In others the names are looked up when they run, and what stands in their place asks for them instead.
 */

import type { Judged } from './batch.ts';

/** Statements that `parse_analyze` looks into, inner queries of utility statements included (src/backend/parser/analyze.c). */
const NAMES_FOUND_AT_PARSE: ReadonlySet<string> = new Set(['select', 'values', 'insert', 'update', 'delete', 'merge', 'explain', 'declare_cursor', 'create_table_as', 'select_into']);
/** undefined_table, undefined_object. */
const NOT_THERE: ReadonlySet<string> = new Set(['42P01', '42704']);
const MAX_NAMES = 20;

/** Parse finds out about names in these kinds of statement, and runs nothing. */
export function looksMistyped({ statement, judgement }: Judged): boolean {
  return judgement.onlyMisses && judgement.reach.runsAtParse !== true && statement.kind === 'known' && NAMES_FOUND_AT_PARSE.has(statement.facts.kind);
}

/**
 * A text whose analysis fails at the first of the statement's relations and types that is not there, with the words that the statement would fail with, or
 * else at a function that is never there. So nothing of it ever runs.
 */
export function namesOnly({ statement, judgement }: Judged): string | undefined {
  if (!judgement.onlyMisses || statement.kind !== 'known') return undefined;
  const { relations, types } = statement.facts;
  const sources = relations.filter(({ mode }) => mode !== 'define').map((use, i) => `${inSql(use)} AS r${i}`);
  // Named in a list of columns, a type is looked up, and no value of it is made.
  const columns = types.map((use, i) => `c${i} ${inSql(use)}`);
  if (sources.length + columns.length === 0 || sources.length + columns.length > MAX_NAMES) return undefined;
  if (columns.length > 0) sources.push(`pg_catalog.json_to_recordset(NULL) AS t(${columns.join(', ')})`);
  return `SELECT pg_catalog."ROWGATE REFUSED THIS STATEMENT"() FROM ${sources.join(', ')}`;
}

export function tellsWhatIsNotThere(sqlstate: string): boolean {
  return NOT_THERE.has(sqlstate);
}

function inSql({ schema, name }: { readonly schema: string | undefined; readonly name: string }): string {
  const quote = (part: string): string => `"${part.replaceAll('"', '""')}"`;
  return schema === undefined ? quote(name) : `${quote(schema)}.${quote(name)}`;
}
