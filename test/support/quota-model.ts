import type { Counter, ReserveGroup } from '../../src/quota/store.ts';

/**
 * What quotas mean, as plainly as it can be said: a list of who was granted what and when, in the store's time. Nothing is ever forgotten, no total is
 * kept, no slice is merged; whatever is asked is added up anew. docs/adr/0002 proves that this bounds what is delivered; the stores are held against it.
 */
interface Entry {
  readonly key: string;
  readonly atMs: number;
  units: number;
}

/** Time is cut in sixtieths of the window, and a unit counts until all of its slice is older than the window and the life of a lease. */
function slice(windowMs: number, atMs: number): number {
  return Math.floor(atMs / Math.ceil(windowMs / 60));
}

function counts(windowMs: number, atMs: number, nowMs: number): boolean {
  const leaseLifeMs = Math.min(30_000, Math.floor(windowMs / 6));
  return slice(windowMs, atMs) >= slice(windowMs, nowMs - windowMs - leaseLifeMs);
}

export type ModelAnswer = { readonly kind: 'granted'; readonly amounts: readonly number[] } | { readonly kind: 'refused'; readonly group: number; readonly counter: number };

export class QuotaModel {
  readonly #entries: Entry[] = [];

  used(counter: Counter, nowMs: number): number {
    let units = 0;
    for (const entry of this.#entries) if (entry.key === counter.key && counts(counter.windowMs, entry.atMs, nowMs)) units += entry.units;
    return units;
  }

  reserve(groups: readonly ReserveGroup[], nowMs: number): ModelAnswer {
    const amounts: number[] = [];
    for (const [g, group] of groups.entries()) {
      const left = group.counters.map((counter) => (counter.limit === null ? Infinity : Math.max(0, counter.limit - this.used(counter, nowMs))));
      const short = left.findIndex((units) => units < group.min);
      if (short >= 0) return { kind: 'refused', group: g, counter: short };
      amounts.push(Math.min(group.want, ...left));
    }
    for (const [g, group] of groups.entries()) for (const counter of group.counters) this.#entries.push({ key: counter.key, atMs: nowMs, units: amounts[g] as number });
    return { kind: 'granted', amounts };
  }

  /** Units go back to the slice that they were granted in, as many as are there. */
  refund(grantedAtMs: number, parts: readonly { readonly units: number; readonly counters: readonly Counter[] }[], nowMs: number): void {
    for (const { units, counters } of parts) {
      for (const counter of counters) {
        let left = units;
        for (const entry of this.#entries) {
          const same = entry.key === counter.key && slice(counter.windowMs, entry.atMs) === slice(counter.windowMs, grantedAtMs) && counts(counter.windowMs, entry.atMs, nowMs);
          if (!same) continue;
          const part = Math.min(left, entry.units);
          entry.units -= part;
          left -= part;
        }
      }
    }
  }
}

/** A grant as a client holds it: what it may deliver, and until when by the true time. */
export interface Delivery {
  readonly counter: Counter;
  /** Delivered as late as the lease allows, which is the worst. */
  readonly fromMs: number;
  readonly untilMs: number;
  units: number;
}

/** The most that can have been delivered within one closed interval of the window's length: the worst begins at the end of some lease's life. */
export function worstInterval(deliveries: readonly Delivery[], counter: Counter): number {
  const mine = deliveries.filter((each) => each.counter.key === counter.key);
  let worst = 0;
  for (const { untilMs: startMs } of mine) {
    let units = 0;
    for (const each of mine) if (each.untilMs >= startMs && each.fromMs <= startMs + counter.windowMs) units += each.units;
    worst = Math.max(worst, units);
  }
  return worst;
}
