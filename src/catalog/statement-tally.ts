import type { FunctionUse, RelationUse, StatementFacts } from '../sql/facts.ts';
import { FIRST_USER_OID, type TypeRow } from './catalog-rows.ts';
import { byWayOf, manyTimes, NO_EFFECTS, RANDOM, saturate, SEQUENCE, Tally } from './effects.ts';
import { addHidden } from './hidden-code.ts';
import { resolveFunctions, resolveOperators, resolveRelations, resolveTypes } from './names.ts';
import { tellsOfOnePerson } from './proofs.ts';
import type { ReachIndex } from './reach-index.ts';
import type { LocalRelation, SearchPath } from './reach-types.ts';
import { localEffects, type ResolvedUse } from './resolved-use.ts';
import { closure, qualifiedName } from './snapshot.ts';
import { MOST_QUESTIONS, runsOnce } from './repeats.ts';
import { addReadWidths } from './width.ts';

export interface Scope {
  readonly searchPath: SearchPath;
  readonly local: readonly LocalRelation[] | undefined;
  /** Names of transition tables of triggers: the rows are what the statement that fires them gives. */
  readonly given?: ReadonlySet<string>;
  /** Types of the variables that its values may come to stand in. */
  readonly present?: readonly TypeRow[];
  /** Definitions may have become others than the catalog's: it proves nothing. */
  readonly redefined?: boolean;
}

export interface StatementTally {
  readonly tally: Tally;
  readonly uses: readonly ResolvedUse[];
}

const NO_LOCAL: readonly LocalRelation[] = [];

/** Names that CREATE TABLE takes for types and replaces (transformColumnDefinition, parser/parse_utilcmd.c). */
const SERIAL_TYPES = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial']);

/** Functions that take numbers of the session's generator (utils/adt/pseudorandomfuncs.c, arrayfuncs.c); gen_random_uuid does not. */
const DRAWS_RANDOM: ReadonlySet<string> = new Set(['random', 'random_normal', 'array_shuffle', 'array_sample']);

/** Pseudo-types that a whole row can be passed as: any, record, anyelement, anynonarray, anycompatible, anycompatiblenonarray (pg_type.dat). */
const ROW_TAKING_TYPES = new Set([2276, 2249, 2283, 2776, 5077, 5079]);

export function quoted(name: { readonly schema: string | undefined; readonly name: string }): string {
  return name.schema === undefined ? `"${name.name}"` : `"${name.schema}.${name.name}"`;
}

/** Adds up what one statement, or one view's query, names. */
export function tallyStatement(facts: StatementFacts, index: ReachIndex, scope: Scope): StatementTally {
  const tally = new Tally();
  for (const reason of facts.opaque) tally.refuse(reason);
  if (facts.kind === 'do') addBlock(tally, facts, index, scope);
  if (facts.changesCatalog || facts.kind === 'ddl' || facts.kind === 'code') {
    for (const trigger of index.snapshot.eventTriggers) tally.touch(byWayOf(index.types.functionEffects(trigger.function), `event trigger ${trigger.name}`), 1);
  }
  tally.packs = facts.packs;
  tally.aggregated = facts.grouped;
  tally.locksByName = facts.locksByName === true;
  tally.moves = ((facts.draws ?? 0) > 0 ? SEQUENCE : 0) | (facts.functions.some(({ name }) => DRAWS_RANDOM.has(name)) ? RANDOM : 0);

  const uses = facts.relations.map((use) => resolveUse(use, index, scope));
  for (const resolved of uses) addUse(tally, resolved, facts, index, scope);
  if (maintains(facts)) addMaintenance(tally, facts, uses, index);
  addReadWidths(tally, uses, facts.links, index);
  addExpressions(tally, facts, uses, index, scope);
  if (facts.evaluates === true) {
    const kept = new Tally();
    addExpressions(kept, facts, uses, index, scope);
    // Everybody may read what stands in the catalog.
    tally.sink ||= kept.classes.size > 0;
  }
  if (tally.steered.size > 0 && tally.classes.size > 0) steer(tally, facts, uses, index, scope);
  return { tally, uses };
}

