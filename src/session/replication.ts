/** Replication connections: who may open one. What they carry cannot be counted, so a role must be allowed it by name. */

import { decideLogin } from '../policy/login-verdict.ts';
import { refuse } from '../policy/refusal-codes.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';
import { catalogFailure, fatalFields } from './refusal-message.ts';
import type { Target } from './routes.ts';
import type { ServiceGate } from './service-gate.ts';

export type ReplicationVerdict =
  | { readonly kind: 'allowed'; readonly principal: PrincipalPolicy }
  | { readonly kind: 'refused'; readonly error: ErrorFields; readonly reason: string };

const NOBODY_MAY: ReplicationVerdict = {
  kind: 'refused',
  error: fatalFields(refuse('replication_denied', { ruleId: 'login/replication', message: 'replication connections are not allowed for this login (rule login/replication)' })),
  reason: 'replication refused',
};

/** `replication` in the startup packet: a boolean as PostgreSQL reads one, or `database` (ProcessStartupPacket). Anything unclear counts as yes. */
export function asksForReplication(value: string | undefined): boolean {
  if (value === undefined) return false;
  return !/^(off|of|false|fals|fal|fa|f|no|n|0)$/i.test(value);
}

/** Reads the catalog for the login's roles, if any role may replicate. */
export async function judgeReplication(gate: ServiceGate, login: { readonly user: string; readonly database: string }, route: Target): Promise<ReplicationVerdict> {
  // Physical replication names no database; whether a login may replicate is the same in all of them.
  const database = gate.hasCatalog(login.database) ? login.database : 'postgres';
  const sameServer = gate.routes.find(database)?.address === route.address;
  if (!sameServer || !gate.policy.roles.some((role) => role.replication)) return NOBODY_MAY;
  try {
    await gate.openCatalog(database);
    await gate.confirmCatalog(login.user, database);
  } catch (error) {
    gate.connections.catalogFailed(error);
    return { kind: 'refused', error: catalogFailure(error), reason: 'catalog unavailable' };
  }
  const principal = gate.principalPolicy(login.user, database);
  // In monitor mode too: what replication carries cannot be counted, so it is not let through on a flag.
  if (principal.replication) return { kind: 'allowed', principal };
  const verdict = decideLogin({ database: login.database, replication: true }, principal, gate.databaseRules);
  return verdict.kind === 'block' ? { kind: 'refused', error: fatalFields(verdict.refusal), reason: verdict.refusal.message } : NOBODY_MAY;
}
