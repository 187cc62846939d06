/** How far each rule's quota was used over time, and each person's highest use a day. Pure; memory grows with days and people, not with records. */

import type { Reading } from './replay.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Use of a rule's quota in one hour, over the people who were active in it. */
export interface HourPoint {
  readonly hourMs: number;
  readonly median: number;
  readonly p95: number;
  readonly most: number;
  readonly mostBy: string;
}

export interface RuleUse {
  readonly ruleId: string;
  readonly role: string;
  readonly limit: number;
  readonly hours: HourPoint[];
  /** Highest use by person and day. */
  readonly dayPeaks: Map<string, Map<number, number>>;
}

export class UsageSeries {
  readonly #rules = new Map<string, RuleUse & { readonly now: Map<string, number> }>();
  #hourMs = 0;

  take(timeMs: number, principal: string, { quota, used }: Reading): void {
    const hourMs = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
    if (hourMs > this.#hourMs) this.#closeHour(hourMs);
    let rule = this.#rules.get(quota.ruleId);
    if (rule === undefined) {
      rule = { ruleId: quota.ruleId, role: quota.role, limit: quota.limit, hours: [], dayPeaks: new Map(), now: new Map() };
      this.#rules.set(quota.ruleId, rule);
    }
    // A quota that a role shares has one use, whoever moved it.
    const owner = quota.scope === 'role' ? `role ${quota.role}` : principal;
    if (used > (rule.now.get(owner) ?? -1)) rule.now.set(owner, used);
    const day = Math.floor(timeMs / DAY_MS);
    let days = rule.dayPeaks.get(owner);
    if (days === undefined) rule.dayPeaks.set(owner, (days = new Map()));
    if (used > (days.get(day) ?? -1)) days.set(day, used);
  }

  finish(): readonly RuleUse[] {
    this.#closeHour(Infinity);
    return [...this.#rules.values()];
  }

  #closeHour(nextHourMs: number): void {
    for (const rule of this.#rules.values()) {
      if (rule.now.size === 0) continue;
      const sorted = [...rule.now].toSorted((a, b) => a[1] - b[1]);
      const [mostBy, most] = sorted.at(-1) ?? ['', 0];
      const values = sorted.map(([, used]) => used);
      rule.hours.push({ hourMs: this.#hourMs, median: quantile(values, 0.5), p95: quantile(values, 0.95), most, mostBy });
      rule.now.clear();
    }
    this.#hourMs = nextHourMs;
  }
}

/** The value below which a share `q` of the sorted values lies (nearest rank). 0 for none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? 0;
}
