import { describe, expect, it } from 'vitest';
import { outageRefusal } from '../../../src/policy/outage-refusal.ts';
import { quotaRefusal } from '../../../src/policy/quota-refusal.ts';
import type { CompiledQuota } from '../../../src/policy/types.ts';

const QUOTA: CompiledQuota = {
  ruleId: 'support/customers/rows/1h',
  role: 'support',
  className: 'customers',
  dimension: 'rows',
  window: 3_600_000,
  windowText: '1h',
  limit: 200,
  scope: 'principal',
  action: 'block',
};
const nowMs = Date.UTC(2026, 10, 23, 21, 0, 0, 500);
const contact = 'dpo@example.com';

describe('the refusal of a used-up quota', () => {
  it('says which limit, how much is used, when more comes free and whom to ask', () => {
    expect(quotaRefusal({ quota: QUOTA, used: 200, nextFreeInMs: 719_000, nowMs, contact, deliveredRows: 12 })).toEqual({
      kind: 'refusal',
      code: 'quota_used_up',
      ruleId: 'support/customers/rows/1h',
      severity: 'ERROR',
      sqlstate: '53400',
      message: 'row quota for class "customers" is used up: 200 of 200 in 1h',
      detail:
        'Rule support/customers/rows/1h allows 200 rows of class "customers" in any 1h to each login; 200 rows are used. Before it stopped, this statement delivered 12 rows. The next units come free at 2026-11-23T21:12:00Z, in 12 minutes.',
      hint: 'More comes free bit by bit from the time above on. If your work needs more, ask dpo@example.com.',
    });
  });

  it('says what a statement costs by what it leaves behind, where that is too much', () => {
    const refusal = quotaRefusal({ quota: QUOTA, used: 188, aside: 30, unitsPerRow: 1, nowMs, contact: undefined });
    expect(refusal.message).toBe('row quota for class "customers" has too little left: 12 of 200 in 1h, and the statement by itself costs 30');
    expect(refusal.hint).toContain('It costs what it leaves behind: each table, partition and index that it fills');
  });

  it('says what still fits if something is left', () => {
    const refusal = quotaRefusal({ quota: QUOTA, used: 188, unitsPerRow: 30, nowMs, contact: undefined });
    expect(refusal.message).toBe('row quota for class "customers" has too little left: 12 of 200 in 1h, and the next row costs 30');
    expect(refusal.detail).toContain('A row of this statement counts as 30.');
    expect(refusal.hint).toBe('Rows of fewer tables, without aggregates, cost less.');
    expect(quotaRefusal({ quota: QUOTA, used: 188, unitsPerRow: 3, nowMs, contact: undefined }).hint).toBe('A statement with LIMIT 4 still fits.');
  });

  it('ends the session if the quota says so', () => {
    const refusal = quotaRefusal({ quota: { ...QUOTA, action: 'terminate' }, used: 200, nowMs, contact });
    expect([refusal.severity, refusal.sqlstate, refusal.code]).toEqual(['FATAL', '53400', 'session_ended_by_quota']);
  });

  it('names the role whose members share the limit', () => {
    const refusal = quotaRefusal({ quota: { ...QUOTA, scope: 'role' }, used: 200, nowMs, contact });
    expect(refusal.message).toBe('row quota of role "support" for class "customers" is used up: 200 of 200 in 1h');
    expect(refusal.detail).toContain('in any 1h to all of role "support" together; 200 rows are used.');
  });

  it('asks for a LIMIT where the window is one statement, in which nothing comes free', () => {
    const quota: CompiledQuota = { ...QUOTA, window: 'statement', windowText: 'statement', limit: 50, ruleId: 'support/customers/rows/statement' };
    const refusal = quotaRefusal({ quota, used: 50, nextFreeInMs: 1000, deliveredRows: 50, nowMs, contact });
    expect(refusal.message).toBe('row quota for class "customers" is used up: 50 of 50 in one statement');
    expect(refusal.detail).toBe(
      'Rule support/customers/rows/statement allows 50 rows of class "customers" in one statement; this statement took 50 rows. Before it stopped, this statement delivered 50 rows.',
    );
    expect(refusal.hint).toBe('Ask with LIMIT 50 or less. If your work needs more, ask dpo@example.com.');
    expect(quotaRefusal({ quota, used: 48, unitsPerRow: 3, nowMs, contact }).hint).toContain('Ask with LIMIT 16 or less.');
  });

  it('tells bytes as sizes and subjects as people', () => {
    const bytes = quotaRefusal({ quota: { ...QUOTA, dimension: 'bytes', limit: 1024 ** 2 }, used: 1024 ** 2, nowMs, contact: undefined });
    expect([bytes.message, bytes.hint]).toEqual(['byte quota for class "customers" is used up: 1 MiB of 1 MiB in 1h', 'Select fewer columns, or fewer rows with a LIMIT.']);
    const people = quotaRefusal({ quota: { ...QUOTA, dimension: 'subjects', limit: 1 }, used: 1, nowMs, contact: undefined });
    expect(people.message).toBe('subject quota for class "customers" is used up: 1 of 1 in 1h');
    expect(people.detail).toContain('allows 1 person of class "customers" in any 1h to each login; 1 person is used.');
  });

  it('never tells a time that is too early', () => {
    const detail = quotaRefusal({ quota: QUOTA, used: 200, nextFreeInMs: 1, nowMs, contact }).detail;
    expect(detail).toContain('2026-11-23T21:00:01Z, in 1 second');
  });
});

describe('the refusal during an outage', () => {
  it.each(['store', 'audit', 'catalog'] as const)('of the %s is 57P03, names whom to ask and no host', (outage) => {
    const refusal = outageRefusal(outage, { contact });
    expect(refusal).toMatchObject({ sqlstate: '57P03', severity: 'ERROR', ruleId: `outage/${outage}`, code: `${outage}_unavailable` });
    expect(refusal.message).toMatch(/^protected data is not available: /);
    expect(refusal.hint).toMatch(/If it lasts, ask dpo@example\.com\.$/);
  });
});
