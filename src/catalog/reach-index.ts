import type { RoutineBody, StatementFacts } from '../sql/facts.ts';
import { type Ledger, NO_LEDGERS } from './bookkeeping.ts';
import { FIRST_USER_OID, type ForeignKeyRow, type FunctionRow, type RelationRow, type RuleRow } from './catalog-rows.ts';
import { type ClassMembers, findMembers, type SubjectKey } from './class-members.ts';
import { bodyEffects } from './body-effects.ts';
import { byWayOf, type ClassEffect, type Effects, manyTimes, NO_EFFECTS, opaqueEffects, Tally } from './effects.ts';
import { EffectsMemo } from './effects-memo.ts';
import { FunctionEffects } from './function-effects.ts';
import { markedOids } from './marks.ts';
import { viewKeys } from './output-keys.ts';
import type { ClassDefinition, DerivedClass, DerivedRelations, SearchPath } from './reach-types.ts';
import { closure, qualifiedName, type Snapshot } from './snapshot.ts';
import { resolveRelations } from './names.ts';
import { tallyStatement } from './statement-tally.ts';
import { systemRelation } from './system-relations.ts';
import { TypeEffects } from './type-effects.ts';

export interface ReachPolicy {
  readonly classes: readonly ClassDefinition[];
  /** Functions of users that ops vouch for: `schema.name` or globs. */
  readonly trustedFunctions: readonly string[];
  /** Relations, by oid, that hold a copy of classes' rows: those classes are theirs, whatever their names are by now. */
  readonly derived?: DerivedRelations;
  /** Books of the server that may say what stands in any class. */
  readonly marked?: ReadonlySet<Ledger>;
}

/** The texts of views and rules are printed with an empty search_path, so their names resolve with one. */
const EMPTY_PATH: readonly string[] = [];

/**
 * The policy's classes worked out over one snapshot. What a relation brings is found once and kept, so that a statement costs a few look-ups.
 * Make a new one when the snapshot or the policy changes.
 */
export class ReachIndex {
  readonly snapshot: Snapshot;
  readonly classes: readonly ClassDefinition[];
  readonly members: ClassMembers;
  readonly functions: FunctionEffects;
  readonly types: TypeEffects;
  /** Copies: those that are remembered, and those that the catalog shows. */
  readonly derived: DerivedRelations;
  readonly #marked: ReadonlySet<Ledger>;
  readonly #viewKeys = new Map<number, readonly SubjectKey[]>();
  readonly #memo = new EffectsMemo();
  readonly #toastOwners: ReadonlyMap<number, number>;
  #maintenance: Effects | undefined;
  #protected: ReadonlyMap<number, readonly string[]> | undefined;
  #transitions: ReadonlyMap<number, ReadonlySet<string>> | undefined;

