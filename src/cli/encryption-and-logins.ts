import type { OpsLog } from '../audit/ops-log.ts';
import { ClientTls } from '../auth/client-tls.ts';
import { Logins } from '../auth/logins.ts';
import { Reloading } from '../auth/reloading.ts';
import { UpstreamTls } from '../auth/upstream-tls.ts';
import type { Config } from '../policy/config.ts';
import { connectForPg } from '../session/upstream.ts';

const LOOKUP_CONNECT_MS = 5_000;

/** The certificates of both sides, kept as their files are. */
export class TlsService {
  readonly clients: ClientTls | undefined;
  readonly upstream: UpstreamTls;
  readonly #log: OpsLog;
  readonly #reloading: Reloading;
  /** What was said last of each side's files, so that it is not said every few seconds. */
  readonly #told = new Map<string, string>();

  constructor(config: Config, log: OpsLog) {
    this.#log = log;
    this.clients = config.listen.tls === undefined ? undefined : new ClientTls(config.listen.tls);
    this.upstream = new UpstreamTls(config.upstream.tls);
    this.#reloading = new Reloading(() => this.reload());
  }

  /** Looks at the files. Those that cannot be used are told of, and what is in use stays. */
  reload(): void {
    this.#reloadOne('clients', this.clients);
    this.#reloadOne('server', this.upstream);
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
  const upstream = { host: config.upstream.host, port: config.upstream.port, tls: tls.upstream };
  return new Logins(config.auth, {
    connect: () => connectForPg(upstream, LOOKUP_CONNECT_MS),
    privateKey: tls.clients?.privateKey,
    // A delay that the client's time to log in does not leave room for would lock people out.
    maxDelayMs: Math.min(config.limits.maxLoginDelayMs, config.limits.authTimeoutMs / 2),
    onProblem: (error) => log.error({ err: error }, 'a file of users cannot be read; what it said before stays'),
  });
}
