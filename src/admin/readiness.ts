/**
 * /readyz. Anyone who reaches the port may ask, so asking must cost little: one run of the checks serves all who ask within a second, and a check
 * that hangs is not started a second time.
 */

import { DeadlineError, withDeadline } from './deadline.ts';
import type { ReadinessCheck, ReadinessChecks, ReadinessResult } from './providers.ts';

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<keyof ReadinessChecks, ReadinessResult>>;
}

export interface ReadinessOptions {
  /** Most that one check may take. Default 2 s. */
  readonly timeoutMs?: number;
  /** How long a report serves. Default 1 s. */
  readonly reuseMs?: number;
}

export class Readiness {
  readonly #checks: Readonly<Record<keyof ReadinessChecks, BoundedCheck>>;
  readonly #reuseMs: number;
  #report: Promise<ReadinessReport> | undefined;
  #reportDoneAtMs = Number.POSITIVE_INFINITY;

  constructor(checks: ReadinessChecks, options: ReadinessOptions = {}) {
    const timeoutMs = options.timeoutMs ?? 2000;
    this.#reuseMs = options.reuseMs ?? 1000;
    this.#checks = {
      upstream: new BoundedCheck(checks.upstream, timeoutMs),
      store: new BoundedCheck(checks.store, timeoutMs),
      audit: new BoundedCheck(checks.audit, timeoutMs),
      catalog: new BoundedCheck(checks.catalog, timeoutMs),
    };
  }

  report(): Promise<ReadinessReport> {
    if (this.#report === undefined || performance.now() - this.#reportDoneAtMs >= this.#reuseMs) {
      this.#reportDoneAtMs = Number.POSITIVE_INFINITY;
      this.#report = this.#run();
    }
    return this.#report;
  }

  async #run(): Promise<ReadinessReport> {
    const { upstream, store, audit, catalog } = this.#checks;
    const [a, b, c, d] = await Promise.all([upstream.run(), store.run(), audit.run(), catalog.run()]);
    this.#reportDoneAtMs = performance.now();
    return { ready: a.ok && b.ok && c.ok && d.ok, checks: { upstream: a, store: b, audit: c, catalog: d } };
  }
}

class BoundedCheck {
  readonly #check: ReadinessCheck;
  readonly #timeoutMs: number;
  #running: Promise<ReadinessResult> | undefined;

  constructor(check: ReadinessCheck, timeoutMs: number) {
    this.#check = check;
    this.#timeoutMs = timeoutMs;
  }

  /** Never rejects. */
  async run(): Promise<ReadinessResult> {
    try {
      this.#running ??= this.#start();
      return await withDeadline(this.#timeoutMs, this.#running);
    } catch (error) {
      return { ok: false, reason: error instanceof DeadlineError ? error.message : codeOf(error) };
    }
  }

  async #start(): Promise<ReadinessResult> {
    try {
      return await this.#check();
    } finally {
      this.#running = undefined;
    }
  }
}

/** An error's message may hold hosts, names and values: its code or its class is enough here. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}
