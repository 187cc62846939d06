/**
 * Patterns of the policy: `schema.name`, where `*` stands for any characters and `?` for one. Everything else is literal, since PostgreSQL's names may hold
 * any character. Matching takes time linear in pattern times name, so a pattern cannot be made to hang.
 */
export interface NamePattern {
  readonly text: string;
  readonly exact: boolean;
  readonly matches: (schema: string, name: string) => boolean;
}

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}

export function matchesGlob(pattern: string, value: string): boolean {
  let p = 0;
  let v = 0;
  let starAt = -1;
  let retryAt = 0;
  while (v < value.length) {
    const expected = pattern[p];
    if (expected === '*') {
      starAt = p;
      retryAt = v;
      p += 1;
    } else if (expected === '?' || expected === value[v]) {
      p += 1;
      v += 1;
    } else if (starAt >= 0) {
      p = starAt + 1;
      retryAt += 1;
      v = retryAt;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

const SYSTEM_SCHEMAS = ['pg_catalog', 'information_schema', 'pg_toast'];

/** A glob reaches into the system's schemas only if it spells them out: `*.*` means every table of the users. */
export function compilePattern(text: string): NamePattern {
  if (!hasWildcard(text)) return { text, exact: true, matches: (schema, name) => text === `${schema}.${name}` };
  const named = SYSTEM_SCHEMAS.filter((schema) => text.startsWith(`${schema}.`));
  return {
    text,
    exact: false,
    matches: (schema, name) => (!SYSTEM_SCHEMAS.includes(schema) || named.includes(schema)) && matchesGlob(text, `${schema}.${name}`),
  };
}

export function matchesAny(patterns: readonly NamePattern[], object: { readonly schema: string; readonly name: string }): boolean {
  return patterns.some((pattern) => pattern.matches(object.schema, object.name));
}
