import type { RawNode } from './dialect.ts';
import type { StatementKind, TextCategory } from './facts.ts';
import { child, list, text, unwrap } from './tree.ts';

/** What the kind of a statement's node says on its own. */
export interface StatementTraits {
  readonly kind: StatementKind;
  readonly categories: readonly TextCategory[];
  readonly changesCatalog: boolean;
}

type Row = readonly [kind: StatementKind, changesCatalog: boolean, ...categories: TextCategory[]];

const ROWS: Readonly<Record<string, Row>> = {
  AlterCollationStmt: ['ddl', true],
  AlterDatabaseRefreshCollStmt: ['ddl', false],
  AlterDatabaseSetStmt: ['ddl', false],
  AlterDatabaseStmt: ['ddl', false],
  AlterDefaultPrivilegesStmt: ['other', false],
  AlterDomainStmt: ['ddl', true],
  AlterEnumStmt: ['ddl', true],
  AlterEventTrigStmt: ['code', true, 'code'],
  AlterExtensionContentsStmt: ['code', true, 'code'],
  AlterExtensionStmt: ['code', true, 'code'],
  AlterFdwStmt: ['ddl', true, 'remote', 'code'],
  AlterForeignServerStmt: ['ddl', true, 'remote'],
  AlterFunctionStmt: ['code', true, 'code'],
  AlterObjectDependsStmt: ['code', true, 'code'],
  AlterObjectSchemaStmt: ['ddl', true],
  AlterOpFamilyStmt: ['code', true, 'code'],
  AlterOperatorStmt: ['code', true, 'code'],
  AlterOwnerStmt: ['ddl', true],
  AlterPolicyStmt: ['ddl', true],
  AlterPublicationStmt: ['ddl', true, 'replication'],
  AlterRoleSetStmt: ['ddl', false],
  AlterRoleStmt: ['ddl', true],
  AlterSeqStmt: ['ddl', true],
  AlterStatsStmt: ['ddl', true],
  AlterSubscriptionStmt: ['ddl', true, 'replication'],
  AlterSystemStmt: ['other', false, 'code'],
  AlterTSConfigurationStmt: ['ddl', true],
  AlterTSDictionaryStmt: ['ddl', true],
  AlterTableMoveAllStmt: ['ddl', true],
  AlterTableSpaceOptionsStmt: ['ddl', false],
  AlterTableStmt: ['ddl', true],
  AlterTypeStmt: ['code', true, 'code'],
  AlterUserMappingStmt: ['ddl', true, 'remote'],
  CallStmt: ['call', false],
  CheckPointStmt: ['other', false],
  ClosePortalStmt: ['close_cursor', false],
  ClusterStmt: ['other', false],
  CommentStmt: ['other', false],
  CompositeTypeStmt: ['ddl', true],
  ConstraintsSetStmt: ['other', false],
  CreateAmStmt: ['code', true, 'code'],
  CreateCastStmt: ['code', true, 'code'],
  CreateConversionStmt: ['code', true, 'code'],
  CreateDomainStmt: ['ddl', true],
  CreateEnumStmt: ['ddl', true],
  CreateEventTrigStmt: ['code', true, 'code'],
  CreateExtensionStmt: ['code', true, 'code'],
  CreateFdwStmt: ['ddl', true, 'remote', 'code'],
  CreateForeignServerStmt: ['ddl', true, 'remote'],
  CreateForeignTableStmt: ['ddl', true, 'remote'],
  CreateFunctionStmt: ['code', true, 'code'],
  CreateOpClassStmt: ['code', true, 'code'],
  CreateOpFamilyStmt: ['code', true, 'code'],
  CreatePLangStmt: ['code', true, 'code'],
  CreatePolicyStmt: ['ddl', true],
  CreatePublicationStmt: ['ddl', true, 'replication'],
  CreateRangeStmt: ['code', true, 'code'],
  CreateRoleStmt: ['ddl', true],
  CreateSchemaStmt: ['ddl', true],
  CreateSeqStmt: ['ddl', true],
  CreateStatsStmt: ['ddl', true],
  CreateStmt: ['ddl', true],
  CreateSubscriptionStmt: ['ddl', true, 'replication'],
  CreateTableSpaceStmt: ['ddl', false, 'server_files'],
  CreateTransformStmt: ['code', true, 'code'],
  CreateTrigStmt: ['code', true, 'code'],
  CreateUserMappingStmt: ['ddl', true, 'remote'],
  CreatedbStmt: ['ddl', false],
  DeallocateStmt: ['deallocate', false],
  DeclareCursorStmt: ['declare_cursor', false],
  DefineStmt: ['ddl', true],
  DeleteStmt: ['delete', false],
  DiscardStmt: ['discard', false],
  DoStmt: ['do', false, 'code'],
  DropOwnedStmt: ['ddl', true],
  DropRoleStmt: ['ddl', true],
  DropStmt: ['ddl', true],
  DropSubscriptionStmt: ['ddl', true, 'replication'],
  DropTableSpaceStmt: ['ddl', false],
  DropUserMappingStmt: ['ddl', true, 'remote'],
  DropdbStmt: ['ddl', false],
  ExecuteStmt: ['execute', false],
  ExplainStmt: ['explain', false],
  FetchStmt: ['fetch', false],
  GrantRoleStmt: ['other', true],
  GrantStmt: ['other', false],
  ImportForeignSchemaStmt: ['ddl', true, 'remote'],
  IndexStmt: ['ddl', true],
  InsertStmt: ['insert', false],
  ListenStmt: ['listen', false],
  LoadStmt: ['code', true, 'server_files', 'code'],
  LockStmt: ['lock', false],
  MergeStmt: ['merge', false],
  NotifyStmt: ['notify', false],
  PrepareStmt: ['prepare', false],
  ReassignOwnedStmt: ['ddl', true],
  RefreshMatViewStmt: ['refresh_matview', false],
  ReindexStmt: ['ddl', false],
  RenameStmt: ['ddl', true],
  ReplicaIdentityStmt: ['ddl', true],
  RuleStmt: ['code', true, 'code'],
  SecLabelStmt: ['other', false],
  TruncateStmt: ['truncate', false],
  UnlistenStmt: ['unlisten', false],
  UpdateStmt: ['update', false],
  VariableShowStmt: ['show', false],
  ViewStmt: ['create_view', true],
};