  constructor(snapshot: Snapshot, policy: ReachPolicy) {
    this.snapshot = snapshot;
    this.classes = policy.classes;
    this.derived = policy.derived ?? new Map();
    this.#marked = policy.marked ?? NO_LEDGERS;
    this.members = findMembers(snapshot, policy.classes, policy.derived);
    this.functions = new FunctionEffects(policy.classes, policy.trustedFunctions, this.#memo, (fn) => this.#routine(fn), (ledger) => this.#shown(ledger, `the server's ${ledger}`));
    this.types = new TypeEffects(snapshot, this.functions, this.#memo);
    this.#toastOwners = new Map([...snapshot.relations.values()].flatMap((relation) => (relation.toast === 0 ? [] : [[relation.toast, relation.oid] as const])));
  }

  /** Subject keys of a relation; a view has those of its columns that are keys of what it reads. RowDescription tells table oid and attribute number of a column. */
  keysOf(oid: number): readonly SubjectKey[] {
    const declared = this.members.subjects.get(oid);
    if (declared !== undefined) return declared;
    let keys = this.#viewKeys.get(oid);
    if (keys === undefined) {
      // A view in terms of itself ends here.
      this.#viewKeys.set(oid, []);
      keys = this.#findViewKeys(oid);
      this.#viewKeys.set(oid, keys);
    }
    return keys;
  }

  #findViewKeys(oid: number): readonly SubjectKey[] {
    const relation = this.snapshot.relations.get(oid);
    if (relation === undefined || (relation.kind !== 'v' && relation.kind !== 'm')) return [];
    const [rule, ...others] = this.#rules(relation, '1');
    const [facts, ...more] = (rule === undefined || others.length > 0 ? undefined : this.#factsOf(rule)) ?? [];
    return facts === undefined || more.length > 0 ? [] : viewKeys(oid, facts, this.snapshot, (source) => this.keysOf(source));
  }

  /** Every relation that gives rows of a class, by oid. A RowDescription that names one of them where the verdict lacks the class overrides the verdict. */
  get protectedOids(): ReadonlyMap<number, readonly string[]> {
    if (this.#protected === undefined) {
      const found = new Map<number, readonly string[]>();
      for (const oid of this.snapshot.relations.keys()) {
        const effects = this.readEffects(oid);
        const names = effects.opaque.length > 0 ? this.classes.map((cls) => cls.name) : [...effects.classes.keys()];
        if (names.length > 0) found.set(oid, names.sort());
      }
      this.#protected = found;
    }
    return this.#protected;
  }

  /** What reading the relation once can give. */
  readEffects(oid: number): Effects {
    const relation = this.snapshot.relations.get(oid);
    if (relation === undefined) return NO_EFFECTS;
    return this.#memo.of('r', oid, () => (oid < FIRST_USER_OID ? this.#systemRead(relation) : this.#userRead(relation)));
  }

  /** Names of transition tables, by the function that the trigger runs. */
  get #transitionTables(): ReadonlyMap<number, ReadonlySet<string>> {
    if (this.#transitions === undefined) {
      const names = new Map<number, Set<string>>();
      for (const trigger of [...this.snapshot.triggers.values()].flat()) {
        for (const name of trigger.tables ?? []) names.set(trigger.function, (names.get(trigger.function) ?? new Set()).add(name));
      }
      this.#transitions = names;
    }
    return this.#transitions;
  }

  /** What the block of a DO does in a session with this search path. */
  blockEffects(body: RoutineBody, path: SearchPath): Effects {
    return bodyEffects(body, 'the DO block', this, path);
  }

  /** What calling a routine in SQL or PL/pgSQL runs, or an aggregate made of such. Names without a schema mean what any schema holds, since callers set the path. */
  #routine(fn: FunctionRow): Effects | undefined {
    const name = `function ${qualifiedName(fn)}`;
    if (fn.parts !== undefined) {
      const tally = new Tally();
      for (const part of fn.parts) tally.add(this.types.effectsByTheWay(part), 1);
      for (const state of fn.states ?? []) tally.touch(this.types.valueEffects(state), 1);
      return byWayOf({ ...tally.toEffects(), impure: true }, name);
    }
    const body = fn.definition === undefined ? undefined : this.snapshot.bodies.get(fn.definition);
    if (body === undefined) return undefined;
    const effects = byWayOf(bodyEffects(body, name, this, undefined, this.#transitionTables.get(fn.oid)), name);
    // What says of itself that it changes nothing may be called again wherever its value stands: sub-selects and functions in SQL are put in the place of their names.
    return fn.volatility === 'v' ? { ...effects, volatile: true } : manyTimes(effects);
  }

  #systemRead(relation: RelationRow): Effects {
    const tally = new Tally();
    const oids = new Set([relation.oid]);
    const kind = systemRelation(relation.schema, relation.name);
    switch (kind) {
      case 'statistics':
      case 'counters':
      case 'locks':
        tally.add({ ...this.#shown(kind, qualifiedName(relation)), oids }, 1);
        break;
      case 'closed':
        tally.add({ ...opaqueEffects(`${qualifiedName(relation)} holds large objects or credentials`), oids }, 1);
        break;
      case 'server_files':
        tally.add({ ...opaqueEffects(`${qualifiedName(relation)} shows files of the server`, 'server_files'), oids }, 1);
        break;
      case 'free':
        break;
    }
    // The policy may name system relations itself.
    tally.touch(this.#membership(relation), 1);
    return this.#finish(tally, oids, this.members.classesOf.get(relation.oid));
  }

  /** `statistics`: sampled values of any column of any class, many in one array. The books of the server say anything of any class, also of another database's, once they are marked. */
  #shown(kind: 'statistics' | Ledger, by: string): Effects {
    const names = kind === 'statistics' ? this.members.present : this.#marked.has(kind) ? this.classes.map(({ name }) => name) : [];
    const effect: ClassEffect = { width: 1, calls: 0, packs: true, aggregated: true, relations: new Set([by]) };
    return { ...NO_EFFECTS, categories: new Set(['statistics']), classes: new Map([...names].map((name) => [name, effect])) };
  }

  #userRead(relation: RelationRow): Effects {
    const tally = new Tally();
    const oids = new Set<number>([relation.oid]);
    const holds = new Set<string>(this.members.classesOf.get(relation.oid));
    tally.touch(this.#membership(relation), 1);
    for (const { className, width } of this.#copied(relation)) tally.widen(className, width);

    // Reading a parent reads its children, each row of them once. `FROM ONLY` is not told apart: that over-charges.
    for (const child of closure(relation.oid, this.snapshot.children)) {
      if (child === relation.oid) continue;
      oids.add(child);
      const row = this.snapshot.relations.get(child);
      if (row === undefined) continue;
      for (const name of this.members.classesOf.get(child) ?? []) holds.add(name);
      if (this.members.classesOf.has(child)) tally.touch(this.#membership(row, !this.members.classesOf.has(relation.oid)), 1);
      if (row.kind === 'f' && !this.members.classesOf.has(child)) tally.refuse(`foreign table ${qualifiedName(row)} is not in a class`, 'remote');
    }
    if (relation.kind === 'f' && !this.members.classesOf.has(relation.oid)) tally.refuse(`foreign table ${qualifiedName(relation)} is not in a class`, 'remote');
    const owner = this.#toastOwners.get(relation.oid);
    if (owner !== undefined) tally.add(packed(this.readEffects(owner)), 1); // Chunks of values, without their rows.
    if (relation.kind === 'v' || relation.kind === 'm') for (const rule of this.#rules(relation, '1')) tally.add(this.#body(relation, rule), 1);

    // Row security policies and virtual generated columns run with every read. A policy only decides which rows are seen, so it adds no width.
    for (const dependency of this.snapshot.dependencies.read.get(relation.oid) ?? []) {
      tally.touch(dependency.target === 'relation' ? this.readEffects(dependency.oid) : this.types.dependencyEffects(dependency), 1);
    }
    return this.#finish(tally, oids, holds);
  }

  /** `holds`: classes whose rows the relation gives by itself. That is one reference, whatever a view's text adds. */
  #finish(tally: Tally, oids: ReadonlySet<number>, holds: ReadonlySet<string> | undefined): Effects {
    const effects = tally.toEffects();
    const classes = new Map([...effects.classes].map(([name, effect]) => [name, holds?.has(name) === true ? { ...effect, width: Math.max(1, effect.width) } : effect]));
    return { ...effects, classes, oids: new Set([...effects.oids, ...oids]) };
  }

  /** The relation's own membership: width 0, to be raised to 1 by #finish. */
  #membership(relation: RelationRow, named = true): Effects {
    const names = this.members.classesOf.get(relation.oid);
    if (names === undefined) return NO_EFFECTS;
    const effect: ClassEffect = { width: 0, calls: 0, packs: false, aggregated: false, relations: new Set(named ? [qualifiedName(relation)] : []) };
    const packed = new Set(this.#copied(relation).flatMap(({ className, packs }) => (packs ? [className] : [])));
    return { ...NO_EFFECTS, classes: new Map([...names].map((name) => [name, packed.has(name) ? { ...effect, packs: true, aggregated: true } : effect])) };
  }

  #copied(relation: RelationRow): readonly DerivedClass[] {
    const names = this.members.classesOf.get(relation.oid);
    return (this.derived.get(relation.oid) ?? []).filter(({ className }) => names?.has(className) === true);
  }

  #rules(relation: RelationRow, select: '1' | 'other'): readonly RuleRow[] {
    return (this.snapshot.rules.get(relation.oid) ?? []).filter((rule) => (rule.event === '1') === (select === '1'));
  }

  /** What one evaluation of a view's query gives: by its text, and by pg_depend, whichever says more. */
  #body(relation: RelationRow, rule: RuleRow): Effects {
    const tally = new Tally();
    const statements = this.#factsOf(rule);
    if (statements === undefined) {
      tally.refuse(`the definition of ${qualifiedName(relation)} is not understood`);
    } else {
      for (const facts of statements) {
        const told = tallyStatement(facts, this, { searchPath: EMPTY_PATH, local: undefined });
        tally.add(told.tally.toEffects(), 1);
        // CREATE VIEW ... FOR UPDATE locks what it reads.
        if (told.tally.classes.size > 0 && facts.locks?.length) tally.touch({ ...NO_EFFECTS, copies: new Set(markedOids(facts, told.uses, this)) }, 1);
        tally.sink ||= (facts.draws ?? 0) > 1;
      }
    }
    const read = tally.toEffects();
    for (const dependency of this.snapshot.dependencies.rule.get(rule.oid) ?? []) {
      if (dependency.target !== 'relation') {
        tally.touch(this.types.dependencyEffects(dependency), 1);
        continue;
      }
      // A relation whose classes the text does not show: charge it as if it were packed, since we do not know how it is used.
      const effects = packed(this.readEffects(dependency.oid));
      const unseen = new Map([...effects.classes].filter(([name]) => !read.classes.has(name)));
      const unseenReasons = effects.opaque.filter((reason) => !read.opaque.includes(reason));
      tally.add({ ...effects, classes: unseen, opaque: unseenReasons }, 1);
    }
    return tally.toEffects();
  }

  /** The query of a view; undefined if it is not understood. */
  viewStatements(oid: number): readonly StatementFacts[] | undefined {
    const rule = (this.snapshot.rules.get(oid) ?? []).find(({ event }) => event === '1');
    return rule === undefined ? undefined : this.#factsOf(rule);
  }

  #factsOf(rule: RuleRow): readonly StatementFacts[] | undefined {
    const analysis = rule.text === null ? undefined : this.snapshot.analyses.get(rule.text);
    return analysis?.kind === 'statements' ? analysis.statements : undefined;
  }

  /**
   * What the server runs by itself when the relation is written to: triggers, defaults, checks, index expressions and rules, here and on what the write
   * goes on to (children, the tables under a view, tables with a cascading foreign key).
   */
  writeEffects(oid: number): Effects {
    return this.#memo.of('w', oid, () => this.#write(oid));
  }

  #write(oid: number): Effects {
    const tally = new Tally();
    const copies = new Set<number>();
    const stores = new Set<number>();
    let feedsRow = false;
    const sameRow = this.#sameRow(oid);
    for (const touched of this.#touchedByWrite(oid)) {
      const relation = this.snapshot.relations.get(touched);
      for (const trigger of this.snapshot.triggers.get(touched) ?? []) {
        const told = this.types.functionEffects(trigger.function);
        const effects = sameRow.has(touched) ? told : manyTimes(told);
        tally.touch(byWayOf(effects, `trigger ${trigger.name} on ${relation === undefined ? touched : qualifiedName(relation)}`), 1);
        for (const oid of effects.copies) copies.add(oid);
        for (const oid of effects.stores) stores.add(oid);
        if (effects.feedsRow) copies.add(touched);
        feedsRow ||= effects.feedsRow;
      }
      for (const dependency of this.snapshot.dependencies.write.get(touched) ?? []) tally.touch(this.types.dependencyEffects(dependency), 1);
      for (const dependency of [...(this.snapshot.dependencies.fill.get(touched) ?? []), ...(this.snapshot.dependencies.place.get(touched) ?? [])]) {
        const effects = this.types.dependencyEffects(dependency);
        tally.touch(effects, 1);
        // What the function has read of a class stays in the row, or decides where the row lies and whether it stays.
        if (effects.classes.size > 0 || effects.opaque.length > 0) copies.add(touched);
      }
      for (const type of this.snapshot.columns.get(touched)?.types ?? []) tally.touch(this.types.typeEffects(type), 1);
      for (const key of this.snapshot.references.get(touched) ?? []) tally.touch(this.#askedBy(key), 1);
      if (relation !== undefined) for (const rule of this.#rules(relation, 'other')) for (const oid of this.#addRule(tally, relation, rule)) copies.add(oid);
    }
    // Triggers are given the row that is written: what it holds is for the statement to tell, unless one of them puts in what it has read.
    return { ...tally.toEffects(), copies: feedsRow ? new Set([...copies, ...stores]) : copies, stores, feedsRow: false };
  }

  /**
   * What ANALYZE, VACUUM, REINDEX, CLUSTER and ALTER TABLE run on the rows that are there: index expressions, checks, generated columns, domains' checks.
   * Undefined: of any relation.
   */
  maintenanceEffects(oid: number | undefined): Effects {
    if (oid === undefined) {
      this.#maintenance ??= this.#maintain([...this.snapshot.dependencies.write.keys(), ...this.snapshot.dependencies.place.keys(), ...this.snapshot.dependencies.fill.keys(), ...this.snapshot.dependencies.maintain.keys()]);
      return this.#maintenance;
    }
    return this.#memo.of('m', oid, () => this.#maintain([...closure(oid, this.snapshot.children)]));
  }

  #maintain(oids: readonly number[]): Effects {
    const { write, place, fill, maintain } = this.snapshot.dependencies;
    const tally = new Tally();
    for (const oid of oids) {
      for (const dependency of [...(write.get(oid) ?? []), ...(place.get(oid) ?? []), ...(fill.get(oid) ?? []), ...(maintain.get(oid) ?? [])]) tally.touch(this.types.dependencyEffects(dependency), 1);
      for (const type of this.snapshot.columns.get(oid)?.types ?? []) tally.touch(this.types.typeEffects(type), 1);
    }
    return { ...tally.toEffects(), copies: NO_EFFECTS.copies, stores: NO_EFFECTS.stores };
  }

  /** A foreign key says whether there is such a row. Of subject keys that tells nothing, as a rule: they are numbers. Of anything else it is a question about somebody. */
  #askedBy({ referenced, columns }: ForeignKeyRow): Effects {
    const relation = this.snapshot.relations.get(referenced);
    const keys = this.members.subjects.get(referenced);
    if (relation === undefined || keys === undefined || keys.some((key) => columns.every((column) => key.columns.includes(column)))) return NO_EFFECTS;
    return this.#membership(relation);
  }

