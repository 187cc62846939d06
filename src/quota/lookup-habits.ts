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

/** Members of one role, and what they do with one class. */
interface Group {
  readonly counters: Map<string, Counter>;
  readonly samples: number[];
  next: number;
  /** Of the samples; undefined: to be worked out. */
  median: number | undefined;
}

export class LookupHabits {
  readonly #groups = new Map<string, Group>();
  /** Rules are the same objects over many statements. */
  #byRule = new WeakMap<LookupRule, Group>();

  /** Counts one statement. Returns by how much the login is above the habit, if it is far above. */
  note(rule: LookupRule, principal: string, nowMs: number): ManyLookups | undefined {
    if (rule.above === 0) return undefined;
    const group = this.#group(rule);
    const counter = this.#counter(group, principal, nowMs, rule.windowMs);
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

  #group(rule: LookupRule): Group {
    let group = this.#byRule.get(rule);
    if (group !== undefined) return group;
    const name = nameOf(rule);
    group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, (group = { counters: new Map(), samples: [], next: 0, median: undefined }));
    this.#byRule.set(rule, group);
    return group;
  }

  #counter({ counters }: Group, principal: string, nowMs: number, windowMs: number): Counter {
    const known = counters.get(principal);
    // The newest stands last, once it matters who goes first.
    if (known !== undefined && counters.size * 2 <= MAX_COUNTERS) return known;
    const counter = known ?? { slices: new Uint32Array(SLICES), slice: Math.floor((nowMs * SLICES) / windowMs), total: 0, window: Math.floor(nowMs / windowMs), inWindow: 0 };
    if (known !== undefined) counters.delete(principal);
    else if (counters.size >= MAX_COUNTERS) counters.delete(counters.keys().next().value as string);
    counters.set(principal, counter);
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

  #finishWindow(counter: Counter, group: Group, window: number): void {
    if (window <= counter.window) return;
    if (counter.inWindow > 0) learn(group, counter.inWindow);
    counter.window = window;
    counter.inWindow = 0;
  }

  #median(group: Group): number {
    if (group.samples.length < KNOWN_FROM) return 0;
    group.median ??= group.samples.toSorted((a, b) => a - b)[group.samples.length >> 1] as number;
    return group.median;
  }

  /** Keeps the habits of these rules only: roles and classes that a new configuration does not have are forgotten. */
  keepOnly(rules: readonly LookupRule[]): void {
    const names = new Set(rules.map(nameOf));
    for (const name of this.#groups.keys()) if (!names.has(name)) this.#groups.delete(name);
    this.#byRule = new WeakMap();
  }
}

function nameOf({ role, className, windowMs }: LookupRule): string {
  return `${role}\0${className}\0${windowMs}`;
}

function learn(group: Group, count: number): void {
  group.samples[group.next] = count;
  group.next = (group.next + 1) % HABIT_WINDOWS;
  group.median = undefined;
}
