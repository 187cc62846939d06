/** A running Rowgate: every part started in order, reloaded as one, stopped in reverse. */

import { connect } from 'node:net';
import { startAdminServer, type AdminServer } from '../admin/admin-server.ts';
import type { AdminProviders, AuditHeadView, GrantProviders, ReadinessChecks, ReadinessResult, ReloadResult } from '../admin/providers.ts';
import type { Alerts } from '../audit/alerts/alerts.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Logins } from '../auth/logins.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import type { AuditSink } from '../audit/sinks.ts';
import { Metrics } from '../metrics/metrics.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { Config } from '../policy/config.ts';
import type { CounterStore } from '../quota/store.ts';
import type { Catalogs } from '../session/catalogs.ts';
import { Listener } from '../session/listener.ts';
import { ruleLabels } from '../session/rule-labels.ts';
import { ServiceGate } from '../session/service-gate.ts';
import type { Routes } from '../session/routes.ts';
import { connectTarget } from '../session/unix-socket.ts';
import { Analyser } from '../sql/analyser.ts';
import { openCatalogs } from './catalogs-of.ts';
import type { ReadConfig } from './config-file.ts';
import { openLogins, TlsService } from './encryption-and-logins.ts';
import { alertSettings, openAlerts, StoreWatch } from './open-alerts.ts';
import { auditRestartKey, openAudit } from './open-audit.ts';
import { grantProviders } from './grant-orders.ts';
import { openStore } from './open-store.ts';
import { endSession, sessionViews, usageViews } from './views.ts';

export interface ServiceOptions {
  readonly config: Config;
  readonly configSha256: string;
  readonly version: string;
  readonly log: OpsLog;
  /** Reads the configuration again. */
  readonly reread: () => ReadConfig;
  /** One of several processes: the primary serves the admin port and, for counters in memory, the store. */
  readonly worker?: { readonly number: number; readonly store: CounterStore | undefined } | undefined;
  /** Everything is there, and no client yet. */
  readonly onReady?: ((service: Service) => void) | undefined;
}

/** Texts above this size are not analysed: a statement of this length keeps the analyser's thread busy for about two seconds. */
const MAX_ANALYSED_BYTES = 4 * 1024 * 1024;
/** What ended sessions still have to give back and to put on record is waited for this long. */
const SETTLE_MS = 5_000;

export class Service {
  readonly gate: ServiceGate;
  readonly listener: Listener;
  readonly metrics: Metrics;
  readonly #options: ServiceOptions;
  readonly #analyser: Analyser;
  readonly #catalogs: Catalogs;
  readonly #store: CounterStore;
  readonly #audit: AuditLog;
  readonly #sinks: readonly AuditSink[];
  readonly #alerts: Alerts;
  readonly #tls: TlsService;
  readonly #logins: Logins;
  #admin: AdminServer | undefined;
  #port = 0;
  #reloading = false;

