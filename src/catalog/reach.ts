import type { StatementFacts } from '../sql/facts.ts';
import { attachedBy } from './attached.ts';
import { MOST_COUNTERS, NO_TRACES, type BookTraces } from './bookkeeping.ts';
import { willBeMember } from './class-members.ts';
import { drivenCounters } from './driven-counters.ts';
import { saturate, SINK, Tally } from './effects.ts';
import { asideBytes } from './told-aside.ts';
import { marksOf, marksOutside, storedUnder, type Mark } from './marks.ts';
import { addsPlainColumns, isOfOnePerson, mostRowsOf, tellsOfOnePerson } from './proofs.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ClassReach, CopyTargets, DenyCategory, LocalRelation, ResolvedReach, SearchPath } from './reach-types.ts';
import { readings, rekeys } from './rekeys.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { namesOf, tallyStatement } from './statement-tally.ts';

export interface ReachContext {
  readonly index: ReachIndex;
  readonly searchPath: SearchPath;
  /** Relations that the session made in its open transaction. */
  readonly local?: readonly LocalRelation[];
  /** It has changed definitions there: they may be others than the catalog's. */
  readonly redefined?: boolean;
}

/** Statements that give rows or a setting back and change nothing. */
const READING_KINDS: ReadonlySet<StatementFacts['kind']> = new Set(['select', 'values', 'show', 'copy_to', 'explain', 'declare_cursor', 'fetch', 'move', 'close_cursor']);

/** What a statement reaches. Pure: equal facts, index and path give an equal answer. */
export function reach(facts: StatementFacts, context: ReachContext): ResolvedReach {
  const { index } = context;
  const { tally, uses } = tallyStatement(facts, index, { searchPath: context.searchPath, local: context.local, redefined: context.redefined === true });

  // These reach past the catalog, so they may touch anything. Their own category is enough to refuse them.
  for (const category of facts.categories) {
    if (category === 'server_files' || category === 'remote' || category === 'replication') tally.refuse(`the statement is of the kind ${category}`, category);
  }
  if ((facts.draws ?? 0) > 1 && [...tally.classes].some(([name, { width }]) => width > 0 && !tellsOfOnePerson(name, facts, tally, uses, index))) tally.sink = true;
  // A trigger that notifies of the row that is changed tells of one person, who is paid for; of a row that comes from the client, of nobody.
  const brings = (facts.kind === 'insert' && !facts.updatesOnConflict) || facts.kind === 'copy_from';
  const tellsOfOne = !tally.sink && tally.copies.has(SINK) && !tally.ownCopies.has(SINK)
    && [...tally.classes].every(([name, { width }]) => (brings && width === 0) || tellsOfOnePerson(name, facts, tally, uses, index));
  const copied = tellsOfOne ? new Set([...tally.copies].filter((oid) => oid !== SINK)) : tally.copies;
  const opaque = [...tally.opaque];
  const marks = marksOf(facts, uses, index);
  const classes = opaque.length > 0 ? everyClass(tally, index) : reachedClasses(tally).map((cls) => withProofs(cls, facts, tally, uses, index));
  const categories = new Set<DenyCategory>([...facts.categories, ...tally.categories]);
  let copies: CopyTargets | undefined;
  if (classes.length > 0) {
    const kind = copyKind(facts, tally, uses, marks, copied, context);
    if (kind !== 'none') {
      categories.add('derived_copy');
      copies = copyTargets(kind, classes, facts, tally, uses, marks, index);
    }
    if (classes.some((cls) => cls.packs)) categories.add('packing');
  } else if (categories.has('derived_copy')) {
    categories.delete('derived_copy');
  }
  return {
    classes,
    opaque,
    categories,
    relations: namesOf(uses),
    oids: tally.oids,
    sink: tally.sink || copied.has(SINK),
    copies,
    opensCursors: tally.opensCursors,
    traces: classes.length > 0 ? tracesOf(facts, tally, uses, context) : NO_TRACES,
    asideBytes: classes.length > 0 ? asideBytes(facts, tally, uses, index, context.searchPath) : 0,
    runsAtParse: classes.length > 0 && tally.makesValues,
    attached: facts.changesCatalog ? attachedBy(facts, tally, uses, index, context.searchPath) : undefined,
    rekeys: classes.length > 0 && rekeys(facts, tally, uses, index),
    readOnly: opaque.length === 0 && READING_KINDS.has(facts.kind) && !facts.modifies && !facts.changesCatalog && !tally.volatile && !tally.sink && tally.copies.size === 0 && tally.stores.size === 0,
    pure: opaque.length === 0 && !tally.impure,
    misses: [...tally.misses],
  };
}

