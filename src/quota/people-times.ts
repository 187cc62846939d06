import type { PeopleHistory } from './people-log.ts';
import { PeopleWindow } from './people.ts';
import { personTexts } from './person-table.ts';

/** As `PeopleLog`, person by person: for a process whose journal must know who is granted again. */
export class PeopleTimes implements PeopleHistory {
  readonly #window: PeopleWindow;
  #nowMs = 0;

  constructor(windowMs: number) {
    this.#window = new PeopleWindow(windowMs);
  }

  get isEmpty(): boolean {
    return this.#window.count(this.#nowMs) === 0;
  }

  record(atMs: number, people: Buffer, keep: number): readonly number[] {
    this.expire(atMs);
    const known: number[] = [];
    for (const person of personTexts(people)) {
      const lastMs = this.#window.lastOf(person);
      if (lastMs !== undefined) known.push(lastMs);
      this.#window.grant(person, atMs);
    }
    this.#window.shrink(keep);
    return known;
  }

  expire(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#window.count(this.#nowMs);
  }

  dismiss(atMs: number, people: Buffer): number {
    let dismissed = 0;
    for (const person of personTexts(people)) if (this.#window.dismiss(person, atMs)) dismissed += 1;
    return dismissed;
  }

  since(sinceMs: number): (readonly [person: string, lastMs: number])[] {
    return this.#window.since(sinceMs);
  }
}
