import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { metricTable, type MetricDefinition } from '../../../src/metrics/metric-table.ts';
import { Metrics, type MetricsOptions } from '../../../src/metrics/metrics.ts';

const open: Metrics[] = [];

afterEach(() => {
  for (const metrics of open.splice(0)) metrics.close();
});

function create(options: Partial<MetricsOptions> = {}): Metrics {
  const metrics = new Metrics({
    version: '1.2.3',
    labels: { roles: ['support'], classes: ['customers'], rules: ['support/customers/rows/1h'] },
    processMetrics: false,
    ...options,
  });
  open.push(metrics);
  return metrics;
}

/** The lines of one metric, without HELP and TYPE. */
async function series(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.render();
  return text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
}

describe('the names of the metrics', () => {
  const definitions = Object.values(metricTable) as readonly MetricDefinition[];

  it.each(definitions.map((definition) => [definition.name, definition] as const))('%s keeps Prometheus\' conventions', (name, definition) => {
    expect(name).toMatch(/^rowgate_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total')).toBe(definition.type === 'counter');
    expect(name).not.toMatch(/_(milliseconds|ms|microseconds|minutes|hours|days|kilobytes|megabytes|percent|count|sum|bucket|counter|gauge|histogram)(_|$)/);
    expect(definition.help).toMatch(/^[A-Z1].+\.$/);
    for (const label of definition.labels) expect(['le', 'quantile', 'job', 'instance', '__name__']).not.toContain(label);
    if (definition.type === 'histogram') {
      const buckets = definition.buckets ?? [];
      expect(buckets.length).toBeGreaterThan(0);
      expect([...buckets].sort((a, b) => a - b)).toEqual(buckets);
      expect(name).toMatch(/_(seconds|bytes)$/);
    }
  });

  it('are unique', () => {
    expect(new Set(definitions.map(({ name }) => name)).size).toBe(definitions.length);
  });

  it('all appear in a scrape, each with its HELP and TYPE, and with no series twice', async () => {
    const text = await create({ processMetrics: true }).render();
    for (const { name, type, help } of definitions) {
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    }
    expect(text).toContain('process_cpu_seconds_total');
    const names = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('counters', () => {
  it('without labels are 0 before the first event', async () => {
    expect(await series(create(), 'rowgate_tls_failures_total')).toEqual(['rowgate_tls_failures_total 0']);
  });

  it('of wrong passwords are too, so that the first one is an increase', async () => {
    expect(await series(create(), 'rowgate_auth_failures_total')).toEqual(['rowgate_auth_failures_total{sqlstate="28P01"} 0']);
  });

  it('are added to as plain numbers and read at each scrape', async () => {
    const metrics = create();
    const cell = metrics.counter('statements', { kind: 'select', decision: 'allow' });
    cell.value += 3;
    expect(await series(metrics, 'rowgate_statements_total')).toEqual(['rowgate_statements_total{kind="select",decision="allow"} 3']);
    cell.value += 1;
    metrics.count('statements', { decision: 'block', kind: 'copy_to' });
    expect(await series(metrics, 'rowgate_statements_total')).toEqual([
      'rowgate_statements_total{kind="select",decision="allow"} 4',
      'rowgate_statements_total{kind="copy_to",decision="block"} 1',
    ]);
  });

  it('give the same cell for the same labels in any order', () => {
    const metrics = create();
    expect(metrics.counter('decisions', { role: 'support', decision: 'flag' })).toBe(metrics.counter('decisions', { decision: 'flag', role: 'support' }));
  });

  it('count what the configuration does not name under `other`', async () => {
    const metrics = create();
    for (let i = 0; i < 100; i += 1) {
      metrics.count('refusals', { rule: `made-up-${i}` });
      metrics.count('decisions', { role: `evil"\n${i}`, decision: 'maybe' });
      metrics.roleClass(`r${i}`, `c${i}`).rows += 1;
    }
    expect(await series(metrics, 'rowgate_refusals_total')).toEqual(['rowgate_refusals_total{rule="other"} 100']);
    expect(await series(metrics, 'rowgate_decisions_total')).toEqual(['rowgate_decisions_total{role="other",decision="other"} 100']);
    expect(await series(metrics, 'rowgate_rows_total')).toEqual(['rowgate_rows_total{role="other",class="other"} 100']);
  });

  it('keep their labels over a reload that no longer names them, and take new ones', async () => {
    const metrics = create();
    metrics.count('flags', { rule: 'support/customers/rows/1h' });
    metrics.allowLabels({ roles: ['sales'], classes: [], rules: ['new'] });
    metrics.count('flags', { rule: 'support/customers/rows/1h' });
    metrics.count('flags', { rule: 'new' });
    expect(await series(metrics, 'rowgate_flags_total')).toEqual([
      'rowgate_flags_total{rule="support/customers/rows/1h"} 2',
      'rowgate_flags_total{rule="new"} 1',
    ]);
  });

  it('of rows, units and bytes are the fields that a session holds', async () => {
    const metrics = create();
    const counters = metrics.roleClass('support', 'customers');
    counters.rows += 2;
    counters.units += 6;
    counters.bytes += 512;
    expect(metrics.roleClass('support', 'customers')).toBe(counters);
    expect([...await series(metrics, 'rowgate_rows_total'), ...await series(metrics, 'rowgate_units_total'), ...await series(metrics, 'rowgate_bytes_total')]).toEqual([
      'rowgate_rows_total{role="support",class="customers"} 2',
      'rowgate_units_total{role="support",class="customers"} 6',
      'rowgate_bytes_total{role="support",class="customers"} 512',
    ]);
  });
});

describe('histograms', () => {
  it('are cumulative, with +Inf, sum and count', async () => {
    const metrics = create();
    for (const seconds of [0.00005, 0.0001, 0.0009, 0.3, 100]) metrics.leaseRoundTrip.observe(seconds);
    const buckets = await series(metrics, 'rowgate_lease_round_trip_seconds_bucket');
    expect(buckets).toContain('rowgate_lease_round_trip_seconds_bucket{le="0.0001"} 2');
    expect(buckets).toContain('rowgate_lease_round_trip_seconds_bucket{le="0.001"} 3');
    expect(buckets).toContain('rowgate_lease_round_trip_seconds_bucket{le="1"} 4');
    expect(buckets).toContain('rowgate_lease_round_trip_seconds_bucket{le="+Inf"} 5');
    expect(await series(metrics, 'rowgate_lease_round_trip_seconds_count')).toEqual(['rowgate_lease_round_trip_seconds_count 5']);
    expect((await series(metrics, 'rowgate_lease_round_trip_seconds_sum'))[0]).toMatch(/ 100\.301/);
  });
});

describe('gauges', () => {
  it('ask their source at each scrape', async () => {
    let sessions = 3;
    const metrics = create({ sources: { sessions: () => sessions, auditHealthy: () => true } });
    expect(await series(metrics, 'rowgate_sessions')).toEqual(['rowgate_sessions 3']);
    sessions = 4;
    expect(await series(metrics, 'rowgate_sessions')).toEqual(['rowgate_sessions 4']);
    expect(await series(metrics, 'rowgate_audit_healthy')).toEqual(['rowgate_audit_healthy 1']);
  });

  it('and counters are absent, not 0, when their source has nothing to say or fails, and the scrape goes on', async () => {
    const metrics = create({
      sources: { sessions: () => { throw new Error('broken'); }, catalogAge: () => undefined, auditRecords: () => { throw new Error('broken'); } },
    });
    expect(await series(metrics, 'rowgate_sessions')).toEqual([]);
    expect(await series(metrics, 'rowgate_catalog_age_seconds')).toEqual([]);
    expect(await series(metrics, 'rowgate_audit_records_total')).toEqual([]);
    metrics.addSources({ sessions: () => 1, auditRecords: () => 7 });
    expect(await series(metrics, 'rowgate_sessions')).toEqual(['rowgate_sessions 1']);
    expect(await series(metrics, 'rowgate_audit_records_total')).toEqual(['rowgate_audit_records_total 7']);
  });

  it('keep the time of the last good load when a reload fails', async () => {
    const metrics = create();
    metrics.configLoaded(true, 1_900_000_000_500);
    metrics.configLoaded(false, 1_900_000_999_000);
    expect(await series(metrics, 'rowgate_config_last_reload_successful')).toEqual(['rowgate_config_last_reload_successful 0']);
    expect(await series(metrics, 'rowgate_config_last_reload_success_timestamp_seconds')).toEqual([
      'rowgate_config_last_reload_success_timestamp_seconds 1900000000.5',
    ]);
  });

  it('tell the version', async () => {
    expect(await series(create(), 'rowgate_build_info')).toEqual(['rowgate_build_info{version="1.2.3"} 1']);
  });

  it('tell how late the event loop was, without the interval of the timer that measures it', async () => {
    const metrics = create();
    await sleep(50);
    const until = performance.now() + 120;
    while (performance.now() < until);
    await sleep(30);
    const values = (await series(metrics, 'rowgate_event_loop_lag_seconds')).map((line) => Number(line.split(' ')[1]));
    expect(values).toHaveLength(3);
    expect(values[2]).toBeGreaterThan(0.08);
    expect(values[2]).toBeLessThan(2);
    expect(Math.max(...(await series(metrics, 'rowgate_event_loop_lag_seconds')).map((line) => Number(line.split(' ')[1])))).toBeLessThan(values[2] ?? 0);
  });
});

describe('the used part of a quota', () => {
  const rule = 'support/customers/rows/1h';

  it('is the highest of the principals that were seen lately', async () => {
    let nowMs = 0;
    const metrics = create({ quotaGauge: { recentMs: 1000, now: () => nowMs } });
    metrics.quotas.record(rule, 'ann', 150, 200);
    nowMs = 900;
    metrics.quotas.record(rule, 'bob', 20, 200);
    expect(await series(metrics, 'rowgate_quota_used_ratio')).toEqual([`rowgate_quota_used_ratio{rule="${rule}"} 0.75`]);
    nowMs = 1500;
    expect(await series(metrics, 'rowgate_quota_used_ratio')).toEqual([`rowgate_quota_used_ratio{rule="${rule}"} 0.1`]);
    nowMs = 9000;
    expect(await series(metrics, 'rowgate_quota_used_ratio')).toEqual([`rowgate_quota_used_ratio{rule="${rule}"} 0`]);
  });

  it('names principals only when asked to', async () => {
    const metrics = create({ quotaByPrincipal: true });
    metrics.quotas.record(rule, 'ann', 50, 200);
    metrics.quotas.record(rule, 'bob', 0, 0);
    expect((await series(metrics, 'rowgate_quota_used_ratio')).sort()).toEqual([
      `rowgate_quota_used_ratio{rule="${rule}",principal="ann"} 0.25`,
      `rowgate_quota_used_ratio{rule="${rule}",principal="bob"} 1`,
    ]);
  });

  it('is remembered for a bounded number of principals', async () => {
    const metrics = create({ quotaByPrincipal: true, quotaGauge: { maxPrincipals: 3 } });
    for (let i = 0; i < 100; i += 1) metrics.quotas.record(rule, `p${i}`, 1, 2);
    expect(await series(metrics, 'rowgate_quota_used_ratio')).toHaveLength(3);
  });

  it('keeps the highest where rules fall together under `other`', async () => {
    const metrics = create();
    metrics.quotas.record('a', 'ann', 9, 10);
    metrics.quotas.record('b', 'ann', 1, 10);
    expect(await series(metrics, 'rowgate_quota_used_ratio')).toEqual(['rowgate_quota_used_ratio{rule="other"} 0.9']);
  });
});
