import { z } from 'zod';
import { Secret } from './secret.ts';
import { DURATION_EXPECTED, DURATION_PATTERN, SIZE_EXPECTED, SIZE_PATTERN, parseDuration, parseSize } from './units.ts';

/**
 * The kinds of value that the configuration knows. Each `error` is a noun phrase: the loader writes `expected` before it and
 * what it found instead behind it. A whole sentence is reported with `sentence()`.
 */

export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape, { error: 'a mapping of keys' });
}

export function listOf<T extends z.ZodType>(element: T, expected: string) {
  return z.array(element, { error: expected });
}

export function mapOf<T extends z.ZodType>(value: T, expected: string) {
  return z.record(z.string(), value, { error: expected });
}

export function text(expected: string) {
  return z.string({ error: expected }).min(1, { error: expected });
}

export function flag() {
  return z.boolean({ error: 'true or false' });
}

export function choice<const V extends readonly [string, ...string[]]>(values: V) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  const expected = max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;
  return z.int({ error: expected }).min(min, { error: expected }).max(max, { error: expected });
}

/** 0 asks the operating system for a free port. */
export function port(min: 0 | 1) {
  return wholeNumber(min, 65_535);
}

export function duration(range: { readonly min: string; readonly max: string }) {
  const minMs = parseDuration(range.min) ?? 0;
  const maxMs = parseDuration(range.max) ?? 0;
  return z
    .string({ error: DURATION_EXPECTED })
    .regex(DURATION_PATTERN, { error: DURATION_EXPECTED })
    .transform((value, context) => {
      const ms = parseDuration(value) ?? 0;
      if (ms < minMs || ms > maxMs) sentence(context, `must be from ${range.min} to ${range.max}`);
      return ms;
    })
    .meta({ 'x-type': 'duration' });
}

export interface WindowValue {
  readonly ms: number | 'statement';
  readonly text: string;
}

/** Shorter windows would let a fast client take a limit's worth many times a minute; longer ones cost more slices than a store keeps. */
const MIN_WINDOW_MS = 60_000;
const MAX_WINDOW_MS = 30 * 86_400_000;
const WINDOW_EXPECTED = `${DURATION_EXPECTED}, or "statement"`;

export function quotaWindow() {
  return z
    .string({ error: WINDOW_EXPECTED })
    .regex(new RegExp(`^statement$|${DURATION_PATTERN.source}`), { error: WINDOW_EXPECTED })
    .transform((value, context): WindowValue => {
      if (value === 'statement') return { ms: 'statement', text: value };
      const ms = parseDuration(value) ?? 0;
      if (ms < MIN_WINDOW_MS || ms > MAX_WINDOW_MS) sentence(context, 'a window is from 1m to 30d, or "statement"');
      return { ms, text: value };
    })
    .meta({ 'x-type': 'duration or `statement`' });
}

export function size(range: { readonly min: number; readonly max?: number } = { min: 1 }) {
  const max = range.max ?? Number.MAX_SAFE_INTEGER;
  return z
    .union([z.int().min(1, { error: SIZE_EXPECTED }), z.string().regex(SIZE_PATTERN, { error: SIZE_EXPECTED })], { error: SIZE_EXPECTED })
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : parseSize(value);
      if (bytes === undefined || bytes > max) sentence(context, `must be at most ${max} bytes`);
      else if (bytes < range.min) sentence(context, `must be at least ${range.min} bytes`);
      return bytes ?? 0;
    })
    .meta({ 'x-type': 'size' });
}

/** The pattern is no part of the JSON Schema: an editor sees `${VAR}` where the loader sees the value. */
export function secret(expected: string, pattern = /^/) {
  return text(expected)
    .transform((value, context) => {
      if (!pattern.test(value)) sentence(context, `expected ${expected}`);
      return new Secret(value);
    })
    .meta({ 'x-type': 'text, never printed' });
}

/** `writeOnly` is JSON Schema's word for a secret; the loader never quotes such a value. */
export const SECRET_DOCS = { writeOnly: true } as const;

export function sentence(context: { addIssue(issue: { code: 'custom'; message: string; params?: Record<string, unknown> }): void }, message: string, hint?: string): void {
  context.addIssue(hint === undefined ? { code: 'custom', message } : { code: 'custom', message, params: { hint } });
}