/** What making values of these types runs: types of parameters, which no text names. Undefined if nothing that reaches a class. */
export function valuesReach(types: readonly number[], index: ReachIndex): { readonly classNames: readonly string[]; readonly missed: boolean } | undefined {
  const tally = new Tally();
  for (const oid of types) {
    if (index.snapshot.types.has(oid)) tally.touch(index.types.valueEffects(oid), 1);
    else tally.miss(`type ${oid}`);
  }
  if (tally.opaque.size > 0) return { classNames: index.classes.map(({ name }) => name), missed: tally.misses.size > 0 };
  return tally.classes.size === 0 ? undefined : { classNames: [...tally.classes.keys()], missed: false };
}

function tracesOf(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], { index, searchPath }: ReachContext): BookTraces {
  const counters = drivenCounters(facts, tally, uses, index, searchPath);
  // Code locks what it reads when it comes to it, and may come to some of it alone: all that a plain query names is locked before it begins.
  const locks = tally.locksByName || tally.categories.has('opaque') || (tally.impure && counters > MOST_COUNTERS);
  return { counters, locks };
}

function classReach(className: string, tally: Tally, opaque: boolean): ClassReach {
  const effect = tally.classes.get(className);
  const calls = saturate(tally.calls + (effect?.calls ?? 0));
  return {
    className,
    width: Math.max(1, saturate((effect?.width ?? 0) + Math.max(0, calls - (tally.freeCall || (effect?.calls ?? 0) > 0 ? 1 : 0)))),
    calls,
    packs: opaque || tally.packs || effect?.packs === true,
    aggregated: tally.aggregated || effect?.aggregated === true,
    relations: effect === undefined ? [] : [...effect.names.values].sort(),
  };
}

/** What makes packing and adding up cheaper, where the text and the catalog prove it. */
function withProofs(cls: ClassReach, facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): ClassReach {
  const onePerson = cls.packs && isOfOnePerson(cls.className, facts, tally, uses, index);
  const plainSums = cls.aggregated && tally.classes.get(cls.className)?.aggregated !== true && addsPlainColumns(cls.className, facts, uses, index);
  const mostRows = cls.packs || cls.aggregated ? mostRowsOf(cls.className, facts, tally, uses, index) : undefined;
  return onePerson || plainSums || mostRows !== undefined ? { ...cls, onePerson, plainSums, mostRows } : cls;
}

function reachedClasses(tally: Tally): readonly ClassReach[] {
  if (tally.classes.size === 0) return [];
  return [...tally.classes.keys()].sort().map((name) => classReach(name, tally, false));
}

function everyClass(tally: Tally, index: ReachIndex): readonly ClassReach[] {
  return index.classes.map((cls) => cls.name).sort().map((name) => classReach(name, tally, true));
}

function isMemberOfAll(oid: number, tally: Tally, index: ReachIndex): boolean {
  const classes = index.members.classesOf.get(oid);
  return classes !== undefined && [...tally.classes.keys()].every((name) => classes.has(name));
}

type CopyKind =
  | 'none'
  /** Rows end up where the class does not reach, or under another name. */
  | 'outside'
  /** They stay in the class, in another shape than it is metered in. */
  | 'reshaped';

/** Whether a row that is made or changed can take in more of the class than one row of it. */
function reshapes(className: string, width: number, facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex): boolean {
  const effect = tally.classes.get(className);
  if (tally.packs || tally.aggregated || tally.calls > 0 || facts.updatesOnConflict || width > 1) return true;
  return effect !== undefined && (effect.packs || effect.aggregated || effect.calls > 0 || readings(uses, index, className) > 1);
}

/**
 * Whether rows of a class can end up where the class does not reach, or in another shape than the class is metered in. Writing a value that the client sent into
 * a class is no copy; feeding a class from itself is one as soon as a row can take in more than one other row, since doing so again and again packs.
 */
