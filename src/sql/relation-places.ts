import type { QualifiedName } from './tree.ts';
import { open, qualified } from './tree.ts';

/**
 * What it means that a RangeVar stands somewhere other than in FROM. Any place that is not listed reads: a place that is forgotten
 * here over-charges. A test holds this list against every field of the grammar that can take a relation.
 */
export type RelationPlace =
  | 'write'     // rows go in or out of existence; none comes back
  | 'target'    // rows are changed, and can be returned
  | 'define'    // DDL names it
  | 'make'      // DDL makes, replaces, renames, attaches or alters it
  | 'alias';    // not a relation: FOR UPDATE OF names items of FROM

const PLACES: Readonly<Record<string, RelationPlace>> = {
  'AlterObjectDependsStmt.relation': 'define',
  'AlterObjectSchemaStmt.relation': 'make',
  'AlterOwnerStmt.relation': 'make',
  'AlterPolicyStmt.table': 'define',
  'AlterSeqStmt.sequence': 'make',
  'AlterTableCmd.def': 'define',
  'AlterTableStmt.relation': 'make',
  'ClusterStmt.relation': 'define',
  'ColumnDef.identitySequence': 'define',
  'CompositeTypeStmt.typevar': 'make',
  'Constraint.pktable': 'define',
  'CreatePolicyStmt.table': 'define',
  'CreateSeqStmt.sequence': 'make',
  'CreateStatsStmt.relations': 'define',
  'CreateStmt.inhRelations': 'define',
  'CreateStmt.relation': 'make',
  'CreateTrigStmt.constrrel': 'define',
  'CreateTrigStmt.relation': 'define',
  'DeleteStmt.relation': 'target',
  'GrantStmt.objects': 'define',
  'ImportForeignSchemaStmt.table_list': 'define',
  'IndexStmt.relation': 'define',
  'InsertStmt.relation': 'write',
  'IntoClause.rel': 'make',
  'LockStmt.relations': 'define',
  'LockingClause.lockedRels': 'alias',
  'MergeStmt.relation': 'target',
  'PartitionCmd.name': 'make',
  'PublicationTable.relation': 'define',
  'RefreshMatViewStmt.relation': 'write',
  'ReindexStmt.relation': 'define',
  'RenameStmt.relation': 'make',
  'RuleStmt.relation': 'make',
  'TableLikeClause.relation': 'define',
  'TruncateStmt.relations': 'write',
  'UpdateStmt.relation': 'target',
  'VacuumRelation.relation': 'define',
  'ViewStmt.view': 'make',
};

export function relationPlace(kind: string, field: string): RelationPlace | undefined {
  return PLACES[`${kind}.${field}`];
}

const RELATION_OBJECTS: ReadonlySet<string> = new Set([
  'OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE', 'OBJECT_SEQUENCE', 'OBJECT_INDEX',
]);

/** Named as a relation's name with one more part. */
const PARTS_OF_RELATIONS: ReadonlySet<string> = new Set([
  'OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT', 'OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE',
]);

/** The relation that DROP, COMMENT or SECURITY LABEL names as a list of strings, where the object is one or is part of one. */
export function objectRelation(objectType: string | undefined, object: unknown): QualifiedName | undefined {
  const node = open(object);
  if (objectType === undefined || node?.kind !== 'List') return undefined;
  const items = Array.isArray(node.body['items']) ? node.body['items'] : [];
  if (RELATION_OBJECTS.has(objectType)) return qualified(items);
  if (PARTS_OF_RELATIONS.has(objectType)) return qualified(items.slice(0, -1));
  return undefined;
}
