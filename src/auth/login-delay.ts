/** Slows down those who try passwords: a growing wait for each login and address, and for an address that fails with many logins. Bounded in memory and time. */

export interface LoginDelayOptions {
  /** The longest wait before an attempt. */
  readonly maxDelayMs: number;
  /** Most pairs that are remembered; the one that failed longest ago is forgotten. Default 10,000. */
  readonly maxEntries?: number;
  readonly now?: () => number;
}

interface Failures {
  count: number;
  lastMs: number;
  /** Attempts that wait or are under way. */
  pending: number;
}

/** What the other processes that share the port are to know. */
export interface LoginOutcome {
  readonly user: string;
  readonly address: string;
  readonly failed: boolean;
}

export type Admission =
  | { readonly kind: 'after'; readonly delayMs: number }
  /** So many attempts of the same pair wait already. */
  | { readonly kind: 'refused' };

const FIRST_DELAY_MS = 250;
/** A slip of the finger costs nothing. */
const FREE_FAILURES = 1;
/** An office behind one address makes a few mistakes a minute. */
const FREE_FAILURES_OF_ADDRESS = 20;
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/** Side by side, attempts would not wait for each other. */
const MAX_PENDING = 16;

export class LoginDelay {
  readonly #options: LoginDelayOptions;
  readonly #now: () => number;
  readonly #failures = new Map<string, Failures>();
  onOutcome: ((outcome: LoginOutcome) => void) | undefined;

  constructor(options: LoginDelayOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get size(): number {
    return this.#failures.size;
  }

  /** How long an attempt waits. Every `admit` that is not refused is followed by one of `succeeded`, `failed` and `abandoned`. */
  admit(user: string, address: string): Admission {
    const pair = this.#find(pairKey(user, address));
    const host = this.#find(addressKey(address));
    const delayMs = Math.max(this.#delay(pair, FREE_FAILURES), this.#delay(host, FREE_FAILURES_OF_ADDRESS));
    if (pair !== undefined) {
      if (delayMs > 0 && pair.pending >= MAX_PENDING) return { kind: 'refused' };
      pair.pending++;
    }
    return { kind: 'after', delayMs };
  }

  /** The address keeps its count: else one login that is known would wash away the guesses at all others. */
  succeeded(user: string, address: string): void {
    // Hardly anybody has failed before: then nobody else needs to hear.
    if (this.#failures.delete(pairKey(user, address))) this.onOutcome?.({ user, address, failed: false });
  }

  failed(user: string, address: string): void {
    this.abandoned(user, address);
    this.#count(pairKey(user, address));
    this.#count(addressKey(address));
    this.onOutcome?.({ user, address, failed: true });
  }

  /** It happened in another process. */
  heard({ user, address, failed }: LoginOutcome): void {
    if (!failed) {
      this.#failures.delete(pairKey(user, address));
      return;
    }
    this.#count(pairKey(user, address));
    this.#count(addressKey(address));
  }

  /** The attempt ended without a word about its password. */
  abandoned(user: string, address: string): void {
    const pair = this.#failures.get(pairKey(user, address));
    if (pair !== undefined && pair.pending > 0) pair.pending--;
  }

  #find(key: string): Failures | undefined {
    const entry = this.#failures.get(key);
    if (entry === undefined) return undefined;
    if (this.#now() - entry.lastMs <= FORGOTTEN_AFTER_MS) return entry;
    this.#failures.delete(key);
    return undefined;
  }

  #delay(entry: Failures | undefined, free: number): number {
    if (entry === undefined || entry.count <= free) return 0;
    return Math.min(this.#options.maxDelayMs, FIRST_DELAY_MS * 2 ** Math.min(entry.count - free - 1, 20));
  }

  #count(key: string): void {
    const entry = this.#find(key) ?? { count: 0, lastMs: 0, pending: 0 };
    entry.count++;
    entry.lastMs = this.#now();
    // Set anew, so that the map's order is the order of the last failures.
    this.#failures.delete(key);
    this.#failures.set(key, entry);
    const max = this.#options.maxEntries ?? 10_000;
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= max) break;
      this.#failures.delete(oldest);
    }
  }
}

function pairKey(user: string, address: string): string {
  return `${address}\0${user}`;
}

function addressKey(address: string): string {
  return address;
}
