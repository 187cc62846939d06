import type { Snapshot } from './snapshot.ts';

/**
 * Whether `principal` is a member of the PostgreSQL role, directly or through other roles, whatever the options of the grants: who may only
 * SET ROLE counts too. A role is a member of itself. Superusers are members of what was granted to them, not of everything: a policy that
 * names a role means the people in it.
 */
export function isMemberOf(snapshot: Snapshot, principal: string, role: string): boolean {
  return snapshot.roles.has(principal) && (principal === role || snapshot.memberOf.get(principal)?.has(role) === true);
}

/** Every role that `principal` is a member of, itself included; empty for a login that the server does not know. */
export function rolesOf(snapshot: Snapshot, principal: string): ReadonlySet<string> {
  if (!snapshot.roles.has(principal)) return new Set();
  return new Set([principal, ...(snapshot.memberOf.get(principal) ?? [])]);
}
