/** Alerts to webhooks: a real Rowgate, a real HTTP server. */

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Alerts, type AlertSettings } from '../../src/audit/alerts/alerts.ts';
import { alertMessage, alertSlack } from '../../src/audit/alerts/alert.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startHttpReceiver, type HttpReceiver } from '../support/receivers.ts';
import { RedisProcess } from '../support/redis-processes.ts';
import { startRowgate, type RowgateOptions, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let receiver: HttpReceiver;
const running: TestRowgate[] = [];
const SOON = { timeout: 20_000 };

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});
afterEach(async () => {
  for (const rowgate of running.splice(0)) if (rowgate.process.exitCode === null) await rowgate.stop();
  await receiver.stop();
});

async function start(alerts: string, options: Partial<RowgateOptions> = {}): Promise<TestRowgate> {
  const rowgate = await startRowgate({ postgresPort: postgres.port, extra: `alerts: ${alerts}`, ...options });
  running.push(rowgate);
  return rowgate;
}

function told(): readonly Record<string, unknown>[] {
  return receiver.posted.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
}

function of(event: string): readonly Record<string, unknown>[] {
  return told().filter((each) => each['event'] === event);
}

describe('a webhook is told', () => {
  test('who is near a limit, who was stopped, and of a new configuration', async () => {
    receiver = await startHttpReceiver();
    const rowgate = await start(`{ webhooks: [{ url: "${receiver.url}/hook", headers: { Authorization: Bearer abc } }] }`);
    const client = await rowgate.connect('agent', { application_name: 'psql' });
    await client.query('SELECT * FROM crm.customers LIMIT 100');
    await client.query('SELECT 1');
    await client.query('SELECT * FROM crm.customers LIMIT 70');
    await expect.poll(() => of('near_limit'), SOON).toEqual([
      expect.objectContaining({ v: 1, principal: 'agent', rule_id: 'support/customers/rows/1h', used: 170, limit: 200, severity: 'info', count: 1 }),
    ]);
    await client.query('SELECT * FROM crm.customers').catch(() => undefined);
    await client.query('SELECT * FROM crm.customers').catch(() => undefined);
    await client.end();
    await expect.poll(() => of('blocked'), SOON).toEqual([
      expect.objectContaining({ principal: 'agent', roles: ['support'], rule_id: 'support/customers/rows/1h', application_name: 'psql', database: 'postgres', severity: 'warning' }),
    ]);
    rowgate.process.kill('SIGHUP');
    await expect.poll(() => of('config'), SOON).toHaveLength(1);
    expect(receiver.posted[0]).toMatchObject({ path: '/hook', headers: { authorization: 'Bearer abc', 'content-type': 'application/json' } });
    // Alerts tell of people, never of customers.
    for (const { body } of receiver.posted) expect(body).not.toMatch(/example\.org|@example\.net/);
    expect(await rowgate.metrics()).toMatch(/^rowgate_alerts_total\{event="blocked"\} 1$/m);
  });

  test('of failed logins, flags, ended sessions and opaque statements, as far as it asks', async () => {
    receiver = await startHttpReceiver();
    const rowgate = await start(`{ webhooks: [{ url: "${receiver.url}", events: [login_failed, flagged, terminated, opaque] }] }`, {
      role: 'deny: [copy_out]',
      quotas: '[{ class: customers, window: 1h, rows: 20, action: flag }, { class: customers, window: 24h, rows: 400, action: terminate }]',
    });
    await rowgate.connect('agent', { password: 'wrong' }).catch(() => undefined);
    await expect.poll(() => of('login_failed'), SOON).toEqual([expect.objectContaining({ principal: 'agent', client_address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })]);
    const client = await rowgate.connect('agent');
    client.on('error', () => undefined);
    await client.query('SELECT * FROM crm.customers LIMIT 30');
    await expect.poll(() => of('flagged'), SOON).toEqual([expect.objectContaining({ principal: 'agent', summary: 'agent was flagged, and not stopped', rule_id: 'support/customers/rows/1h' })]);
    await client.query("DO $$ BEGIN EXECUTE 'SELECT ' || '1'; END $$");
    await expect.poll(() => of('opaque'), SOON).toHaveLength(1);
    await client.query('SELECT * FROM crm.customers').catch(() => undefined);
    await expect.poll(() => of('terminated'), SOON).toEqual([expect.objectContaining({ severity: 'critical', rule_id: 'support/customers/rows/24h' })]);
    await client.end().catch(() => undefined);
    expect(told().every(({ event }) => ['login_failed', 'flagged', 'terminated', 'opaque'].includes(event as string))).toBe(true);
  });

  test('of a counter store that goes and comes back, which stands in the audit log, too', async () => {
    receiver = await startHttpReceiver();
    const redis = await RedisProcess.start();
    try {
      const rowgate = await start(`{ webhooks: [{ url: "${receiver.url}", events: [store] }], repeat: 1s }`, { store: `{ redis: "redis://127.0.0.1:${redis.port}/0" }` });
      await redis.kill();
      await expect.poll(() => of('store').map(({ summary }) => summary), SOON).toContain('the counter store is away');
      await redis.run();
      await expect.poll(() => of('store').some(({ summary }) => String(summary).startsWith('the counter store is back')), SOON).toBe(true);
      const events = rowgate.audit().map(({ event }) => event);
      expect(events).toContain('store_outage');
      expect(events.indexOf('store_recovered')).toBeGreaterThan(events.indexOf('store_outage'));
    } finally {
      await redis.stop();
    }
  });

  test('of a file that somebody cut', async () => {
    receiver = await startHttpReceiver();
    const rowgate = await start(`{ webhooks: [{ url: "${receiver.url}", events: [audit] }] }`);
    writeFileSync(`${rowgate.directory}/audit.ndjson`, '');
    const client = await rowgate.connect('agent');
    await client.query('SELECT * FROM crm.customers LIMIT 1');
    await client.end();
    await expect.poll(() => of('audit').some(({ summary }) => /was cut by \d+ bytes/.test(String(summary))), SOON).toBe(true);
  });

  test('at the address that a reload names', async () => {
    receiver = await startHttpReceiver();
    const rowgate = await start('{ near_limit: 0 }');
    writeFileSync(rowgate.configPath, readFileSync(rowgate.configPath, 'utf8').replace('near_limit: 0', `near_limit: 0, webhooks: [{ url: "${receiver.url}", events: [blocked] }]`));
    await expect.poll(() => rowgate.log().some(({ msg }) => msg === 'configuration reloaded'), SOON).toBe(true);
    const client = await rowgate.connect('agent');
    await client.query('SELECT * FROM crm.customers').catch(() => undefined);
    await client.end();
    await expect.poll(() => of('blocked'), SOON).toHaveLength(1);
  });
});

