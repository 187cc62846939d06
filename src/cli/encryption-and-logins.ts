import type { OpsLog } from '../audit/ops-log.ts';
import { ClientTls } from '../auth/client-tls.ts';
import { Logins } from '../auth/logins.ts';
import { Reloading } from '../auth/reloading.ts';
import type { Config } from '../policy/config.ts';
import type { Routes } from '../session/routes.ts';
import { routesOf, type ConfiguredRoutes } from './routes-of.ts';

/** The certificates of both sides, kept as their files are. */
export class TlsService {
  readonly clients: ClientTls | undefined;
  readonly #servers: ConfiguredRoutes;
  readonly #log: OpsLog;
  readonly #reloading: Reloading;
  /** What was said last of each side's files, so that it is not said every few seconds. */
  readonly #told = new Map<string, string>();

  constructor(config: Config, log: OpsLog) {
    this.#log = log;
    this.clients = config.listen.tls === undefined ? undefined : new ClientTls(config.listen.tls);
    this.#servers = routesOf(config);
    this.#reloading = new Reloading(() => this.reload());
  }

  get routes(): Routes {
    return this.#servers.routes;
  }

  /** Looks at the files. Those that cannot be used are told of, and what is in use stays. */
  reload(): void {
    this.#reloadOne('clients', this.clients);
    for (const [i, tls] of this.#servers.tls.entries()) this.#reloadOne(i === 0 ? 'server' : `server ${i + 1}`, tls);
  }

  close(): void {
    this.#reloading.stop();
  }

  #reloadOne(side: string, part: { reload(): boolean } | undefined): void {
    if (part === undefined) return;
    try {
      if (part.reload()) this.#log.info({ side }, 'new certificates are in use');
      this.#told.delete(side);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#told.get(side) === reason) return;
      this.#told.set(side, reason);
      this.#log.error({ side, reason }, 'new certificates cannot be used; those in use stay');
    }
  }
}

/** Throws `UserFileError` if a file of users cannot be used. */
export function openLogins(config: Config, tls: TlsService, log: OpsLog): Logins {
  return new Logins(config.auth, {
    privateKey: tls.clients?.privateKey,
    // A delay that the client's time to log in does not leave room for would lock people out.
    maxDelayMs: Math.min(config.limits.maxLoginDelayMs, config.limits.authTimeoutMs / 2),
    onProblem: (error) => log.error({ err: error }, 'a file of users cannot be read; what it said before stays'),
  });
}
