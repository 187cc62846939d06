/** Sessions that never stop asking: as many as there are, each with work of every kind, back again a moment after they were thrown out. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.ts';
import { wire } from '../support/wire-client.ts';
import { ChaosClient } from './client.ts';
import type { Observer } from './observer.ts';
import { work } from './statements.ts';

export interface LoadOptions {
  readonly principals: readonly string[];
  readonly sessionsEach: number;
  readonly ports: readonly number[];
  readonly customers: number;
  readonly observer: Observer;
  readonly seed: number;
  /** Mean pause between two statements of a session. */
  readonly pauseMs: number;
}

const STATEMENT_TIMEOUT_MS = 15_000;

export class Load {
  readonly #options: LoadOptions;
  readonly statements = new Map<string, number>();
  readonly errors = new Map<string, number>();
  /** What must never be refused, and was. */
  readonly wrongs: string[] = [];
  logins = 0;
  lost = 0;
  #stopping = false;
  #sessions: Promise<void>[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  start(): void {
    const { principals, sessionsEach, seed } = this.#options;
    for (const [p, principal] of principals.entries()) {
      for (let i = 0; i < sessionsEach; i += 1) this.#sessions.push(this.#session(principal, new Random(seed + p * 1000 + i)));
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#sessions);
  }

  async #session(principal: string, random: Random): Promise<void> {
    const { ports, observer } = this.#options;
    await sleep(random.below(1500));
    while (!this.#stopping) {
      let client: ChaosClient;
      try {
        client = await ChaosClient.connect(random.pick(ports), principal, observer);
        this.logins += 1;
      } catch {
        await sleep(200 + random.below(500));
        continue;
      }
      // Now and then somebody closes their program.
      let left = 20 + random.below(60);
      let before = 'the login';
      while (!this.#stopping && !client.closed && left-- > 0) {
        before = await this.#one(client, principal, random, before);
        await sleep(random.below(2 * this.#options.pauseMs));
      }
      if (client.closed) this.lost += 1;
      client.destroy();
      await sleep(random.below(300));
    }
  }

  async #one(client: ChaosClient, principal: string, random: Random, before: string): Promise<string> {
    const next = work(() => random.next(), this.#options.customers, principal.startsWith('honest'));
    add(this.statements, next.name);
    client.leaveAfterRows = next.leaveAfterRows ?? Infinity;
    let failed = false;
    for (const step of next.steps) {
      // In a block that failed only its end is of use.
      const { errors, lost } = await client.run(step, next.isProtected, STATEMENT_TIMEOUT_MS);
      for (const { code } of errors) add(this.errors, code);
      failed ||= errors.length > 0;
      if (!next.isProtected && errors.some(({ code }) => !GOES_WITH_THE_CONNECTION.has(code))) this.wrongs.push(`${next.name} after ${before}: ${errors.map(({ severity, code, text }) => `${severity} ${code} ${text}`).join('; ')}`);
      if (lost) break;
    }
    if (failed && !client.closed) await client.run({ bytes: ROLLBACK, ready: 1 }, false, STATEMENT_TIMEOUT_MS);
    return next.name;
  }
}

/** A stop, a shutdown, and what PostgreSQL says to a connection that it ends. */
const GOES_WITH_THE_CONNECTION: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);
const ROLLBACK = wire.query('ROLLBACK');

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
