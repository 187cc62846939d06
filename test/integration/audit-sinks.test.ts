/** Copies of the audit log to other receivers: a real Rowgate, real HTTP and syslog servers. */

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AuditSink, type SinkOptions } from '../../src/audit/sinks.ts';
import { TestAuthority } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startHttpReceiver, startSyslogReceiver, startUdpReceiver } from '../support/receivers.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
const authority = new TestAuthority();
const stops: (() => Promise<unknown>)[] = [];
const SOON = { timeout: 20_000 };

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 300);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
  authority.remove();
});
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

function stopLater<T extends { stop(): Promise<unknown> }>(each: T): T {
  stops.push(() => each.stop());
  return each;
}

async function start(sinks: string): Promise<TestRowgate> {
  return stopLater(await startRowgate({ postgresPort: postgres.port, edit: (text) => text.replace(/^audit: \{ (.*) \}$/m, `audit: { $1, sinks: ${sinks} }`) }));
}

async function work(rowgate: TestRowgate): Promise<void> {
  const client = await rowgate.connect('agent', { application_name: 'pgAdmin · größer' });
  await client.query('SELECT * FROM crm.customers WHERE id = 1').catch(() => undefined);
  await client.query('SELECT * FROM crm.customers').catch(() => undefined);
  await client.end();
}

function lines(rowgate: TestRowgate): readonly string[] {
  return readFileSync(`${rowgate.directory}/audit.ndjson`, 'utf8').trimEnd().split('\n');
}

const certificate = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
const tls = { cert: readFileSync(certificate.cert, 'utf8'), key: readFileSync(certificate.key, 'utf8') };

describe('every record of the file arrives, in its order', () => {
  test('by HTTPS, as it stands in the file', async () => {
    const receiver = stopLater(await startHttpReceiver({ tls }));
    const rowgate = await start(`[{ url: "${receiver.url}/in", ca: "${authority.ca}", headers: { X-Token: abc } }]`);
    await work(rowgate);
    await expect.poll(() => receiver.posted.map(({ body }) => body).join('').split('\n').filter((line) => line.includes('session_end')).length, SOON).toBe(1);
    await expect.poll(() => receiver.posted.map(({ body }) => body).join('').trimEnd().split('\n'), SOON).toEqual(lines(rowgate));
    expect(receiver.posted[0]).toMatchObject({ path: '/in', headers: { 'x-token': 'abc', 'content-type': 'application/x-ndjson' } });
    expect(await rowgate.metrics()).toMatch(new RegExp(`^rowgate_audit_sink_records_total\\{sink="sink1"\\} ${lines(rowgate).length}$`, 'm'));
  });

  test.each([['tcp', undefined], ['tls', tls]] as const)('by syslog over %s, as RFC 5424 with octet counting', async (transport, options) => {
    const receiver = stopLater(await startSyslogReceiver(options === undefined ? {} : { tls: options }));
    const rowgate = await start(`[{ url: "syslog+${transport}://${transport === 'tls' ? 'localhost' : '127.0.0.1'}:${receiver.port}", facility: authpriv${transport === 'tls' ? `, ca: "${authority.ca}"` : ''} }]`);
    await work(rowgate);
    await expect.poll(() => receiver.messages.some((message) => message.includes('"session_end"')), SOON).toBe(true);
    const parsed = receiver.messages.map((message) => /^<(\d+)>1 (\S+) (\S+) rowgate (\d+) ([a-z_]+) - (\{.*\})$/.exec(message));
    expect(parsed.every((match) => match !== null)).toBe(true);
    await expect.poll(() => receiver.messages.map((message) => message.slice(message.indexOf('{'))), SOON).toEqual(lines(rowgate));
    for (const match of parsed) {
      const record = JSON.parse(match?.[6] ?? '') as Record<string, unknown>;
      expect(match?.[2]).toBe(record['time']);
      expect(match?.[5]).toBe(record['event']);
      // authpriv is 10; what was stopped is a warning (4), the rest information (6) or, for a start, a notice (5).
      const severity = record['decision'] === 'block' ? 4 : record['event'] === 'service_start' ? 5 : 6;
      expect(Number(match?.[1])).toBe(10 * 8 + severity);
    }
  });

  test('by syslog over UDP', async () => {
    const receiver = stopLater(await startUdpReceiver());
    const rowgate = await start(`[{ url: "syslog+udp://127.0.0.1:${receiver.port}", format: ocsf }]`);
    await work(rowgate);
    await expect.poll(() => receiver.messages.length, SOON).toBe(lines(rowgate).length);
    expect(receiver.messages.filter((message) => message.includes('"class_uid":6005')).length).toBeGreaterThan(3);
  });

  test('what is left goes out when Rowgate stops', async () => {
    const receiver = stopLater(await startHttpReceiver());
    const rowgate = await startRowgate({ postgresPort: postgres.port, edit: (text) => text.replace(/^audit: \{ (.*) \}$/m, `audit: { $1, sinks: [{ url: "${receiver.url}" }] }`) });
    await work(rowgate);
    await rowgate.stop();
    const all = receiver.posted.map(({ body }) => body).join('');
    expect(all).toContain('"session_end"');
    expect(all).toContain('"service_stop"');
  });
});

