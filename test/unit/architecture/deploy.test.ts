/** deploy/ as far as it can be held against something without an engine. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../src/policy/load-config.ts';
import { problemLines } from '../policy/fixtures.ts';

const DEPLOY = join(import.meta.dirname, '../../../deploy');
const read = (path: string): string => readFileSync(join(DEPLOY, path), 'utf8');
const sources = { env: (name: string) => (name === 'ROWGATE_AUDIT_KEY' ? '0123456789abcdef'.repeat(4) : 'x'), readFile: (path: string) => { throw new Error(`no ${path}`); } };
const isThere = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

type Tree = { readonly [key: string]: Tree | undefined } & { readonly kind?: string };
const objects = parseAllDocuments(read('kubernetes/rowgate.yaml')).map((document) => document.toJS() as Tree);
const ofKind = (kind: string): readonly Tree[] => objects.filter((each) => each.kind === kind);

describe('Compose', () => {
  const compose = parse(read('compose/compose.yaml'), { merge: true }) as { services: Record<string, { volumes?: string[]; networks?: string[]; environment?: Record<string, string>; depends_on?: string[] | Record<string, unknown> }> };

  test('has all that a fleet needs, and the database on no network that staff can reach', () => {
    expect(Object.keys(compose.services).toSorted()).toEqual(['grafana', 'haproxy', 'postgres', 'prometheus', 'redis', 'rowgate-1', 'rowgate-2']);
    const front = compose.services['haproxy']?.networks ?? [];
    expect(front.length).toBeGreaterThan(0);
    expect(compose.services['postgres']?.networks?.filter((each) => front.includes(each))).toEqual([]);
  });

  test('mounts files that are there, and waits for services that are there', () => {
    for (const { volumes = [], depends_on: after = {} } of Object.values(compose.services)) {
      for (const volume of volumes) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('.')) expect(existsSync(join(DEPLOY, 'compose', from)), from).toBe(true);
      }
      for (const name of Array.isArray(after) ? after : Object.keys(after)) expect(compose.services).toHaveProperty(name);
    }
  });

  test('gives Rowgate a configuration that loads, and every variable that it names', () => {
    const text = read('compose/rowgate.yaml');
    expect(problemLines(loadConfig(text, 'rowgate.yaml', sources))).toEqual([]);
    const given = Object.keys(compose.services['rowgate-1']?.environment ?? {});
    for (const [, name = ''] of text.matchAll(/\$\{(\w+)\}/g)) expect(given).toContain(name);
  });

  test.skipIf(!isThere('haproxy'))('has a configuration that HAProxy takes (needs haproxy)', () => {
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', join(DEPLOY, 'compose/haproxy.cfg')], { encoding: 'utf8' });
    expect(stderr).not.toContain('[ALERT]');
    expect(status).toBe(0);
  });

  test.skipIf(!isThere('promtool'))('has a configuration that Prometheus takes (needs promtool)', () => {
    expect(spawnSync('promtool', ['check', 'config', '--syntax-only', join(DEPLOY, 'compose/prometheus.yml')]).status).toBe(0);
  });
});

describe('Kubernetes', () => {
  test('has a configuration that loads', () => {
    const [config] = ofKind('ConfigMap');
    expect(problemLines(loadConfig(config?.['data']?.['rowgate.yaml'] as unknown as string, 'rowgate.yaml', sources))).toEqual([]);
  });

  test('every object says of which API, what it is, and where it is', () => {
    for (const each of objects) {
      expect(each).toMatchObject({ apiVersion: expect.stringMatching(/^(v1|apps\/v1|policy\/v1|networking\.k8s\.io\/v1)$/) as string, kind: expect.any(String) as string, metadata: { name: expect.any(String) as string } });
      if (each.kind !== 'Namespace') expect(each['metadata']).toHaveProperty('namespace');
    }
  });

  test('probes, a rolling update that drains, a disruption budget, and selectors that meet the pods', () => {
    const [set] = ofKind('StatefulSet');
    const spec = set?.['spec'] as unknown as { selector: { matchLabels: object }; updateStrategy: { type: string }; template: { metadata: { labels: object }; spec: { terminationGracePeriodSeconds: number; containers: { readinessProbe: object; livenessProbe: object }[] } } };
    expect(spec.updateStrategy.type).toBe('RollingUpdate');
    expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(30);
    expect(spec.template.spec.containers[0]).toMatchObject({ readinessProbe: { httpGet: { path: '/readyz' } }, livenessProbe: { httpGet: { path: '/healthz' } } });
    const labels = spec.template.metadata.labels;
    expect(labels).toMatchObject(spec.selector.matchLabels);
    expect(labels).toMatchObject((ofKind('PodDisruptionBudget')[0]?.['spec']?.['selector']?.['matchLabels'] ?? { none: true }) as object);
    for (const service of ofKind('Service')) expect(labels).toMatchObject((service['spec']?.['selector'] ?? { none: true }) as object);
  });

  test('nothing but Rowgate gets to the database', () => {
    const policy = ofKind('NetworkPolicy').find((each) => each['metadata']?.['name'] as unknown === 'postgres-from-rowgate')?.['spec'] as unknown as { policyTypes: string[]; ingress: { from: { podSelector: { matchLabels: object } }[] }[] };
    expect(policy.policyTypes).toContain('Ingress');
    expect(policy.ingress.flatMap(({ from }) => from.map((each) => each.podSelector.matchLabels))).toEqual([{ app: 'rowgate' }]);
  });
});

describe('systemd', () => {
  test.skipIf(!isThere('systemd-analyze') || !existsSync('/usr/bin/node'))('takes the unit (needs systemd-analyze, and node where the unit looks for it)', () => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', join(DEPLOY, 'systemd/rowgate.service')], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).not.toContain('rowgate.service:');
    expect(status).toBe(0);
  });
});
