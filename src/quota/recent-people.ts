import type { LeaseCounter } from './lease-plan.ts';

const MAX_SETS = 2000;
const MAX_PEOPLE = 4096;

/**
 * Who was delivered a moment ago by a grant that still holds, in this process: the next statement about the same person needs no answer of the
 * store. Nothing is stretched by it, since a grant holds for every delivery within its life.
 */
export class RecentPeople {
  /** By the counters that the grant was made in: those of another login are others. */
  readonly #sets = new Map<string, Map<string, number>>();

  note(counters: readonly LeaseCounter[], person: string, deadlineMs: number): void {
    const name = nameOf(counters);
    let set = this.#sets.get(name);
    if (set === undefined) {
      if (this.#sets.size >= MAX_SETS) this.#sets.delete(this.#sets.keys().next().value ?? '');
      this.#sets.set(name, (set = new Map()));
    }
    if (set.size >= MAX_PEOPLE) set.delete(set.keys().next().value ?? '');
    set.set(person, deadlineMs);
  }

  deadlineOf(counters: readonly LeaseCounter[], person: string): number | undefined {
    return this.#sets.get(nameOf(counters))?.get(person);
  }
}

const names = new WeakMap<readonly LeaseCounter[], string>();

/** Limits are part of it: what a higher one granted is not taken for a grant of the one that came after it. Asked for each row, with the same list over a statement. */
function nameOf(counters: readonly LeaseCounter[]): string {
  let name = names.get(counters);
  if (name === undefined) {
    name = counters.map(({ counter }) => `${counter.key} ${counter.limit ?? ''}`).join('\n');
    names.set(counters, name);
  }
  return name;
}
