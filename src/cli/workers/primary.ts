/** The process that holds the workers together: starts them, restarts them, answers for all of them. It carries no session itself. */

import { readFileSync } from 'node:fs';
import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry } from 'prom-client';
import { startAdminServer, type AdminServer } from '../../admin/admin-server.ts';
import type { AdminProviders, GrantAnswer, ReadinessCheck, ReadinessResult, ReloadResult, UsageView } from '../../admin/providers.ts';
import type { OpsLog } from '../../audit/ops-log.ts';
import type { Config } from '../../policy/config.ts';
import { MemoryNotes } from '../../quota/memory-notes.ts';
import { MemoryStore } from '../../quota/memory-store.ts';
import { StoreServer } from '../../quota/remote-store.ts';
import { readConfigText } from '../config-file.ts';
import { WORKER_VARIABLE, WORKERS_VARIABLE, type FromWorker, type GrantQuestion, type Question, type ToWorker, type WorkerQuestions } from './messages.ts';

const FIRST_RESTART_MS = 500;
const MAX_RESTART_MS = 30_000;
/** Who lived this long had no trouble starting. */
const SOUND_MS = 60_000;
const ANSWER_MS = 4000;
const RELOAD_MS = 25_000;
const COLLECT_MS = 5000;
/** After this a worker that does not end is ended. Beyond `limits.drain`. */
const STOP_MS = 15_000;

interface Place {
  readonly number: number;
  worker: Worker | undefined;
  listening: boolean;
  startedMs: number;
  failures: number;
  timer: NodeJS.Timeout | undefined;
  /** Sessions of each login, as it last said. */
  readonly sessions: Map<string, number>;
}

