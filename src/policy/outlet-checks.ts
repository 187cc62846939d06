/** Rules over audit sinks and webhooks that tie one key to another. */

import type { CheckContext, ConfigPath } from './config-path.ts';
import { getIn, isRecord } from './config-path.ts';

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** What the program sets itself, or what would break a request. */
const OWN_HEADERS = new Set(['content-type', 'content-length', 'transfer-encoding', 'connection', 'host', 'expect', 'upgrade', 'keep-alive']);

export function checkOutlets(context: CheckContext): void {
  const sinks = ['audit', 'sinks'];
  const webhooks = ['alerts', 'webhooks'];
  for (const path of [sinks, webhooks]) {
    const list = getIn(context.tree, path);
    if (!Array.isArray(list)) continue;
    checkNames(context, path, list, path === sinks ? 'sink' : 'webhook');
    list.forEach((entry: unknown, index) => {
      if (!isRecord(entry)) return;
      checkHeaders(context, [...path, index], entry);
      if (path === sinks) checkSink(context, [...path, index], entry);
      else if (typeof entry['url'] === 'string' && entry['url'].startsWith('http://')) onlyWithTls(context, [...path, index], entry);
    });
  }
}

function checkNames(context: CheckContext, path: ConfigPath, list: readonly unknown[], prefix: string): void {
  const seen = new Set<string>();
  list.forEach((entry, index) => {
    const given = isRecord(entry) ? entry['name'] : undefined;
    const name = typeof given === 'string' ? given : `${prefix}${index + 1}`;
    if (seen.has(name)) context.report([...path, index, ...(given === undefined ? [] : ['name'])], `the name "${name}" is taken by another entry`);
    seen.add(name);
  });
}

function checkHeaders(context: CheckContext, path: ConfigPath, entry: Record<string, unknown>): void {
  if (!isRecord(entry['headers'])) return;
  for (const [name, value] of Object.entries(entry['headers'])) {
    const at = [...path, 'headers', name];
    if (!HEADER_NAME.test(name)) context.report(at, 'not a name of an HTTP header', { at: 'key' });
    else if (OWN_HEADERS.has(name.toLowerCase())) context.report(at, 'this header is set by Rowgate', { at: 'key', hint: 'leave it out' });
    // eslint-disable-next-line no-control-regex
    else if (typeof value === 'string' && /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/u.test(value)) context.report(at, 'a header\'s text has no line breaks, control characters or characters beyond Latin-1');
  }
}

function checkSink(context: CheckContext, path: ConfigPath, entry: Record<string, unknown>): void {
  const { url } = entry;
  if (typeof url !== 'string') return;
  const syslog = url.startsWith('syslog+');
  if (syslog && entry['headers'] !== undefined) context.report([...path, 'headers'], 'means nothing for syslog', { at: 'key', hint: 'leave the key out' });
  if (!syslog && entry['facility'] !== undefined) context.report([...path, 'facility'], 'means nothing for HTTP', { at: 'key', hint: 'leave the key out' });
  if (/^(?:http|syslog\+tcp|syslog\+udp):/.test(url)) onlyWithTls(context, path, entry);
}

function onlyWithTls(context: CheckContext, path: ConfigPath, entry: Record<string, unknown>): void {
  if (entry['ca'] !== undefined) context.report([...path, 'ca'], 'means nothing without TLS', { at: 'key', hint: 'leave the key out, or use https:// or syslog+tls://' });
}
