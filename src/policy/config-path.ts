/** Where in the configuration something is: keys and list indexes from the top. */
export type ConfigPath = readonly (string | number)[];

/** `roles.support.quotas[0].window`, `classes.customers.relations["crm.contact_*"]` */
export function formatPath(path: ConfigPath): string {
  let out = '';
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) out += `[${JSON.stringify(step)}]`;
    else out += out === '' ? step : `.${step}`;
  }
  return out;
}

/** A path as a key of a Set or Map. */
export function pathKey(path: ConfigPath): string {
  return JSON.stringify(path);
}

/** A mistake in the configuration before its place in the file is known. */
export interface Finding {
  readonly path: ConfigPath;
  /** Which half of `key: value` is wrong; `key` also for something that is missing below the path. */
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly hint: string | undefined;
}

/** What a rule over the file works with. */
export interface CheckContext {
  readonly tree: unknown;
  /** The value in words for a message; undefined if it must not be shown. */
  readonly show: (path: ConfigPath) => string | undefined;
  readonly report: (path: ConfigPath, message: string, options?: { readonly hint?: string | undefined; readonly at?: 'key' | 'value' }) => void;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function getIn(tree: unknown, path: ConfigPath): unknown {
  let current = tree;
  for (const step of path) {
    if (Array.isArray(current) && typeof step === 'number') current = current[step];
    else if (isRecord(current) && Object.hasOwn(current, step)) current = current[step];
    else return undefined;
  }
  return current;
}
