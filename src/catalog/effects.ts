import type { DenyCategory } from './reach-types.ts';

/** Counts saturate here: a view over a view over a view can multiply past every number. */
const MOST = 1e9;

export function saturate(count: number): number {
  return count < MOST ? count : MOST;
}

/** What one evaluation gives of a class. */
export interface ClassEffect {
  /** References to the class's relations. 0: the class decides what is seen or done, but its rows are not given (policies, triggers). */
  readonly width: number;
  /** Aggregate and window calls in views on the way. */
  readonly calls: number;
  readonly packs: boolean;
  readonly aggregated: boolean;
  /** Qualified names of the protected relations. */
  readonly relations: ReadonlySet<string>;
}

/** What evaluating something once (a relation, a view's body, a trigger) can reach and do. Shared and never changed. */
export interface Effects {
  readonly classes: ReadonlyMap<string, ClassEffect>;
  readonly oids: ReadonlySet<number>;
  /** Why every class is charged. */
  readonly opaque: readonly string[];
  readonly categories: ReadonlySet<DenyCategory>;
  /** Puts values where somebody else finds them. */
  readonly sink: boolean;
  /** Calls a volatile function. */
  readonly volatile: boolean;
  /** An error of SQLSTATE class 42 may quote a value. */
  readonly impure: boolean;
  /** Relations that take in what the code is given: arguments, rows of a trigger. `SINK` stands for a setting, a notification and the like. */
  readonly stores: ReadonlySet<number>;
  /** One row of those that take something in may come to hold what many calls gave: code adds to what is there. */
  readonly storesPacked: boolean;
  /** Relations that take in rows of the classes, whatever the code is given. */
  readonly copies: ReadonlySet<number>;
  /**
   * Relations that it writes to, whatever it is given. Whether it does tells of a class, if one decides: `questions` times each time that it runs, or where it is called.
   * A check does so; done for each of many rows it makes a copy (`manyTimes`).
   */
  readonly steered?: ReadonlySet<number>;
  readonly questions?: number;
  /** The row that a trigger hands on holds what it has read. */
  readonly feedsRow: boolean;
  /** Leaves cursors open under names that the session does not see. */
  readonly opensCursors: boolean;
  /** Locks relations whose names are worked out. */
  readonly locksByName?: boolean;
  /** Moves something on that says how often it was moved: `SEQUENCE`, `RANDOM` or both. */
  readonly moves?: number;
  /** Making a value of a type runs code that does more than compute. Constants are made when their statement is parsed. */
  readonly makesValues?: boolean;
}

/** A sequence. One that is named by what a row holds is a sink. */
export const SEQUENCE = 1;
/** The generator of random numbers, which gives the next of a known row of numbers once it was seeded. */
export const RANDOM = 2;

/** No relation has this oid. */
export const SINK = 0;
const NONE: ReadonlySet<number> = new Set();

export const NO_EFFECTS: Effects = {
  classes: new Map(), oids: new Set(), opaque: [], categories: new Set(), sink: false, volatile: false, impure: false,
  stores: NONE, storesPacked: false, copies: NONE, feedsRow: false, opensCursors: false,
};

export function opaqueEffects(reason: string, category: DenyCategory = 'opaque'): Effects {
  return { ...NO_EFFECTS, opaque: [reason], categories: new Set([category]), impure: true, volatile: true };
}

/** The same, of what may run for each of any number of rows. */
export function manyTimes(effects: Effects): Effects {
  if (effects.steered === undefined || effects.steered.size === 0) return effects;
  // Code that asks nothing itself: the statement tells whether a class decides that it runs.
  if (effects.classes.size === 0) return { ...effects, questions: MOST };
  return { ...effects, copies: new Set([...effects.copies, ...effects.steered]), steered: NONE, questions: 0 };
}

/** The same, with the name of what brought it in its reasons. */
export function byWayOf(effects: Effects, name: string): Effects {
  if (effects.opaque.length === 0) return effects;
  const named = effects.opaque.slice(0, MOST_REASONS).map((reason) => (reason.includes(name) ? reason : `${reason}${reason.includes(WAY) ? ', ' : WAY}${name}`));
  return { ...effects, opaque: named };
}

const WAY = ', by way of ';
/** A body of a thousand unknown names is told of by the first few. */
const MOST_REASONS = 3;

/** The share of a function in a statement; see `FunctionEffects` for where it comes from. */
export interface FunctionEffect {
  readonly effects: Effects;
  readonly aggregate: 'none' | 'scalar' | 'packing';
  readonly window: boolean;
}

interface MutableClassEffect {
  width: number;
  calls: number;
  packs: boolean;
  aggregated: boolean;
  readonly names: Union<string>;
}

/** A set that grows. The first part is shared and only copied when another one comes, since most statements have one part. */
class Union<T> {
  #shared: ReadonlySet<T> = new Set();
  #own: Set<T> | undefined;

  get values(): ReadonlySet<T> {
    return this.#own ?? this.#shared;
  }

