import { z } from 'zod';
import { GrantHistory, type Counted } from './grant-history.ts';
import type { JournalPast } from './grant-journal.ts';
import { shapeOf } from './window.ts';

/** What a journal's lines add up to. Pure. */

const counted = z.array(z.tuple([z.number(), z.string(), z.number()]));
const entry = z.union([
  /** Who the process is to Redis. */
  z.tuple([z.literal('m'), z.int().positive()]),
  /** A snapshot's head: domain, number of the last grant, latest time. */
  z.tuple([z.literal('s'), z.string(), z.int().min(0), z.number()]),
  /** A counter of a snapshot: domain, window, key, slices. */
  z.tuple([z.literal('c'), z.string(), z.number(), z.string(), z.array(z.tuple([z.number(), z.number()]))]),
  /** A grant: domain, number, time, units. */
  z.tuple([z.literal('g'), z.string(), z.int().min(0), z.number(), counted]),
  /** A refund: domain, time of the grant, units. */
  z.tuple([z.literal('r'), z.string(), z.number(), counted]),
  /** Granted without Redis (1), or counted there since (-1). */
  z.tuple([z.literal('d'), z.string(), z.union([z.literal(1), z.literal(-1)]), counted]),
]);
export type JournalEntry = z.infer<typeof entry>;

export function journalLine(line: JournalEntry): string {
  return `${JSON.stringify(line)}\n`;
}

interface DomainState {
  readonly history: GrantHistory;
  readonly debt: Map<string, Counted>;
  sequence: number;
  seenMs: number;
}

export class JournalState {
  #member: number;
  readonly #domains = new Map<string, DomainState>();

  constructor(member: number) {
    this.#member = member;
  }

  get member(): number {
    return this.#member;
  }

  /** The last line may be torn: the process was killed while it wrote. Any other that cannot be read means that this is no journal. */
  load(text: string): void {
    const lines = text.split('\n');
    for (const [index, line] of lines.entries()) {
      if (line === '') continue;
      const read = readLine(line);
      if (read === undefined) {
        if (index >= lines.length - 1) return;
        throw new Error(`line ${index + 1} of the journal cannot be read`);
      }
      this.apply(read);
    }
  }

  apply(line: JournalEntry): void {
    switch (line[0]) {
      case 'm':
        this.#member = line[1];
        return;
      case 's':
        this.#advance(line[1], line[2], line[3]);
        return;
      case 'c':
        for (const [slice, units] of line[4]) this.#domain(line[1]).history.restore(slice * shapeOf(line[2]).sliceMs, { windowMs: line[2], key: line[3] }, units);
        return;
      case 'g':
        this.#advance(line[1], line[2], line[3]);
        for (const [windowMs, key, units] of line[4]) this.#domain(line[1]).history.restore(line[3], { windowMs, key }, units);
        return;
      case 'r':
        for (const [windowMs, key, units] of line[3]) this.#domain(line[1]).history.forget(line[2], { windowMs, key }, units);
        return;
      case 'd':
        for (const [windowMs, key, units] of line[3]) this.#owe(line[1], { counter: { windowMs, key }, units: line[2] * units });
    }
  }

  past(domain: string): JournalPast | undefined {
    const state = this.#domains.get(domain);
    if (state === undefined) return undefined;
    const grants = state.history.since(0).flatMap(({ counter, filled }) => filled.map(({ slice, units }) => ({ counter, atMs: slice * shapeOf(counter.windowMs).sliceMs, units })));
    // By time: a history's clock does not go back.
    return { sequence: state.sequence, seenMs: state.seenMs, grants: grants.toSorted((a, b) => a.atMs - b.atMs), debt: [...state.debt.values()] };
  }

  /** The lines that a new file begins with: everything that still counts. */
  snapshot(): string {
    const lines: JournalEntry[] = [['m', this.#member]];
    for (const [domain, { history, debt, sequence, seenMs }] of this.#domains) {
      lines.push(['s', domain, sequence, seenMs]);
      for (const { counter, filled } of history.since(0)) lines.push(['c', domain, counter.windowMs, counter.key, filled.map(({ slice, units }) => [slice, units])]);
      if (debt.size > 0) lines.push(['d', domain, 1, [...debt.values()].map(({ counter, units }) => [counter.windowMs, counter.key, units])]);
    }
    return lines.map(journalLine).join('');
  }

  #advance(domain: string, sequence: number, seenMs: number): void {
    const state = this.#domain(domain);
    state.sequence = Math.max(state.sequence, sequence);
    state.seenMs = Math.max(state.seenMs, seenMs);
  }

  #owe(domain: string, change: Counted): void {
    const { debt } = this.#domain(domain);
    const units = Math.max(0, (debt.get(change.counter.key)?.units ?? 0) + change.units);
    if (units === 0) debt.delete(change.counter.key);
    else debt.set(change.counter.key, { counter: change.counter, units });
  }

  #domain(name: string): DomainState {
    let state = this.#domains.get(name);
    if (state === undefined) {
      state = { history: new GrantHistory(false), debt: new Map(), sequence: 0, seenMs: 0 };
      this.#domains.set(name, state);
    }
    return state;
  }
}

function readLine(line: string): JournalEntry | undefined {
  try {
    const read = entry.safeParse(JSON.parse(line));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}
