import { settingChanges } from './settings.ts';
import { constant, list, text, unwrap } from './tree.ts';

export interface RoutineSettings {
  readonly searchPath: readonly string[] | undefined;
  readonly opaque: readonly string[];
}

/** Settings under which the body's text, or the names in it, mean something else than they do here. */
const READING: ReadonlySet<string> = new Set(['standard_conforming_strings', 'backslash_quote', 'escape_string_warning', 'client_encoding', 'session_authorization', 'role', '*', '*dynamic*']);

/** Whether a body may change the setting without making names or texts mean something else. */
export function harmlessSetting(name: string): boolean {
  return !READING.has(name) && name !== 'search_path';
}

/** SET clauses of CREATE FUNCTION. */
export function readSetOptions(options: readonly unknown[]): RoutineSettings {
  let searchPath: readonly string[] | undefined;
  const opaque: string[] = [];
  for (const item of options) {
    const option = unwrap(item, 'DefElem');
    if (text(option, 'defname') !== 'set') continue;
    const set = unwrap(option?.['arg'], 'VariableSetStmt');
    const changes = set === undefined ? [] : settingChanges(set);
    const [change] = changes;
    if (set === undefined || changes.length !== 1 || change === undefined) opaque.push('has a setting of its own that is not understood');
    else if (change.name === 'search_path') {
      const schemas = list(set, 'args').map(constant);
      // "$user" is whoever calls; a path that is not spelled out may be any.
      const known = text(set, 'kind') === 'VAR_SET_VALUE' && schemas.every((schema) => schema !== undefined && schema !== '$user');
      searchPath = known ? schemas.flatMap((schema) => (schema === undefined || schema === '' ? [] : [schema])) : undefined;
    } else if (!harmlessSetting(change.name)) opaque.push(`sets ${change.name}`);
  }
  return { searchPath, opaque };
}
