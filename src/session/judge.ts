/**
 * What a session's statement reaches and whether policy lets it run: the analyser's facts, the catalog and what the
 * session knows (search_path, named statements, cursors) brought together. Asks for a new catalog snapshot where the one
 * at hand cannot tell.
 */

import { bothAttached, NOTHING_ATTACHED } from '../catalog/attached.ts';
import type { Attached, LocalRelation, Reach, ResolvedReach } from '../catalog/reach-types.ts';
import { bytesOfFilled } from '../catalog/told-aside.ts';
import { bothTraces, NO_TRACES, UNKNOWN_TRACES } from '../catalog/bookkeeping.ts';
import { wireNameOf } from '../protocol/frontend-messages.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import type { Verdict } from '../policy/types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import { noteBooks } from './bookkeeping.ts';
import type { Portal } from './names.ts';
import { definesAndRunsNothing, namesNothing } from './catalog-independence.ts';
import { eitherReach, NO_REACH, opaqueReach, unionReach } from './reach-union.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import { verdictOf } from './verdict.ts';
import { withAttached } from './attached.ts';

export interface Judgement {
  readonly reach: Reach;
  readonly verdict: Verdict;
  /** All that speaks against the statement is that it names what the catalog does not have: most likely a typing error. */
  readonly onlyMisses: boolean;
  /** Which relations were known to be copies; see `Gate.copiesEpoch`. */
  readonly copiesEpoch: number;
  /** The catalog that it was judged by; undefined where none played a part. */
  readonly catalogVersion?: string | undefined;
  /** `CodeChanges.count` at that time. */
  readonly codeChanges?: number | undefined;
}

/** How session names are looked up: before a request is sent the newest requested ones, at its reply the confirmed ones. */
export type NameView = 'likely' | 'confirmed';

/** `missed`: the snapshot lacks a name. */
type Judged = Judgement & { readonly missed: boolean };

const ALLOWED: Judgement = { reach: NO_REACH, verdict: { kind: 'allow' }, onlyMisses: false, copiesEpoch: Infinity };
const REDEFINED = { redefined: true };
/** EXECUTE of EXECUTE is not possible in PostgreSQL; a bound all the same. */
const MAX_NAMED_DEPTH = 4;

/** Judges a statement. A promise only where a new catalog snapshot must be waited for. */
export function judge(session: SessionState, statement: Statement, later: LaterInBatch = NOT_LATER, meant?: Portal['meant']): Judgement | Promise<Judgement> {
  const { gate, identity } = session;
  if (statement.kind === 'empty') return ALLOWED;
  const onlyDefines = statement.kind === 'known' && !session.principal.metered && definesAndRunsNothing(statement.facts);
  const anyCatalogDoes = onlyDefines || (statement.kind === 'known' && namesNothing(statement.facts));
  if (gate.catalogStale(identity.database) && !anyCatalogDoes) return refreshThenJudge(session, statement, later, meant);
  const first = knowingCopies(session, statement, later, meant);
  return first instanceof Promise ? first.then((judged) => unlessMissed(session, statement, later, meant, onlyDefines, judged)) : unlessMissed(session, statement, later, meant, onlyDefines, first);
}

/** Until the store has said which relations are copies, each is taken for one: whoever would be charged for that has it asked first. */
function knowingCopies(session: SessionState, statement: Statement, later: LaterInBatch, meant: Portal['meant']): Judged | Promise<Judged> {
  const first = judgeNow(session, statement, 'likely', later, meant);
  const asked = first.reach.classes.length > 0 ? session.gate.copiesUnknown(session.identity.database) : undefined;
  return asked === undefined ? first : asked.then(() => judgeNow(session, statement, 'likely', later, meant));
}

function unlessMissed(session: SessionState, statement: Statement, later: LaterInBatch, meant: Portal['meant'], onlyDefines: boolean, first: Judged): Judgement | Promise<Judgement> {
  if (!first.missed) return first;
  // What a migration made a moment ago holds nothing of a class that it did not tell of.
  if (onlyDefines) return ALLOWED;
  // Names that the snapshot lacks are worth one look at the catalog as it is now.
  return refreshThenJudge(session, statement, later, meant);
}