/** What code writes tells of what the statement reads: whether it runs at all may hang on that. */
function steer(tally: Tally, facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, scope: Scope): void {
  tally.questions = Math.max(tally.questions, tally.writers);
  if (scope.redefined !== true && tally.questions <= MOST_QUESTIONS && runsOnce(facts, uses, index, scope.searchPath)) return;
  if (![...tally.classes.keys()].every((name) => tellsOfOnePerson(name, facts, tally, uses, index))) tally.repeat();
}

/** What the statement's expressions call. */
function addExpressions(tally: Tally, facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, scope: Scope): void {
  for (const use of facts.functions) addCall(tally, use, index, scope);
  for (const name of facts.attributes) addAttribute(tally, name, facts, index, scope);
  addOperators(tally, facts, index, scope);
  addTypes(tally, facts, index, scope);
  if (index.types.hiddenOperators.length > 0 || index.types.hiddenCasts.length > 0) addHidden(tally, facts, uses, index, scope);
}

const MAINTAINING: ReadonlySet<string> = new Set(['VacuumStmt', 'ReindexStmt', 'ClusterStmt', 'IndexStmt', 'AlterTableStmt', 'AlterDomainStmt']);

export function maintains(facts: StatementFacts): boolean {
  return MAINTAINING.has(facts.node);
}

/** Of a relation that is named, or of all: an index is not in the catalog as we have it. */
function addMaintenance(tally: Tally, facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex): void {
  const relations = uses.flatMap((use) => use.relations);
  for (const { oid } of relations) tally.touch(index.maintenanceEffects(oid), 1);
  // CLUSTER puts rows into the order of an index.
  if (facts.node === 'ClusterStmt') tally.touch({ ...NO_EFFECTS, copies: new Set(sortedByClass(relations.length === 0 ? [...index.snapshot.dependencies.place.keys()] : relations.map(({ oid }) => oid), index)) }, 1);
  if (relations.length === 0 && facts.node !== 'AlterTableStmt') tally.touch(index.maintenanceEffects(undefined), 1);
}

function sortedByClass(oids: readonly number[], index: ReachIndex): readonly number[] {
  return oids.flatMap((oid) => [...closure(oid, index.snapshot.children)]).filter((oid) => {
    const { classes, opaque } = index.maintenanceEffects(oid);
    return classes.size > 0 || opaque.length > 0;
  });
}

function addBlock(tally: Tally, facts: StatementFacts, index: ReachIndex, scope: Scope): void {
  if (facts.body === undefined) tally.refuse('DO runs code that is not read');
  else tally.add(index.blockEffects(facts.body, scope.searchPath), 1);
}

/** What the transaction made under no schema may stand in any. */
function isNamed(made: LocalRelation, use: { readonly schema: string | undefined; readonly name: string }): boolean {
  return made.name === use.name && (use.schema === undefined || made.schema === undefined || made.schema === use.schema || use.schema === 'pg_temp');
}

function resolveUse(use: RelationUse, index: ReachIndex, scope: Scope): ResolvedUse {
  const relations = resolveRelations(index.snapshot, use, scope.searchPath);
  if (scope.local === undefined) return { use, relations, local: NO_LOCAL };
  const local = scope.local.filter((made) => !made.onlyType && isNamed(made, use));
  return { use, relations, local };
}

function addUse(tally: Tally, { use, relations, local }: ResolvedUse, facts: StatementFacts, index: ReachIndex, scope: Scope): void {
  if (relations.length === 0 && local.length === 0) {
    if (use.schema === undefined && scope.given?.has(use.name) === true) return;
    // A name that DDL makes cannot be there yet, and one that DDL only mentions gives no rows; but it may have been made a moment ago.
    const made = facts.defines.some((defined) => defined.name === use.name && defined.schema === use.schema);
    if (made) return;
    if (use.mode === 'define') tally.misses.add(`relation ${quoted(use)}`);
    else tally.miss(`relation ${quoted(use)}`);
    return;
  }
  for (const relation of relations) {
    const effects = index.readEffects(relation.oid);
    if (use.mode === 'define') tally.touch({ ...NO_EFFECTS, classes: effects.classes, oids: effects.oids }, 0);
    else tally.touch(effects, use.times);
    if (use.mode === 'write') tally.touch(index.writeEffects(relation.oid), use.times);
    tally.touch(index.types.valueEffects(relation.rowType), 1);
  }
  for (const made of local) tally.touch(localEffects(made), use.times);
}

