/** How much of each quota is used, by the principals that were seen lately. */

export interface QuotaGaugeOptions {
  /** A principal that reserved nothing for this long is left out. Default 15 min. */
  readonly recentMs?: number;
  /** Principals remembered for each rule; the longest unseen goes first. Default 1000. */
  readonly maxPrincipals?: number;
  readonly now?: () => number;
}

export interface QuotaSample {
  readonly rule: string;
  readonly principal: string;
  readonly ratio: number;
}

interface Seen {
  ratio: number;
  atMs: number;
}

export class QuotaGauge {
  readonly #recentMs: number;
  readonly #maxPrincipals: number;
  readonly #now: () => number;
  readonly #rules = new Map<string, Map<string, Seen>>();

  constructor(options: QuotaGaugeOptions = {}) {
    this.#recentMs = options.recentMs ?? 15 * 60_000;
    this.#maxPrincipals = options.maxPrincipals ?? 1000;
    this.#now = options.now ?? Date.now;
  }

  /** Called once a reservation. A limit of 0 is used up from the start. */
  record(rule: string, principal: string, used: number, limit: number): void {
    let principals = this.#rules.get(rule);
    if (principals === undefined) {
      principals = new Map();
      this.#rules.set(rule, principals);
    }
    const seen = principals.get(principal) ?? { ratio: 0, atMs: 0 };
    seen.ratio = limit > 0 ? used / limit : 1;
    seen.atMs = this.#now();
    // The order matters once there are too many only. Deleted and set: a Map keeps the order of insertion, so the first entry is the longest unseen.
    if (principals.size * 2 > this.#maxPrincipals) principals.delete(principal);
    principals.set(principal, seen);
    if (principals.size > this.#maxPrincipals) {
      for (const oldest of principals.keys()) {
        principals.delete(oldest);
        break;
      }
    }
  }

  samples(): readonly QuotaSample[] {
    const oldestMs = this.#now() - this.#recentMs;
    const samples: QuotaSample[] = [];
    for (const [rule, principals] of this.#rules) {
      for (const [principal, seen] of principals) {
        if (seen.atMs < oldestMs) principals.delete(principal);
        else samples.push({ rule, principal, ratio: seen.ratio });
      }
    }
    return samples;
  }

  /** The highest ratio of each rule; 0 for a rule whose principals were all unseen for long. */
  highest(): ReadonlyMap<string, number> {
    const highest = new Map<string, number>();
    const samples = this.samples();
    for (const rule of this.#rules.keys()) highest.set(rule, 0);
    for (const { rule, ratio } of samples) highest.set(rule, Math.max(ratio, highest.get(rule) ?? 0));
    return highest;
  }
}