/** What earlier statements of the same Query text do to later ones before the server has run them. */
export interface LaterInBatch {
  readonly searchPathChanged: boolean;
  readonly definitionsChanged: boolean;
  /** How many statements did, or made an index. */
  readonly definitions: number;
  /** Statements and cursors that the text makes, by name. */
  readonly names: ReadonlyMap<string, Statement>;
  /** Tables that the text makes. */
  readonly local: readonly LocalRelation[];
  /** What code writes to that the text attaches to something. */
  readonly attached: Attached;
}

export const NOT_LATER: LaterInBatch = { searchPathChanged: false, definitionsChanged: false, definitions: 0, names: new Map(), local: [], attached: NOTHING_ATTACHED };

async function refreshThenJudge(session: SessionState, statement: Statement, later: LaterInBatch, meant: Portal['meant']): Promise<Judgement> {
  try {
    await session.gate.refreshCatalog(session.identity.database);
  } catch {
    // Without a catalog nothing is proven harmless.
    const reach = opaqueReach(session.gate.classNames, 'the catalog cannot be read', false);
    return { reach, verdict: { kind: 'block', refusal: outageRefusal('catalog', session.principal) }, onlyMisses: false, copiesEpoch: Infinity };
  }
  return knowingCopies(session, statement, later, meant);
}

/** With the snapshot at hand, without waiting. */
export function judgeNow(session: SessionState, statement: Statement, view: NameView, later: LaterInBatch = NOT_LATER, meant?: Portal['meant']): Judged {
  if (statement.kind === 'empty') return { ...ALLOWED, missed: false };
  noteBooks(session, statement);
  const copiesEpoch = session.gate.copiesEpoch(session.identity.database);
  const resolved = resolve(session, statement, view, later, 0);
  const reach = withMeant(session, statement, resolved.reach, meant);
  const { principal } = session;
  const verdict = verdictOf(statement.kind === 'known' ? statement.facts : undefined, reach, principal);
  return { reach, verdict, missed: resolved.missed, onlyMisses: resolved.onlyMisses, copiesEpoch, catalogVersion: session.gate.snapshot(session.identity.database).version, codeChanges: session.gate.codeChanges(session.identity.database).count };
}

interface Resolved {
  readonly reach: Reach;
  readonly missed: boolean;
  readonly onlyMisses: boolean;
}

function resolve(session: SessionState, statement: Statement, view: NameView, later: LaterInBatch, depth: number): Resolved {
  const { gate } = session;
  if (statement.kind === 'empty') return { reach: NO_REACH, missed: false, onlyMisses: false };
  if (statement.kind === 'opaque') return { reach: opaqueReach(gate.classNames, statement.reason, true), missed: false, onlyMisses: false };
  const { facts } = statement;
  if (!session.readable) return { reach: opaqueReach(gate.classNames, 'the session reads SQL text differently than PostgreSQL does by default', true), missed: false, onlyMisses: false };
  const path = later.searchPathChanged ? undefined : session.currentSearchPath;
  const redefined = session.definitionsChanged || later.definitionsChanged;
  const own: ResolvedReach = gate.reach(session.identity.database, facts, path, madeBefore(session, later, redefined), redefined ? REDEFINED : undefined);
  let reach: Reach = own;
  if (redefined && (namesUserObjects(facts) || namesUserTypes(session, facts) || facts.operators.some(({ schema }) => schema !== undefined))) {
    // What a name means now is known to this session's transaction alone.
    reach = unionReach(withAttached(own, bothAttached(session.attached, later.attached), gate.classNames), opaqueReach(gate.classNames, 'definitions were changed earlier in this transaction', false, NO_TRACES));
  }
  const definitions = session.definitions + later.definitions;
  // What code that nobody has read may have made is not known at all.
  if (definitions > 0 && Number.isFinite(definitions) && reach.copies !== undefined) reach = { ...reach, asideBytes: (reach.asideBytes ?? 0) + bytesOfFilled(definitions) };
  if (definitions > 0 && reach.classes.length > 0) reach = { ...reach, traces: bothTraces(reach.traces ?? NO_TRACES, { counters: definitions, locks: false }) };
  if (session.gate.widened(statement).length > 0) {
    reach = unionReach(reach, opaqueReach(gate.widened(statement), 'the server named a protected table in the result', false));
  }
  if (statement.declared !== undefined) reach = eitherReach(reach, statement.declared);
  const values = statement.parameterTypes === undefined ? undefined : gate.valuesReach(session.identity.database, statement.parameterTypes);
  if (values !== undefined) reach = unionReach(reach, { ...opaqueReach(values.classNames, 'a parameter is of a type whose values are made by code', false), runsAtParse: true });
  // A type or a table that the open transaction has made may have values made by code that nobody has read.
  if (reach.opaque.length > 0 && (redefined || (own.misses.length > 0 && (session.catalogTouched || later.definitions > 0)))) reach = { ...reach, runsAtParse: true };
  const named = namedReach(session, facts, view, later, depth);
  const missed = own.misses.length > 0 || values?.missed === true;
  if (named === undefined) return { reach, missed, onlyMisses: missed && reach.opaque.length === own.misses.length };
  const whole = unionReach(reach, named.reach);
  // CREATE TABLE AS EXECUTE copies what the statement that it names reads.
  if (whole.classes.length > 0 && facts.kind === 'create_table_as') {
    const classes = whole.classes.map(({ className, width, packs, aggregated }) => ({ className, width, packs: packs || aggregated }));
    reach = { ...whole, categories: new Set([...whole.categories, 'derived_copy']), copies: { oids: [], names: facts.defines, classes, reshapes: false } };
  } else reach = whole;
  return { reach, missed: missed || named.missed, onlyMisses: false };
}

