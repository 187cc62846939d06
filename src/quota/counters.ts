import type { Counter } from './store.ts';
import type { CompiledQuota, PrincipalPolicy, QuotaDimension } from '../policy/types.ts';

/** From the quotas of a principal on a class to what the counter store counts. */

export interface QuotaBinding {
  readonly quota: CompiledQuota;
  /** Index into `counters` of the same dimension. */
  readonly counter: number;
}

/** Everything that is charged with the same amount: the rows, the subjects or the bytes of one class. */
export interface DimensionCounters {
  readonly counters: readonly Counter[];
  readonly bindings: readonly QuotaBinding[];
}

export interface ClassCounters {
  readonly className: string;
  readonly rows: DimensionCounters;
  readonly subjects: DimensionCounters;
  readonly bytes: DimensionCounters;
  /** Quotas on one statement: nothing to share, so the session counts them itself. */
  readonly statement: readonly CompiledQuota[];
}

export function countersFor(principal: Pick<PrincipalPolicy, 'principal' | 'quotas'>, className: string): ClassCounters {
  const quotas = principal.quotas.get(className) ?? [];
  const over = (dimension: QuotaDimension): DimensionCounters =>
    bind(quotas.filter((quota) => quota.dimension === dimension), principal.principal);
  return {
    className,
    rows: over('rows'),
    subjects: over('subjects'),
    bytes: over('bytes'),
    statement: quotas.filter((quota) => quota.window === 'statement'),
  };
}

/** Quotas that count the same thing share one counter: a principal's units are counted once however many roles limit them. */
function bind(quotas: readonly CompiledQuota[], principal: string): DimensionCounters {
  const counters: Counter[] = [];
  const bindings: QuotaBinding[] = [];
  const indexOf = new Map<string, number>();
  for (const quota of quotas) {
    if (quota.window === 'statement') continue;
    const key = counterKey(quota, quota.window, principal);
    const limit = quota.action === 'flag' ? null : quota.limit;
    const index = indexOf.get(key);
    if (index === undefined) {
      indexOf.set(key, counters.length);
      bindings.push({ quota, counter: counters.length });
      counters.push({ key, windowMs: quota.window, limit, ...(quota.dimension === 'subjects' ? { people: rememberedFor(quota) } : {}) });
      continue;
    }
    bindings.push({ quota, counter: index });
    const shared = counters[index];
    if (shared === undefined) continue;
    const people = quota.dimension === 'subjects' ? { people: Math.max(shared.people ?? 1, rememberedFor(quota)) } : {};
    counters[index] = { ...shared, limit: tighter(shared.limit, limit), ...people };
  }
  return { counters, bindings };
}

/** Enough to know that a flag is due, and to tell by how much it was passed. */
function rememberedFor({ limit }: CompiledQuota): number {
  return 2 * limit + 1;
}

/** null counts only; a limit always wins over it. */
function tighter(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/**
 * `q:{customers}:rows:3600000:p:agent`. Nothing in it depends on the process or on the place of the quota in the file, so
 * counts outlive restarts and reloads, also with another limit. The braces are a hash tag: a Redis Cluster keeps all keys of
 * a class in one slot, where one script may touch them together.
 */
function counterKey(quota: CompiledQuota, windowMs: number, principal: string): string {
  const owner = quota.scope === 'role' ? `r:${escapeKeyPart(quota.role)}` : `p:${escapeKeyPart(principal)}`;
  return `q:{${escapeKeyPart(quota.className)}}:${quota.dimension}:${windowMs}:${owner}`;
}

/** The delimiters and the escape character itself, so that different names never make one key. */
function escapeKeyPart(part: string): string {
  return part.replaceAll(/[%:{}\s]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What a counter's key says, with the names as they stand in it. */
export interface CounterSubject {
  readonly className: string;
  readonly dimension: QuotaDimension;
  /** `p:agent` or `r:support`. */
  readonly owner: string;
}

export function readCounterKey(key: string): CounterSubject | undefined {
  const match = /^q:\{([^{}]+)\}:(rows|subjects|bytes):\d+:([pr]:.+)$/u.exec(key);
  return match === null ? undefined : { className: match[1] as string, dimension: match[2] as QuotaDimension, owner: match[3] as string };
}