  /** Where one row goes that is written: to a partition, to the table under a view. Rules, and foreign keys that cascade, lead to any number of rows. */
  #sameRow(oid: number): ReadonlySet<number> {
    const same = new Set([oid]);
    for (const current of same) {
      for (const next of this.snapshot.children.get(current) ?? []) same.add(next);
      const [view, ...others] = this.snapshot.rules.get(current) ?? [];
      if (view?.event !== '1' || others.length > 0) continue;
      for (const dependency of this.snapshot.dependencies.rule.get(view.oid) ?? []) if (dependency.target === 'relation') same.add(dependency.oid);
    }
    return same;
  }

  #touchedByWrite(oid: number): ReadonlySet<number> {
    const touched = new Set([oid]);
    for (const current of touched) {
      for (const next of this.snapshot.children.get(current) ?? []) touched.add(next);
      for (const { referencing } of this.snapshot.cascades.get(current) ?? []) touched.add(referencing);
      for (const rule of this.snapshot.rules.get(current) ?? []) {
        for (const dependency of this.snapshot.dependencies.rule.get(rule.oid) ?? []) if (dependency.target === 'relation') touched.add(dependency.oid);
      }
    }
    return touched;
  }

  /** ON INSERT, UPDATE and DELETE rules put their actions in the place of the statement, or beside it. Returns where they put what they have of a class. */
  #addRule(tally: Tally, relation: RelationRow, rule: RuleRow): readonly number[] {
    const statements = this.#factsOf(rule);
    if (statements === undefined) {
      tally.refuse(`a rule of ${qualifiedName(relation)} is not understood`);
      return [];
    }
    // The actions are not told apart here: any relation may feed any other.
    let touchesClass = this.members.classesOf.has(relation.oid) && rule.event !== '3';
    let leaves = false;
    for (const dependency of this.snapshot.dependencies.rule.get(rule.oid) ?? []) {
      const effects = dependency.target === 'relation' ? packed(this.readEffects(dependency.oid)) : this.types.dependencyEffects(dependency);
      tally.add(effects, 1);
      touchesClass ||= effects.classes.size > 0;
      leaves ||= dependency.target === 'relation' && !this.members.classesOf.has(dependency.oid);
    }
    for (const facts of statements) {
      tally.sink ||= (facts.draws ?? 0) > 1;
      tally.locksByName ||= facts.locksByName === true;
      for (const use of facts.functions) for (const fn of this.snapshot.functionsByName.get(use.name) ?? []) {
        if (use.schema === undefined ? fn.schema === 'pg_catalog' : fn.schema === use.schema) tally.add(this.functions.of(fn).effects, 1);
      }
    }
    if (!touchesClass || !leaves) return [];
    tally.touch({ ...NO_EFFECTS, categories: new Set(['derived_copy']) }, 1);
    const targets = statements.flatMap((facts) => facts.relations.filter(({ mode }) => mode === 'write').flatMap((use) => resolveRelations(this.snapshot, use, EMPTY_PATH)));
    return targets.flatMap(({ oid }) => (this.members.classesOf.has(oid) ? [] : [oid]));
  }
}

function packed(effects: Effects): Effects {
  return { ...effects, classes: new Map([...effects.classes].map(([name, effect]) => [name, { ...effect, packs: true }])) };
}