export interface PrimaryOptions {
  readonly config: Config;
  /** What it was read from. */
  readonly text: string;
  readonly path: string;
  readonly workers: number;
  readonly log: OpsLog;
}

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #places: Place[];
  readonly #asked = new Map<number, { readonly worker: Worker; readonly settle: (answer: FromWorker & { kind: 'answer' }) => void }>();
  readonly #store: StoreServer | undefined;
  /** What the workers were last told to take; a worker that starts takes it after it has begun as the others did. */
  #text: string;
  /** What counters of workers that are gone had come to, as of the last scrape. */
  #retired: object[] = [];
  readonly #lastMetrics = new Map<number, readonly object[]>();
  readonly #collecting = setInterval(() => void this.#collect(), COLLECT_MS).unref();
  #nextId = 1;
  #port: number | undefined;
  #admin: AdminServer | undefined;
  #stopping = false;
  #onReady: () => void = () => undefined;
  #onGone: () => void = () => undefined;

  private constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#store = options.config.store.kind === 'memory' ? new StoreServer(new MemoryStore({ shared: true }), new MemoryNotes()) : undefined;
    this.#text = options.text;
    this.#places = Array.from({ length: options.workers }, (_, i) => ({ number: i + 1, worker: undefined, listening: false, startedMs: 0, failures: 0, timer: undefined, sessions: new Map() }));
  }

  /** Resolves when all workers serve; rejects if they end before they ever did. */
  static async start(options: PrimaryOptions): Promise<Primary> {
    const primary = new Primary(options);
    cluster.setupPrimary({ serialization: 'advanced' });
    const ready = new Promise<void>((resolve, reject) => {
      primary.#onReady = resolve;
      primary.#onGone = () => reject(new Error('a worker ended before it served'));
    });
    for (const place of primary.#places) primary.#fork(place);
    try {
      await ready;
      primary.#admin = await primary.#startAdmin();
    } catch (error) {
      await primary.stop('start failed');
      throw error;
    }
    return primary;
  }

  get port(): number | undefined {
    return this.#port;
  }

  get adminPort(): number | undefined {
    return this.#admin?.port;
  }

  /** In every worker, or in none: each checks the same file, and a file that does not load changes nothing. */
  async reload(): Promise<ReloadResult> {
    const { log, path } = this.#options;
    // Read once: all take the same, and a worker that is started later takes it too.
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      return { ok: false, problems: [`${path}: cannot be read`] };
    }
    const results = await this.#askAll('reload', text, RELOAD_MS);
    const failed = results.find((each) => !each.ok);
    if (failed === undefined && results.length > 0) this.#text = text;
    const read = readConfigText(text, path);
    if (read.ok) log.level = read.config.log.level;
    return failed ?? results[0] ?? { ok: false, problems: ['no worker is there'] };
  }

  hurry(): void {
    for (const { worker } of this.#places) if (worker !== undefined) tell(worker, { kind: 'hurry' });
  }

  async stop(reason: string): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#collecting);
    const ends = this.#places.map(async ({ worker, timer, listening }) => {
      clearTimeout(timer);
      if (worker === undefined || worker.isDead()) return;
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      // One that is starting may not hear yet, and has nothing to lose.
      if (listening) tell(worker, { kind: 'stop', reason });
      else worker.process.kill('SIGKILL');
      const late = setTimeout(() => worker.process.kill('SIGKILL'), this.#options.config.limits.drainMs + STOP_MS);
      await ended;
      clearTimeout(late);
    });
    await Promise.all(ends);
    await this.#admin?.close();
  }

  #fork(place: Place): void {
    const worker = cluster.fork({ [WORKER_VARIABLE]: String(place.number), [WORKERS_VARIABLE]: String(this.#places.length) });
    place.worker = worker;
    place.startedMs = performance.now();
    place.listening = false;
    worker.on('message', (message: FromWorker) => this.#hear(place, worker, message));
    worker.on('error', (error) => this.#options.log.error({ err: error, worker: place.number }, 'a worker cannot be reached'));
    worker.once('exit', (code, signal) => this.#ended(place, worker, code, signal));
  }

  /** A worker is told what it is to do, and what the others have told so far. */
  #begin(place: Place, worker: Worker): void {
    tell(worker, { kind: 'begin', text: this.#options.text });
    for (const other of this.#places) {
      const news = [...other.sessions].map(([principal, count]) => ({ kind: 'sessions' as const, principal, count }));
      if (other !== place && news.length > 0) tell(worker, { kind: 'news', worker: other.number, news });
    }
  }

  #hear(place: Place, worker: Worker, message: FromWorker): void {
    switch (message.kind) {
      case 'hello':
        this.#begin(place, worker);
        return;
      case 'answer':
        this.#asked.get(message.id)?.settle(message);
        return;
      case 'store':
        if (this.#store !== undefined) void this.#store.answer(message.calls).then((answers) => tell(worker, { kind: 'store', answers }));
        return;
      case 'news':
        for (const news of message.news) {
          if (news.kind !== 'sessions') continue;
          if (news.count === 0) place.sessions.delete(news.principal);
          else place.sessions.set(news.principal, news.count);
        }
        this.#tellOthers(place, { kind: 'news', worker: place.number, news: message.news });
        return;
      case 'listening':
        place.listening = true;
        this.#port = message.port;
        if (this.#text !== this.#options.text) void this.#ask(worker, 'reload', this.#text, RELOAD_MS).catch(() => undefined);
        if (this.#places.every((each) => each.listening)) this.#onReady();
    }
  }

  /** Its sessions are gone, and nobody else's. */
  #ended(place: Place, worker: Worker, code: number | null, signal: string | null): void {
    for (const [id, asked] of this.#asked) {
      if (asked.worker === worker) asked.settle({ kind: 'answer', id, ok: false, message: 'the worker ended' });
    }
    const last = this.#lastMetrics.get(place.number);
    if (last !== undefined) this.#retired = merge([this.#retired, last.filter((metric) => 'type' in metric && (metric.type === 'counter' || metric.type === 'histogram'))]);
    this.#lastMetrics.delete(place.number);
    place.worker = undefined;
    place.listening = false;
    place.sessions.clear();
    this.#tellOthers(place, { kind: 'gone', worker: place.number });
    if (this.#stopping) return;
    if (this.#admin === undefined) {
      this.#onGone();
      return;
    }
    place.failures = performance.now() - place.startedMs > SOUND_MS ? 1 : place.failures + 1;
    const waitMs = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** (place.failures - 1));
    this.#options.log.error({ worker: place.number, code, signal, restart_in_ms: waitMs }, 'a worker ended, and its sessions with it');
    place.timer = setTimeout(() => this.#fork(place), waitMs);
  }

  #ask<Q extends Question>(worker: Worker, question: Q, argument: WorkerQuestions[Q]['argument'], withinMs: number): Promise<WorkerQuestions[Q]['answer']> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => settle({ kind: 'answer', id, ok: false, message: 'the worker does not answer' }), withinMs);
      const settle = (answer: FromWorker & { kind: 'answer' }): void => {
        clearTimeout(timer);
        this.#asked.delete(id);
        if (answer.ok) resolve(answer.value as WorkerQuestions[Q]['answer']);
        else reject(new Error(answer.message));
      };
      this.#asked.set(id, { worker, settle });
      tell(worker, { kind: 'ask', id, question, argument });
    });
  }

  /** One that answers is enough: what it changes is in the store that all share. */
  async #askOne<Q extends Question>(question: Q, argument: WorkerQuestions[Q]['argument']): Promise<WorkerQuestions[Q]['answer']> {
    const worker = this.#places.find(({ listening }) => listening)?.worker;
    if (worker === undefined) throw new Error('no worker serves');
    return this.#ask(worker, question, argument, ANSWER_MS);
  }

  #tellOthers(place: Place, message: ToWorker): void {
    for (const other of this.#places) if (other !== place && other.worker !== undefined) tell(other.worker, message);
  }

  /** Answers of those that answer. */
  async #askAll<Q extends Question>(question: Q, argument: WorkerQuestions[Q]['argument'], withinMs = ANSWER_MS): Promise<WorkerQuestions[Q]['answer'][]> {
    const workers = this.#places.flatMap(({ worker, listening }) => (worker !== undefined && listening ? [worker] : []));
    const answers = await Promise.allSettled(workers.map((worker) => this.#ask(worker, question, argument, withinMs)));
    return answers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  }

  /** Also done now and then without being asked, so that little is missing of a worker that ends. */
  async #collect(): Promise<void> {
    await Promise.allSettled(this.#places.map(async ({ number, worker, listening }) => {
      if (worker !== undefined && listening) this.#lastMetrics.set(number, await this.#ask(worker, 'metrics', undefined, ANSWER_MS));
    }));
  }

  async #metrics(): Promise<string> {
    await this.#collect();
    return AggregatorRegistry.aggregate([...this.#lastMetrics.values(), this.#retired] as object[]).metrics();
  }

  #startAdmin(): Promise<AdminServer> {
    const { admin } = this.#options.config;
    const check = (name: WorkerQuestions['ready']['argument']): ReadinessCheck => async (): Promise<ReadinessResult> => {
      if (this.#stopping) return { ok: false, reason: 'Rowgate is stopping' };
      // Those that serve have to be able to; one that is being restarted takes no connections.
      const results = await this.#askAll('ready', name);
      return results.find((each) => !each.ok) ?? (results.length > 0 ? { ok: true } : { ok: false, reason: 'no worker serves' });
    };
    const grant = (question: GrantQuestion): Promise<GrantAnswer> => this.#askOne('grant', question);
    const providers: AdminProviders = {
      sessions: async () => (await this.#askAll('sessions', undefined)).flat(),
      endSession: async (id) => (await this.#askAll('endSession', id)).includes(true),
      usage: async ({ principal }) => unique(await this.#askAll('usage', principal)),
      grants: {
        list: () => this.#askOne('grants', undefined),
        order: (order, by) => grant({ kind: 'order', order, by }),
        approve: (id, order, by) => grant({ kind: 'approve', id, order, by }),
        revoke: (id, by) => grant({ kind: 'revoke', id, by }),
      },
      auditHeads: async () => (await this.#askAll('auditHeads', undefined)).flat(),
      forgetBooks: (by) => this.#askOne('forgetBooks', by),
      reload: () => this.reload(),
    };
    return startAdminServer({
      host: admin.host,
      port: admin.port,
      token: admin.token?.reveal(),
      people: new Map([...admin.people].map(([name, token]) => [name, token.reveal()])),
      metrics: { contentType: 'text/plain; version=0.0.4; charset=utf-8', render: () => this.#metrics() },
      checks: { upstream: check('upstream'), store: check('store'), audit: check('audit'), catalog: check('catalog') },
      providers,
      onFault: (error) => this.#options.log.error({ err: error }, 'the admin server had a fault'),
    });
  }
}

/** Counters are common: what several workers say of one is the same, a moment apart. */
function unique(answers: readonly (readonly UsageView[])[]): UsageView[] {
  const views = new Map<string, UsageView>();
  for (const view of answers.flat()) {
    const key = JSON.stringify([view.rule_id, view.principal]);
    const known = views.get(key);
    if (known === undefined || known.used < view.used) views.set(key, view);
  }
  return [...views.values()];
}

function merge(metrics: readonly (readonly object[])[]): object[] {
  const registry = AggregatorRegistry.aggregate(metrics as unknown as object[]);
  // What aggregation makes answers at once, whatever prom-client's types say.
  return registry.getMetricsAsArray().map((metric) => (metric as unknown as { get(): object }).get());
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => undefined);
}
