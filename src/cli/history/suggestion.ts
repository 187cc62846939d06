/** Limits from history: a high quantile of honest use with a margin; outliers are named and left out. Pure. */

import type { CompiledQuota, Policy, PrincipalPolicy, QuotaDimension } from '../../policy/types.ts';
import type { Deed } from './deed.ts';
import { Replay } from './replay.ts';
import { quantile } from './usage-series.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Windows that limits are proposed for: one statement, a burst, a day, a month. */
const WINDOWS: readonly (readonly [CompiledQuota['window'], string])[] = [['statement', 'statement'], [HOUR_MS, '1h'], [DAY_MS, '24h'], [30 * DAY_MS, '30d']];
const DIMENSIONS: readonly QuotaDimension[] = ['rows', 'subjects'];
/** Only counts, never stops. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** A login's use lies this many robust standard deviations above its role's, and above twice the median: an outlier. */
const OUTLIER_DEVIATIONS = 4;
const OUTLIER_TIMES_MEDIAN = 1.5;
/** A window that is this many times longer than the records reach back says nothing about what people need in it. */
const MOST_TIMES_THE_RECORDS = 4;
/** Fewer people than this have no habit that somebody could stand out from. */
const LEAST_PEOPLE = 5;

export interface SuggestOptions {
  /** Of person-days; 0.999. */
  readonly quantile: number;
  /** 0.25: a quarter above the quantile. */
  readonly margin: number;
}

export interface Outlier {
  readonly principal: string;
  readonly role: string;
  readonly className: string;
  /** Typical highest 24 h use of a day, and that of the role's other people. */
  readonly typical: number;
  readonly median: number;
}

export interface SuggestedLimit {
  readonly role: string;
  readonly className: string;
  readonly dimension: QuotaDimension;
  readonly windowText: string;
  readonly window: CompiledQuota['window'];
  readonly limit: number;
  readonly median: number;
  readonly quantile: number;
  readonly highest: number;
  readonly people: number;
  readonly days: number;
}

export interface Suggestion {
  readonly limits: readonly SuggestedLimit[];
  /** Windows for which the records do not reach back far enough. */
  readonly tooLong: readonly string[];
  readonly outliers: readonly Outlier[];
}

/** Peaks of one quota: person -> day -> highest use. */
type Peaks = Map<string, Map<number, number>>;

/** First pass over the records. */
export class HabitSurvey {
  readonly #peaks = new Map<string, { readonly quota: CompiledQuota; readonly peaks: Peaks }>();
  readonly #policies = new Map<string, PrincipalPolicy>();
  readonly #rolesOf: (deed: Deed) => readonly string[];
  readonly #classes: readonly string[] | undefined;
  readonly #replay: Replay;
  #fromMs = Infinity;
  #toMs = -Infinity;

  /** `rolesOf`: the roles that a login is in; `classes`: those to look at, all if left out. */
  constructor(rolesOf: (deed: Deed) => readonly string[], classes?: readonly string[]) {
    this.#rolesOf = rolesOf;
    this.#classes = classes;
    this.#replay = new Replay((deed) => this.#countingPolicy(deed), {
      reading: (deed, { quota, used }) => {
        const { peaks } = this.#peaksOf(quota);
        let days = peaks.get(deed.principal);
        if (days === undefined) peaks.set(deed.principal, (days = new Map()));
        const day = Math.floor(deed.timeMs / DAY_MS);
        if (used > (days.get(day) ?? -1)) days.set(day, used);
      },
    });
  }

  take(deed: Deed): void {
    const { taken } = deed;
    const known = this.#classes === undefined ? taken : taken.filter((each) => this.#classes?.includes(each.className));
    if (known.length === 0) return;
    this.#fromMs = Math.min(this.#fromMs, deed.timeMs);
    this.#toMs = Math.max(this.#toMs, deed.timeMs);
    this.#replay.take({ ...deed, taken: known });
  }

  suggest(options: SuggestOptions): Suggestion {
    const outliers = this.#outliers();
    const longestMs = Math.max(HOUR_MS, MOST_TIMES_THE_RECORDS * (this.#toMs - this.#fromMs));
    const isTooLong = (window: CompiledQuota['window']): boolean => window !== 'statement' && window > longestMs;
    const limits: SuggestedLimit[] = [];
    for (const { quota, peaks } of this.#peaks.values()) {
      if (isTooLong(quota.window)) continue;
      const honest = [...peaks].filter(([principal]) => !outliers.some((each) => each.principal === principal && each.role === quota.role));
      const values = honest.flatMap(([, days]) => [...days.values()]).toSorted((a, b) => a - b);
      if (values.length === 0) continue;
      const high = quantile(values, options.quantile);
      limits.push({
        role: quota.role, className: quota.className, dimension: quota.dimension, windowText: quota.windowText, window: quota.window,
        limit: roundUp(high * (1 + options.margin)), median: quantile(values, 0.5), quantile: high, highest: values.at(-1) ?? 0,
        people: honest.length, days: values.length,
      });
    }
    return { limits: withoutCovered(limits), outliers, tooLong: this.#peaks.size === 0 ? [] : WINDOWS.filter(([window]) => isTooLong(window)).map(([, text]) => text) };
  }

  /** Who takes far more than the others of the role, day after day, or once. */
  #outliers(): Outlier[] {
    const found = new Map<string, Outlier>();
    for (const { quota, peaks } of this.#peaks.values()) {
      if (quota.window !== DAY_MS && quota.window !== 30 * DAY_MS) continue;
      if (peaks.size < LEAST_PEOPLE) continue;
      const typical = [...peaks].map(([principal, days]) => ({ principal, logs: [middle(days), highest(days)].map((value) => Math.log(Math.max(1, value))) }));
      for (const which of [0, 1]) {
        const sorted = typical.map((each) => each.logs[which] ?? 0).toSorted((a, b) => a - b);
        const median = quantile(sorted, 0.5);
        const deviation = Math.max(0.05, 1.4826 * quantile(sorted.map((value) => Math.abs(value - median)).toSorted((a, b) => a - b), 0.5));
        for (const each of typical) {
          const value = each.logs[which] ?? 0;
          if (value - median < OUTLIER_DEVIATIONS * deviation || value - median < Math.log(OUTLIER_TIMES_MEDIAN)) continue;
          const key = `${quota.role}\n${each.principal}`;
          if (!found.has(key)) found.set(key, { principal: each.principal, role: quota.role, className: quota.className, typical: Math.round(Math.exp(value)), median: Math.round(Math.exp(median)) });
        }
      }
    }
    return [...found.values()].toSorted((a, b) => b.typical / b.median - a.typical / a.median);
  }

  #peaksOf(quota: CompiledQuota): { readonly quota: CompiledQuota; readonly peaks: Peaks } {
    let found = this.#peaks.get(quota.ruleId);
    if (found === undefined) this.#peaks.set(quota.ruleId, (found = { quota, peaks: new Map() }));
    return found;
  }

  /** Every role's windows in every class of the deed, without a limit. */
  #countingPolicy(deed: Deed): PrincipalPolicy {
    const roles = this.#rolesOf(deed);
    const classNames = deed.taken.map((each) => each.className);
    const key = JSON.stringify([deed.principal, roles, classNames]);
    let policy = this.#policies.get(key);
    if (policy === undefined) {
      const quotas = new Map(classNames.map((className) => [className, roles.flatMap((role) => countingQuotas(role, className))]));
      policy = {
        principal: deed.principal, roles, metered: true, quotas, deny: new Map(), contact: undefined, unlisted: undefined,
        replication: false, redactErrors: false, lookups: [], mode: 'monitor', classes: new Map(),
      };
      this.#policies.set(key, policy);
    }
    return policy;
  }
}

