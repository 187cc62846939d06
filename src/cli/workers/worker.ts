/** One of several processes that serve one port: sessions of its own, everything else by way of the primary. */

import cluster from 'node:cluster';
import { createOpsLog } from '../../audit/ops-log.ts';
import { RemoteStore } from '../../quota/remote-store.ts';
import type { Config } from '../../policy/config.ts';
import { readConfigText, type ReadConfig } from '../config-file.ts';
import { Service } from '../service.ts';
import { VERSION } from '../version.ts';
import { WORKER_VARIABLE, WORKERS_VARIABLE, type FromWorker, type GrantQuestion, type Question, type ToWorker, type WorkerNews } from './messages.ts';

export function workerNumber(): number | undefined {
  return cluster.isWorker ? Number(process.env[WORKER_VARIABLE]) : undefined;
}

/** Connections that have not logged in come to the workers in turn, and are not counted together. */
function shareOf(config: Config): Config {
  const workers = Math.max(1, Number(process.env[WORKERS_VARIABLE]));
  return { ...config, limits: { ...config.limits, maxUnauthenticated: Math.ceil(config.limits.maxUnauthenticated / workers) } };
}

function readShare(text: string, path: string): ReadConfig {
  const read = readConfigText(text, path);
  return read.ok ? { ...read, config: shareOf(read.config) } : read;
}

export function runWorker(worker: number, path: string): void {
  // Signals are the primary's: it tells its workers, once.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const host = new WorkerHost(worker, path);
  process.on('message', (message: ToWorker) => host.hear(message));
  send({ kind: 'hello' });
}

class WorkerHost {
  readonly #number: number;
  readonly #path: string;
  readonly #remote = new RemoteStore((calls) => send({ kind: 'store', calls }));
  #text = '';
  #service: Service | undefined;
  /** What came before the service was there. */
  readonly #early: ToWorker[] = [];
  #stopping = false;
  #news: WorkerNews[] = [];

  constructor(number: number, path: string) {
    this.#number = number;
    this.#path = path;
  }

  hear(message: ToWorker): void {
    switch (message.kind) {
      case 'begin':
        void this.#begin(message.text);
        return;
      case 'store':
        this.#remote.receive(message.answers);
        return;
      case 'hurry':
        this.#service?.hurry();
        return;
      case 'stop':
        this.#stopping = true;
        if (this.#service === undefined) process.exit(0);
        this.#service.stop(message.reason).then(() => process.exit(0), () => process.exit(1));
        return;
      case 'news':
      case 'gone':
        if (this.#service === undefined) this.#early.push(message);
        else hearOfOthers(this.#service, message);
        return;
      case 'ask':
        this.#answer(message.question, message.argument).then(
          (value) => send({ kind: 'answer', id: message.id, ok: true, value }),
          (error: unknown) => send({ kind: 'answer', id: message.id, ok: false, message: error instanceof Error ? error.message : String(error) }),
        );
    }
  }

  async #begin(text: string): Promise<void> {
    this.#text = text;
    const read = readShare(text, this.#path);
    if (!read.ok) {
      process.stderr.write(`${read.problems.join('\n')}\n`);
      process.exit(1);
    }
    const log = createOpsLog(read.config.log.level).child({ worker: this.#number });
    try {
      const service = await Service.start({
        config: read.config,
        configSha256: read.sha256,
        version: VERSION,
        log,
        reread: () => readShare(this.#text, this.#path),
        worker: { number: this.#number, store: read.config.store.kind === 'memory' ? this.#remote : undefined },
        onReady: (each) => this.#share(each),
      });
      this.#service = service;
      if (!this.#stopping) send({ kind: 'listening', port: service.port });
    } catch (error) {
      log.fatal({ err: error }, 'a worker cannot start');
      process.exit(1);
    }
  }

  /** Before the first client: what the others know is known here, and the other way about. */
  #share(service: Service): void {
    service.gate.admission.onCount = (principal, count) => this.#tell({ kind: 'sessions', principal, count });
    service.gate.logins.delay.onOutcome = (outcome) => this.#tell({ kind: 'login', outcome });
    for (const message of this.#early.splice(0)) hearOfOthers(service, message);
    this.#service = service;
  }

  #tell(news: WorkerNews): void {
    if (this.#news.push(news) > 1) return;
    setImmediate(() => {
      send({ kind: 'news', news: this.#news });
      this.#news = [];
    });
  }

  #answer(question: Question, argument: unknown): Promise<unknown> {
    const service = this.#service;
    if (service === undefined) return Promise.reject(new Error('the worker is starting'));
    switch (question) {
      case 'metrics':
        return service.metrics.registry.getMetricsAsJSON();
      case 'sessions':
        return Promise.resolve(service.providers.sessions());
      case 'endSession':
        return Promise.resolve(service.providers.endSession(argument as string));
      case 'forgetBooks':
        return service.providers.forgetBooks(argument as string);
      case 'usage':
        return service.providers.usage({ principal: argument as string | undefined });
      case 'grants':
        return service.providers.grants.list();
      case 'grant':
        return answerGrant(service, argument as GrantQuestion);
      case 'auditHeads':
        return Promise.resolve(service.providers.auditHeads());
      case 'reload':
        this.#text = argument as string;
        return service.reload();
      case 'ready':
        return Promise.resolve(service.checks[argument as keyof Service['checks']]());
    }
  }
}

function answerGrant({ providers: { grants } }: Service, question: GrantQuestion): Promise<unknown> {
  switch (question.kind) {
    case 'order':
      return grants.order(question.order, question.by);
    case 'approve':
      return grants.approve(question.id, question.order, question.by);
    case 'revoke':
      return grants.revoke(question.id, question.by);
  }
}

function hearOfOthers(service: Service, message: ToWorker): void {
  const { elsewhere } = service.gate.admission;
  if (message.kind === 'gone') elsewhere.forget(message.worker);
  if (message.kind !== 'news') return;
  for (const news of message.news) {
    if (news.kind === 'sessions') elsewhere.note(message.worker, news.principal, news.count);
    else service.gate.logins.delay.heard(news.outcome);
  }
}

function send(message: FromWorker): void {
  // The primary may be gone; then this process ends as well.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