describe('a receiver in trouble', () => {
  test('that begins late, or is cut off, gets what it missed; sessions do not wait', async () => {
    const port = await freePort();
    const rowgate = await start(`[{ url: "syslog+tcp://127.0.0.1:${port}", name: siem }]`);
    await work(rowgate);
    await expect.poll(() => rowgate.log().some(({ msg, sink, reason }) => String(msg).startsWith('an audit sink takes nothing') && sink === 'siem' && reason === 'ECONNREFUSED'), SOON).toBe(true);
    const receiver = stopLater(await startSyslogReceiver({ port }));
    await expect.poll(() => receiver.messages.some((message) => message.includes('"session_end"')), SOON).toBe(true);
    receiver.cut();
    await sleep(100);
    await work(rowgate);
    await expect.poll(() => receiver.messages.filter((message) => message.includes('"session_end"')).length, SOON).toBe(2);
    expect(await rowgate.metrics()).toMatch(/^rowgate_audit_sink_dropped_total\{sink="siem"\} 0$/m);
  });

  test('whose certificate is another\'s gets nothing', async () => {
    const other = new TestAuthority('another CA');
    const wrong = other.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
    const receiver = stopLater(await startSyslogReceiver({ tls: { cert: readFileSync(wrong.cert, 'utf8'), key: readFileSync(wrong.key, 'utf8') } }));
    const rowgate = await start(`[{ url: "syslog+tls://localhost:${receiver.port}", ca: "${authority.ca}" }]`);
    await work(rowgate);
    await expect.poll(() => rowgate.log().some(({ msg }) => String(msg).startsWith('an audit sink takes nothing')), SOON).toBe(true);
    expect(receiver.messages).toEqual([]);
    other.remove();
  });

  const options = (url: string): SinkOptions => ({
    name: 's', url, format: 'json', facility: 'audit', headers: {}, ca: undefined, bufferBytes: 64 * 1024, timeoutMs: 1000, version: '0', retryMinMs: 5, retryMaxMs: 20,
  });
  const line = (n: number): string => JSON.stringify({ n, time: '2030-01-01T00:00:00.000Z', event: 'flag', text: 'x'.repeat(1000) });

  test('that stays away costs bounded memory: the oldest are left out and counted, the newest arrive', async () => {
    const port = await freePort();
    const sink = new AuditSink(options(`http://127.0.0.1:${port}`));
    for (let n = 0; n < 10_000; n += 100) sink.put(Array.from({ length: 100 }, (_, i) => line(n + i)));
    expect(sink.waiting).toBeLessThan(64);
    expect(sink.stats.dropped).toBe(10_000 - sink.waiting);
    const receiver = stopLater(await startHttpReceiver({ port }));
    await expect.poll(() => sink.waiting, SOON).toBe(0);
    const arrived = receiver.posted.flatMap(({ body }) => body.trimEnd().split('\n')).map((each) => (JSON.parse(each) as { n: number }).n);
    expect(arrived.at(-1)).toBe(9999);
    expect(arrived).toEqual(arrived.toSorted((a, b) => a - b));
    expect(sink.stats).toMatchObject({ sent: arrived.length, dropped: 10_000 - arrived.length });
    await sink.close(1000);
  });

  test('that never takes a batch does not hold up what follows', async () => {
    const receiver = stopLater(await startHttpReceiver());
    receiver.answer = 413;
    const sink = new AuditSink(options(receiver.url));
    sink.put([line(1), line(2)]);
    await expect.poll(() => sink.stats.dropped).toBe(2);
    receiver.answer = 200;
    sink.put([line(3)]);
    await expect.poll(() => sink.stats.sent).toBe(1);
    await sink.close(1000);
  });

  test('that hangs does not keep Rowgate from stopping', async () => {
    const receiver = stopLater(await startHttpReceiver());
    receiver.answer = 'hang';
    const sink = new AuditSink({ ...options(receiver.url), timeoutMs: 60_000 });
    sink.put([line(1)]);
    await sink.close(100);
    expect(sink.stats).toMatchObject({ sent: 0, dropped: 1 });
  });

  test('a record that no datagram can hold is left out, and counted', async () => {
    const receiver = stopLater(await startUdpReceiver());
    const sink = new AuditSink({ ...options(`syslog+udp://127.0.0.1:${receiver.port}`), bufferBytes: 1024 * 1024 });
    sink.put([line(1), JSON.stringify({ text: 'x'.repeat(70_000) }), line(2)]);
    await expect.poll(() => receiver.messages.length).toBe(2);
    expect(sink.stats).toMatchObject({ sent: 2, dropped: 1 });
    await sink.close(1000);
  });
});
