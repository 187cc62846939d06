import type { z } from 'zod';
import type { ConfigPath, Finding } from './config-path.ts';
import { formatPath, getIn } from './config-path.ts';
import type { JsonSchema } from './config-schema.ts';
import { nearest } from './nearest.ts';
import { knownKeys } from './schema-lookup.ts';

/** What the translation of a schema issue needs to know about the file. */
export interface SchemaContext {
  readonly schema: JsonSchema;
  readonly tree: unknown;
  /** The value in words for a message; undefined if it must not be shown. */
  readonly show: (path: ConfigPath) => string | undefined;
}

type Issue = z.core.$ZodIssue;

/** Turns what the schema found into sentences. */
export function schemaFindings(issues: readonly Issue[], context: SchemaContext): Finding[] {
  return withoutFollowers(issues.flatMap((issue) => findingsOf(issue, context)));
}

/** A mistyped key is also missing under its right name: that is one mistake, told once. */
function withoutFollowers(findings: readonly Finding[]): Finding[] {
  const meant = new Set(findings.flatMap(({ path, hint }) => (hint?.startsWith(GUESS) === true ? [formatPath([...path.slice(0, -1), hint.slice(GUESS.length, -1)])] : [])));
  return findings.filter(({ path, message }) => !(message.startsWith(MISSING) && meant.has(formatPath(path))));
}

const MISSING = 'missing: ';
const GUESS = 'did you mean ';

function findingsOf(issue: Issue, context: SchemaContext): Finding[] {
  const path = issue.path.filter((step): step is string | number => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], context));
  if (issue.code === 'custom') {
    const hint = issue.params?.['hint'];
    return [{ path, at: 'value', message: issue.message, hint: typeof hint === 'string' ? hint : undefined }];
  }
  const value = getIn(context.tree, path);
  if (value === undefined) return [{ path, at: 'key', message: `${MISSING}expected ${issue.message}`, hint: undefined }];
  const shown = context.show(path);
  return [
    {
      path,
      at: 'value',
      message: `expected ${issue.message}${shown === undefined ? '' : `, not ${shown}`}`,
      hint: shown !== undefined && typeof value === 'string' || typeof value === 'number' ? hintFor(issue, value) : undefined,
    },
  ];
}

function unknownKey(path: ConfigPath, context: SchemaContext): Finding {
  const parent = path.slice(0, -1);
  const key = String(path.at(-1));
  const known = knownKeys(context.schema, parent);
  // Between braces and brackets, what stands behind a comma is a key of its own.
  if (/^\d{3}$/.test(key)) return { path, at: 'key', message: 'unknown key', hint: 'numbers are written without commas: 20000, not 20,000' };
  const guess = nearest(key, known);
  const place = parent.length === 0 ? 'the file' : formatPath(parent);
  return {
    path,
    at: 'key',
    message: 'unknown key',
    hint: guess === undefined ? `${place} knows ${known.join(', ')}` : `${GUESS}${guess}?`,
  };
}

function hintFor(issue: Issue, value: string | number): string | undefined {
  if (typeof value === 'number') return issue.message.startsWith('a duration') && Number.isInteger(value) && value > 0 ? `write ${value}s, if seconds are meant` : undefined;
  if (issue.code === 'invalid_value') {
    const guess = nearest(value, issue.values.map(String));
    return guess === undefined ? undefined : `did you mean ${guess}?`;
  }
  const decimalUnit = /^([1-9][0-9]*) ?([kmg])i?b?$/i.exec(value);
  if (decimalUnit !== null && issue.message.startsWith('a size')) {
    return `write ${decimalUnit[1]}${decimalUnit[2]?.toUpperCase()}iB`;
  }
  const spelled = /^([1-9][0-9]*) ?([smhd])[a-z]*$/i.exec(value);
  if (spelled !== null && issue.message.startsWith('a duration') && !/^[0-9]+ ?(ms|mo)/i.test(value)) {
    return `write ${spelled[1]}${spelled[2]?.toLowerCase()}`;
  }
  return undefined;
}
