/** What counting people must do, said plainly: a list of grants and nothing clever. */

import type { Admission, Counter } from '../../../src/quota/store.ts';
import { shapeOf } from '../../../src/quota/window.ts';

interface Grant {
  readonly person: string;
  readonly atMs: number;
  readonly validForMs: number;
  dismissed: boolean;
}

export class PeopleModel {
  readonly counter: Counter;
  readonly grants: Grant[] = [];

  constructor(counter: Counter) {
    this.counter = counter;
  }

  /** Who counts at `nowMs`: granted within the horizon and not taken back. Granted twice counts half a millisecond longer. */
  counted(nowMs: number): Set<string> {
    const endMs = nowMs - shapeOf(this.counter.windowMs).horizonMs;
    const last = new Map<string, number>();
    for (const { person, atMs, dismissed } of this.grants) {
      if (dismissed) continue;
      const before = last.get(person);
      last.set(person, before === undefined || before <= atMs - shapeOf(this.counter.windowMs).horizonMs ? atMs : atMs + 0.5);
    }
    return new Set([...last].flatMap(([person, atMs]) => (atMs > endMs ? [person] : [])));
  }

  /** How many of `people` must be admitted at `nowMs`. */
  expected(nowMs: number, people: readonly string[]): number {
    const counted = this.counted(nowMs);
    let admitted = 0;
    for (const person of people) {
      if (!counted.has(person) && this.counter.limit !== null && counted.size >= this.counter.limit) break;
      counted.add(person);
      admitted += 1;
    }
    return admitted;
  }

  take(people: readonly string[], { lease, admitted }: Pick<Admission, 'lease' | 'admitted'>): void {
    for (const person of people.slice(0, admitted)) this.grants.push({ person, atMs: lease.grantedAtMs, validForMs: lease.validForMs, dismissed: false });
  }

  /** Takes a person's only grant back. */
  dismiss(person: string, atMs: number): void {
    const last = this.grants.filter((grant) => grant.person === person && !grant.dismissed).at(-1);
    if (last?.atMs === atMs) last.dismissed = true;
  }

  /** The most people that can be delivered within one closed interval of the window's length, each at the worst moment of a grant's life. */
  worstInterval(): number {
    let worst = 0;
    const delivered = this.grants.filter(({ dismissed }) => !dismissed);
    for (const first of delivered) {
      const startMs = first.atMs + first.validForMs;
      const people = new Set<string>();
      for (const { person, atMs, validForMs } of delivered) if (atMs + validForMs >= startMs && atMs <= startMs + this.counter.windowMs) people.add(person);
      worst = Math.max(worst, people.size);
    }
    return worst;
  }
}