describe('a receiver in trouble', () => {
  test('is in no session\'s way, and gets what it missed', async () => {
    receiver = await startHttpReceiver();
    receiver.answer = 'hang';
    const rowgate = await start(`{ webhooks: [{ url: "${receiver.url}", timeout: 200ms, events: [blocked] }] }`);
    const client = await rowgate.connect('agent');
    await client.query('SELECT * FROM crm.customers').catch(() => undefined);
    // The session goes on while the alert hangs.
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    await expect.poll(() => rowgate.log().some(({ msg }) => msg === 'a webhook takes no alerts'), SOON).toBe(true);
    receiver.answer = 503;
    await sleep(300);
    receiver.answer = 204;
    await expect.poll(() => of('blocked'), SOON).toHaveLength(1);
    expect(await rowgate.metrics()).toMatch(/^rowgate_alert_failures_total [1-9]/m);
    // The address may hold a secret.
    expect(JSON.stringify(rowgate.log())).not.toContain(receiver.url);
  });

  const settings = (url: string, more: Partial<AlertSettings> = {}): AlertSettings => ({
    webhooks: [{ name: 'w', url, format: 'json', events: undefined, headers: {}, ca: undefined, timeoutMs: 2000 }],
    nearLimitPercent: 80, repeatMs: 60_000, perMinute: 3, ...more,
  });
  const alert = (n: number) => ({ key: `k${n}`, alert: { event: 'blocked' as const, summary: `number ${n}` } });

  test('one that never takes an alert does not hold up the next', async () => {
    receiver = await startHttpReceiver();
    receiver.answer = 400;
    const alerts = new Alerts(settings(receiver.url), { once: () => Promise.resolve(true), retryMinMs: 5 });
    alerts.raise(alert(1));
    await expect.poll(() => alerts.stats.dropped).toBe(1);
    receiver.answer = 200;
    alerts.raise(alert(2));
    await expect.poll(() => told().map(({ summary }) => summary)).toEqual(['number 2']);
    await alerts.close(1000);
  });

  test('a redirect is not followed', async () => {
    receiver = await startHttpReceiver();
    receiver.answer = 302;
    const alerts = new Alerts(settings(receiver.url), { once: () => Promise.resolve(true), retryMinMs: 5, retryMaxMs: 10 });
    alerts.raise(alert(1));
    await expect.poll(() => alerts.stats.failures).toBeGreaterThan(1);
    await alerts.close(50);
    expect(receiver.posted).toEqual([]);
  });

  test('the same is told once, the next time with how many it was', async () => {
    receiver = await startHttpReceiver();
    let now = 1_000_000;
    const alerts = new Alerts(settings(receiver.url), { once: () => Promise.resolve(true), now: () => now });
    for (let i = 0; i < 5; i++) alerts.raise(alert(1));
    await expect.poll(() => told()).toHaveLength(1);
    now += 60_000;
    alerts.raise(alert(1));
    await expect.poll(() => told().map(({ count }) => count)).toEqual([1, 5]);
    await alerts.close(1000);
  });

  test('what another process has told is not told again; without a store it is', async () => {
    receiver = await startHttpReceiver();
    const alerts = new Alerts(settings(receiver.url), { once: (key) => (alertsTold++ === 0 ? Promise.resolve(false) : Promise.reject(new Error(key))) });
    let alertsTold = 0;
    alerts.raise(alert(1));
    alerts.raise(alert(2));
    await expect.poll(() => told().map(({ summary }) => summary)).toEqual(['number 2']);
    await alerts.close(1000);
    expect(told()).toHaveLength(1);
  });

  test('a flood is cut to what a minute may have, and one message tells the rest', async () => {
    receiver = await startHttpReceiver();
    let asked = 0;
    const alerts = new Alerts(settings(receiver.url), { once: () => { asked += 1; return Promise.resolve(true); } });
    for (let i = 0; i < 500; i++) {
      alerts.raise(alert(i));
      if (i % 50 === 0) await sleep(1);
    }
    await expect.poll(() => told()).toHaveLength(3);
    await alerts.close(5000);
    expect(told()).toHaveLength(4);
    expect(told().at(-1)).toMatchObject({ count: 497, summary: '497 more alerts were held back within a minute: 497 blocked; the audit log has them all' });
    // Neither does the flood go on to the store.
    expect(asked).toBeLessThan(200);
  });
});

describe('what Slack shows', () => {
  test('an employee cannot write messages, mentions or links into the channel', () => {
    receiver = { stop: () => Promise.resolve() } as HttpReceiver;
    const text = alertSlack(alertMessage(
      { event: 'login_failed', summary: 'a login as <!channel> failed', principal: '<!channel>', application_name: 'x\n:white_check_mark: all is *well* <https://evil|look> @here https://evil', client_address: '10.0.0.1' },
      { id: '1', nowMs: 0, source: 's', count: 3 },
    ));
    const { text: shown } = JSON.parse(text) as { text: string };
    expect(shown).not.toMatch(/<|>|\*well|@here|https:\/\//);
    expect(shown.split('\n')).toHaveLength(2);
    expect(shown).toContain('(3 times since it was last told)');
  });
});