const TRANSACTIONS: Readonly<Record<string, StatementKind>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release',
  TRANS_STMT_ROLLBACK_TO: 'rollback_to',
  TRANS_STMT_PREPARE: 'prepare_transaction',
  TRANS_STMT_COMMIT_PREPARED: 'commit_prepared',
  TRANS_STMT_ROLLBACK_PREPARED: 'rollback_prepared',
};

/** Objects that hold code or decide which code a name or operator runs: making, renaming, moving and re-owning them counts as code. */
const CODE_OBJECTS: ReadonlySet<string> = new Set([
  'OBJECT_ACCESS_METHOD', 'OBJECT_AGGREGATE', 'OBJECT_CAST', 'OBJECT_CONVERSION', 'OBJECT_EVENT_TRIGGER', 'OBJECT_EXTENSION', 'OBJECT_FUNCTION',
  'OBJECT_LANGUAGE', 'OBJECT_OPCLASS', 'OBJECT_OPERATOR', 'OBJECT_OPFAMILY', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_RULE', 'OBJECT_TRANSFORM',
  'OBJECT_TRIGGER', 'OBJECT_TSPARSER', 'OBJECT_TSTEMPLATE', 'OBJECT_TYPE',
]);

const REMOTE_OBJECTS: ReadonlySet<string> = new Set(['OBJECT_FDW', 'OBJECT_FOREIGN_SERVER']);
const REPLICATION_OBJECTS: ReadonlySet<string> = new Set(['OBJECT_PUBLICATION', 'OBJECT_SUBSCRIPTION']);

function row([kind, changesCatalog, ...categories]: Row): StatementTraits {
  return { kind, categories, changesCatalog };
}

