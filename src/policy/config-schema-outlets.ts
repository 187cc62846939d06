import { z } from 'zod';
import { SECRET_DOCS, choice, duration, listOf, mapOf, secret, section, size, text, wholeNumber } from './config-fields.ts';

/** Where Rowgate tells others: audit sinks beside the file, and webhooks for alerts. */

export const AUDIT_FORMATS = ['json', 'ocsf'] as const;
export const SYSLOG_FACILITIES = ['auth', 'authpriv', 'audit', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'] as const;
export const ALERT_EVENTS = ['blocked', 'terminated', 'flagged', 'lookups', 'near_limit', 'opaque', 'login_failed', 'grant', 'store', 'audit', 'config'] as const;

const NAME_EXPECTED = 'a name of letters, digits, _ and -';
const HOST_PORT = String.raw`(\[[0-9A-Fa-f:.]+\]|[^\s/:@[\]]+):[0-9]{1,5}`;
const HTTP_URL = String.raw`https?:\/\/[^\s/]+\S*`;
const SINK_URL = new RegExp(String.raw`^(?:${HTTP_URL}|syslog\+(?:tls|tcp|udp):\/\/${HOST_PORT}\/?)$`);
const SINK_URL_EXPECTED = 'a URL that begins with https://, http://, syslog+tls://HOST:PORT, syslog+tcp://HOST:PORT or syslog+udp://HOST:PORT';
const WEBHOOK_URL_EXPECTED = 'a URL that begins with https:// or http://';

const outletName = z.string({ error: NAME_EXPECTED }).regex(/^[A-Za-z0-9_-]{1,32}$/, { error: NAME_EXPECTED });

const headers = mapOf(secret('a text').meta(SECRET_DOCS), 'a mapping of header names to texts').prefault({}).meta({
  description: 'HTTP headers that are sent with each request.',
  examples: [{ Authorization: 'Bearer ${SIEM_TOKEN}' }],
});

const ca = text('a file name').optional().meta({
  description: 'Certificates of the authorities that the receiver\'s certificate is checked against (PEM), looked for beside the configuration file.',
  'x-default': 'those that Node.js ships with',
  examples: ['siem-ca.crt'],
});

const timeout = duration({ min: '100ms', max: '5m' }).prefault('10s').meta({
  description: 'A receiver that does not take a delivery in this time has failed; it is tried again after a pause that doubles up to a minute.',
  examples: ['10s'],
});

const auditSink = section({
  url: secret(SINK_URL_EXPECTED, SINK_URL).meta({
    ...SECRET_DOCS,
    description: 'Receiver. `https://`, `http://`: records are posted, one a line (`application/x-ndjson`). `syslog+tls://HOST:PORT`, `syslog+tcp://`: RFC 5424 messages with octet counting. `syslog+udp://`: one datagram a record, without any promise.',
    examples: ['https://siem.internal/ingest', 'syslog+tls://siem.internal:6514'],
  }),
  name: outletName.optional().meta({ description: 'What metrics and log lines call the receiver.', 'x-default': '`sink1`, `sink2`, ...', examples: ['siem'] }),
  format: choice(AUDIT_FORMATS).prefault('json').meta({
    description: '`json`: the lines of the file as they are, MAC included. `ocsf`: Open Cybersecurity Schema Framework, class Datastore Activity (6005) for statements.',
    examples: ['ocsf'],
  }),
  facility: choice(SYSLOG_FACILITIES).prefault('audit').meta({ description: 'Facility of the messages; for syslog only.', examples: ['authpriv'] }),
  headers,
  ca,
  buffer: size({ min: 64 * 1024 }).prefault('16MiB').meta({
    description: 'Most bytes of records that wait for the receiver. Beyond it the oldest are left out for this receiver, and counted; the file has them.',
    'x-unit': 'bytes',
    examples: ['64MiB'],
  }),
  timeout,
});

export const auditSinks = listOf(auditSink, 'a list of sinks').prefault([]).meta({
  description: 'Receivers that every record is copied to after the file has it. None of them holds up a session; the file stays the truth.',
  'x-default': 'none',
  examples: [[{ url: 'syslog+tls://siem.internal:6514', format: 'ocsf', ca: 'siem-ca.crt' }]],
});

const webhook = section({
  url: secret(WEBHOOK_URL_EXPECTED, new RegExp(`^${HTTP_URL}$`)).meta({
    ...SECRET_DOCS,
    description: 'Where alerts are posted to. Chat services put the secret into the URL: take it from the environment or a file.',
    examples: ['${SLACK_WEBHOOK}'],
  }),
  name: outletName.optional().meta({ description: 'What metrics and log lines call the webhook.', 'x-default': '`webhook1`, `webhook2`, ...', examples: ['soc'] }),
  format: choice(['json', 'slack']).prefault('json').meta({
    description: '`json`: an object with the fields of the alert. `slack`: `{ "text": ... }`, which Slack, Mattermost, Rocket.Chat and others show as a message.',
    examples: ['slack'],
  }),
  events: listOf(choice(ALERT_EVENTS), 'a list of events').min(1, { error: 'a list of at least one event' }).optional().meta({
    description: 'Which events are sent here.',
    'x-default': 'all of them',
    examples: [['blocked', 'terminated', 'near_limit']],
  }),
  headers,
  ca,
  timeout,
});

export const alertsSection = section({
  webhooks: listOf(webhook, 'a list of webhooks').prefault([]).meta({
    description: 'Receivers of alerts.',
    'x-default': 'none',
    examples: [[{ url: '${SLACK_WEBHOOK}', format: 'slack', events: ['blocked', 'terminated', 'lookups'] }]],
  }),
  near_limit: wholeNumber(0, 99).prefault(80).meta({
    description: 'A login that has used so much of a quota raises `near_limit`. `0`: never.',
    'x-unit': 'percent',
    examples: [80],
  }),
  repeat: duration({ min: '1s', max: '24h' }).prefault('15m').meta({
    description: 'The same event of the same login and rule is told again after this time at the earliest, by all processes with one store together. What happened meanwhile is counted in the next.',
    examples: ['15m'],
  }),
  per_minute: wholeNumber(1, 1000).prefault(20).meta({
    description: 'Most alerts that one process sends to one webhook in a minute. What goes beyond is counted, and one message tells how many it was.',
    'x-unit': 'alerts',
    examples: [20],
  }),
}).meta({
  description: 'Who is told at once, beside the audit record and the metrics.',
  examples: [{ webhooks: [{ url: '${SLACK_WEBHOOK}', format: 'slack', events: ['blocked', 'terminated', 'lookups'] }], near_limit: 80, repeat: '15m' }],
});
