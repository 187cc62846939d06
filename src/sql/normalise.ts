import type { SqlParser } from './dialect.ts';

/** What the audit log keeps of a statement: no literal, no comment. */
export interface NormalisedSql {
  readonly sql: string;
  /** For grouping only, never for a decision: statements of different reach can share one. Undefined for unparsed text. */
  readonly fingerprint: string | undefined;
}

/** By how they are written, since the library's scanner calls some of them (bit strings, U&'...') unknown: quoted with any prefix, or starting with a digit. */
const CONSTANT = /^(?:(?:[xXbBeEnN]|[uU]&)?'|\.?[0-9])/;
const DOLLAR_QUOTED = /^\$(?!\d)/;
/** Keywords, names, punctuation and operators. A token that is neither this nor a constant is not shown. */
const HARMLESS = /^(?:[A-Za-z_\u0080-\uffff][^'"]*|"[^]*"|[uU]&"[^]*"|\$\d+|[-+*/<>=~!@#%^&|`?,()[\].;:]+)$/;
const COMMENTS: ReadonlySet<string> = new Set(['SQL_COMMENT', 'C_COMMENT']);

/**
 * Writes the text again from its tokens, `$n` for each constant. The library's own `normalize` is not used: it leaves comments in, and
 * literals wherever the grammar takes a string without making it an expression (DO and function bodies, passwords, COPY options).
 */
export function normalise(text: string, parser: SqlParser): NormalisedSql {
  const bytes = Buffer.from(text, 'utf8');
  const unparsed = { sql: `<unparsed, ${bytes.length} bytes>`, fingerprint: undefined };
  if (text.includes('\0') || parser.parse(text).kind !== 'tree') return unparsed;
  const sql = withoutLiterals(bytes, parser.scan(text) ?? []);
  return sql === undefined ? unparsed : { sql, fingerprint: parser.fingerprint(text) };
}

/** Undefined if the tokens leave any part of the text unexplained. */
function withoutLiterals(bytes: Buffer, tokens: readonly { readonly name: string; readonly start: number; readonly end: number }[]): string | undefined {
  let next = 1;
  for (const { name, start, end } of tokens) {
    if (name === 'PARAM') next = Math.max(next, Number(bytes.toString('latin1', start + 1, end)) + 1);
  }
  const parts: string[] = [];
  let at = 0;
  let space = false;
  for (const { name, start, end } of tokens) {
    const gap = bytes.toString('latin1', at, start);
    if (start < at || end < start || !isBlank(gap)) return undefined;
    at = end;
    if (gap !== '') space = true;
    if (COMMENTS.has(name)) {
      space = true;
      continue;
    }
    if (space && parts.length > 0) parts.push(' ');
    space = false;
    const token = bytes.toString('utf8', start, end);
    if (CONSTANT.test(token) || DOLLAR_QUOTED.test(token)) {
      parts.push(`$${next}`);
      next += 1;
    } else if (HARMLESS.test(token)) {
      parts.push(token);
    } else {
      return undefined;
    }
  }
  return isBlank(bytes.toString('latin1', at)) ? parts.join('') : undefined;
}

/** What PostgreSQL's lexer takes for white space (scan.l: space). */
function isBlank(text: string): boolean {
  return /^[ \t\n\r\f\v]*$/.test(text);
}
