/** Grants as the admin port is asked for them: looked at, and handed to the book. */

import type { GrantAnswer, GrantOrder, GrantProviders, GrantView } from '../admin/providers.ts';
import { MAX_GRANT_MS, type Grant, type GrantAmounts, type GrantResult } from '../quota/grants.ts';
import { durationInWords } from '../policy/units.ts';
import type { ServiceGate } from '../session/service-gate.ts';

const MOST = 1e12;

export function grantProviders(gate: ServiceGate): GrantProviders {
  const classNames = (): readonly string[] => gate.classNames;
  return {
    list: async () => (await gate.grants.all()).map(grantView),
    order: async (order, by) => {
      if (typeof order.principal !== 'string' || order.principal === '') return refused('say for which login');
      const amounts = amountsOf(order, classNames(), undefined);
      if (typeof amounts === 'string') return refused(amounts);
      const reason = typeof order.reason === 'string' ? order.reason : '';
      if (order.request === true || gate.config.admin.fourEyes) return answer(gate, await gate.grants.request({ principal: order.principal, ...amounts, reason, by }));
      return answer(gate, await gate.grants.grant(order.principal, amounts, reason, by));
    },
    approve: async (id, order, by) => answer(gate, await gate.grants.approve(id, (grant) => amountsOf(order, classNames(), grant), by)),
    revoke: async (id, by) => answer(gate, await gate.grants.revoke(id, by)),
  };
}

/** What is said, else what was asked for; a sentence if it is not enough. */
function amountsOf(order: GrantOrder, classNames: readonly string[], asked: Grant | undefined): GrantAmounts | string {
  const className = typeof order.class === 'string' ? order.class : (asked?.className ?? (classNames.length === 1 ? classNames[0] : undefined));
  if (className === undefined) return `say for which class: ${classNames.join(', ')}`;
  if (!classNames.includes(className)) return `there is no class "${className}" (there are: ${classNames.join(', ')})`;
  const rows = amount(order.rows, asked?.rows ?? 0);
  // Each row may be about another person.
  const subjects = amount(order.subjects, asked !== undefined && order.rows === undefined ? asked.subjects : (rows ?? 0));
  const bytes = amount(order.bytes, asked?.bytes ?? 0);
  if (rows === undefined || subjects === undefined || bytes === undefined) return 'rows, subjects and bytes are whole numbers';
  if (rows + subjects + bytes === 0) return 'say how much: rows, subjects or bytes';
  const forMs = order.for_ms ?? asked?.forMs;
  if (typeof forMs !== 'number' || !(forMs >= 1000 && forMs <= MAX_GRANT_MS)) return 'say for how long (--for), from 1s to 30d';
  return { className, rows, subjects, bytes, forMs };
}

function amount(value: unknown, otherwise: number): number | undefined {
  if (value === undefined) return otherwise;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST ? value : undefined;
}

function refused(reason: string): GrantAnswer {
  return { ok: false, reason };
}

function answer(gate: ServiceGate, result: GrantResult): GrantAnswer {
  return result.ok ? { ok: true, grant: { ...grantView(result.grant), note: noteOn(gate, result.grant) } } : result;
}

/** A mistyped login, most likely: nobody would notice until the person is stopped all the same. */
function noteOn(gate: ServiceGate, grant: Grant): string | undefined {
  const { principal, className } = grant;
  const quotas = className === undefined ? undefined : gate.policyOf(principal).quotas.get(className) ?? [];
  return quotas === undefined || quotas.some((quota) => grant[quota.dimension] > 0) ? undefined : `login "${principal}" has no limit on class "${className}" that this would raise`;
}

export function grantView(grant: Grant): GrantView {
  return {
    id: grant.id,
    principal: grant.principal,
    state: grant.approval === undefined ? 'waiting' : 'in force',
    class: grant.className,
    rows: grant.rows,
    subjects: grant.subjects,
    bytes: grant.bytes,
    asked_for: grant.forMs === undefined || grant.approval !== undefined ? undefined : durationInWords(grant.forMs),
    reason: grant.reason,
    requested_by: grant.requestedBy,
    requested_at: new Date(grant.requestedAtMs).toISOString(),
    approved_by: grant.approval?.by,
    until: grant.approval === undefined ? undefined : new Date(grant.approval.untilMs).toISOString(),
  };
}