function countingQuotas(role: string, className: string): CompiledQuota[] {
  return DIMENSIONS.flatMap((dimension) => WINDOWS.map(([window, windowText]): CompiledQuota => ({
    ruleId: `${role}/${className}/${dimension}/${windowText}`, role, className, dimension, window, windowText, limit: NO_LIMIT, scope: 'principal', action: 'flag',
  })));
}

function middle(days: ReadonlyMap<number, number>): number {
  return quantile([...days.values()].toSorted((a, b) => a - b), 0.5);
}

function highest(days: ReadonlyMap<number, number>): number {
  return Math.max(...days.values());
}

/** Two leading digits, upwards: a number that people can remember. */
export function roundUp(value: number): number {
  const whole = Math.max(1, Math.ceil(value));
  const step = 10 ** Math.max(0, String(whole).length - 2);
  return Math.ceil(whole / step) * step;
}

/** A limit that a shorter window already keeps, or that people keep as rows, adds nothing. */
function withoutCovered(limits: readonly SuggestedLimit[]): SuggestedLimit[] {
  return limits.filter((limit) => {
    const same = (other: SuggestedLimit): boolean => other.role === limit.role && other.className === limit.className;
    // As many people as rows: the log knows no people, or each row is another one.
    if (limit.dimension === 'subjects' && limits.some((other) => same(other) && other.dimension === 'rows' && other.windowText === limit.windowText && other.limit <= limit.limit)) return false;
    return true;
  });
}

/** The policy that a suggestion describes, to try it on the same past. */
export function policyOf(limits: readonly SuggestedLimit[], rolesOf: (deed: Deed) => readonly string[]): (deed: Deed) => PrincipalPolicy {
  const known = new Map<string, PrincipalPolicy>();
  return (deed) => {
    const roles = rolesOf(deed);
    const key = JSON.stringify([deed.principal, roles]);
    let policy = known.get(key);
    if (policy === undefined) {
      const quotas = new Map<string, CompiledQuota[]>();
      for (const limit of limits) {
        if (!roles.includes(limit.role)) continue;
        const quota: CompiledQuota = {
          ruleId: `${limit.role}/${limit.className}/${limit.dimension}/${limit.windowText}`, role: limit.role, className: limit.className,
          dimension: limit.dimension, window: limit.window, windowText: limit.windowText, limit: limit.limit, scope: 'principal', action: 'block',
        };
        quotas.set(limit.className, [...(quotas.get(limit.className) ?? []), quota]);
      }
      policy = {
        principal: deed.principal, roles, metered: true, quotas, deny: new Map(), contact: undefined, unlisted: undefined,
        replication: false, redactErrors: false, lookups: [], mode: 'enforce', classes: new Map<never, never>() satisfies Policy['classes'],
      };
      known.set(key, policy);
    }
    return policy;
  };
}