/** If names mean something else than when the portal was bound, it reaches what they meant then, too: it was planned then. */
function withMeant({ gate, identity: { database }, localRelations }: SessionState, statement: Statement, reach: Reach, meant: Portal['meant']): Reach {
  if (meant === undefined || statement.kind !== 'known' || meant.index === gate.reachIndex(database)) return reach;
  return eitherReach(reach, gate.reach(database, statement.facts, meant.searchPath, localRelations, { index: meant.index }));
}

/** What the transaction made and what nothing can have changed since: ALTER DOMAIN may have given a type a check that runs code. */
function madeBefore(session: SessionState, later: LaterInBatch, redefined: boolean): readonly LocalRelation[] {
  const made = later.local.length === 0 ? session.localRelations : [...session.localRelations, ...later.local];
  return redefined ? made.filter(({ onlyType }) => !onlyType) : made;
}

function namedReach(session: SessionState, facts: StatementFacts, view: NameView, later: LaterInBatch, depth: number): Resolved | undefined {
  const { named } = facts;
  if (named === undefined || (named.kind !== 'execute' && named.kind !== 'fetch')) return undefined;
  const name = wireNameOf(named.name);
  const target = later.names.get(name) ?? (named.kind === 'execute' ? lookUpStatement(session, name, view) : lookUpPortal(session, name, view)?.statement);
  if (target === undefined || session.tainted || depth >= MAX_NAMED_DEPTH) {
    // Made by code that Rowgate did not see, or not there at all (then the server says so, for one unit).
    return { reach: opaqueReach(session.gate.classNames, `${named.kind === 'execute' ? 'prepared statement' : 'cursor'} "${named.name}" is not known to Rowgate`, false, session.tainted || depth >= MAX_NAMED_DEPTH ? UNKNOWN_TRACES : NO_TRACES), missed: false, onlyMisses: false };
  }
  return resolve(session, target, view, later, depth + 1);
}

export function lookUpStatement(session: SessionState, name: string, view: NameView): Statement | undefined {
  return view === 'likely' ? session.names.likelyStatement(name) : session.names.statement(name);
}

export function lookUpPortal(session: SessionState, name: string, view: NameView): Portal | undefined {
  return view === 'likely' ? session.names.likelyPortal(name) : session.names.portal(name);
}

export function namesUserObjects(facts: StatementFacts): boolean {
  return facts.relations.some((use) => use.schema !== 'pg_catalog' && use.schema !== 'information_schema') || facts.functions.length > 0;
}

function namesUserTypes(session: SessionState, facts: StatementFacts): boolean {
  const { builtinTypes } = session.gate.snapshot(session.identity.database);
  return facts.types.some(({ schema, name }) => schema !== 'pg_catalog' && builtinTypes.get(name)?.includes(schema ?? 'pg_catalog') !== true);
}

/** True if an execution costs units: everything that reaches a class, but PREPARE, which executes nothing where parsing runs nothing. */
export function costsUnits(statement: Statement, reach: Reach): boolean {
  return reach.classes.length > 0 && !(statement.kind === 'known' && statement.facts.kind === 'prepare' && reach.runsAtParse !== true);
}
