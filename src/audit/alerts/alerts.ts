/**
 * Alerts to webhooks. Raising one returns at once and never fails. The same alert (event, login, rule) is told once in `repeatMs`; how many came meanwhile
 * stands in the next. A webhook gets no more than `perMinute`; what goes beyond is counted and told in one message when there is room again.
 */

import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { HttpPoster } from '../http-post.ts';
import { Outbox, type OutboxState } from '../outbox.ts';
import { alertJson, alertMessage, alertSlack, type Alert, type AlertKind, type AlertMessage } from './alert.ts';
import type { KeyedAlert } from './from-record.ts';

export interface WebhookOptions {
  readonly name: string;
  readonly url: string;
  readonly format: 'json' | 'slack';
  /** Undefined: all. */
  readonly events: readonly AlertKind[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

export interface AlertSettings {
  readonly webhooks: readonly WebhookOptions[];
  /** 0: never. */
  readonly nearLimitPercent: number;
  readonly repeatMs: number;
  readonly perMinute: number;
}

export interface AlertsOptions {
  /** True for one of all processes that ask for this key within the time. */
  readonly once: (key: string, windowMs: number) => Promise<boolean>;
  readonly now?: () => number;
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** Told of each alert that is told on, after what is a repetition was left out. */
  readonly onAlert?: (event: AlertKind) => void;
  readonly onState?: (webhook: string, state: OutboxState) => void;
}

/** Same alerts that are remembered; the oldest are forgotten first, and may be told again early. */
const MAX_REMEMBERED = 10_000;
/** Alerts that wait for one webhook. */
const MAX_WAITING = 1000;
const MINUTE_MS = 60_000;

interface Told {
  atMs: number;
  /** Not told since. */
  more: number;
}

export class Alerts {
  readonly #options: AlertsOptions;
  readonly #now: () => number;
  readonly #source = `${hostname()}/${process.pid}`;
  #settings: AlertSettings;
  #webhooks: readonly Webhook[] = [];
  readonly #told = new Map<string, Told>();
  /** Of webhooks that a reload has closed. */
  readonly #past = { sent: 0, dropped: 0, failures: 0 };

  /** Throws if a file of certificates cannot be read. */
  constructor(settings: AlertSettings, options: AlertsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#settings = settings;
    this.#webhooks = this.#open(settings);
  }

  get stats(): { readonly sent: number; readonly dropped: number; readonly failures: number } {
    const sum = { ...this.#past };
    for (const { stats } of this.#webhooks) {
      sum.sent += stats.sent;
      sum.dropped += stats.dropped;
      sum.failures += stats.failures;
    }
    return sum;
  }

  /** Another configuration. Throws if a file of certificates cannot be read; then nothing changes. */
  apply(settings: AlertSettings): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    const webhooks = this.#open(settings);
    const before = this.#webhooks;
    this.#webhooks = webhooks;
    this.#settings = settings;
    for (const webhook of before) void this.#retire(webhook);
  }

  raise({ key, alert }: KeyedAlert): void {
    const wanting = this.#webhooks.filter((webhook) => webhook.wants(alert.event));
    if (wanting.length === 0) return;
    const nowMs = this.#now();
    const told = this.#told.get(key);
    if (told !== undefined && nowMs - told.atMs < this.#settings.repeatMs) {
      told.more += 1;
      return;
    }
    const count = 1 + (told?.more ?? 0);
    this.#told.delete(key);
    this.#told.set(key, { atMs: nowMs, more: 0 });
    if (this.#told.size > MAX_REMEMBERED) for (const oldest of this.#told.keys()) { this.#told.delete(oldest); break; }
    // A flood of logins that fail must not become a flood of questions to the store.
    if (!wanting.some((webhook) => webhook.hasRoom(nowMs))) {
      for (const webhook of wanting) webhook.holdBack(alert.event, nowMs);
      return;
    }
    // A login that failed may have claimed a name of any length.
    this.#options.once(`alert:${createHash('sha256').update(key).digest('base64url')}`, this.#settings.repeatMs).then(
      (first) => { if (first) this.#send(alert, count, nowMs); },
      // The store is away: better told by each process than by none.
      () => this.#send(alert, count, nowMs),
    );
  }

  /** Called at the end of each statement for each quota: cheap unless the limit is near. */
  usage(ruleId: string, principal: string, used: number, limit: number): void {
    const { nearLimitPercent } = this.#settings;
    if (nearLimitPercent === 0 || this.#webhooks.length === 0 || used * 100 < limit * nearLimitPercent) return;
    const percent = limit > 0 ? Math.min(100, Math.floor((used / limit) * 100)) : 100;
    this.raise({
      key: JSON.stringify(['near_limit', principal, ruleId]),
      alert: { event: 'near_limit', summary: `${principal} has used ${percent} % of a limit (${used} of ${limit})`, principal, rule_id: ruleId, used, limit },
    });
  }

  async close(withinMs: number): Promise<void> {
    await Promise.all(this.#webhooks.map((webhook) => webhook.close(withinMs)));
  }

  #send(alert: Alert, count: number, nowMs: number): void {
    this.#options.onAlert?.(alert.event);
    const message = alertMessage(alert, { id: randomUUID(), nowMs, source: this.#source, count });
    for (const webhook of this.#webhooks) webhook.offer(message);
  }

  #open(settings: AlertSettings): readonly Webhook[] {
    return settings.webhooks.map((webhook) => new Webhook(webhook, { ...this.#options, now: this.#now, perMinute: settings.perMinute, source: this.#source }));
  }

  async #retire(webhook: Webhook): Promise<void> {
    await webhook.close(MINUTE_MS);
    for (const key of ['sent', 'dropped', 'failures'] as const) this.#past[key] += webhook.stats[key];
  }
}

class Webhook {
  readonly #options: WebhookOptions;
  readonly #limits: { readonly now: () => number; readonly perMinute: number; readonly source: string };
  readonly #poster: HttpPoster;
  readonly #outbox: Outbox<AlertMessage>;
  #minuteStartMs = Number.NEGATIVE_INFINITY;
  #sentInMinute = 0;
  #heldBack = new Map<AlertKind, number>();
  #summaryTimer: NodeJS.Timeout | undefined;

  constructor(options: WebhookOptions, more: AlertsOptions & { readonly now: () => number; readonly perMinute: number; readonly source: string }) {
    this.#options = options;
    this.#limits = more;
    const { url, headers, ca, timeoutMs } = options;
    this.#poster = new HttpPoster({ url, contentType: 'application/json', headers, ca, timeoutMs });
    const bodyOf = options.format === 'slack' ? alertSlack : alertJson;
    this.#outbox = new Outbox({
      deliver: ([message], signal) => (message === undefined ? Promise.resolve() : this.#poster.post(bodyOf(message), signal)),
      bytesOf: () => 1,
      maxBytes: MAX_WAITING,
      batchItems: 1,
      batchBytes: 1,
      retryMinMs: more.retryMinMs ?? 500,
      retryMaxMs: more.retryMaxMs ?? MINUTE_MS,
      onState: (state) => more.onState?.(options.name, state),
    });
  }

  get stats(): { readonly sent: number; readonly dropped: number; readonly failures: number } {
    return this.#outbox.stats;
  }

  offer(message: AlertMessage): void {
    if (!this.wants(message.event)) return;
    const nowMs = this.#limits.now();
    if (!this.hasRoom(nowMs)) return this.holdBack(message.event, nowMs);
    this.#sentInMinute += 1;
    this.#outbox.put([message]);
  }

  wants(event: AlertKind): boolean {
    return this.#options.events?.includes(event) ?? true;
  }

  hasRoom(nowMs: number): boolean {
    if (nowMs - this.#minuteStartMs >= MINUTE_MS) {
      this.#minuteStartMs = nowMs;
      this.#sentInMinute = 0;
    }
    return this.#sentInMinute < this.#limits.perMinute;
  }

  holdBack(event: AlertKind, nowMs: number): void {
    this.#heldBack.set(event, (this.#heldBack.get(event) ?? 0) + 1);
    this.#summaryTimer ??= setTimeout(() => this.#tellHeldBack(), this.#minuteStartMs + MINUTE_MS - nowMs).unref();
  }

  async close(withinMs: number): Promise<void> {
    clearTimeout(this.#summaryTimer);
    if (this.#heldBack.size > 0) this.#tellHeldBack();
    await this.#outbox.close(withinMs);
    await this.#poster.close();
  }

  #tellHeldBack(): void {
    this.#summaryTimer = undefined;
    const held = [...this.#heldBack].map(([event, count]) => ({ event, count })).toSorted((a, b) => b.count - a.count);
    this.#heldBack = new Map();
    const [most] = held;
    if (most === undefined) return;
    const count = held.reduce((sum, each) => sum + each.count, 0);
    const summary = `${count} more alerts were held back within a minute: ${held.map((each) => `${each.count} ${each.event}`).join(', ')}; the audit log has them all`;
    this.#outbox.put([alertMessage({ event: most.event, summary }, { id: randomUUID(), nowMs: this.#limits.now(), source: this.#limits.source, count })]);
  }
}
