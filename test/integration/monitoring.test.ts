/** The dashboard and the alert rules in config/: every metric that they name exists in a scrape of a running Rowgate. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const CONFIG = join(import.meta.dirname, '../../config');
const rulesFile = join(CONFIG, 'prometheus/rowgate.rules.yml');
const dashboardFile = join(CONFIG, 'grafana/rowgate.json');

let postgres: TestPostgres;
let rowgate: TestRowgate;
let scrape = '';

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 300);
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 200, action: block }, { class: customers, window: 24h, rows: 10, action: flag }]' });
  // Something of everything: allowed, flagged, refused, a login that fails.
  const client = await rowgate.connect('agent');
  await client.query('SELECT * FROM crm.customers').catch(() => undefined);
  await client.query('SELECT 1');
  await client.end();
  await rowgate.connect('agent', { password: 'wrong' }).catch(() => undefined);
  scrape = await rowgate.metrics();
}, 60_000);
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});

function metricsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/\browgate_[a-z_]+/g)].map((match) => match[0]))].toSorted();
}

function expressions(dashboard: { panels: { targets?: { expr: string }[] }[] }): readonly string[] {
  return dashboard.panels.flatMap((panel) => (panel.targets ?? []).map((target) => target.expr));
}

const shown = expressions(JSON.parse(readFileSync(dashboardFile, 'utf8')) as Parameters<typeof expressions>[0]);
const alerting = [...readFileSync(rulesFile, 'utf8').matchAll(/^\s+expr: (.*)$/gm)].map((match) => match[1] ?? '');

describe.each([['the dashboard', shown], ['the alert rules', alerting]])('%s', (_name, exprs) => {
  test('names some metrics', () => {
    expect(metricsIn(exprs.join('\n')).length).toBeGreaterThan(8);
  });

  test.each(metricsIn(exprs.join('\n')))('%s is in a scrape', (metric) => {
    expect(scrape).toMatch(new RegExp(`^${metric}[ {]`, 'm'));
  });

  test('selects by labels that the metric has', () => {
    for (const expr of exprs) {
      for (const [, metric, labels] of expr.matchAll(/\b(rowgate_[a-z_]+)\{([^}]*)\}/g)) {
        for (const [, label] of (labels ?? '').matchAll(/(\w+)(?==)/g)) {
          if (label === 'instance') continue; // Prometheus' own
          expect(scrape, `${metric} has a label ${label}`).toMatch(new RegExp(`^${metric}\\{[^}]*\\b${label}="`, 'm'));
        }
      }
    }
  });
});

describe('Prometheus', () => {
  const promtool = spawnSync('promtool', ['--version']).error === undefined;
  test.skipIf(!promtool)('accepts the rules, and their own tests pass (needs promtool, of Debian\'s package prometheus)', () => {
    const result = spawnSync('promtool', ['test', 'rules', join(CONFIG, 'prometheus/rowgate.rules.test.yml')], { encoding: 'utf8' });
    expect(result.stdout + result.stderr).toContain('SUCCESS');
    expect(result.status).toBe(0);
    expect(spawnSync('promtool', ['check', 'rules', rulesFile]).status).toBe(0);
  });

  test.skipIf(!promtool)('accepts the scrape (needs promtool)', () => {
    const result = spawnSync('promtool', ['check', 'metrics'], { input: scrape, encoding: 'utf8' });
    // prom-client's own metrics about Node.js do not keep every convention.
    expect(`${result.stdout}${result.stderr}`.split('\n').filter((line) => line.startsWith('rowgate_'))).toEqual([]);
  });
});
