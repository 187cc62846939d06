import type { Analysis, StatementFacts } from './facts.ts';

/** Longer texts carry values rather than repeat; they would push out those that repeat. */
export const LONGEST_CACHED_TEXT = 32 * 1024;

/** Least recently used, bounded by an estimate of its memory. */
export class FactsCache<T> {
  readonly #maxBytes: number;
  readonly #sizeOf: (value: T) => number;
  readonly #entries = new Map<string, { readonly value: T; readonly bytes: number }>();
  #bytes = 0;

  constructor(maxBytes: number, sizeOf: (value: T) => number) {
    this.#maxBytes = maxBytes;
    this.#sizeOf = sizeOf;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(text: string): T | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    // A Map iterates in the order of insertion: the first is the one that has not been asked for longest.
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    return entry.value;
  }

  set(text: string, value: T): void {
    if (text.length > LONGEST_CACHED_TEXT) return;
    // Two bytes a character, a Map entry, a string header.
    const bytes = text.length * 2 + 200 + this.#sizeOf(value);
    if (bytes > this.#maxBytes / 4) return;
    this.#bytes -= this.#entries.get(text)?.bytes ?? 0;
    this.#entries.delete(text);
    this.#entries.set(text, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#entries.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}

/** Generous: an object with a few fields takes less than 150 bytes, and names are short. */
export function analysisBytes(analysis: Analysis): number {
  if (analysis.kind !== 'statements') return 1000;
  return analysis.statements.reduce((total, facts) => total + factsBytes(facts), 200);
}

function factsBytes(facts: StatementFacts): number {
  const items = facts.relations.length + facts.links.length + facts.functions.length + facts.operators.length + facts.types.length
    + facts.defines.length + facts.settings.length + facts.opaque.length + facts.categories.length;
  const code = facts.body === undefined ? 0 : facts.body.statements.reduce((total, each) => total + factsBytes(each.facts), 500);
  const body = facts.named !== undefined && 'body' in facts.named ? factsBytes(facts.named.body) : 0;
  return 1200 + items * 250 + body + code;
}
