import type { StatementFacts } from '../sql/facts.ts';
import { willBeMember } from './class-members.ts';
import { saturate, SINK, type Tally } from './effects.ts';
import type { ReachIndex } from './reach-index.ts';
import type { ClassReach, DenyCategory, LocalRelation, ResolvedReach, SearchPath } from './reach-types.ts';
import { readings, rekeys } from './rekeys.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { namesOf, tallyStatement } from './statement-tally.ts';

export interface ReachContext {
  readonly index: ReachIndex;
  readonly searchPath: SearchPath;
  /** Relations that the session made in its open transaction. */
  readonly local?: readonly LocalRelation[];
}

/** Statements that give rows or a setting back and change nothing. */
const READING_KINDS: ReadonlySet<StatementFacts['kind']> = new Set(['select', 'values', 'show', 'copy_to', 'explain', 'declare_cursor', 'fetch', 'move', 'close_cursor']);

/** What a statement reaches. Pure: equal facts, index and path give an equal answer. */
export function reach(facts: StatementFacts, context: ReachContext): ResolvedReach {
  const { index } = context;
  const { tally, uses } = tallyStatement(facts, index, { searchPath: context.searchPath, local: context.local });

  // These reach past the catalog, so they may touch anything. Their own category is enough to refuse them.
  for (const category of facts.categories) {
    if (category === 'server_files' || category === 'remote' || category === 'replication') tally.refuse(`the statement is of the kind ${category}`, category);
  }
  const opaque = [...tally.opaque];
  const classes = opaque.length > 0 ? everyClass(tally, index) : reachedClasses(tally);
  const categories = new Set<DenyCategory>([...facts.categories, ...tally.categories]);
  if (classes.length > 0) {
    if (derivesCopy(facts, tally, uses, context)) categories.add('derived_copy');
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
    sink: tally.sink || tally.copies.has(SINK),
    opensCursors: tally.opensCursors,
    rekeys: classes.length > 0 && rekeys(facts, tally, uses, index),
    readOnly: opaque.length === 0 && READING_KINDS.has(facts.kind) && !facts.modifies && !facts.changesCatalog && !tally.volatile && !tally.sink && tally.copies.size === 0 && tally.stores.size === 0,
    pure: opaque.length === 0 && !tally.impure,
    misses: [...tally.misses],
  };
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

/**
 * Whether rows of a class can end up where the class does not reach, or in another shape than the class is metered in. Writing a value that the client sent into
 * a class is no copy; feeding a class from itself is one as soon as a row can take in more than one other row, since doing so again and again packs.
 */
function derivesCopy(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], { index }: ReachContext): boolean {
  if (tally.categories.has('derived_copy') || tally.sink) return true;
  if ([...tally.copies].some((oid) => !isMemberOfAll(oid, tally, index))) return true;
  if (facts.kind === 'refresh_matview' || facts.kind === 'truncate') return false;
  const reshapes = (className: string, width: number): boolean => {
    const effect = tally.classes.get(className);
    if (tally.packs || tally.aggregated || tally.calls > 0 || facts.updatesOnConflict || width > 1) return true;
    return effect !== undefined && (effect.packs || effect.aggregated || effect.calls > 0 || readings(uses, index, className) > 1);
  };
  if (facts.derives) {
    const inside = facts.defines.length > 0 && tally.opaque.size === 0 && [...tally.classes].every(([name, effect]) => {
      const cls = index.classes.find((candidate) => candidate.name === name);
      return cls !== undefined && !reshapes(name, effect.width) && facts.defines.every((made) => made.schema !== undefined && willBeMember(cls, made.schema, made.name));
    });
    return !inside;
  }
  // ALTER, RENAME, ATTACH, INHERIT: the relation may leave the class, or another enter it.
  if (facts.defines.length > 0) return true;

  const targets = uses.filter(({ use }) => use.mode === 'write');
  if (targets.length === 0 || (facts.kind === 'delete' && targets.length === 1)) return false;
  if (tally.opaque.size > 0) return true;
  return [...tally.classes].some(([name, effect]) => {
    // A target that is not read gives rows back all the same (RETURNING, ON CONFLICT), and they may feed another target.
    if (effect.width === 0 && targets.length === 1) return false;
    const outside = targets.some(({ relations }) => relations.length === 0 || relations.some((relation) => {
      const isMember = index.members.classesOf.get(relation.oid)?.has(name) === true;
      return !isMember && !(relation.kind === 'v' && index.readEffects(relation.oid).classes.has(name));
    }));
    return outside || reshapes(name, effect.width);
  });
}
