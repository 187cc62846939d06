/** What the admin server shows of a running Rowgate. */

import type { SessionView, UsageView } from '../admin/providers.ts';
import type { CompiledQuota } from '../policy/types.ts';
import { quotaUsage } from '../session/quota-usage.ts';
import type { ServiceGate } from '../session/service-gate.ts';
import type { SessionState } from '../session/session-state.ts';

export function sessionViews(gate: ServiceGate): readonly SessionView[] {
  return [...gate.sessions].map((session) => ({
    session_id: session.identity.id,
    principal: session.identity.principal,
    roles: session.principal.roles,
    client_address: session.identity.clientAddress,
    application_name: session.applicationName,
    database: session.identity.database,
    started_at: new Date(session.startedAtMs).toISOString(),
    state: stateOf(session),
    statements: session.statementCount,
    ...session.totals,
  }));
}

function stateOf(session: SessionState): string {
  if (session.ledger.length > 0) return 'active';
  switch (session.transaction) {
    case 'I':
      return 'idle';
    case 'T':
      return 'idle in transaction';
    case 'E':
      return 'idle in transaction (aborted)';
  }
}

/** Ends a session as pg_terminate_backend does; false if there is none of this id in this process. */
export function endSession(gate: ServiceGate, id: string): boolean {
  const session = [...gate.sessions].find((each) => each.identity.id === id);
  if (session === undefined) return false;
  session.ports.end({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection due to administrator command' }, 'ended by an administrator');
  return true;
}

function baseLimit(gate: ServiceGate, quota: CompiledQuota): number {
  return gate.policy.roles.find((role) => role.name === quota.role)?.quotas.find((each) => each.ruleId === quota.ruleId)?.limit ?? quota.limit;
}

/** Quotas of the logins that were here since this process started, or of the one that is asked for, whether it was here or not. */
export async function usageViews(gate: ServiceGate, principal: string | undefined): Promise<readonly UsageView[]> {
  const views: UsageView[] = [];
  const roleRules = new Set<string>();
  for (const name of principal === undefined ? gate.people.keys() : [principal]) {
    const policy = gate.policyOf(name);
    for (const { quota, state } of await quotaUsage(gate.store, policy)) {
      if (state === undefined) continue;
      // A quota that a role shares is told once, however many of its people are here.
      if (quota.scope === 'role' && roleRules.size === roleRules.add(quota.ruleId).size) continue;
      views.push({
        rule_id: quota.ruleId,
        role: quota.role,
        scope: quota.scope,
        principal: quota.scope === 'principal' ? name : undefined,
        class: quota.className,
        dimension: quota.dimension,
        window: quota.windowText,
        used: state.used,
        // What one of them was granted is that one's alone.
        limit: quota.scope === 'role' && principal === undefined ? baseLimit(gate, quota) : quota.limit,
        next_free_in_ms: state.nextFreeInMs,
      });
    }
  }
  return views;
}
