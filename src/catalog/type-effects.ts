import { locksNamed, takesNames } from '../sql/traces.ts';
import { type Effects, manyTimes, NO_EFFECTS, Tally } from './effects.ts';
import type { FunctionEffects } from './function-effects.ts';
import type { CastRow, DependencyRow, OperatorRow } from './catalog-rows.ts';
import { FIRST_USER_OID } from './catalog-rows.ts';
import type { EffectsMemo } from './effects-memo.ts';
import type { Snapshot } from './snapshot.ts';

/** Functions that run without being called by name: checks of domains, operators, casts. */
export class TypeEffects {
  readonly #snapshot: Snapshot;
  readonly #functions: FunctionEffects;
  readonly #memo: EffectsMemo;
  #hiddenOperators: readonly OperatorRow[] | undefined;
  #hiddenCasts: readonly CastRow[] | undefined;

  constructor(snapshot: Snapshot, functions: FunctionEffects, memo: EffectsMemo) {
    this.#snapshot = snapshot;
    this.#functions = functions;
    this.#memo = memo;
  }

  /** Operators of users whose functions do more than compute: usually none. While a body is read, that is not known yet, so all of them. */
  get hiddenOperators(): readonly OperatorRow[] {
    if (this.#hiddenOperators === undefined && this.#memo.busy) return [...this.#snapshot.operators.values()];
    this.#hiddenOperators ??= [...this.#snapshot.operators.values()].filter((operator) => !isPlain(this.effectsByTheWay(operator.function)));
    return this.#hiddenOperators;
  }

  /** The same for casts. */
  get hiddenCasts(): readonly CastRow[] {
    if (this.#hiddenCasts === undefined && this.#memo.busy) return this.#snapshot.casts.filter((cast) => cast.function !== 0);
    this.#hiddenCasts ??= this.#snapshot.casts.filter((cast) => cast.function !== 0 && !isPlain(this.effectsByTheWay(cast.function)));
    return this.#hiddenCasts;
  }

  /**
   * What making a value of the type from a text runs, but for input functions of base types, which only a superuser makes: checks of domains, also of those that an array, a row or a range
   * is made of. Whoever compares a column with a constant has one made, and no text names its type.
   */
  valueEffects(oid: number): Effects {
    if (oid < FIRST_USER_OID) return NO_EFFECTS;
    return this.#memo.of('v', oid, () => {
      const tally = new Tally();
      for (const dependency of this.#snapshot.dependencies.type.get(oid) ?? []) tally.touch(dependency.target === 'type' ? this.valueEffects(dependency.oid) : this.dependencyEffects(dependency), 1);
      for (const inner of this.partsOf(oid)) tally.touch(this.valueEffects(inner), 1);
      const effects = tally.toEffects();
      if (isPlain(effects)) return NO_EFFECTS;
      // What it calls is counted where the type is named.
      return { ...effects, makesValues: true, classes: new Map([...effects.classes].map(([name, effect]) => [name, { ...effect, calls: 0 }])) };
    });
  }

  /** Types that a value of the type is made of. */
  partsOf(oid: number): readonly number[] {
    const type = this.#snapshot.types.get(oid);
    return type === undefined ? [] : [type.base, type.element, ...(this.#snapshot.columns.get(type.relation)?.types ?? [])];
  }

  functionEffects(oid: number): Effects {
    const fn = this.#snapshot.functions.get(oid);
    return fn === undefined ? NO_EFFECTS : this.#functions.of(fn).effects;
  }

  /**
   * Of a function that is called by way of an operator, a cast, an aggregate or an expression in the catalog: no text says what it is given. Which
   * sequence nextval() moves, or which relation is locked, may then spell what a row holds.
   */
  effectsByTheWay(oid: number): Effects {
    const fn = this.#snapshot.functions.get(oid);
    if (fn === undefined) return NO_EFFECTS;
    const { effects } = this.#functions.of(fn);
    if (fn.oid >= FIRST_USER_OID) return manyTimes(effects);
    if (takesNames(fn.name)) return { ...effects, sink: true };
    return locksNamed(fn.name) ? { ...effects, locksByName: true } : effects;
  }

  /** A function or operator that pg_depend names. Types and relations are for the caller. */
  dependencyEffects(dependency: DependencyRow): Effects {
    switch (dependency.target) {
      case 'function': return this.effectsByTheWay(dependency.oid);
      case 'operator': return this.effectsByTheWay(this.#snapshot.operators.get(dependency.oid)?.function ?? 0);
      case 'type': return this.typeEffects(dependency.oid);
      case 'relation': return NO_EFFECTS;
    }
  }

  /** What making a value of the type runs: its own functions, and those of its base, element and attribute types. */
  typeEffects(oid: number): Effects {
    if (oid < FIRST_USER_OID) return NO_EFFECTS;
    return this.#memo.of('t', oid, () => {
      const tally = new Tally();
      const { type, input } = this.#snapshot.dependencies;
      for (const dependency of [...(type.get(oid) ?? []), ...(input.get(oid) ?? [])]) tally.add(this.dependencyEffects(dependency), 1);
      for (const inner of this.partsOf(oid)) tally.add(this.typeEffects(inner), 1);
      tally.makesValues = this.valueEffects(oid).makesValues === true;
      return tally.toEffects();
    });
  }
}

function isPlain(effects: Effects): boolean {
  return effects.opaque.length === 0 && effects.classes.size === 0 && !effects.sink && effects.locksByName !== true && effects.stores.size === 0 && effects.copies.size === 0 && (effects.steered?.size ?? 0) === 0;
}