function copyKind(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], marks: readonly Mark[], copied: ReadonlySet<number>, { index }: ReachContext): CopyKind {
  if (tally.categories.has('derived_copy') || tally.sink) return 'outside';
  // Code that cannot be told may write anywhere. A name that is merely not there may not.
  if (tally.categories.has('opaque') && tally.opaque.size > tally.misses.size) return 'outside';
  if ([...copied].some((oid) => !isMemberOfAll(oid, tally, index))) return 'outside';
  if (facts.kind === 'refresh_matview' || facts.kind === 'truncate') return 'none';
  if (facts.derives) {
    const inside = facts.defines.length > 0 && tally.opaque.size === 0 && [...tally.classes].every(([name, effect]) => {
      const cls = index.classes.find((candidate) => candidate.name === name);
      return cls !== undefined && !reshapes(name, effect.width, facts, tally, uses, index) && facts.defines.every((made) => made.schema !== undefined && willBeMember(cls, made.schema, made.name));
    });
    return inside ? 'none' : 'outside';
  }
  // ALTER, RENAME, ATTACH, INHERIT: the relation may leave the class, or another enter it.
  if (facts.defines.length > 0) return 'outside';

  const targets = uses.filter(({ use }) => use.mode === 'write');
  if (POLICIES.has(facts.node)) return [...tally.classes.values()].some(({ width }) => width > 0) ? 'outside' : 'none';
  if (targets.length === 0 && marks.length === 0) return 'none';
  if (tally.opaque.size > 0) return 'outside';
  const onlyMarks = targets.length === 0 || (facts.kind === 'delete' && targets.length === 1);
  let kind: CopyKind = 'none';
  for (const [name, effect] of tally.classes) {
    // A target that is not read gives rows back all the same (RETURNING, ON CONFLICT), and they may feed another target.
    if (effect.width === 0 && targets.length <= 1) continue;
    if (marksOutside(name, marks, facts, tally, uses, index)) return 'outside';
    if (onlyMarks) continue;
    const outside = targets.some(({ relations }) => relations.length === 0 || relations.some((relation) => {
      const isMember = index.members.classesOf.get(relation.oid)?.has(name) === true;
      return !isMember && !(relation.kind === 'v' && index.readEffects(relation.oid).classes.has(name));
    }));
    if (outside) return 'outside';
    if (reshapes(name, effect.width, facts, tally, uses, index)) kind = 'reshaped';
  }
  return kind;
}

/** A policy over a class decides which rows of its table are seen, and which are changed: as good as a column that says so. */
const POLICIES: ReadonlySet<string> = new Set(['CreatePolicyStmt', 'AlterPolicyStmt']);

/** Statements that give a relation another name; a pattern of the policy may not match it any more. */
const RENAMING: ReadonlySet<string> = new Set(['RenameStmt', 'AlterObjectSchemaStmt']);

function copyTargets(kind: CopyKind, classes: readonly ClassReach[], facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], marks: readonly Mark[], index: ReachIndex): CopyTargets {
  const { declared, classesOf } = index.members;
  const oids = new Set<number>();
  let reshaped = false;
  // Also where rows leave the class at the same time, by a trigger that keeps a log: the class itself must keep its shape.
  const changesRows = kind === 'reshaped' || (facts.kind !== 'delete' && facts.kind !== 'truncate' && facts.kind !== 'refresh_matview'
    && [...tally.classes].some(([name, effect]) => effect.width > 0 && reshapes(name, effect.width, facts, tally, uses, index)));
  const add = (oid: number): void => {
    const relation = index.snapshot.relations.get(oid);
    if (relation?.kind === 'v') for (const stored of storedUnder(relation, index.snapshot)) add(stored.oid);
    const held = classesOf.get(oid);
    const stays = declared.has(oid) && classes.every(({ className }) => held?.has(className) === true) && !RENAMING.has(facts.node);
    if (!stays) oids.add(oid);
    else if (changesRows) reshaped = true;
  };
  const fresh: { readonly schema: string | undefined; readonly name: string }[] = [];
  for (const { use, relations, local } of uses) {
    const named = use.mode === 'write' || (use.mode === 'define' && POLICIES.has(facts.node)) || facts.defines.some((defined) => defined.name === use.name);
    if (named) for (const relation of relations) add(relation.oid);
    // Made in the open transaction: it has an oid that only the session sees yet.
    if (use.mode === 'write' && (local.length > 0 || relations.length === 0)) fresh.push({ schema: use.schema, name: use.name });
  }
  for (const { relations } of marks) for (const { oid } of relations) if (!classes.every(({ className }) => classesOf.get(oid)?.has(className) === true)) oids.add(oid);
  for (const oid of tally.copies) if (oid !== SINK) add(oid);
  // What is altered and keeps its name is known by its oid.
  const names = facts.defines.filter(({ schema, name }) =>
    facts.derives || !uses.some(({ use, relations }) => use.name === name && use.schema === schema && relations.length === 1 && relations[0]?.schema === schema));
  return {
    oids: [...oids],
    names: [...names, ...fresh],
    // What is there already may stay beside what comes.
    classes: classes.map(({ className, width, packs, aggregated }) => ({ className, width, packs: packs || aggregated || tally.storesPacked || facts.updatesOnConflict || facts.kind === 'update' || facts.kind === 'merge' })),
    reshapes: reshaped,
  };
}
