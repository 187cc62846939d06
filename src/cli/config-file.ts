import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../policy/config.ts';
import { formatProblem, loadConfig } from '../policy/load-config.ts';

export type ReadConfig =
  | { readonly ok: true; readonly config: Config; readonly sha256: string }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads and validates a configuration file with the process's environment; secret files are looked for beside it. */
export function readConfigFile(path: string): ReadConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { ok: false, problems: [`${path}: cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`] };
  }
  const loaded = loadConfig(text, path, {
    env: (name) => process.env[name],
    readFile: (name) => readFileSync(resolve(dirname(path), name), 'utf8'),
  });
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
  return { ok: true, config: loaded.config, sha256: createHash('sha256').update(text).digest('hex') };
}
