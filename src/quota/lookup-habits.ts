/**
 * Blind questions: a statement that costs one unit may ask one bit of a person (`... AND email < 'm'`), so that thousands of cheap statements tell what
 * a few rows would. They are counted a login and class in a sliding window, and held against what members of the role do in such a window. Pure.
 */

export interface LookupRule {
  readonly role: string;
  readonly className: string;
  readonly windowMs: number;
  /** How many times the habit is far above it; 0: nothing is. */
  readonly above: number;
  /** The least habit, also while none is known. */
  readonly habit: number;
}

export interface ManyLookups {
  readonly count: number;
  readonly habit: number;
}

/** A window slides by a twelfth of its length. */
const SLICES = 12;
/** Finished windows of members that the habit of a role is the median of: some weeks of a small team. */
const HABIT_WINDOWS = 200;
/** Fewer are no habit: the first login to come would make its own. */
const KNOWN_FROM = 8;
/** Logins counted at once, a role and class; the one that was away longest goes. */
const MAX_COUNTERS = 20_000;

interface Counter {
  readonly slices: Uint32Array;
  /** Number of the newest slice since the clock's start. */
  slice: number;
  total: number;
  /** Of the fixed window that becomes part of the habit. */
  window: number;
  inWindow: number;
}

interface Habit {
  readonly samples: number[];
  next: number;
  /** Of the samples; undefined: to be worked out. */
  median: number | undefined;
}

export class LookupHabits {
  readonly #counters = new Map<string, Counter>();
  readonly #habits = new Map<string, Habit>();

  /** Counts one statement. Returns by how much the login is above the habit, if it is far above. */
  note(rule: LookupRule, principal: string, nowMs: number): ManyLookups | undefined {
    if (rule.above === 0) return undefined;
    const group = `${rule.role}\0${rule.className}\0${rule.windowMs}`;
    const counter = this.#counter(`${group}\0${principal}`, nowMs, rule.windowMs);
    this.#finishWindow(counter, group, Math.floor(nowMs / rule.windowMs));
    this.#slide(counter, Math.floor((nowMs * SLICES) / rule.windowMs));
    const at = counter.slice % SLICES;
    counter.slices[at] = (counter.slices[at] as number) + 1;
    counter.total++;
    counter.inWindow++;
    if (counter.total <= rule.above * rule.habit) return undefined;
    const habit = Math.max(rule.habit, this.#median(group));
    return counter.total > rule.above * habit ? { count: counter.total, habit } : undefined;
  }

  #counter(key: string, nowMs: number, windowMs: number): Counter {
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = { slices: new Uint32Array(SLICES), slice: Math.floor((nowMs * SLICES) / windowMs), total: 0, window: Math.floor(nowMs / windowMs), inWindow: 0 };
      if (this.#counters.size >= MAX_COUNTERS) this.#counters.delete(this.#counters.keys().next().value as string);
    } else this.#counters.delete(key);
    // The newest stands last.
    this.#counters.set(key, counter);
    return counter;
  }

  #slide(counter: Counter, slice: number): void {
    if (slice - counter.slice >= SLICES) {
      counter.slices.fill(0);
      counter.total = 0;
    } else {
      for (let each = counter.slice + 1; each <= slice; each++) {
        counter.total -= counter.slices[each % SLICES] as number;
        counter.slices[each % SLICES] = 0;
      }
    }
    // A clock that goes back counts on in the newest slice.
    counter.slice = Math.max(counter.slice, slice);
  }

  #finishWindow(counter: Counter, group: string, window: number): void {
    if (window <= counter.window) return;
    if (counter.inWindow > 0) this.#learn(group, counter.inWindow);
    counter.window = window;
    counter.inWindow = 0;
  }

  #learn(group: string, count: number): void {
    let habit = this.#habits.get(group);
    if (habit === undefined) {
      habit = { samples: [], next: 0, median: undefined };
      this.#habits.set(group, habit);
    }
    habit.samples[habit.next] = count;
    habit.next = (habit.next + 1) % HABIT_WINDOWS;
    habit.median = undefined;
  }

  #median(group: string): number {
    const habit = this.#habits.get(group);
    if (habit === undefined || habit.samples.length < KNOWN_FROM) return 0;
    habit.median ??= habit.samples.toSorted((a, b) => a - b)[habit.samples.length >> 1] as number;
    return habit.median;
  }

  /** Keeps the habits of these rules only: roles and classes that a new configuration does not have are forgotten. */
  keepOnly(rules: readonly LookupRule[]): void {
    const groups = new Set(rules.map((rule) => `${rule.role}\0${rule.className}\0${rule.windowMs}`));
    for (const group of this.#habits.keys()) if (!groups.has(group)) this.#habits.delete(group);
    for (const key of this.#counters.keys()) if (!groups.has(key.slice(0, key.lastIndexOf('\0')))) this.#counters.delete(key);
  }
}
