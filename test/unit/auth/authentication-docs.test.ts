import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/policy/load-config.ts';
import { problemLines, sources } from '../policy/fixtures.ts';

const LEAST = {
  version: 1,
  catalog: { user: 'rowgate', password: '${ROWGATE_PASSWORD}' },
  store: { memory: true },
  classes: { customers: { relations: { 'crm.customers': { subject: 'id' } } } },
  roles: { support: { members: ['agent_*'], quotas: [{ class: 'customers', window: '1h', rows: 200 }] } },
};

describe('docs/authentication.md', () => {
  const text = readFileSync(new URL('../../../docs/authentication.md', import.meta.url), 'utf8');
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

  it('has an example of every method', () => {
    expect(new Set(examples.map((example) => (parse(example) as { auth: { method: string } }).auth.method))).toEqual(new Set(['passthrough', 'scram', 'certificate']));
  });

  it.each(examples)('has an example that loads: %s', (example) => {
    const whole = { ...LEAST, ...(parse(example) as object) };
    expect(problemLines(loadConfig(JSON.stringify(whole), 'example', sources()))).toEqual([]);
  });
});