/** Undefined for nodes that are no statements, such as expressions. */
export function statementTraits(nodeKind: string, node: RawNode): StatementTraits | undefined {
  switch (nodeKind) {
    case 'SelectStmt':
      return row(['select', false]);
    case 'CreateTableAsStmt':
      return row([text(node, 'objtype') === 'OBJECT_MATVIEW' ? 'create_matview' : 'create_table_as', true]);
    case 'CopyStmt':
      return row([node['is_from'] === true ? 'copy_from' : 'copy_to', false, ...copyCategories(node)]);
    case 'DefineStmt':
      return codeObject(text(node, 'kind')) ? row(['code', true, 'code']) : row(['ddl', true]);
    case 'FetchStmt':
      return row([node['ismove'] === true ? 'move' : 'fetch', false]);
    case 'DiscardStmt':
      // Temporary relations shadow others of their name; dropping them changes what that name means.
      return row(['discard', ['DISCARD_ALL', 'DISCARD_TEMP'].includes(text(node, 'target') ?? '')]);
    case 'VacuumStmt':
      return row([node['is_vacuumcmd'] === true ? 'vacuum' : 'analyze', false]);
    case 'VariableSetStmt':
      return row([text(node, 'kind')?.startsWith('VAR_RESET') === true ? 'reset' : 'set', false]);
    case 'TransactionStmt':
      return row([TRANSACTIONS[text(node, 'kind') ?? ''] ?? 'other', false]);
    case 'AlterTableStmt':
      return alterTable(node);
    case 'CreateSchemaStmt':
      return createSchema(node);
    case 'AlterOwnerStmt':
      // Whoever owns a type, its values and its checks are the same.
      return OWNED_TYPES.has(text(node, 'objectType') ?? '') ? row(['ddl', true]) : objectAlter(text(node, 'objectType'));
    case 'AlterObjectSchemaStmt':
      return objectAlter(text(node, 'objectType'));
    case 'RenameStmt':
      return objectAlter(text(node, 'renameType'));
    case 'DropStmt':
      return REPLICATION_OBJECTS.has(text(node, 'removeType') ?? '') ? row(['ddl', true, 'replication']) : row(['ddl', true]);
    default: {
      const found = ROWS[nodeKind];
      return found === undefined ? undefined : row(found);
    }
  }
}

const OWNED_TYPES: ReadonlySet<string> = new Set(['OBJECT_TYPE', 'OBJECT_DOMAIN']);

function codeObject(objectType: string | undefined): boolean {
  return objectType !== undefined && CODE_OBJECTS.has(objectType);
}

/** `ALTER TYPE ... RENAME` of a plain composite or enum is counted as code too: the text does not say which type it is. */
function objectAlter(objectType: string | undefined): StatementTraits {
  if (codeObject(objectType)) return row(['code', true, 'code']);
  if (objectType !== undefined && REMOTE_OBJECTS.has(objectType)) return row(['ddl', true, 'remote']);
  if (objectType !== undefined && REPLICATION_OBJECTS.has(objectType)) return row(['ddl', true, 'replication']);
  return row(['ddl', true]);
}

/** For the top of a statement only: a long UNION nests to the left, and its depth is searched here. INTO stands in its leftmost SELECT. */
export function selectKind(node: RawNode): StatementKind {
  let leftmost = node;
  for (let left = child(leftmost, 'larg'); left !== undefined; left = child(leftmost, 'larg')) leftmost = left;
  if (leftmost['intoClause'] !== undefined) return 'select_into';
  return list(node, 'valuesLists').length > 0 ? 'values' : 'select';
}

function copyCategories(node: RawNode): TextCategory[] {
  if (node['is_program'] === true || node['filename'] !== undefined) return ['server_files'];
  return node['is_from'] === true ? [] : ['copy_out'];
}

function alterTable(node: RawNode): StatementTraits {
  const commands = list(node, 'cmds').map((command) => text(unwrap(command, 'AlterTableCmd'), 'subtype') ?? '');
  const remote = text(node, 'objtype') === 'OBJECT_FOREIGN_TABLE' || commands.some((subtype) => subtype.endsWith('GenericOptions'));
  return remote ? row(['ddl', true, 'remote']) : row(['ddl', true]);
}

/** CREATE SCHEMA may hold the statements that fill it; the most telling one gives the kind. */
function createSchema(node: RawNode): StatementTraits {
  const elements = list(node, 'schemaElts');
  if (elements.some((element) => unwrap(element, 'CreateTrigStmt') !== undefined)) return row(['code', true, 'code']);
  return row([elements.some((element) => unwrap(element, 'ViewStmt') !== undefined) ? 'create_view' : 'ddl', true]);
}
