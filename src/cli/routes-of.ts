import { UpstreamTls } from '../auth/upstream-tls.ts';
import type { Config } from '../policy/config.ts';
import { Routes } from '../session/routes.ts';

export interface ConfiguredRoutes {
  readonly routes: Routes;
  /** Of every server, once for each set of files. */
  readonly tls: readonly UpstreamTls[];
}

/** The servers that a configuration names. Throws `TlsFileError` if a certificate cannot be used. */
export function routesOf(config: Config): ConfiguredRoutes {
  const made = new Map<string, UpstreamTls>();
  const tlsOf = (tls: Config['upstream']['tls']): UpstreamTls => {
    const key = JSON.stringify(tls);
    const known = made.get(key) ?? new UpstreamTls(tls);
    made.set(key, known);
    return known;
  };
  const { host, port, tls, takesRest } = config.upstream;
  const rest = takesRest ? { host, port, tls: tlsOf(tls) } : undefined;
  const routes = config.databases.map((each) => ({ pattern: each.pattern, address: { host: each.host, port: each.port, tls: tlsOf(each.tls) }, database: each.database }));
  return { routes: new Routes(routes, rest), tls: [...made.values()] };
}
