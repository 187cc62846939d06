/**
 * What a statement does to the things that later statements' meaning depends on: named statements and cursors,
 * search_path, definitions. Two moments matter: when it is sent (from then on nothing is certain) and when the server
 * confirms it.
 */

import { wireNameOf } from '../protocol/frontend-messages.ts';
import { INDEXES_OF_A_TABLE } from '../catalog/bookkeeping.ts';
import { codeChange } from './code-changes.ts';
import type { LeaseCredit } from '../quota/lease-plan.ts';
import type { StatementFacts } from '../sql/facts.ts';
import type { LocalRelation, Reach } from '../catalog/reach-types.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';
import { bothAttached } from '../catalog/attached.ts';

/** Kinds of definition that give no existing name another meaning: what is new is not in the catalog snapshot, hence charged as unknown. */
const HARMLESS_DEFINITIONS: ReadonlySet<string> = new Set(['CreateStmt', 'CreateTableAsStmt', 'IndexStmt', 'CommentStmt', 'CreateSeqStmt', 'DiscardStmt']);

export function changesSearchPath(facts: StatementFacts): boolean {
  return (
    facts.named?.kind === 'discard' || facts.rightsOnSchemas === true ||
    facts.settings.some(({ name }) => name === 'search_path' || name === '*' || name === '*dynamic*' || name === 'role' || name === 'session_authorization')
  );
}

function changesEncoding(facts: StatementFacts): boolean {
  return facts.named?.kind === 'discard' || facts.settings.some(({ name }) => name === 'client_encoding' || name === '*' || name === '*dynamic*');
}

/** Statements that can take back a setting that was made in the transaction. */
const ENDS_SCOPE: ReadonlySet<StatementFacts['kind']> = new Set(['commit', 'rollback', 'rollback_to', 'prepare_transaction']);

export function changesDefinitions(facts: StatementFacts): boolean {
  return facts.changesCatalog && !(NEW_TYPES.has(facts.node) && facts.definesType !== undefined) && !(HARMLESS_DEFINITIONS.has(facts.node) && (facts.node === 'CreateTableAsStmt' || facts.relations.every((use) => use.mode === 'define')));
}

/** A new type out of parts that the catalog knows, or that were made before it. Where a part of it runs code that is not known, the statement is opaque, and so is everything behind it. */
const NEW_TYPES: ReadonlySet<string> = new Set(['CreateEnumStmt', 'CompositeTypeStmt', 'CreateDomainStmt']);

/** CREATE TABLE with columns of its own, or AS a query whose classes are known; what a class was put into that no catalog has yet. One that inherits or is a partition names other relations besides. */
export function thingsMade(facts: StatementFacts, reach: Reach): readonly LocalRelation[] {
  const classes = reach.classes.map((cls) => cls.className);
  // One that was made earlier in the transaction may be filled now.
  const filled = facts.modifies && reach.copies !== undefined ? reach.copies.names : [];
  const tables = [...(isPlainTable(facts) ? facts.defines : []), ...filled].map(({ schema, name }) => ({ schema, name, classes, onlyType: false, makesValues: reach.runsAtParse }));
  if (facts.definesType === undefined || !NEW_TYPES.has(facts.node) || !reach.pure || reach.sink || classes.length > 0) return tables;
  return [...tables, { ...facts.definesType, classes: [], onlyType: true }];
}

function isPlainTable(facts: StatementFacts): boolean {
  return facts.kind === 'create_table_as' || (facts.node === 'CreateStmt' && !facts.derives && facts.relations.length <= facts.defines.length);
}

/** As which the statement counts in `SessionState.definitions`. */
export function definitionsIn(session: SessionState, statement: Statement, reach: Reach): number {
  if (statement.kind === 'empty') return 0;
  if (statement.kind === 'opaque' || reach.categories.has('opaque')) return Infinity;
  const { changesCatalog, defines, indexes = 0, relations } = statement.facts;
  if (!changesCatalog) return 0;
  if (isPlainTable(statement.facts)) return Math.max(0, indexes - INDEXES_OF_A_TABLE);
  // LIKE and PARTITION OF make the indexes of the table that they name, too.
  const { indexes: ofTables, relationsByName } = session.gate.snapshot(session.identity.database);
  const alike = relations.reduce((sum, { name }) => sum + Math.max(0, ...(relationsByName.get(name) ?? []).map(({ oid }) => ofTables.get(oid) ?? 0)), 0);
  return Math.max(1, defines.length, indexes) + alike;
}

