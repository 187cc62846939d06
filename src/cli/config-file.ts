import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../policy/config.ts';
import { formatProblem, loadConfig } from '../policy/load-config.ts';

export type ReadConfig =
  | { readonly ok: true; readonly config: Config; readonly sha256: string; readonly text: string }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads and validates a configuration file with the process's environment; secret files are looked for beside it. */
export function readConfigFile(path: string): ReadConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { ok: false, problems: [`${path}: cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`] };
  }
  return readConfigText(text, path);
}

/** The same of a text that was read before: several processes read one file at different times, and it may change in between. */
export function readConfigText(text: string, path: string): ReadConfig {
  const loaded = loadConfig(text, path, {
    env: (name) => process.env[name],
    readFile: (name) => readFileSync(resolve(dirname(path), name), 'utf8'),
  });
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
  return { ok: true, config: withAbsolutePaths(loaded.config, dirname(path)), sha256: createHash('sha256').update(text).digest('hex'), text };
}

/** Certificates and lists of users are looked for beside the configuration, wherever the command is started. */
export function withAbsolutePaths(config: Config, directory: string): Config {
  const at = <P extends string | undefined>(path: P): P => (path === undefined ? path : resolve(directory, path)) as P;
  const { listen, upstream, databases, auth, audit, alerts } = config;
  const tlsAt = (tls: Config['upstream']['tls']): Config['upstream']['tls'] => ({ ...tls, ca: at(tls.ca), cert: at(tls.cert), key: at(tls.key) });
  return {
    ...config,
    listen: { ...listen, tls: listen.tls === undefined ? undefined : { ...listen.tls, cert: at(listen.tls.cert), key: at(listen.tls.key), clientCa: at(listen.tls.clientCa) } },
    auth: { ...auth, users: at(auth.users), upstreamUsers: at(auth.upstreamUsers) },
    upstream: { ...upstream, tls: tlsAt(upstream.tls) },
    audit: { ...audit, sinks: audit.sinks.map((sink) => ({ ...sink, ca: at(sink.ca) })) },
    alerts: { ...alerts, webhooks: alerts.webhooks.map((webhook) => ({ ...webhook, ca: at(webhook.ca) })) },
    databases: databases.map((each) => ({ ...each, tls: tlsAt(each.tls) })),
  };
}
