/** Which roles of a policy a login of the past is in. */

import { policyFor } from '../../policy/principal.ts';
import type { Policy, PrincipalPolicy } from '../../policy/types.ts';
import type { Deed } from './deed.ts';

/**
 * The log does not tell who was a member of which PostgreSQL role, but which Rowgate roles a login had. So a login counts as a
 * member of a PostgreSQL role if a Rowgate role that names it is among those that the record lists.
 */
export function policyOfThePast(policy: Policy): (deed: Deed) => PrincipalPolicy {
  const known = new Map<string, PrincipalPolicy>();
  const byPgRole = new Map<string, Set<string>>();
  for (const role of policy.roles) {
    for (const member of role.members) {
      if (member.kind !== 'pg_role') continue;
      const names = byPgRole.get(member.value) ?? new Set();
      byPgRole.set(member.value, names.add(role.name));
    }
  }
  return (deed) => {
    const key = `${deed.principal}\n${deed.roles.join('\n')}`;
    let found = known.get(key);
    if (found === undefined) {
      found = policyFor(deed.principal, policy, (pgRole) => deed.roles.some((role) => byPgRole.get(pgRole)?.has(role) === true));
      known.set(key, found);
    }
    return found;
  };
}
