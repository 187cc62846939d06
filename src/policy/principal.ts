import type { DenyCategory } from '../catalog/reach-types.ts';
import { DEFAULT_DENY } from './deny-categories.ts';
import { MAX_NAME_BYTES, matchesGlob } from './glob.ts';
import type { CompiledQuota, CompiledRole, Policy, PrincipalPolicy } from './types.ts';

/** Stands for the role in the rule ids of logins that are in none; the configuration refuses a role of this name. */
export const UNLISTED_ROLE = 'unlisted';

export function lookupRuleId(role: string, className: string, windowText: string): string {
  return `${role}/${className}/lookups/${windowText}`;
}

/**
 * False for names that two sessions may send differently and PostgreSQL takes for one login: it cuts a longer name at
 * NAMEDATALEN - 1 bytes (ProcessStartupPacket in backend_startup.c), and each spelling would have quotas of its own.
 */
export function isLoginName(name: string): boolean {
  return name !== '' && !name.includes('\0') && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;
}

/**
 * What holds for one login. Names are compared as PostgreSQL compares them: exactly, case included. Restrictions of several
 * roles add up: every quota, every denial, redaction if one of them asks for it.
 */
export function policyFor(principal: string, policy: Policy, isMemberOf: (pgRole: string) => boolean): PrincipalPolicy {
  const roles = policy.roles.filter((role) => isInRole(principal, role, isMemberOf));
  if (roles.length === 0) return unlistedPolicy(principal, policy);

  const deny = new Map<DenyCategory, string>();
  for (const role of roles) {
    for (const category of role.deny) if (!deny.has(category)) deny.set(category, role.name);
  }
  const contacts = new Set(roles.flatMap((role) => role.contact ?? []));
  return {
    principal,
    roles: roles.map((role) => role.name),
    metered: roles.some((role) => role.quotas.length > 0),
    quotas: quotasByClass(roles),
    deny,
    contact: contacts.size === 0 ? undefined : [...contacts].join(' or '),
    unlisted: undefined,
    replication: roles.some((role) => role.replication) && !deny.has('replication'),
    redactErrors: roles.some((role) => role.errors === 'redact'),
    lookups: roles.flatMap((role) => role.lookups ?? []),
    mode: policy.mode,
    classes: policy.classes,
  };
}

function isInRole(principal: string, role: CompiledRole, isMemberOf: (pgRole: string) => boolean): boolean {
  return role.members.some((member) => {
    switch (member.kind) {
      case 'name':
        return member.value === principal;
      case 'glob':
        return matchesGlob(member.value, principal);
      case 'pg_role':
        return isMemberOf(member.value);
    }
  });
}

function quotasByClass(roles: readonly CompiledRole[]): ReadonlyMap<string, readonly CompiledQuota[]> {
  const byClass = new Map<string, CompiledQuota[]>();
  for (const quota of roles.flatMap((role) => role.quotas)) {
    const list = byClass.get(quota.className);
    if (list === undefined) byClass.set(quota.className, [quota]);
    else list.push(quota);
  }
  return byClass;
}

function unlistedPolicy(principal: string, policy: Policy): PrincipalPolicy {
  const metered = policy.unlisted !== 'allow';
  return {
    principal,
    roles: [],
    metered,
    quotas: new Map(),
    deny: new Map(policy.unlisted === 'block' ? DEFAULT_DENY.map((category) => [category, UNLISTED_ROLE]) : []),
    contact: undefined,
    unlisted: policy.unlisted,
    replication: false,
    redactErrors: metered,
    lookups: [],
    mode: policy.mode,
    classes: policy.classes,
  };
}
