/**
 * How many of the server's counters a statement can move as the rows of a class say: whoever joins a class with a thousand partitions scans each of them as
 * often as a digit says. Every relation that may be scanned again and again counts, and so do functions that look things up by names that they are given.
 */

import type { StatementFacts } from '../sql/facts.ts';
import { INDEXES_OF_A_TABLE, MOST_COUNTERS } from './bookkeeping.ts';
import { builtinFunction } from './builtin-functions.ts';
import { FIRST_USER_OID, type RelationRow } from './catalog-rows.ts';
import { saturate, type Tally } from './effects.ts';
import { resolveFunctions } from './names.ts';
import type { ReachIndex } from './reach-index.ts';
import type { SearchPath } from './reach-types.ts';
import type { ResolvedUse } from './resolved-use.ts';
import { closure } from './snapshot.ts';
import { tallyStatement } from './statement-tally.ts';

/** Views of initdb's are over several tables of the system; most over no more. */
const TABLES_OF_A_SYSTEM_VIEW = 4;
/** Metadata by oid: a look into the system's tables each time. */
const LOOKS_UP = /^(pg_(get|describe|identify|table|type|function|operator|index(es)?|relation|total_relation)_|has_|format_type$|\w+_description$)/;

/** For one that reaches a class. Infinity: nobody can tell. */
export function drivenCounters(facts: StatementFacts, tally: Tally, uses: readonly ResolvedUse[], index: ReachIndex, path: SearchPath): number {
  if (tally.opaque.size > 0 || tally.locksByName) return Infinity;
  const count = (oids: Iterable<number>): number => [...oids].reduce((sum, oid) => sum + countersOf(index.snapshot.relations.get(oid), index), 0);
  const others = new Set(uses.flatMap(({ local }) => local)).size + lookUps(facts, index, path) + keysAsked(facts, uses, index);
  const relations = count(tally.oids);
  const places = placesOf(facts, uses, index);
  if (Math.max(relations, places) + others <= MOST_COUNTERS) return Math.max(relations, places) + others;
  const once = readOnce(facts, uses, index, path);
  const spared = once === undefined ? 0 : count([...closure(once, index.snapshot.children)].filter((oid) => tally.oids.has(oid)));
  return Math.max(relations, places) + others - spared;
}

/**
 * Places of the text, and of views' texts, where something is scanned. Each is a scan of its own, of an index of its own where the text so chooses: fewer tables than
 * places may have more counters than tables. Saturates.
 */
function placesOf(facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, depth = 0): number {
  let places = 0;
  for (const { use, relations, local } of uses) {
    // The target of an UPDATE is listed as read, too.
    if (use.mode === 'define' || (use.mode === 'write' && facts.kind !== 'insert')) continue;
    const most = Math.max(local.length > 0 ? 1 : 0, ...relations.map((relation) => placesIn(relation, index, depth)));
    places = saturate(places + most * use.times);
  }
  return places;
}

/** Views of views of views: deeper ones count as any number. */
const MOST_DEPTH = 20;

function placesIn(relation: RelationRow, index: ReachIndex, depth: number): number {
  if (relation.kind !== 'v' || relation.oid < FIRST_USER_OID) return [...closure(relation.oid, index.snapshot.children)].reduce((sum, oid) => sum + Math.min(1, countersOf(index.snapshot.relations.get(oid), index)), 0);
  if (depth >= MOST_DEPTH) return saturate(Infinity);
  return (index.viewStatements(relation.oid) ?? []).reduce((sum, body) => saturate(sum + placesOf(body, tallyStatement(body, index, { searchPath: [], local: undefined }).uses, index, depth + 1)), 0);
}

function countersOf(relation: RelationRow | undefined, { snapshot }: ReachIndex): number {
  switch (relation?.kind) {
    case 'r':
    case 'm':
    case 't':
      return 1 + Math.max(0, (snapshot.indexes.get(relation.oid) ?? 0) - INDEXES_OF_A_TABLE);
    case 'S':
    case 'f':
      return 1;
    case 'v':
      return relation.oid < FIRST_USER_OID ? TABLES_OF_A_SYSTEM_VIEW : 0;
    case 'p': // Stored in its partitions.
    case 'c':
    case undefined:
      return 0;
  }
}

function lookUps(facts: StatementFacts, { snapshot }: ReachIndex, path: SearchPath): number {
  const calls = facts.functions.filter((use) => resolveFunctions(snapshot, use, path).some(({ oid, name }) => {
    // Calls of functions are counted as well, where `track_functions` says so.
    if (oid >= FIRST_USER_OID) return true;
    const verdict = builtinFunction(name, oid);
    return LOOKS_UP.test(name) || (verdict.kind === 'safe' && verdict.resolves);
  }));
  return calls.length + facts.types.filter(({ name }) => name.startsWith('reg')).length;
}

/** Tables that foreign keys lead to: asked for what a statement has worked out, not for what its sender has written. */
function keysAsked(facts: StatementFacts, uses: readonly ResolvedUse[], { snapshot }: ReachIndex): number {
  if (!uses.some(({ use }) => use.mode === 'read')) return 0;
  const targets = uses.filter(({ use }) => use.mode === 'write').flatMap(({ relations }) => relations);
  return targets.reduce((sum, { oid }) => {
    const references = snapshot.references.get(oid)?.length ?? 0;
    return sum + (facts.kind === 'update' ? Math.min(references, facts.assigns.length) : references) + (snapshot.cascades.get(oid)?.length ?? 0);
  }, 0);
}

/** The only table of a class that the statement reads, if it reads it once: nothing that is in it can decide how often it is scanned. */
function readOnce(facts: StatementFacts, uses: readonly ResolvedUse[], index: ReachIndex, path: SearchPath): number | undefined {
  if (facts.kind === 'do' || facts.functions.some((use) => resolveFunctions(index.snapshot, use, path).some((fn) => index.functions.of(fn).effects.classes.size > 0))) return undefined;
  const reads = uses.filter(({ use }) => use.mode === 'read');
  const bearing = (reads.length > 0 ? reads : uses).filter(({ relations, local }) => relations.some(({ oid }) => index.readEffects(oid).classes.size > 0) || local.some(({ classes }) => classes.length > 0));
  const [only, ...more] = bearing;
  const [relation, ...others] = only?.relations ?? [];
  if (only === undefined || relation === undefined || more.length + others.length + only.local.length > 0 || only.use.times > 1) return undefined;
  if (relation.kind !== 'v') return relation.oid;
  const [body, ...rest] = index.viewStatements(relation.oid) ?? [];
  if (body === undefined || rest.length > 0) return undefined;
  return readOnce(body, tallyStatement(body, index, { searchPath: [], local: undefined }).uses, index, []);
}
