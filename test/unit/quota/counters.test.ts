import { describe, expect, it } from 'vitest';
import { countersFor } from '../../../src/quota/counters.ts';
import { policyFor } from '../../../src/policy/principal.ts';
import { VALID, policyOf, principalOf } from '../policy/fixtures.ts';

describe('counters', () => {
  it('have keys that name class, dimension, window and owner', () => {
    const principal = principalOf(
      'quotas: [{ class: customers, window: 1h, rows: 200, bytes: 1MiB }, { class: customers, window: 24h, rows: 900, scope: role, action: flag }, { class: customers, window: 30d, subjects: 7 }]',
    );
    const counters = countersFor(principal, 'customers');
    expect(counters.rows.counters).toEqual([
      { key: 'q:{customers}:rows:3600000:p:agent', windowMs: 3_600_000, limit: 200 },
      { key: 'q:{customers}:rows:86400000:r:support', windowMs: 86_400_000, limit: null },
    ]);
    expect(counters.bytes.counters).toEqual([{ key: 'q:{customers}:bytes:3600000:p:agent', windowMs: 3_600_000, limit: 1_048_576 }]);
    expect(counters.subjects.counters).toEqual([{ key: 'q:{customers}:subjects:2592000000:p:agent', windowMs: 2_592_000_000, limit: 7, people: 15 }]);
    expect(counters.rows.bindings.map((binding) => [binding.quota.ruleId, binding.counter])).toEqual([
      ['support/customers/rows/1h', 0],
      ['support/customers/rows/24h/role', 1],
    ]);
  });

  it('merge quotas of several roles on the same thing and keep the tightest limit that blocks', () => {
    const role = (name: string, limit: number, action: string): string =>
      `  ${name}: { members: [agent], quotas: [{ class: customers, window: 60m, rows: ${limit}, action: ${action} }] }\n`;
    const principal = policyFor('agent', policyOf(VALID + role('a', 50, 'flag') + role('b', 90, 'terminate') + role('c', 150, 'block')), () => false);
    const { counters, bindings } = countersFor(principal, 'customers').rows;
    expect(counters).toEqual([{ key: 'q:{customers}:rows:3600000:p:agent', windowMs: 3_600_000, limit: 90 }]);
    expect(bindings.map((binding) => [binding.quota.role, binding.counter])).toEqual([['support', 0], ['a', 0], ['b', 0], ['c', 0]]);
  });

  it('only count where every quota only flags', () => {
    const principal = principalOf('quotas: [{ class: customers, window: 1h, rows: 200, action: flag }]');
    expect(countersFor(principal, 'customers').rows.counters[0]?.limit).toBeNull();
  });

  it('block nobody in monitor mode', () => {
    const principal = principalOf('quotas: [{ class: customers, window: 1h, rows: 200 }]', 'mode: monitor\n');
    expect(countersFor(principal, 'customers').rows.counters[0]?.limit).toBeNull();
  });

  it('leave the quotas of one statement apart', () => {
    const principal = principalOf('quotas: [{ class: customers, window: statement, rows: 50 }]');
    const counters = countersFor(principal, 'customers');
    expect(counters.rows.counters).toEqual([]);
    expect(counters.statement.map((quota) => quota.limit)).toEqual([50]);
  });

  it('are empty for a class without a quota', () => {
    const counters = countersFor(principalOf('quotas: [{ class: customers, window: 1h, rows: 50 }]'), 'employees');
    expect([counters.rows.counters, counters.subjects.counters, counters.bytes.counters, counters.statement]).toEqual([[], [], [], []]);
  });

  it('keep their keys when a limit changes and a role moves in the file', () => {
    const keyOf = (text: string): string | undefined => countersFor(policyFor('agent', policyOf(text), () => false), 'customers').rows.counters[0]?.key;
    const moved = VALID.replace('rows: 200', 'rows: 300').replace('window: 1h', 'window: 60m').replace('roles:\n', 'roles:\n  first: { members: [x], quotas: [] }\n');
    expect(keyOf(moved)).toBe(keyOf(VALID));
  });

  it('never share a key between two logins, nor between a login and a role', () => {
    const keyOf = (login: string): string => {
      const text = VALID.replace('[agent, "agent_*"]', '["*"]').replace('rows: 200 }', 'rows: 200 }\n      - { class: customers, window: 1h, rows: 200, scope: role }');
      return countersFor(policyFor(login, policyOf(text), () => false), 'customers').rows.counters.map((counter) => counter.key).join(' ');
    };
    const hostile = ['a', 'a:b', 'a%003ab', 'a%3ab', 'r:support', '}:rows:3600000:r:support', 'a b', 'a\nb', '{x}', '%', '%0025', 'A', '\u00a0a', 'a\u2028'];
    const keys = hostile.map(keyOf);
    expect(new Set(keys).size).toBe(hostile.length);
    for (const key of keys) {
      expect(key.split(' ')).toHaveLength(2);
      expect(key.match(/\{/g)).toHaveLength(2);
      expect(key).toMatch(/^q:\{customers\}:rows:3600000:p:[^:{}\s]+ q:\{customers\}:rows:3600000:r:support$/);
    }
  });
});