  private constructor(options: ServiceOptions, parts: { tls: TlsService; logins: Logins; analyser: Analyser; store: CounterStore; audit: AuditLog; sinks: readonly AuditSink[]; alerts: Alerts; metrics: Metrics; storeWatch: StoreWatch }) {
    const { config, log } = options;
    this.#options = options;
    this.#analyser = parts.analyser;
    this.#store = parts.store;
    this.#audit = parts.audit;
    this.#sinks = parts.sinks;
    this.#alerts = parts.alerts;
    this.#tls = parts.tls;
    this.#logins = parts.logins;
    const policy = compilePolicy(config);
    this.metrics = parts.metrics;
    this.#catalogs = openCatalogs(config, policy, {
      routes: this.#tls.routes,
      analyse: (sql) => this.#analyser.analyse(sql),
      readRoutine: (definition) => this.#analyser.readRoutine(definition),
      copies: this.#store.copies,
      onRefreshed: () => this.metrics.count('catalogRefreshes'),
      onError: (error) => {
        this.metrics.count('catalogErrors');
        log.error({ err: error }, 'the catalog cannot be read');
      },
    });
    this.gate = new ServiceGate(config, { analyser: this.#analyser, catalogs: this.#catalogs, store: this.#store, audit: this.#audit, alerts: this.#alerts, log, metrics: this.metrics, clientTls: this.#tls.clients, routes: this.#tls.routes, logins: this.#logins });
    this.listener = new Listener(this.gate);
    parts.storeWatch.writeTo((event) => void this.gate.audit(event).catch(() => undefined));
    this.metrics.addSources({
      sessions: () => this.gate.sessions.size,
      auditHealthy: () => this.#audit.healthy,
      auditRecords: () => this.#audit.stats.records,
      auditErrors: () => this.#audit.stats.errors,
      auditRefused: () => this.#audit.stats.refused,
      analysisCacheHits: () => this.#analyser.counters.hits,
      analysisCacheMisses: () => this.#analyser.counters.misses,
      catalogAge: () => this.#catalogs.ageSeconds(Date.now()),
      alertsSent: () => this.#alerts.stats.sent,
      alertsDropped: () => this.#alerts.stats.dropped,
      alertFailures: () => this.#alerts.stats.failures,
      auditSinks: () => this.#sinks.map(({ name, stats, waiting }) => ({ name, ...stats, waiting })),
    });
    this.metrics.configLoaded(true);
  }

  static async start(options: ServiceOptions): Promise<Service> {
    const { config, log, worker } = options;
    // Files of the configuration first: a mistake in them leaves nothing open.
    const tls = new TlsService(config, log);
    const logins = openLogins(config, tls, log);
    const analyser = await Analyser.create({ maxBytes: Math.min(config.limits.maxStatementBytes, MAX_ANALYSED_BYTES) });
    const metrics = new Metrics({ version: options.version, labels: ruleLabels(compilePolicy(config)), quotaByPrincipal: config.metrics.principalLabel });
    const storeWatch = new StoreWatch();
    const store = worker?.store ?? (await openStore({ config, log, onNotice: (notice) => storeWatch.hear(notice), worker: worker?.number }));
    const alerts = openAlerts(config.alerts, { store, metrics, log });
    const { audit, sinks } = await openAudit({ config, log, alerts, worker: worker?.number });
    const service = new Service(options, { tls, logins, analyser, store, audit, sinks, alerts, metrics, storeWatch });
    try {
      await service.#open();
    } catch (error) {
      await service.stop('start failed');
      throw error;
    }
    return service;
  }

  get port(): number {
    return this.#port;
  }

  get adminPort(): number | undefined {
    return this.#admin?.port;
  }

  /** All or nothing: a configuration that does not load leaves the one in force. */
  async reload(): Promise<ReloadResult> {
    const { log, reread } = this.#options;
    if (this.#reloading) return { ok: false, problems: ['a reload is under way'] };
    this.#reloading = true;
    try {
      const read = reread();
      if (!read.ok) {
        this.metrics.configLoaded(false);
        log.error({ problems: read.problems }, 'the configuration was not reloaded: it has mistakes, and the one in force stays');
        this.gate.audit({ event: 'config_reload', successful: false, reason: read.problems[0] }).catch(() => undefined);
        return read;
      }
      const warnings = [...needsRestart(this.gate.config, read.config), ...this.#applyAlerts(read.config)];
      this.gate.apply(read.config);
      this.#tls.reload();
      this.metrics.configLoaded(true);
      log.level = read.config.log.level;
      log.info({ config_sha256: read.sha256, warnings }, 'configuration reloaded');
      await this.gate.audit({ event: 'config_reload', successful: true, config_sha256: read.sha256 }).catch(() => undefined);
      await this.#audit.reopen().catch(() => undefined);
      return { ok: true, config_sha256: read.sha256, warnings };
    } finally {
      this.#reloading = false;
    }
  }

  /** Sessions may come to their end within `limits.drain`; `hurry` shortens it. */
  async stop(reason: string): Promise<void> {
    await this.listener.drain(this.gate.config.limits.drainMs);
    await this.listener.close();
    this.#tls.close();
    this.gate.cancelKeys.close();
    await this.gate.settle(SETTLE_MS);
    await this.#admin?.close();
    await this.#logins.close();
    await this.#catalogs.close();
    await this.gate.audit({ event: 'service_stop', reason }).catch(() => undefined);
    await this.#audit.close();
    await Promise.all([...this.#sinks.map((sink) => sink.close(SETTLE_MS)), this.#alerts.close(SETTLE_MS)]);
    await this.gate.pools.close();
    this.gate.grants.close();
    await this.#store.close();
    await this.#analyser.close();
    this.metrics.close();
  }

  hurry(): void {
    this.listener.hurry();
  }

  /** What /readyz asks. */
  readonly checks: ReadinessChecks = {
    upstream: () => (this.gate.draining ? { ok: false, reason: 'Rowgate is stopping' } : anyConnects(this.#tls.routes)),
    store: () => this.#store.ping().then(ok, failed),
    audit: () => (this.#audit.healthy || this.gate.auditMayFail ? ok() : { ok: false, reason: 'the audit log cannot take records' }),
    catalog: () => {
      const [problem] = this.#catalogs.problems();
      return problem === undefined ? ok() : { ok: false, reason: problem };
    },
  };

  /** What the admin port asks. */
  readonly providers: AdminProviders & { readonly grants: GrantProviders; readonly auditHeads: () => readonly AuditHeadView[] } = {
    sessions: () => sessionViews(this.gate),
    // Reads the gate when it is asked: a field is made before the gate is.
    grants: {
      list: () => grantProviders(this.gate).list(),
      order: (order, by) => grantProviders(this.gate).order(order, by),
      approve: (id, order, by) => grantProviders(this.gate).approve(id, order, by),
      revoke: (id, by) => grantProviders(this.gate).revoke(id, by),
    },
    endSession: (id) => endSession(this.gate, id),
    usage: ({ principal }) => usageViews(this.gate, principal),
    forgetBooks: (by) => this.gate.forgetBooks(by),
    reload: () => this.reload(),
    auditHeads: () => (this.#audit.head === undefined ? [] : [{ ...this.#audit.head, writer: this.#audit.writer }]),
  };

  /** A file of certificates that cannot be read leaves the webhooks that are there. */
  #applyAlerts({ alerts }: Config): readonly string[] {
    try {
      this.#alerts.apply(alertSettings(alerts));
      return [];
    } catch (error) {
      return [`alerts: the webhooks stay as they were (${error instanceof Error ? error.message : 'failed'})`];
    }
  }

  async #open(): Promise<void> {
    const { config, log, version, configSha256, worker } = this.#options;
    await this.gate.audit({ event: 'service_start', version, pid: process.pid, config_sha256: configSha256 }).catch(() => undefined);
    this.#options.onReady?.(this);
    // A Unix socket has one process behind it.
    this.#port = await this.listener.listen(worker === undefined || worker.number === 1 ? config.listen : { ...config.listen, socket: undefined });
    if (worker !== undefined) return;
    this.#admin = await startAdminServer({
      host: config.admin.host,
      port: config.admin.port,
      token: config.admin.token?.reveal(),
      people: new Map([...config.admin.people].map(([name, token]) => [name, token.reveal()])),
      metrics: this.metrics,
      checks: this.checks,
      providers: this.providers,
      onFault: (error) => log.error({ err: error }, 'the admin server had a fault'),
    });
  }
}

function ok(): ReadinessResult {
  return { ok: true };
}

function failed(error: unknown): ReadinessResult {
  return { ok: false, reason: error instanceof Error ? error.name : 'failed' };
}

/** Of several servers one is enough: the others' databases are away for every process alike. */
async function anyConnects(routes: Routes): Promise<ReadinessResult> {
  const results = await Promise.all(routes.upstreams.map(canConnect));
  return results.find(({ ok: connects }) => connects) ?? results[0] ?? { ok: false, reason: 'no server is configured' };
}

function canConnect(address: { readonly host: string; readonly port: number }): Promise<ReadinessResult> {
  return new Promise((resolve) => {
    const socket = connect(connectTarget(address));
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true });
    });
    socket.once('error', (error) => {
      resolve({ ok: false, reason: 'code' in error ? String(error.code) : error.name });
    });
  });
}

