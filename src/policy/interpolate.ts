import type { ConfigPath, Finding } from './config-path.ts';
import { isRecord, pathKey } from './config-path.ts';

/** Where `${VAR}` and `${file:PATH}` are looked up. */
export interface InterpolationSources {
  readonly env: (name: string) => string | undefined;
  /** Throws if the file cannot be read. */
  readonly readFile: (path: string) => string;
}

export interface Interpolated {
  readonly tree: unknown;
  readonly findings: readonly Finding[];
  /** Keys (`pathKey`) of the values that took something from outside of the file. */
  readonly paths: ReadonlySet<string>;
  /** What they took, so that no message shows it. */
  readonly secrets: readonly string[];
}

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Replaces references in string values, never in keys, and never in what a reference brought in. `$${` is a plain `${`. */
export function interpolate(tree: unknown, sources: InterpolationSources): Interpolated {
  const findings: Finding[] = [];
  const paths = new Set<string>();
  const secrets: string[] = [];

  function walk(value: unknown, path: ConfigPath): unknown {
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (isRecord(value)) {
      const copy: Record<string, unknown> = {};
      for (const [key, child] of Object.entries(value)) {
        if (key === '__proto__') findings.push({ path: [...path, key], at: 'key', message: 'is not usable as a name', hint: undefined });
        else copy[key] = walk(child, [...path, key]);
      }
      return copy;
    }
    return typeof value === 'string' && value.includes('${') ? replace(value, path) : value;
  }

  function replace(text: string, path: ConfigPath): string {
    return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole: string, reference: string | undefined, end: string | undefined) => {
      if (reference === undefined) return '${';
      paths.add(pathKey(path));
      const found = end === '' ? { problem: '"${" has no "}"', hint: 'write $${ for a plain ${' } : lookUp(reference, sources);
      if (typeof found === 'string') {
        secrets.push(found);
        return found;
      }
      findings.push({ path, at: 'value', message: found.problem, hint: found.hint });
      return whole;
    });
  }

  return { tree: walk(tree, []), findings, paths, secrets };
}

function lookUp(reference: string, sources: InterpolationSources): string | { readonly problem: string; readonly hint: string | undefined } {
  if (reference.startsWith('file:')) {
    const path = reference.slice('file:'.length);
    if (path === '') return { problem: '"${file:}" names no file', hint: 'write ${file:PATH}' };
    let content: string;
    try {
      // Editors and `echo` end a file with a line feed that is no part of the secret.
      content = sources.readFile(path).replace(/\r?\n$/, '');
    } catch (error) {
      return { problem: `secret file ${path} cannot be read${reasonOf(error)}`, hint: undefined };
    }
    return content === '' ? { problem: `secret file ${path} is empty`, hint: undefined } : content;
  }
  if (!VARIABLE_NAME.test(reference)) {
    return { problem: `"\${${reference}}" names no environment variable`, hint: 'write ${VAR} or ${file:PATH}, and $${ for a plain ${' };
  }
  const value = sources.env(reference);
  if (typeof value !== 'string') return { problem: `environment variable ${reference} is not set`, hint: undefined };
  return value === '' ? { problem: `environment variable ${reference} is empty`, hint: undefined } : value;
}

/** Only the code (`ENOENT`): a message might quote more than we want to show. */
function reasonOf(error: unknown): string {
  const code = isRecord(error) || error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? ` (${code})` : '';
}
