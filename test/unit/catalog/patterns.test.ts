import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, matchesGlob } from '../../../src/catalog/patterns.ts';

describe('a pattern', () => {
  it.each([
    ['crm.customers', 'crm', 'customers', true],
    ['crm.customers', 'crm', 'customers2', false],
    ['crm.customers', 'CRM', 'customers', false],
    ['crm.contact_*', 'crm', 'contact_mail', true],
    ['crm.contact_*', 'crm', 'contact_', true],
    ['*.customers', 'eu', 'customers', true],
    ['crm.*', 'crm', 'odd.name', true],
    ['crm.c?st', 'crm', 'cost', true],
    ['crm.c?st', 'crm', 'ct', false],
    ['crm.a+(b)[c]', 'crm', 'a+(b)[c]', true],
    ['crm.[a-z]*', 'crm', 'abc', false],
    ['*.*', 'pg_catalog', 'pg_class', false],
    ['*', 'information_schema', 'columns', false],
    ['pg_catalog.pg_stat*', 'pg_catalog', 'pg_stats', true],
  ])('%s on %s.%s: %s', (pattern, schema, name, expected) => {
    expect(compilePattern(pattern).matches(schema, name)).toBe(expected);
  });

  it('agrees with a regular expression that means the same', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?', '+'), maxLength: 8 });
    fc.assert(fc.property(text, text, (pattern, value) => {
      const expression = pattern.split('').map((char) => (char === '*' ? '[^]*' : char === '?' ? '[^]' : char.replace(/[.+]/, '\\$&'))).join('');
      return matchesGlob(pattern, value) === new RegExp(`^${expression}$`).test(value);
    }));
  });

  it('takes no longer for many stars', () => {
    const started = performance.now();
    expect(matchesGlob('*a'.repeat(60), 'a'.repeat(59) + 'b'.repeat(5_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
