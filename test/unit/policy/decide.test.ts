import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/policy/decide.ts';
import { decideLogin } from '../../../src/policy/login-verdict.ts';
import { DENY_CATEGORIES } from '../../../src/policy/deny-categories.ts';
import { REFUSAL_KINDS } from '../../../src/policy/refusal-codes.ts';
import { policyFor } from '../../../src/policy/principal.ts';
import { VALID, classReach, policyOf, principalOf, reachOf } from './fixtures.ts';

const QUOTAS = 'quotas: [{ class: customers, window: 1h, rows: 9 }]';
const overCustomers = { classes: [classReach()], relations: ['crm.customers'] };
const stranger = (top: string) => policyFor('bob', policyOf(VALID + top), () => false);

describe('a verdict', () => {
  it('allows what reaches nothing protected', () => {
    expect(decide(reachOf({}), principalOf(QUOTAS))).toEqual({ kind: 'allow' });
    expect(decide(reachOf({}), stranger(''))).toEqual({ kind: 'allow' });
  });

  it('leaves ordinary reading of a class to the quotas', () => {
    expect(decide(reachOf(overCustomers), principalOf(QUOTAS))).toEqual({ kind: 'allow' });
  });

  it('refuses a denied category and says what, why, and what would work', () => {
    const principal = principalOf(`${QUOTAS}, contact: dpo@example.com`);
    expect(decide(reachOf({ ...overCustomers, categories: ['derived_copy'] }), principal)).toEqual({
      kind: 'block',
      refusal: {
        kind: 'refusal',
        code: 'statement_denied',
        ruleId: 'support/deny/derived_copy',
        severity: 'ERROR',
        sqlstate: '42501',
        message: 'saving a copy of protected data is not allowed (rule support/deny/derived_copy)',
        detail: 'The statement would copy from crm.customers.',
        hint: 'SELECT the rows that you need; a temporary table or view counts as a copy, too. If your work needs it, ask dpo@example.com.',
      },
    });
  });

  it('tells why a statement is opaque', () => {
    const verdict = decide(reachOf({ opaque: ['function public.f(integer) is not reviewed'], categories: ['opaque'] }), principalOf(QUOTAS));
    expect(verdict.kind === 'block' && verdict.refusal.detail).toBe('What the statement does cannot be told: function public.f(integer) is not reviewed.');
  });

  it.each(DENY_CATEGORIES)('refuses %s where the role denies it, and only there', (category) => {
    const reach = reachOf({ ...overCustomers, categories: [category] });
    const verdict = decide(reach, principalOf(`${QUOTAS}, deny: [${category}]`));
    expect(verdict.kind === 'block' && verdict.refusal.ruleId).toBe(`support/deny/${category}`);
    // A copy does not inherit its class yet, so derived_copy stays denied for a role with quotas.
    if (category !== 'derived_copy') expect(decide(reach, principalOf(`${QUOTAS}, deny: []`))).toEqual({ kind: 'allow' });
    expect(decide(reach, principalOf('quotas: []'))).toEqual({ kind: 'allow' });
  });

  it.each(DENY_CATEGORIES)('counts %s without a class in reach only if it is dangerous by itself', (category) => {
    const verdict = decide(reachOf({ categories: [category] }), principalOf(`${QUOTAS}, deny: [${category}]`));
    expect(verdict.kind).toBe(category === 'copy_out' || category === 'packing' ? 'allow' : 'block');
  });

  it('blames the same category however many apply', () => {
    const reach = reachOf({ ...overCustomers, categories: ['opaque', 'copy_out', 'remote', 'code'] });
    const verdict = decide(reach, principalOf(`${QUOTAS}, deny: [copy_out, opaque, remote, code]`));
    expect(verdict.kind === 'block' && verdict.refusal.ruleId).toBe('support/deny/remote');
  });

  it('flags a denial in monitor mode', () => {
    expect(decide(reachOf({ ...overCustomers, categories: ['code'] }), principalOf(QUOTAS, 'mode: monitor\n'))).toEqual({
      kind: 'flag',
      ruleId: 'support/deny/code',
      reason: 'creating code in the database or running a block of it is not allowed (rule support/deny/code)',
    });
  });

  it('refuses a class to a login in no role', () => {
    expect(decide(reachOf(overCustomers), stranger(''))).toEqual({
      kind: 'block',
      refusal: {
        kind: 'refusal',
        code: 'unlisted_principal',
        ruleId: 'unlisted/block',
        severity: 'ERROR',
        sqlstate: '42501',
        message: 'login "bob" may not reach class "customers" (rule unlisted/block)',
        detail: 'The login is in no role of the data protection policy. The statement reaches protected data by way of crm.customers.',
        hint: 'Statements that reach no protected data work. Ask the people who run the database to add the login to a role.',
      },
    });
  });

  it('refuses a login in no role what hides its reach', () => {
    const verdict = decide(reachOf({ classes: [classReach()], opaque: ['DO block'], categories: ['opaque', 'code'] }), stranger(''));
    expect(verdict.kind === 'block' && verdict.refusal.ruleId).toBe('unlisted/deny/code');
  });

  it.each([
    ['unlisted: flag\n', { kind: 'flag', ruleId: 'unlisted/flag', reason: 'login "bob" is in no role and reaches classes "customers" and "employees"' }],
    ['unlisted: allow\n', { kind: 'allow' }],
    ['mode: monitor\n', { kind: 'flag', ruleId: 'unlisted/block', reason: 'login "bob" may not reach classes "customers" and "employees" (rule unlisted/block)' }],
  ])('follows %j for a login in no role', (top, expected) => {
    const reach = reachOf({ classes: [classReach(), classReach({ className: 'employees', relations: ['hr.people'] })] });
    expect(decide(reach, stranger(top))).toEqual(expected);
  });

  it('writes no control character of a name, and no endless list', () => {
    const names = Array.from({ length: 40 }, (_, index) => `s.\u001b[31m\n${'n'.repeat(200)}\0${index}`);
    const verdict = decide(reachOf({ ...overCustomers, classes: [classReach({ relations: names })], categories: ['derived_copy'] }), principalOf(QUOTAS));
    const detail = verdict.kind === 'block' ? (verdict.refusal.detail ?? '') : '';
    expect(detail).toMatch(/and 35 more\.$/);
    expect(detail.length).toBeLessThan(1000);
    // eslint-disable-next-line no-control-regex
    expect(detail).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe('a login', () => {
  const databases = (patterns?: readonly string[]) => ({ patterns, holdsClass: (database: string) => database === 'crm' });

  it.each([
    ['crm', undefined, 'allow'],
    ['other', undefined, 'block'],
    ['other', ['oth*'], 'allow'],
    ['crm', ['oth*'], 'block'],
  ])('with limits to database %s with %j: %s', (database, patterns, kind) => {
    expect(decideLogin({ database, replication: false }, principalOf(QUOTAS), databases(patterns)).kind).toBe(kind);
  });

  it('without limits reaches every database', () => {
    expect(decideLogin({ database: 'other', replication: false }, principalOf('quotas: []'), databases(['crm'])).kind).toBe('allow');
  });

  it('in no role reaches only databases that the policy covers', () => {
    expect(decideLogin({ database: 'other', replication: false }, stranger(''), databases()).kind).toBe('block');
  });

  it('opens no replication connection unless its role says so', () => {
    const login = { database: 'crm', replication: true };
    const refused = decideLogin(login, principalOf('quotas: []'), databases());
    expect(refused.kind === 'block' && refused.refusal).toMatchObject({ sqlstate: '42501', severity: 'FATAL', ruleId: 'login/replication' });
    expect(decideLogin(login, principalOf('quotas: [], replication: true'), databases()).kind).toBe('allow');
  });

  it('is flagged in monitor mode', () => {
    expect(decideLogin({ database: 'other', replication: false }, principalOf(QUOTAS, 'mode: monitor\n'), databases()).kind).toBe('flag');
  });

  it('with a name that PostgreSQL would cut is refused, in monitor mode too', () => {
    const long = policyFor('x'.repeat(64), policyOf(`${VALID}mode: monitor\n`), () => false);
    expect(decideLogin({ database: 'crm', replication: false }, long, databases())).toMatchObject({ kind: 'block', refusal: { sqlstate: '28000', severity: 'FATAL' } });
  });
});

describe('the registry of refusals', () => {
  it('uses the SQLSTATEs that clients understand', () => {
    expect(new Set(Object.values(REFUSAL_KINDS).map((kind) => kind.sqlstate))).toEqual(new Set(['42501', '53400', '57P03', '28000']));
  });
});