/** Roles and who is in them are the same in all databases of a server. `RenameStmt` is ALTER ROLE ... RENAME, too. */
const CHANGES_ROLES: ReadonlySet<string> = new Set(['GrantRoleStmt', 'CreateRoleStmt', 'AlterRoleStmt', 'DropRoleStmt', 'RenameStmt']);

/** The statement is about to reach the server. */
export function sent(session: SessionState, statement: Statement, reach: Reach): void {
  if (statement.kind === 'empty') return;
  const opaque = statement.kind === 'opaque' || reach.opaque.length > 0;
  if (opaque || changesSearchPath(statement.facts)) {
    session.searchPath = undefined;
    session.searchPathVersion = '';
  }
  if (opaque || changesEncoding(statement.facts)) session.encodingTouched = true;
  if (session.encodingTouched && (opaque || changesEncoding(statement.facts) || ENDS_SCOPE.has(statement.facts.kind))) session.encodingUnsettled = true;
  if (opaque || changesDefinitions(statement.facts)) session.definitionsChanged = true;
  session.definitions += definitionsIn(session, statement, reach);
  session.attached = bothAttached(session.attached, reach.attached);
  // Code may begin its own transactions, and set what the next ones are.
  if (statement.kind === 'opaque' || reach.categories.has('opaque')) {
    session.serializes = true;
    session.counts = true;
  }
  if (opaque || statement.facts.changesCatalog || statement.facts.rightsOnSchemas === true || statement.facts.kind === 'commit_prepared') session.catalogTouched = true;
  if (statement.kind === 'known') noteCodeChanges(session, statement.facts);
  if (statement.kind === 'opaque' || reach.categories.has('opaque') || CHANGES_ROLES.has(statement.facts.node)) session.rolesTouched = true;
  if (statement.kind === 'known') {
    const made = thingsMade(statement.facts, reach);
    if (made.length > 0) session.localRelations = [...session.localRelations, ...made];
  }
  // What a prepared transaction makes comes whenever somebody commits it.
  if (statement.kind === 'known' && statement.facts.kind === 'prepare_transaction') session.expectedCopies = [];
  if (statement.kind === 'known' && statement.facts.kind === 'begin') session.beginInFlight = true;
  // DO, CALL and functions may PREPARE, DEALLOCATE and open cursors under any name. A name that is merely unknown may not.
  if (statement.kind === 'opaque' || reach.categories.has('opaque') || reach.opensCursors) session.tainted = true;
}

/** From now on, and from the commit on, a statement that is under way may run what has become of a function. */
function noteCodeChanges(session: SessionState, facts: StatementFacts): void {
  const change = codeChange(facts);
  if (change !== undefined) session.codeChanged = [...session.codeChanged, change];
  else if (facts.kind !== 'commit' || session.codeChanged.length === 0) return;
  const changes = session.gate.codeChanges(session.identity.database);
  for (const each of change === undefined ? session.codeChanged : [change]) changes.note(each);
}

/** The server has done it. `credits`: what DECLARE paid for its cursor. */
export function confirmed(session: SessionState, statement: Statement, reach: Reach, credits: readonly LeaseCredit[]): void {
  if (statement.kind !== 'known') return;
  const { named } = statement.facts;
  if (named === undefined) return;
  const { names } = session;
  switch (named.kind) {
    case 'prepare':
      names.setStatement(wireNameOf(named.name), { kind: 'known', facts: named.body, text: statement.text });
      break;
    case 'declare':
      names.setPortal(wireNameOf(named.name), {
        statement: { kind: 'known', facts: named.body, text: statement.text, declared: reach },
        prepaid: credits,
        holdable: named.hold,
      });
      break;
    case 'deallocate':
      names.dropStatement(named.name === undefined ? undefined : wireNameOf(named.name));
      break;
    case 'close':
      names.dropPortal(named.name === undefined ? undefined : wireNameOf(named.name));
      break;
    case 'discard':
      if (named.what === 'all') names.discardAll();
      break;
    case 'execute':
    case 'fetch':
      break;
  }
}