/** With OVER these put a value of another row beside the row's own; the others only rank or sum up. */
const VALUE_WINDOWS: ReadonlySet<string> = new Set(['lag', 'lead', 'first_value', 'last_value', 'nth_value', 'max', 'min', 'any_value']);

function addCall(tally: Tally, use: FunctionUse, index: ReachIndex, scope: Scope): void {
  const candidates = resolveFunctions(index.snapshot, use, scope.searchPath);
  let counts = use.window;
  for (const candidate of candidates) {
    const effect = index.functions.of(candidate);
    tally.addFunction(effect, use.times);
    counts ||= effect.aggregate !== 'none' || effect.window;
  }
  if (counts) {
    tally.calls = saturate(tally.calls + use.times);
    if (!(use.window && VALUE_WINDOWS.has(use.name))) tally.freeCall = true;
  }
  if (candidates.length > 0) return;
  // `typename(x)` is a cast where no function has the name (func_get_detail, parser/parse_func.c).
  const { builtin, types } = resolveTypes(index.snapshot, use, scope.searchPath);
  for (const type of types) tally.touch(index.types.typeEffects(type.oid), 1);
  if (!builtin && types.length === 0) tally.miss(`function ${quoted(use)}`);
}

/** `c.json_agg` is `json_agg(c)` where the row has no such column: functions of one argument that takes a row (ParseFuncOrColumn, parser/parse_func.c). */
function addAttribute(tally: Tally, name: string, facts: StatementFacts, index: ReachIndex, scope: Scope): void {
  const named = index.snapshot.functionsByName.get(name);
  if (named === undefined || facts.functions.some((use) => use.name === name)) return;
  for (const candidate of resolveFunctions(index.snapshot, { schema: undefined, name }, scope.searchPath)) {
    const argument = candidate.soleArgument;
    if (argument === null || (!ROW_TAKING_TYPES.has(argument) && argument < FIRST_USER_OID)) continue;
    const effect = index.functions.of(candidate);
    // The same name may stand in any number of places.
    tally.addFunction({ ...effect, effects: manyTimes(effect.effects) }, 1);
    tally.callsByAttribute = true;
    if (effect.aggregate !== 'none') {
      tally.calls = saturate(tally.calls + 1);
      tally.freeCall = true;
    }
  }
}

function addOperators(tally: Tally, facts: StatementFacts, index: ReachIndex, scope: Scope): void {
  for (const use of facts.operators) {
    const builtin = index.snapshot.builtinOperators.has(use.name);
    if (builtin && use.schema === 'pg_catalog') continue;
    const operators = resolveOperators(index.snapshot, use, scope.searchPath);
    for (const { left, right } of operators) {
      tally.touch(index.types.valueEffects(left), 1);
      tally.touch(index.types.valueEffects(right), 1);
    }
    // OPERATOR(schema.=) names one; a plain `=` may mean a user's operator only where operand types allow: see addHidden.
    if (builtin && use.schema === undefined) continue;
    for (const operator of operators) tally.touch(index.types.effectsByTheWay(operator.function), 1);
    if (operators.length === 0) tally.miss(`operator ${quoted(use)}`);
  }
}

function addTypes(tally: Tally, facts: StatementFacts, index: ReachIndex, scope: Scope): void {
  for (const use of facts.types) {
    const { builtin, types } = resolveTypes(index.snapshot, use, scope.searchPath);
    // 'x'::regclass says "relation "x" does not exist" (42P01) of a value.
    if (builtin && use.name.startsWith('reg')) tally.impure = true;
    for (const type of types) tally.touch(index.types.typeEffects(type.oid), 1);
    if (builtin || types.length > 0 || SERIAL_TYPES.has(use.name)) continue;
    const local = scope.local?.some((made) => isNamed(made, use)) === true || facts.defines.some((defined) => defined.name === use.name);
    if (!local) tally.miss(`type ${quoted(use)}`);
  }
}

/** Names for the audit record: resolved where they could be. */
export function namesOf(uses: readonly ResolvedUse[]): readonly string[] {
  const names = new Set<string>();
  for (const { use, relations } of uses) {
    for (const relation of relations) names.add(qualifiedName(relation));
    if (relations.length === 0) names.add(use.schema === undefined ? use.name : `${use.schema}.${use.name}`);
  }
  return [...names].sort();
}
