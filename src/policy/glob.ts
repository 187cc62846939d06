/** Patterns of the policy: `*` stands for any run of characters, `?` for one. Everything else is itself, and case counts. */

export function isGlob(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}

/**
 * Matches in time linear in pattern times text: after a mismatch only the last `*` takes one character more, so that no
 * pattern and no login name can make it explode.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern);
  const given = Array.from(text);
  let p = 0;
  let t = 0;
  let star = -1;
  let starText = 0;
  while (t < given.length) {
    if (wanted[p] === '*') {
      star = p++;
      starText = t;
    } else if (p < wanted.length && (wanted[p] === '?' || wanted[p] === given[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (wanted[p] === '*') p++;
  return p === wanted.length;
}

/** NAMEDATALEN - 1 (pg_config_manual.h): PostgreSQL cuts longer names, so a longer name matches nothing. */
export const MAX_NAME_BYTES = 63;

/** What is wrong with a name or glob, as the end of a sentence that starts with the pattern; undefined if nothing is. */
export function globProblem(pattern: string): { readonly message: string; readonly hint: string | undefined } | undefined {
  if (pattern === '') return { message: 'is empty', hint: undefined };
  if (pattern !== pattern.trim()) return { message: 'starts or ends with a space', hint: undefined };
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(pattern)) return { message: 'has a control character in it', hint: undefined };
  const special = /[[\]{}()!\\|]/.exec(pattern);
  if (special !== null) {
    return {
      message: `has "${special[0]}" in it, which has no meaning in a pattern`,
      hint: 'only * (any characters) and ? (one character) are special; write ? for a character that cannot be written',
    };
  }
  if (!isGlob(pattern) && new TextEncoder().encode(pattern).length > MAX_NAME_BYTES) {
    return { message: `is longer than ${MAX_NAME_BYTES} bytes, so no name in PostgreSQL can match it`, hint: undefined };
  }
  return undefined;
}

/** The same for `schema.name`: exactly one dot, and something on each side of it. */
export function qualifiedProblem(pattern: string): { readonly message: string; readonly hint: string | undefined } | undefined {
  const parts = pattern.split('.');
  if (parts.length === 1) {
    return { message: 'has no schema', hint: `write schema.name, e.g. "public.${pattern}" or "*.${pattern}"` };
  }
  if (parts.length > 2) {
    return { message: 'has more than one dot', hint: 'write schema.name; use ? for a dot that is part of a name' };
  }
  for (const part of parts) {
    const problem = globProblem(part);
    if (problem !== undefined) {
      return part === '' ? { message: 'has nothing before or after its dot', hint: 'write schema.name' } : problem;
    }
  }
  return undefined;
}