  add(more: ReadonlySet<T>): void {
    if (more.size === 0 || more === this.#shared) return;
    if (this.values.size === 0) {
      this.#shared = more;
      return;
    }
    this.#own ??= new Set(this.#shared);
    for (const value of more) this.#own.add(value);
  }
}

/** Adds effects up. */
export class Tally {
  readonly classes = new Map<string, MutableClassEffect>();
  readonly opaque = new Set<string>();
  readonly misses = new Set<string>();
  readonly #oids = new Union<number>();
  readonly #categories = new Union<DenyCategory>();
  /** Sets of these are in already: a statement may name one relation thousands of times. */
  readonly #seen = new Set<Effects>();
  /** Aggregate and window calls of the statement itself. */
  calls = 0;
  /** One of the calls stands for the row itself (an aggregate, a rank): it brings nothing of another row beside it. */
  freeCall = false;
  packs = false;
  aggregated = false;
  sink = false;
  /** A field selection calls a function. */
  callsByAttribute = false;
  volatile = false;
  impure = false;
  feedsRow = false;
  storesPacked = false;
  opensCursors = false;
  locksByName = false;
  makesValues = false;
  moves = 0;
  /** Questions that decide what of `steered` is written. */
  questions = 0;
  /** Calls of what writes to them. */
  writers = 0;
  readonly #copies = new Union<number>();
  readonly #steered = new Union<number>();
  /** What stores its arguments, and whether it reaches a class by itself. */
  readonly #storing: { readonly stores: ReadonlySet<number>; readonly reaches: boolean }[] = [];
  /** How many things of the statement give something of a class. */
  #sources = 0;

  get oids(): ReadonlySet<number> {
    return this.#oids.values;
  }

  get categories(): ReadonlySet<DenyCategory> {
    return this.#categories.values;
  }

  classOf(name: string): MutableClassEffect {
    let effect = this.classes.get(name);
    if (effect === undefined) {
      effect = { width: 0, calls: 0, packs: false, aggregated: false, names: new Union() };
      this.classes.set(name, effect);
    }
    return effect;
  }

  /** Takes over everything but the width: it is there, however often. */
  touch(effects: Effects, times: number): void {
    if (effects === NO_EFFECTS) return;
    if (effects.classes.size > 0) this.#sources = saturate(this.#sources + Math.max(1, times));
    if (effects.steered !== undefined && effects.steered.size > 0) this.writers = saturate(this.writers + Math.max(1, times));
    if (effects.questions !== undefined) this.questions = saturate(this.questions + effects.questions * Math.max(1, times));
    const seen = this.#seen.has(effects);
    for (const [name, more] of effects.classes) {
      const effect = this.classOf(name);
      effect.calls = saturate(effect.calls + more.calls * times);
      if (seen) continue;
      effect.packs ||= more.packs;
      effect.aggregated ||= more.aggregated;
      effect.names.add(more.relations);
    }
    if (seen) return;
    this.#seen.add(effects);
    for (const reason of effects.opaque) this.opaque.add(reason);
    this.#oids.add(effects.oids);
    this.#categories.add(effects.categories);
    this.sink ||= effects.sink;
    this.volatile ||= effects.volatile;
    this.impure ||= effects.impure;
    this.feedsRow ||= effects.feedsRow;
    this.storesPacked ||= effects.storesPacked;
    this.opensCursors ||= effects.opensCursors;
    this.locksByName ||= effects.locksByName === true;
    this.makesValues ||= effects.makesValues === true;
    this.moves |= effects.moves ?? 0;
    this.#copies.add(effects.copies);
    if (effects.steered !== undefined) this.#steered.add(effects.steered);
    if (effects.stores.size > 0) this.#storing.push({ stores: effects.stores, reaches: effects.classes.size > 0 });
  }

  /** Relations that take in rows of the classes whatever is given to what fills them. */
  get ownCopies(): ReadonlySet<number> {
    return this.#copies.values;
  }

  /** Relations that are written to, or not. */
  get steered(): ReadonlySet<number> {
    return this.#steered.values;
  }

  /** All of it may happen for each of any number of rows. */
  repeat(): void {
    this.#copies.add(this.#steered.values);
  }

  /** Relations that take in something of a class: what stores its arguments counts if anything but itself can give it a class's values. */
  get copies(): ReadonlySet<number> {
    const active = this.#storing.filter(({ reaches }) => this.#sources > (reaches ? 1 : 0));
    if (active.length === 0) return this.#copies.values;
    return new Set([...this.#copies.values, ...active.flatMap(({ stores }) => [...stores])]);
  }

  /** What takes in values that are given from outside. */
  get stores(): ReadonlySet<number> {
    if (this.#storing.length === 0) return NONE;
    return new Set(this.#storing.flatMap(({ stores }) => [...stores]));
  }

  widen(className: string, width: number): void {
    const effect = this.classOf(className);
    effect.width = saturate(effect.width + width);
  }

  add(effects: Effects, times: number): void {
    this.touch(effects, times);
    for (const [name, more] of effects.classes) this.widen(name, saturate(more.width * times));
  }

  addFunction(effect: FunctionEffect, times: number): void {
    this.add(effect.effects, times);
    if (effect.aggregate !== 'none') this.aggregated = true;
    if (effect.aggregate === 'packing') this.packs = true;
  }

  refuse(reason: string, category: DenyCategory = 'opaque'): void {
    this.add(opaqueEffects(reason, category), 1);
  }

  miss(what: string): void {
    this.misses.add(what);
    this.refuse(`${what} is not in the catalog`);
  }

  /** As the effects of something larger: a view's body becomes the view. */
  toEffects(): Effects {
    const classes = new Map<string, ClassEffect>();
    for (const [name, effect] of this.classes) {
      classes.set(name, {
        width: effect.width,
        // One of them is taken for free above; calls that all bring another row's value leave none to be free.
        calls: saturate(effect.calls + this.calls + (this.calls > 0 && !this.freeCall ? 1 : 0)),
        packs: effect.packs || this.packs,
        aggregated: effect.aggregated || this.aggregated,
        relations: effect.names.values,
      });
    }
    return {
      classes, oids: this.oids, opaque: [...this.opaque], categories: this.categories, sink: this.sink, volatile: this.volatile, impure: this.impure,
      stores: this.stores, storesPacked: this.storesPacked, copies: this.copies, feedsRow: this.feedsRow, opensCursors: this.opensCursors, locksByName: this.locksByName, makesValues: this.makesValues, moves: this.moves,
      steered: this.steered, questions: this.questions,
    };
  }
}
