/** Temporary raises of limits. Pure: what a grant is, what it does to a quota, who may approve it. */

import type { CompiledQuota, PrincipalPolicy } from '../policy/types.ts';

/** A request until somebody approves it; then a raise until it ends or is taken back. */
export interface Grant {
  readonly id: string;
  readonly principal: string;
  /** Classes whose limits are raised; undefined in a request that leaves it to the one who approves. */
  readonly className: string | undefined;
  /** Added to every limit of the kind, in each window and for one statement. */
  readonly rows: number;
  readonly subjects: number;
  readonly bytes: number;
  /** How long it is asked for; undefined where that is left to the one who approves. */
  readonly forMs?: number | undefined;
  readonly reason: string;
  readonly requestedBy: string;
  readonly requestedAtMs: number;
  /** Absent while nobody approved it. */
  readonly approval: { readonly by: string; readonly fromMs: number; readonly untilMs: number } | undefined;
}

export interface GrantAmounts {
  readonly className: string;
  readonly rows: number;
  readonly subjects: number;
  readonly bytes: number;
  readonly forMs: number;
}

export const MAX_GRANT_MS = 30 * 86_400_000;
/** A request that nobody looked at for this long is dropped. */
export const REQUEST_LIFE_MS = 7 * 86_400_000;
const MOST_REASON_LENGTH = 500;

export type GrantResult = { readonly ok: true; readonly grant: Grant } | { readonly ok: false; readonly reason: string };

export function requestGrant(of: { readonly id: string; readonly principal: string; readonly className?: string | undefined; readonly rows?: number; readonly subjects?: number; readonly bytes?: number; readonly forMs?: number; readonly reason: string; readonly by: string; readonly nowMs: number }): GrantResult {
  const reason = of.reason.trim();
  if (reason === '') return { ok: false, reason: 'a grant needs a reason' };
  if (reason.length > MOST_REASON_LENGTH) return { ok: false, reason: `a reason may have up to ${MOST_REASON_LENGTH} characters` };
  const rows = of.rows ?? 0;
  return {
    ok: true,
    grant: {
      id: of.id, principal: of.principal, className: of.className, rows, subjects: of.subjects ?? rows, bytes: of.bytes ?? 0, forMs: of.forMs, reason,
      requestedBy: of.by, requestedAtMs: of.nowMs, approval: undefined,
    },
  };
}

/** Four eyes: neither who asked for it nor who gets it may approve it. */
export function approveGrant(grant: Grant, amounts: GrantAmounts, by: string, nowMs: number): GrantResult {
  if (grant.approval !== undefined) return { ok: false, reason: `${grant.id} is approved already, by ${grant.approval.by}` };
  if (by === grant.requestedBy) return { ok: false, reason: `${by} asked for ${grant.id}: another person must approve it` };
  if (by === grant.principal) return { ok: false, reason: `${by} would get ${grant.id}: another person must approve it` };
  return { ok: true, grant: approved(grant, amounts, by, nowMs) };
}

/** By somebody who may raise limits without being asked. */
export function directGrant(grant: Grant, amounts: GrantAmounts, nowMs: number): GrantResult {
  if (grant.requestedBy === grant.principal) return { ok: false, reason: 'nobody may raise their own limits' };
  return { ok: true, grant: approved(grant, amounts, grant.requestedBy, nowMs) };
}

function approved(grant: Grant, amounts: GrantAmounts, by: string, nowMs: number): Grant {
  const { className, rows, subjects, bytes } = amounts;
  return { ...grant, className, rows, subjects, bytes, approval: { by, fromMs: nowMs, untilMs: nowMs + Math.min(amounts.forMs, MAX_GRANT_MS) } };
}

export function isActive(grant: Grant, nowMs: number): boolean {
  return grant.approval !== undefined && grant.approval.fromMs <= nowMs && nowMs < grant.approval.untilMs;
}

/** Over for good: may be forgotten. */
export function isOver(grant: Grant, nowMs: number): boolean {
  return grant.approval === undefined ? nowMs - grant.requestedAtMs > REQUEST_LIFE_MS : nowMs >= grant.approval.untilMs;
}

/** The policy of a login with the raises that are in force. */
export function withGrants(policy: PrincipalPolicy, grants: readonly Grant[]): PrincipalPolicy {
  if (grants.length === 0) return policy;
  const quotas = new Map(policy.quotas);
  for (const grant of grants) {
    const limits = grant.className === undefined ? undefined : quotas.get(grant.className);
    if (limits !== undefined && grant.className !== undefined) quotas.set(grant.className, limits.map((quota) => raised(quota, grant)));
  }
  return { ...policy, quotas };
}

function raised(quota: CompiledQuota, grant: Grant): CompiledQuota {
  return { ...quota, limit: Math.min(Number.MAX_SAFE_INTEGER, quota.limit + grant[quota.dimension]) };
}

export function writeGrant(grant: Grant): string {
  return JSON.stringify(grant);
}

/** Undefined for a text that is none: the store is shared with versions to come. */
export function readGrant(text: string): Grant | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const { id, principal, className, rows, subjects, bytes, forMs, reason, requestedBy, requestedAtMs, approval } = read as Record<string, unknown>;
  if (typeof id !== 'string' || typeof principal !== 'string' || typeof reason !== 'string' || typeof requestedBy !== 'string' || typeof requestedAtMs !== 'number') return undefined;
  return {
    id, principal, reason, requestedBy, requestedAtMs,
    className: typeof className === 'string' ? className : undefined,
    rows: amount(rows), subjects: amount(subjects), bytes: amount(bytes),
    forMs: amount(forMs) === 0 ? undefined : amount(forMs),
    approval: readApproval(approval),
  };
}

function readApproval(read: unknown): Grant['approval'] {
  if (typeof read !== 'object' || read === null) return undefined;
  const { by, fromMs, untilMs } = read as Record<string, unknown>;
  return typeof by === 'string' && typeof fromMs === 'number' && typeof untilMs === 'number' ? { by, fromMs, untilMs } : undefined;
}

function amount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
