/** Alerts as the configuration asks for them, and what the counter store's ups and downs put on record. */

import { Alerts, type AlertSettings } from '../audit/alerts/alerts.ts';
import type { AuditEvent } from '../audit/events.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { AlertsConfig } from '../policy/config.ts';
import type { Secret } from '../policy/secret.ts';
import type { StoreNotice } from '../quota/redis-connection.ts';
import type { CounterStore } from '../quota/store.ts';

export function openAlerts(config: AlertsConfig, parts: { readonly store: CounterStore; readonly metrics: Metrics; readonly log: OpsLog }): Alerts {
  const { store, metrics, log } = parts;
  return new Alerts(alertSettings(config), {
    once: (key, windowMs) => store.once(key, windowMs),
    onAlert: (event) => metrics.count('alerts', { event }),
    onState: (webhook, state) => {
      if (state.kind === 'failing') log.warn({ webhook, reason: state.reason }, 'a webhook takes no alerts');
      else log.info({ webhook, dropped: state.dropped }, 'the webhook takes alerts again');
    },
  });
}

export function alertSettings({ webhooks, nearLimitPercent, repeatMs, perMinute }: AlertsConfig): AlertSettings {
  return { webhooks: webhooks.map((webhook) => ({ ...webhook, url: webhook.url.reveal(), headers: revealed(webhook.headers) })), nearLimitPercent, repeatMs, perMinute };
}

export function revealed(secrets: ReadonlyMap<string, Secret>): Record<string, string> {
  return Object.fromEntries([...secrets].map(([name, secret]) => [name, secret.reveal()]));
}

/** Puts on record when the counter store went and when it came back, once each however many connections there are. */
export class StoreWatch {
  readonly #now: () => number;
  #write: ((event: AuditEvent) => void) | undefined;
  #awaySinceMs: number | undefined;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** What was heard before is not written: the log was not there yet, and a start without a store ends at once or waits for it. */
  writeTo(write: (event: AuditEvent) => void): void {
    this.#write = write;
  }

  hear(notice: StoreNotice): void {
    switch (notice.kind) {
      case 'disconnected':
        if (this.#awaySinceMs !== undefined) return;
        this.#awaySinceMs = this.#now();
        this.#write?.({ event: 'store_outage', reason: notice.reason });
        return;
      case 'connected':
        if (this.#awaySinceMs === undefined) return;
        this.#recovered(false);
        return;
      case 'refilled':
        this.#recovered(true);
        return;
      default:
        return;
    }
  }

  #recovered(refilled: boolean): void {
    const durationMs = this.#awaySinceMs === undefined ? 0 : this.#now() - this.#awaySinceMs;
    this.#awaySinceMs = undefined;
    this.#write?.({ event: 'store_recovered', duration_ms: durationMs, refilled });
  }
}
