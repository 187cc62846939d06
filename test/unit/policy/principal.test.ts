import { describe, expect, it } from 'vitest';
import { isLoginName, policyFor } from '../../../src/policy/principal.ts';
import { VALID, policyOf, principalOf } from './fixtures.ts';

const DEFAULT_DENY = ['derived_copy', 'opaque', 'code', 'server_files', 'remote', 'replication', 'fastpath'];

const nobody = (): boolean => false;

describe('compiling a policy', () => {
  it('makes three quotas of an entry with rows, subjects and bytes', () => {
    const principal = principalOf('quotas: [{ class: customers, window: 24h, rows: 9, subjects: 8, bytes: 1KiB, action: terminate }]');
    expect(principal.quotas.get('customers')).toEqual(
      [['rows', 9], ['subjects', 8], ['bytes', 1024]].map(([dimension, limit]) => ({
        ruleId: `support/customers/${dimension}/24h`,
        role: 'support',
        className: 'customers',
        dimension,
        window: 86_400_000,
        windowText: '24h',
        limit,
        scope: 'principal',
        action: 'terminate',
      })),
    );
  });

  it('gives every quota a rule id of its own', () => {
    const quotas = principalOf(
      'quotas: [{ class: customers, window: 1h, rows: 9 }, { class: customers, window: 1h, rows: 90, scope: role }, { class: customers, window: statement, rows: 5 }, { class: employees, window: 1h, rows: 9 }]',
    ).quotas;
    expect([...quotas.values()].flat().map((quota) => quota.ruleId)).toEqual([
      'support/customers/rows/1h',
      'support/customers/rows/1h/role',
      'support/customers/rows/statement',
      'support/employees/rows/1h',
    ]);
  });

  it('denies a role with quotas what cannot be metered, unless told otherwise', () => {
    const quotas = 'quotas: [{ class: customers, window: 1h, rows: 9 }]';
    expect([...principalOf(quotas).deny.keys()]).toEqual(DEFAULT_DENY);
    expect([...principalOf(`${quotas}, deny: [copy_out]`).deny]).toEqual([['copy_out', 'support']]);
    expect([...principalOf(`${quotas}, deny: []`).deny.keys()]).toEqual([]);
    expect([...principalOf(`${quotas}, replication: true`).deny.keys()]).not.toContain('replication');
  });

  it('denies a role without quotas nothing, and shows it errors as they are', () => {
    const principal = principalOf('quotas: []');
    expect([principal.deny.size, principal.metered, principal.redactErrors, principal.replication]).toEqual([0, false, false, false]);
  });

  it('turns every action into a flag in monitor mode', () => {
    const principal = principalOf('quotas: [{ class: customers, window: 1h, rows: 9, action: terminate }, { class: employees, window: 1h, rows: 9 }]', 'mode: monitor\n');
    expect([...principal.quotas.values()].flat().map((quota) => quota.action)).toEqual(['flag', 'flag']);
  });

  it('carries classes, reviewed functions and units', () => {
    const policy = policyOf(`${VALID}trusted_functions: [crm.f]\n`);
    expect(policy.trustedFunctions).toEqual(['crm.f']);
    expect(policy.classes.get('customers')).toMatchObject({ name: 'customers', unitBytes: 1024, packedUnitBytes: 4 });
  });
});

describe('the policy of a principal', () => {
  const policy = policyOf(`${VALID}  leads:
    members: [agent, { pg_role: leads }]
    contact: lead@example.com
    quotas:
      - { class: customers, window: 24h, rows: 500 }
      - { class: employees, window: 1h, rows: 5 }
    deny: [copy_out, opaque]
  dba:
    members: [postgres]
    quotas: []
    replication: true
`);

  it('has every quota and every denial of all of its roles', () => {
    const principal = policyFor('agent', policy, nobody);
    expect(principal.roles).toEqual(['support', 'leads']);
    expect(principal.quotas.get('customers')?.map((quota) => quota.ruleId)).toEqual(['support/customers/rows/1h', 'leads/customers/rows/24h']);
    expect(principal.quotas.get('employees')?.map((quota) => quota.ruleId)).toEqual(['leads/employees/rows/1h']);
    expect(principal.deny.get('opaque')).toBe('support');
    expect(principal.deny.get('copy_out')).toBe('leads');
    expect([principal.metered, principal.redactErrors, principal.contact, principal.unlisted]).toEqual([true, true, 'lead@example.com', undefined]);
  });

  it('follows globs and memberships of PostgreSQL roles', () => {
    expect(policyFor('agent_7', policy, nobody).roles).toEqual(['support']);
    expect(policyFor('boss', policy, (pgRole) => pgRole === 'leads').roles).toEqual(['leads']);
  });

  it('compares names with their case, as PostgreSQL does', () => {
    expect(policyFor('Agent', policy, nobody).roles).toEqual([]);
    expect(policyFor('POSTGRES', policy, nobody).metered).toBe(true);
  });

  it('is not moved by names of the prototype', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) expect(policyFor(name, policy, nobody).roles).toEqual([]);
  });

  it('allows replication only where a role says so and none denies it', () => {
    expect(policyFor('postgres', policy, nobody).replication).toBe(true);
    expect(policyFor('agent', policy, nobody).replication).toBe(false);
    const both = policyOf(`${VALID}  dba: { members: [agent], quotas: [], replication: true }\n`);
    expect(policyFor('agent', both, nobody).replication).toBe(false);
  });

  it.each([
    ['block', true, DEFAULT_DENY],
    ['flag', true, []],
    ['allow', false, []],
  ])('of a login in no role follows unlisted: %s', (unlisted, metered, deny) => {
    const principal = policyFor('stranger', policyOf(`${VALID}unlisted: ${unlisted}\n`), nobody);
    expect(principal).toMatchObject({ roles: [], metered, unlisted, redactErrors: metered, replication: false });
    expect([...principal.deny.keys()]).toEqual(deny);
  });

  it('blocks logins in no role if the policy does not speak of them', () => {
    expect(policyFor('stranger', policy, nobody).unlisted).toBe('block');
  });
});

describe('a login name', () => {
  it.each([['agent', true], ['', false], ['a\0b', false], ['x'.repeat(63), true], ['x'.repeat(64), false], ['\u00e4'.repeat(32), false]])('%j is usable: %s', (name, usable) => {
    expect(isLoginName(name)).toBe(usable);
  });
});
