import type { Config } from './config.ts';
import { toConfig } from './config.ts';
import { crossChecks } from './config-checks.ts';
import type { ConfigPath, Finding } from './config-path.ts';
import { formatPath, getIn, isRecord, pathKey } from './config-path.ts';
import { configJsonSchema, configSchema } from './config-schema.ts';
import type { JsonSchema } from './config-schema.ts';
import type { Interpolated, InterpolationSources } from './interpolate.ts';
import { interpolate } from './interpolate.ts';
import { schemaFindings } from './schema-findings.ts';
import { acceptsType, schemaAt } from './schema-lookup.ts';
import { REDACTED } from './secret.ts';
import { suspicions } from './suspicions.ts';
import { readYaml } from './yaml-document.ts';

export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `roles.support.quotas[0].window`; empty if the file as a whole is meant. */
  readonly path: string;
  readonly message: string;
  readonly hint: string | undefined;
}

export type LoadedConfig = {
  readonly ok: true;
  readonly config: Config;
  /** What is legal and most likely not meant. */
  readonly warnings: readonly Problem[];
  /** What somebody else found in it, with its place. */
  readonly located: (findings: readonly Finding[]) => readonly Problem[];
} | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a configuration. Tells every mistake at once, each with its place; never shows what `${...}` brought in, or a password. */
export function loadConfig(text: string, fileName: string, sources: InterpolationSources): LoadedConfig {
  const yaml = readYaml(text);
  const syntax = yaml.problems.map(({ line, column, message, hint }) => ({ file: fileName, line, column, path: '', message, hint }));
  if (yaml.kind === 'unreadable') return { ok: false, problems: syntax };

  const schema = configJsonSchema();
  const filled = interpolate(yaml.tree, sources);
  const tree = convertInterpolated(filled, schema);
  const show = (path: ConfigPath): string | undefined => showValue(tree, path, filled, schema);

  const parsed = configSchema.safeParse(tree);
  const findings = withoutRepeats([
    filled.findings,
    parsed.success ? [] : schemaFindings(parsed.error.issues, { schema, tree, show }),
    crossChecks(tree, show),
  ]);
  const located = (finding: Finding): Problem => {
    const { line, column } = yaml.placeOf(finding.path, finding.at);
    return {
      file: fileName,
      line,
      column,
      path: formatPath(finding.path),
      message: scrub(finding.message, filled.secrets),
      hint: finding.hint === undefined ? undefined : scrub(finding.hint, filled.secrets),
    };
  };
  if (parsed.success && findings.length === 0 && syntax.length === 0) {
    const config = toConfig(parsed.data);
    return { ok: true, config, warnings: inOrder(suspicions(config).map(located)), located: (more) => inOrder(more.map(located)) };
  }
  return { ok: false, problems: inOrder([...syntax, ...findings.map(located)]) };
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** `file:line:col: path: message (hint)` */
export function formatProblem(problem: Problem): string {
  const path = problem.path === '' ? '' : `${problem.path}: `;
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${problem.file}:${problem.line}:${problem.column}: ${path}${problem.message}${hint}`.replaceAll(/[\r\n]+/g, ' ');
}

/** An environment variable is text; where a number or a truth value is expected it is read as one. */
function convertInterpolated(filled: Interpolated, schema: JsonSchema): unknown {
  const walk = (value: unknown, path: ConfigPath): unknown => {
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (isRecord(value)) return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, walk(child, [...path, key])]));
    if (typeof value !== 'string' || !filled.paths.has(pathKey(path))) return value;
    const expected = schemaAt(schema, path);
    if (acceptsType(expected, 'integer') && /^[0-9]{1,15}$/.test(value)) return Number(value);
    if (acceptsType(expected, 'boolean') && (value === 'true' || value === 'false')) return value === 'true';
    return value;
  };
  return walk(filled.tree, []);
}

const MAX_SHOWN_LENGTH = 40;

function showValue(tree: unknown, path: ConfigPath, filled: Interpolated, schema: JsonSchema): string | undefined {
  if (filled.paths.has(pathKey(path)) || schemaAt(schema, path)?.['writeOnly'] === true) return undefined;
  const value = getIn(tree, path);
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return undefined;
  return JSON.stringify(value.length > MAX_SHOWN_LENGTH ? `${value.slice(0, MAX_SHOWN_LENGTH)}...` : value);
}

/** One mistake, one line: of several findings at a path the first is the most exact. */
function withoutRepeats(lists: readonly (readonly Finding[])[]): Finding[] {
  const seen = new Set<string>();
  return lists.flat().filter((finding) => {
    const key = pathKey(finding.path);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** The second net behind `show`. A value of a few characters would cut harmless words apart, and tells nothing. */
const MIN_SCRUBBED_LENGTH = 6;

function scrub(message: string, secrets: readonly string[]): string {
  let clean = message;
  for (const secret of secrets) {
    if (secret.length >= MIN_SCRUBBED_LENGTH) clean = clean.replaceAll(secret, REDACTED);
  }
  return clean;
}
