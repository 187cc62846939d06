/** What an alert says, and how receivers read it. */

import { boundText, escapeJsonLine } from '../redact.ts';

export type AlertKind = 'blocked' | 'terminated' | 'flagged' | 'lookups' | 'near_limit' | 'opaque' | 'login_failed' | 'grant' | 'store' | 'audit' | 'config';

/** Never a row's value: everything here stands in the audit log, too. */
export interface Alert {
  readonly event: AlertKind;
  /** One sentence for people. */
  readonly summary: string;
  readonly principal?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly rule_id?: string | undefined;
  readonly database?: string | undefined;
  readonly client_address?: string | undefined;
  readonly application_name?: string | undefined;
  readonly session_id?: string | undefined;
  readonly statement_id?: string | undefined;
  readonly reason?: string | undefined;
  readonly used?: number | undefined;
  readonly limit?: number | undefined;
}

export type AlertSeverity = 'info' | 'warning' | 'critical';

const SEVERITIES: Readonly<Record<AlertKind, AlertSeverity>> = {
  blocked: 'warning',
  terminated: 'critical',
  flagged: 'warning',
  lookups: 'warning',
  near_limit: 'info',
  opaque: 'warning',
  login_failed: 'info',
  grant: 'info',
  store: 'critical',
  audit: 'critical',
  config: 'info',
};

/** An alert on its way. */
export interface AlertMessage extends Alert {
  readonly v: 1;
  /** The same each time that the alert is sent. */
  readonly id: string;
  readonly time: string;
  readonly severity: AlertSeverity;
  /** Which Rowgate: host and process. */
  readonly source: string;
  /** How many of the same came since the last one that was told, this one included. */
  readonly count: number;
}

export function alertMessage(alert: Alert, more: { readonly id: string; readonly nowMs: number; readonly source: string; readonly count: number }): AlertMessage {
  return { v: 1, id: more.id, time: new Date(more.nowMs).toISOString(), severity: SEVERITIES[alert.event], source: more.source, count: more.count, ...bounded(alert) };
}

const MAX_NAME_CHARS = 256;
const MAX_TEXT_CHARS = 1024;

function bounded(alert: Alert): Alert {
  const entries = Object.entries(alert).map(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return [key, boundText(value, key === 'summary' || key === 'reason' ? MAX_TEXT_CHARS : MAX_NAME_CHARS)];
    return [key, Array.isArray(value) ? value.slice(0, 32) : value];
  });
  return Object.fromEntries(entries) as unknown as Alert;
}

export function alertJson(message: AlertMessage): string {
  return escapeJsonLine(JSON.stringify(message));
}

const MARKS: Readonly<Record<AlertSeverity, string>> = { info: ':information_source:', warning: ':warning:', critical: ':rotating_light:' };

/** `{ "text": ... }` as incoming webhooks of Slack and its likes take it. */
export function alertSlack(message: AlertMessage): string {
  const facts = [
    ['login', message.principal],
    ['rule', message.rule_id],
    ['database', message.database],
    ['from', message.client_address],
    ['application', message.application_name],
    ['session', message.session_id],
  ].flatMap(([name, value]) => (value === undefined || value === '' ? [] : [`${name}: ${plain(value)}`]));
  const again = message.count > 1 ? ` (${message.count} times since it was last told)` : '';
  const lines = [`${MARKS[message.severity]} Rowgate: ${plain(message.summary)}${again}`];
  if (message.reason !== undefined && message.reason !== message.summary) lines.push(plain(message.reason));
  if (facts.length > 0) lines.push(facts.join(' | '));
  return escapeJsonLine(JSON.stringify({ text: lines.join('\n') }));
}

/**
 * An employee chooses login attempts, application names and reasons of requests. `<!channel>`, links and mentions need angle brackets (Slack, "Formatting
 * text for app surfaces": & < > are escaped); line breaks would let a name look like a message of its own; marks of emphasis could hide text.
 */
function plain(text: string): string {
  return text
    // eslint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    // A zero-width space takes the meaning from @here, *bold* and `code`, and from a bare URL.
    .replaceAll(/[@*_~`]|:\/\//g, (mark) => `${mark.slice(0, 1)}\u200b${mark.slice(1)}`);
}
