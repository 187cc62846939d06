/** Runs sessions of Rowgate in memory between a client and a server, one or both of which send mutated messages, and holds them to what must be true whatever comes. */

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gate } from '../../src/session/gate.ts';
import type { Session } from '../../src/session/session.ts';
import { script } from './client-scripts.ts';
import { MemorySocket } from './memory-socket.ts';
import { chunks, mutate, reorder } from './mutations.ts';
import { Random } from './random.ts';
import { MARKER, ScriptedServer } from './scripted-server.ts';
import { wire } from '../support/wire-client.ts';

export interface FuzzParts {
  readonly gate: Gate;
  readonly Session: typeof Session;
  readonly customersOid: number;
  /** Units that one principal may take. */
  readonly quota: number;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly direction: 'client' | 'server';
  /** Ends when so many mutated messages were read by sessions, or after this time. */
  readonly mutatedMessages: number;
  readonly timeLimitMs: number;
}

export interface FuzzResult {
  readonly sessions: number;
  readonly mutated: number;
  readonly durationMs: number;
  /** What must not have happened, each with the seed of its batch. */
  readonly failures: readonly string[];
}

const BATCH = 100;
/** Batches side by side: what some of them wait for (the catalog, the thread that reads large texts, units that others hold) is the others' time. */
const LANES = 24;
/** Sessions that share a login, and so a small quota, in a batch of that kind. */
const SHARED = 5;
const MESSAGES = 60;
/** Nothing moved for this long: whatever a session waits for does not come. */
const STILL_MS = 25;
const HANG_MS = 60_000;

/** Marks a session's rows. The check behind it keeps a changed byte from making another session's mark of it. */
function tokenOf(id: string): string {
  return `token-${id}-${createHash('sha256').update(id).digest('hex').slice(0, 12)}-`;
}

let logins = 0;

class Pair {
  readonly session: Session;
  readonly client: MemorySocket;
  readonly server: MemorySocket;
  readonly token: string;
  readonly principal: string;
  readonly honest: boolean;
  mutated = 0;
  moved = 0;
  ended = false;
  readonly received: Buffer[] = [];
  readonly faults: unknown[] = [];
  /** Types of the last messages in each direction, for sessions that nothing was done to. */
  readonly trace: string[] = [];
  readonly #todo: Buffer[];
  readonly #random: Random;

  constructor(parts: FuzzParts, options: FuzzOptions, random: Random, principal: string, id: string) {
    this.#random = random;
    this.principal = principal;
    this.token = tokenOf(id);
    // Some sessions are left alone: they must come to their end beside all the others.
    this.honest = random.chance(0.1);
    const mutateHere = (message: Buffer): Buffer => {
      if (this.honest || !random.chance(0.5)) return message;
      this.mutated++;
      return mutate(message, random);
    };
    const fromServer = (messages: readonly Buffer[]): void => {
      const sent = options.direction === 'server' ? (this.honest ? messages : reorder(messages, random).map(mutateHere)) : messages;
      this.#note('<', messages);
      for (const chunk of chunks(Buffer.concat(sent), random)) this.server.arrive(chunk);
      this.moved++;
    };
    const honestServer = new ScriptedServer({ customersOid: parts.customersOid, token: this.token, rows: random.below(12), send: fromServer });
    this.client = new MemorySocket((chunk) => {
      this.moved++;
      this.received.push(chunk);
    });
    this.server = new MemorySocket((chunk) => {
      this.moved++;
      setImmediate(() => {
        if (this.honest) this.#note('>', messagesOf(chunk));
        honestServer.receive(chunk);
      });
    });
    const plain = [...script(MESSAGES, random), wire.sync, wire.query('SELECT 1')];
    this.#todo = options.direction === 'client' && !this.honest ? reorder(plain, random) : plain;
    this.#send = options.direction === 'client' ? mutateHere : (message) => message;
    this.session = new parts.Session(
      { id, principal, database: 'postgres', clientAddress: 'memory' },
      parts.gate,
      // No key: a cut statement is read to its end and dropped.
      { client: this.client.socket, server: this.server.socket, upstream: { host: '127.0.0.1', port: 1 }, keyData: undefined } as ConstructorParameters<typeof Session>[2],
      {
        onEnd: () => {
          this.ended = true;
        },
        onFault: (error) => this.faults.push(error),
      },
    );
    this.session.begin(Buffer.alloc(0), Buffer.alloc(0));
  }

  readonly #send: (message: Buffer) => Buffer;

