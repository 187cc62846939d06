import { shownByFunction, type Ledger } from './bookkeeping.ts';
import { builtinFunction, isScalarAggregate } from './builtin-functions.ts';
import { FIRST_USER_OID, type FunctionRow } from './catalog-rows.ts';
import { type ClassEffect, type Effects, type FunctionEffect, NO_EFFECTS, opaqueEffects } from './effects.ts';
import type { EffectsMemo } from './effects-memo.ts';
import { extensionFunction } from './extension-rules.ts';
import { compilePattern, matchesAny, type NamePattern } from './patterns.ts';
import type { ClassDefinition } from './reach-types.ts';
import { qualifiedName } from './snapshot.ts';

interface ClassFunctions {
  readonly className: string;
  readonly reading: readonly NamePattern[];
  readonly harmless: readonly NamePattern[];
}

/** What a routine of a user's runs, as far as its text tells; undefined where there is no text to read. */
export type ReadBody = (fn: FunctionRow) => Effects | undefined;

/** Judges functions one by one: by oid and origin, never by name alone. */
export class FunctionEffects {
  readonly #classes: readonly ClassFunctions[];
  readonly #trusted: readonly NamePattern[];
  readonly #memo: EffectsMemo;
  readonly #readBody: ReadBody;
  readonly #showing: (ledger: Ledger) => Effects;

  constructor(classes: readonly ClassDefinition[], trustedFunctions: readonly string[], memo: EffectsMemo, readBody: ReadBody, showing: (ledger: Ledger) => Effects) {
    this.#memo = memo;
    this.#showing = showing;
    this.#readBody = readBody;
    this.#trusted = trustedFunctions.map(compilePattern);
    this.#classes = classes.map(({ name, functions }) => ({
      className: name,
      reading: functions.filter((fn) => fn.reads).map((fn) => compilePattern(fn.pattern)),
      harmless: functions.filter((fn) => !fn.reads).map((fn) => compilePattern(fn.pattern)),
    }));
  }

  of(fn: FunctionRow): FunctionEffect {
    const builtin = fn.oid < FIRST_USER_OID;
    const effects = this.#memo.of('f', fn.oid, () => (builtin ? this.#builtin(fn) : this.#made(fn)));
    // An aggregate that users made keeps what it likes in its state: it packs.
    // Extensions that are trusted name theirs after PostgreSQL's (min(citext)).
    const known = builtin || (fn.extension !== null && extensionFunction(fn.extension, fn.name) === 'trusted');
    const scalar = known && isScalarAggregate(fn.name);
    return { effects, aggregate: fn.kind !== 'a' ? 'none' : scalar ? 'scalar' : 'packing', window: fn.kind === 'w' };
  }

  #builtin(fn: FunctionRow): Effects {
    const volatile = fn.volatility === 'v';
    const verdict = builtinFunction(fn.name, fn.oid);
    switch (verdict.kind) {
      case 'safe': {
        const ledger = shownByFunction(fn.name);
        if (ledger !== undefined) return { ...this.#showing(ledger), volatile };
        return volatile || verdict.resolves ? { ...NO_EFFECTS, volatile, impure: verdict.resolves } : NO_EFFECTS;
      }
      case 'sink':
        return { ...NO_EFFECTS, volatile: true, sink: true, impure: true };
      case 'unsafe':
        return this.#declared(fn) ?? opaqueEffects(verdict.why, verdict.category);
    }
  }

  /** What the policy says of the function, if anything. */
  #declared(fn: FunctionRow): Effects | undefined {
    const reading = this.#classes.filter((cls) => matchesAny(cls.reading, fn)).map((cls) => cls.className);
    const volatile = fn.volatility === 'v';
    if (reading.length > 0) {
      const effect: ClassEffect = { width: 1, calls: 0, packs: false, aggregated: false, relations: new Set([`${qualifiedName(fn)}()`]) };
      return { ...NO_EFFECTS, volatile, impure: true, classes: new Map(reading.map((name) => [name, effect])) };
    }
    const trusted = matchesAny(this.#trusted, fn) || this.#classes.some((cls) => matchesAny(cls.harmless, fn));
    // Trusted with data, not with the wording of its errors.
    return trusted ? { ...NO_EFFECTS, volatile, impure: true } : undefined;
  }

  #made(fn: FunctionRow): Effects {
    const declared = this.#declared(fn);
    if (declared !== undefined) return declared;
    const name = qualifiedName(fn);
    switch (fn.extension === null ? 'opaque' : extensionFunction(fn.extension, fn.name)) {
      case 'trusted':
        return fn.volatility === 'v' ? { ...NO_EFFECTS, volatile: true } : NO_EFFECTS;
      case 'remote':
        return opaqueEffects(`function ${name} reaches another server`, 'remote');
      case 'server_files':
        return opaqueEffects(`function ${name} reads or writes files of the server`, 'server_files');
      case 'opaque':
        // Left behind by an installation without CREATE EXTENSION.
        if (fn.name.startsWith('dblink')) return opaqueEffects(`function ${name} reaches another server`, 'remote');
        return this.#readBody(fn) ?? opaqueEffects(unreadReason(fn, name));
    }
  }
}

function unreadReason(fn: FunctionRow, name: string): string {
  const readable = fn.language === 'sql' || fn.language === 'plpgsql';
  return readable ? `the body of function ${name} was not read` : `function ${name} is written in ${fn.language} and not in trusted_functions`;
}
