import type { StatementFacts } from '../sql/facts.ts';
import { FIRST_USER_OID, type RelationRow, type RuleRow } from './catalog-rows.ts';
import { type ClassMembers, findMembers, type SubjectKey } from './class-members.ts';
import { type ClassEffect, type Effects, NO_EFFECTS, opaqueEffects, Tally } from './effects.ts';
import { FunctionEffects } from './function-effects.ts';
import type { ClassDefinition } from './reach-types.ts';
import { closure, qualifiedName, type Snapshot } from './snapshot.ts';
import { tallyStatement } from './statement-tally.ts';
import { systemRelation } from './system-relations.ts';
import { TypeEffects } from './type-effects.ts';

export interface ReachPolicy {
  readonly classes: readonly ClassDefinition[];
  /** Functions of users that ops vouch for: `schema.name` or globs. */
  readonly trustedFunctions: readonly string[];
  /** Relations, by oid, that hold a copy of classes' rows: those classes are theirs, whatever their names are by now. */
  readonly derived?: ReadonlyMap<number, readonly string[]>;
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
  readonly #reads = new Map<number, Effects>();
  readonly #writes = new Map<number, Effects>();
  readonly #underWay = new Set<number>();
  readonly #toastOwners: ReadonlyMap<number, number>;
  #protected: ReadonlyMap<number, readonly string[]> | undefined;

  constructor(snapshot: Snapshot, policy: ReachPolicy) {
    this.snapshot = snapshot;
    this.classes = policy.classes;
    this.members = findMembers(snapshot, policy.classes, policy.derived);
    this.functions = new FunctionEffects(policy.classes, policy.trustedFunctions);
    this.types = new TypeEffects(snapshot, this.functions);
    this.#toastOwners = new Map([...snapshot.relations.values()].flatMap((relation) => (relation.toast === 0 ? [] : [[relation.toast, relation.oid] as const])));
  }

  /** Subject keys by table oid, for reading them out of DataRow: RowDescription tells table oid and attribute number of a column. */
  get subjectColumns(): ReadonlyMap<number, readonly SubjectKey[]> {
    return this.members.subjects;
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
    const known = this.#reads.get(oid);
    if (known !== undefined) return known;
    const relation = this.snapshot.relations.get(oid);
    if (relation === undefined) return NO_EFFECTS;
    // The server refuses such views and policies when they are used ("infinite recursion detected").
    if (this.#underWay.has(oid)) return opaqueEffects(`${qualifiedName(relation)} is defined in terms of itself`);
    this.#underWay.add(oid);
    try {
      const effects = oid < FIRST_USER_OID ? this.#systemRead(relation) : this.#userRead(relation);
      this.#reads.set(oid, effects);
      return effects;
    } finally {
      this.#underWay.delete(oid);
    }
  }

  #systemRead(relation: RelationRow): Effects {
    const tally = new Tally();
    const oids = new Set([relation.oid]);
    switch (systemRelation(relation.schema, relation.name)) {
      case 'statistics': {
        // Sampled values of any column of any class, many in one array.
        const effect: ClassEffect = { width: 1, calls: 0, packs: true, aggregated: true, relations: new Set([qualifiedName(relation)]) };
        tally.add({ ...NO_EFFECTS, oids, classes: new Map([...this.members.present].map((name) => [name, effect])) }, 1);
        break;
      }
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

  #userRead(relation: RelationRow): Effects {
    const tally = new Tally();
    const oids = new Set<number>([relation.oid]);
    const holds = new Set<string>(this.members.classesOf.get(relation.oid));
    tally.touch(this.#membership(relation), 1);

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
    return { ...NO_EFFECTS, classes: new Map([...names].map((name) => [name, effect])) };
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
      for (const facts of statements) tally.add(tallyStatement(facts, this, { searchPath: EMPTY_PATH, local: undefined }).tally.toEffects(), 1);
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

  #factsOf(rule: RuleRow): readonly StatementFacts[] | undefined {
    const analysis = rule.text === null ? undefined : this.snapshot.analyses.get(rule.text);
    return analysis?.kind === 'statements' ? analysis.statements : undefined;
  }

  /**
   * What the server runs by itself when the relation is written to: triggers, defaults, checks, index expressions and rules, here and on what the write
   * goes on to (children, the tables under a view, tables with a cascading foreign key).
   */
  writeEffects(oid: number): Effects {
    const known = this.#writes.get(oid);
    if (known !== undefined) return known;
    const tally = new Tally();
    for (const touched of this.#touchedByWrite(oid)) {
      for (const fn of this.snapshot.triggers.get(touched) ?? []) tally.touch(this.types.functionEffects(fn), 1);
      for (const dependency of this.snapshot.dependencies.write.get(touched) ?? []) tally.touch(this.types.dependencyEffects(dependency), 1);
      for (const type of this.snapshot.columns.get(touched)?.types ?? []) tally.touch(this.types.typeEffects(type), 1);
      const relation = this.snapshot.relations.get(touched);
      if (relation !== undefined) for (const rule of this.#rules(relation, 'other')) this.#addRule(tally, relation, rule);
    }
    const effects = tally.toEffects();
    this.#writes.set(oid, effects);
    return effects;
  }

  #touchedByWrite(oid: number): ReadonlySet<number> {
    const touched = new Set([oid]);
    for (const current of touched) {
      for (const next of this.snapshot.children.get(current) ?? []) touched.add(next);
      for (const next of this.snapshot.cascades.get(current) ?? []) touched.add(next);
      for (const rule of this.snapshot.rules.get(current) ?? []) {
        for (const dependency of this.snapshot.dependencies.rule.get(rule.oid) ?? []) if (dependency.target === 'relation') touched.add(dependency.oid);
      }
    }
    return touched;
  }

  /** ON INSERT, UPDATE and DELETE rules put their actions in the place of the statement, or beside it. */
  #addRule(tally: Tally, relation: RelationRow, rule: RuleRow): void {
    const statements = this.#factsOf(rule);
    if (statements === undefined) {
      tally.refuse(`a rule of ${qualifiedName(relation)} is not understood`);
      return;
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
      for (const use of facts.functions) for (const fn of this.snapshot.functionsByName.get(use.name) ?? []) {
        if (use.schema === undefined ? fn.schema === 'pg_catalog' : fn.schema === use.schema) tally.add(this.functions.of(fn).effects, 1);
      }
    }
    if (touchesClass && leaves) tally.touch({ ...NO_EFFECTS, categories: new Set(['derived_copy']) }, 1);
  }
}

function packed(effects: Effects): Effects {
  return { ...effects, classes: new Map([...effects.classes].map(([name, effect]) => [name, { ...effect, packs: true }])) };
}