/** Keys that a reload does not change, though the file did. */
function needsRestart(before: Config, now: Config): readonly string[] {
  const fixed: readonly (readonly [string, unknown, unknown])[] = [
    ['listen', before.listen, now.listen],
    ['auth', authKey(before), authKey(now)],
    ['admin', adminKey(before), adminKey(now)],
    ['upstream', [before.upstream.host, before.upstream.port, before.upstream.tls], [now.upstream.host, now.upstream.port, now.upstream.tls]],
    ['databases', before.databases, now.databases],
    ['catalog', [before.catalog.user, before.catalog.password?.reveal(), before.catalog.refreshMs], [now.catalog.user, now.catalog.password?.reveal(), now.catalog.refreshMs]],
    ['store', storeKey(before), storeKey(now)],
    ['audit', auditRestartKey(before), auditRestartKey(now)],
  ];
  return fixed.flatMap(([key, a, b]) => (JSON.stringify(a) === JSON.stringify(b) ? [] : [`${key} takes effect after a restart`]));
}

function authKey({ auth, limits }: Config): unknown {
  const { lookup, certificates, mockSecret } = auth;
  return [
    { ...auth, certificates: certificates?.map(({ field, pattern, login }) => [field, pattern.source, login]) },
    lookup?.password?.reveal(), mockSecret?.reveal(), limits.maxLoginDelayMs,
  ];
}

function storeKey({ store }: Config): unknown {
  // Secrets are compared, not shown.
  const secrets = store.kind === 'redis' ? [store.url.reveal()] : store.kind === 'memory' ? [] : [store.password?.reveal()];
  return [{ ...store, password: undefined, url: undefined, sentinelLogin: undefined }, secrets];
}

function adminKey({ admin }: Config): unknown {
  return [admin.host, admin.port, admin.token?.reveal(), [...admin.people].map(([name, token]) => [name, token.reveal()])];
}