  #note(sign: string, messages: readonly Buffer[]): void {
    if (!this.honest) return;
    for (const each of messages) this.trace.push(`${sign}${each.toString('latin1', 0, 1)}${each.toString('latin1', 5, 45).replaceAll(/[^ -~]/g, '.')}`);
  }

  /** Sends some messages more; false if there are none. */
  advance(): boolean {
    if (this.ended || this.#todo.length === 0) return false;
    const messages = this.#todo.splice(0, 1 + this.#random.below(12)).map(this.#send);
    this.#note('C', messages);
    for (const chunk of chunks(Buffer.concat(messages), this.#random)) this.client.arrive(chunk);
    this.moved++;
    return true;
  }
}

function messagesOf(bytes: Buffer): readonly Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    out.push(bytes.subarray(at, end));
    at = end;
  }
  return out;
}

export async function fuzzSessions(parts: FuzzParts, options: FuzzOptions): Promise<FuzzResult> {
  const startedMs = performance.now();
  const failures: string[] = [];
  let sessions = 0;
  let mutated = 0;
  let batches = 0;
  const lane = async (): Promise<void> => {
    while (mutated < options.mutatedMessages && performance.now() - startedMs < options.timeLimitMs && failures.length < 20) {
      const result = await runBatch(parts, options, batches++);
      failures.push(...result.failures);
      mutated += result.mutated;
      sessions += BATCH;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return { sessions, mutated, durationMs: performance.now() - startedMs, failures };
}

async function runBatch(parts: FuzzParts, options: FuzzOptions, batch: number): Promise<{ mutated: number; failures: string[] }> {
  const seed = (options.seed + batch * 7919) >>> 0;
  const random = new Random(seed);
  // Where a quota ends, statements wait seconds for units that others hold: one batch in twelve sees to that, the others are not held up.
  const tight = batch % 12 === 3;
  const sharing = tight ? SHARED : 1;
  const pairs = Array.from({ length: BATCH }, (_, i) => new Pair(parts, options, new Random(Math.floor(random.next() * 2 ** 32)), `${tight ? 'agent' : 'wide'}_fuzz${logins + Math.floor(i / sharing)}`, `${batch}x${i}`));
  logins += BATCH;
  await runToRest(pairs);
  const failures = [...check(pairs, parts, options)].map((failure) => `seed ${seed}, ${options.direction}: ${failure}`);
  for (const pair of pairs) pair.session.end(undefined, 'the client is gone');
  await sleep(0);
  let mutated = 0;
  for (const pair of pairs) {
    if (!pair.ended) failures.push(`seed ${seed}: a session that was ended did not end`);
    if (!pair.client.over || !pair.server.over) failures.push(`seed ${seed}: a socket was left half open`);
    mutated += pair.mutated;
  }
  return { mutated, failures };
}

async function runToRest(pairs: readonly Pair[]): Promise<void> {
  const deadlineMs = performance.now() + HANG_MS;
  let lastMoveMs = performance.now();
  let seen = -1;
  for (;;) {
    let more = false;
    for (const pair of pairs) more = pair.advance() || more;
    await new Promise((resolve) => setImmediate(resolve));
    const moved = pairs.reduce((sum, pair) => sum + pair.moved, 0);
    const nowMs = performance.now();
    if (more || moved !== seen) lastMoveMs = nowMs;
    else await sleep(1);
    seen = moved;
    const waiting = pairs.some((pair) => pair.honest && !atRest(pair));
    if (!more && nowMs - lastMoveMs > STILL_MS && (!waiting || nowMs > deadlineMs)) return;
  }
}

/** Answered to its end: the last thing received is ReadyForQuery, and nothing is under way. */
function atRest(pair: Pair): boolean {
  return pair.ended || (pair.session.state.ledger.length === 0 && pair.session.state.meteredInFlight === 0);
}

function* check(pairs: readonly Pair[], { quota }: FuzzParts, { direction }: FuzzOptions): Generator<string> {
  const taken = new Map<string, number>();
  for (const pair of pairs) {
    const bytes = Buffer.concat(pair.received).toString('latin1');
    for (const error of pair.faults) yield `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    for (const [token, id] of bytes.matchAll(/token-(\d+x\d+)-[0-9a-f]{12}-/g)) if (token !== pair.token && token === tokenOf(id as string)) yield `${pair.token} got a row of ${token}`;
    if (pair.honest && !atRest(pair)) yield `${pair.token} hangs: ${pair.session.state.ledger.length} requests are not answered, the next is ${String(pair.session.state.ledger.head?.kind)}`;
    if (pair.honest && direction === 'client' && pair.ended) yield `${pair.token} was ended, and kept to the protocol: ${bytes.slice(-100)}, after ${pair.trace.slice(-40).join(' ')}`;
    // What a server that breaks the protocol puts where is its own matter; with one that keeps to it, no byte of a row leaves unpaid.
    if (direction === 'client') taken.set(pair.principal, (taken.get(pair.principal) ?? 0) + bytes.split(MARKER).length - 1);
  }
  for (const [principal, rows] of taken) if (principal.startsWith('agent') && rows > quota) yield `${principal} got ${rows} protected rows, the quota is ${quota}`;
}
