/** What Rowgate sees in one statement, as data for people. Pure: facts, catalog and policy in, an account of the decision out. */

import { resolveFunctions, resolveRelations } from '../../catalog/names.ts';
import type { FunctionRow, RelationRow } from '../../catalog/catalog-rows.ts';
import { reach } from '../../catalog/reach.ts';
import type { ReachIndex } from '../../catalog/reach-index.ts';
import type { ClassReach, SearchPath } from '../../catalog/reach-types.ts';
import { qualifiedName, type Snapshot } from '../../catalog/snapshot.ts';
import type { PrincipalPolicy, Verdict } from '../../policy/types.ts';
import { verdictOf } from '../../session/verdict.ts';
import type { StatementFacts } from '../../sql/facts.ts';

export interface ExplainedRelation {
  /** As written. */
  readonly name: string;
  readonly mode: string;
  /** What the name can mean. */
  readonly means: readonly string[];
  /** One line a class: `customers: crm.v_agents (view) -> crm.customers`. */
  readonly leadsTo: readonly string[];
}

export interface ExplainedFunction {
  readonly name: string;
  readonly verdict: 'trusted' | 'reads a class' | 'not trusted' | 'not in the catalog';
  readonly why: string;
}

export interface Explanation {
  readonly kind: string;
  readonly relations: readonly ExplainedRelation[];
  readonly functions: readonly ExplainedFunction[];
  readonly opaque: readonly string[];
  readonly categories: readonly string[];
  readonly classes: readonly ClassReach[];
  readonly verdict: Verdict;
}

export function explainStatement(facts: StatementFacts, index: ReachIndex, searchPath: SearchPath, principal: PrincipalPolicy): Explanation {
  const reached = reach(facts, { index, searchPath });
  return {
    kind: facts.kind,
    relations: distinct(facts.relations, (use) => `${use.mode} ${written(use)}`).map((use) => explainRelation(use, index, searchPath)),
    functions: distinct(facts.functions, written).map((use) => explainFunction(use, index, searchPath)),
    opaque: reached.opaque,
    categories: [...reached.categories].toSorted(),
    classes: reached.classes,
    verdict: verdictOf(facts, reached, principal),
  };
}

function explainRelation(use: StatementFacts['relations'][number], index: ReachIndex, searchPath: SearchPath): ExplainedRelation {
  const relations = resolveRelations(index.snapshot, use, searchPath);
  return {
    name: written(use),
    mode: use.mode,
    means: relations.map((relation) => `${qualifiedName(relation)} (${KIND_NAMES[relation.kind]})`),
    leadsTo: relations.flatMap((relation) => [...index.readEffects(relation.oid).classes.keys()].map((name) => `${name}: ${pathTo(relation, name, index).map((step) => label(step)).join(' -> ')}`)),
  };
}

function label(relation: RelationRow): string {
  return relation.kind === 'r' ? qualifiedName(relation) : `${qualifiedName(relation)} (${KIND_NAMES[relation.kind]})`;
}

const KIND_NAMES: Readonly<Record<RelationRow['kind'], string>> = {
  r: 'table', p: 'partitioned table', v: 'view', m: 'materialized view', f: 'foreign table', t: 'TOAST table', S: 'sequence', c: 'composite type',
};

/** The shortest way from a relation to one that is of the class: through views, rules, partitions and inheritance. */
function pathTo(from: RelationRow, className: string, index: ReachIndex): readonly RelationRow[] {
  const { snapshot, members } = index;
  const cameFrom = new Map<number, number | undefined>([[from.oid, undefined]]);
  for (const oid of cameFrom.keys()) {
    if (members.classesOf.get(oid)?.has(className) === true) return wayBack(oid, cameFrom, snapshot);
    for (const next of neighbours(oid, snapshot)) if (!cameFrom.has(next)) cameFrom.set(next, oid);
  }
  // By way of a policy, a function or an operator: there is no chain of relations.
  return [from];
}

function neighbours(oid: number, snapshot: Snapshot): readonly number[] {
  const byRules = (snapshot.rules.get(oid) ?? []).flatMap((rule) => snapshot.dependencies.rule.get(rule.oid) ?? []);
  const byPolicies = snapshot.dependencies.read.get(oid) ?? [];
  return [...[...byRules, ...byPolicies].filter((dependency) => dependency.target === 'relation').map((dependency) => dependency.oid), ...(snapshot.children.get(oid) ?? [])];
}

function wayBack(oid: number, cameFrom: ReadonlyMap<number, number | undefined>, snapshot: Snapshot): readonly RelationRow[] {
  const way: RelationRow[] = [];
  for (let step: number | undefined = oid; step !== undefined; step = cameFrom.get(step)) {
    const relation = snapshot.relations.get(step);
    if (relation !== undefined) way.unshift(relation);
  }
  return way;
}

function explainFunction(use: StatementFacts['functions'][number], index: ReachIndex, searchPath: SearchPath): ExplainedFunction {
  const candidates = resolveFunctions(index.snapshot, use, searchPath);
  const name = written(use);
  if (candidates.length === 0) return { name, verdict: 'not in the catalog', why: 'a cast, a type or a name that this database does not have' };
  const judged = candidates.map((fn) => ({ fn, effects: index.types.functionEffects(fn.oid) }));
  const opaque = judged.find(({ effects }) => effects.opaque.length > 0);
  if (opaque !== undefined) return { name, verdict: 'not trusted', why: opaque.effects.opaque.join('; ') };
  const reading = judged.find(({ effects }) => effects.classes.size > 0);
  if (reading !== undefined) return { name, verdict: 'reads a class', why: `${describe(reading.fn)} reads ${[...reading.effects.classes.keys()].join(', ')}` };
  return { name, verdict: 'trusted', why: [...new Set(judged.map(({ fn }) => describe(fn)))].join('; ') };
}

function describe(fn: FunctionRow): string {
  if (fn.extension !== null) return `${qualifiedName(fn)} of extension ${fn.extension}`;
  return fn.schema === 'pg_catalog' ? `${qualifiedName(fn)} is on the reviewed list` : `${qualifiedName(fn)} (${fn.language})`;
}

function written(name: { readonly schema: string | undefined; readonly name: string }): string {
  return name.schema === undefined ? name.name : `${name.schema}.${name.name}`;
}

function distinct<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
