import { createHash } from 'node:crypto';
import type { Analysis, RoutineBody } from '../sql/facts.ts';
import type { CastRow, CatalogRows, DependencyRow, ForeignKeyRow, FunctionRow, OperatorRow, RelationRow, RuleRow, EventTriggerRow, TriggerRow, TypeRow } from './catalog-rows.ts';

/** Columns of a relation; the three arrays run side by side. */
export interface RelationColumns {
  readonly attnums: readonly number[];
  readonly names: readonly string[];
  readonly types: readonly number[];
}

/** What one database holds, at one moment. Immutable: a change makes another snapshot, with another `version`. */
export interface Snapshot {
  /** Digest of the content: equal content, equal version. */
  readonly version: string;
  readonly database: string;
  readonly databaseOid: number;
  readonly serverVersion: number;
  readonly schemas: ReadonlySet<string>;
  /** Schemas whose USAGE is granted to PUBLIC: a path's later schemas cannot matter for a name found there. */
  readonly publicSchemas: ReadonlySet<string>;
  readonly relations: ReadonlyMap<number, RelationRow>;
  readonly relationsByName: ReadonlyMap<string, readonly RelationRow[]>;
  readonly columns: ReadonlyMap<number, RelationColumns>;
  /** How many indexes a relation has, of those that have more than four. */
  readonly indexes: ReadonlyMap<number, number>;
  /** Columns of which no two rows of a relation have equal values, those of children left out. */
  readonly uniqueKeys: ReadonlyMap<number, readonly (readonly string[])[]>;
  readonly children: ReadonlyMap<number, readonly number[]>;
  readonly parents: ReadonlyMap<number, readonly number[]>;
  readonly rules: ReadonlyMap<number, readonly RuleRow[]>;
  /** By `via` and owner. */
  readonly dependencies: Readonly<Record<DependencyRow['via'], ReadonlyMap<number, readonly DependencyRow[]>>>;
  readonly triggers: ReadonlyMap<number, readonly TriggerRow[]>;
  readonly eventTriggers: readonly EventTriggerRow[];
  /** Relations that the server writes to by itself when the key is written to. */
  readonly cascades: ReadonlyMap<number, readonly ForeignKeyRow[]>;
  /** Foreign keys, by the relation that refers. */
  readonly references: ReadonlyMap<number, readonly ForeignKeyRow[]>;
  readonly functions: ReadonlyMap<number, FunctionRow>;
  readonly functionsByName: ReadonlyMap<string, readonly FunctionRow[]>;
  readonly operators: ReadonlyMap<number, OperatorRow>;
  readonly operatorsByName: ReadonlyMap<string, readonly OperatorRow[]>;
  readonly builtinOperators: ReadonlySet<string>;
  readonly casts: readonly CastRow[];
  readonly types: ReadonlyMap<number, TypeRow>;
  readonly typesByName: ReadonlyMap<string, readonly TypeRow[]>;
  /** Type name -> schemas (pg_catalog, information_schema). */
  readonly builtinTypes: ReadonlyMap<string, readonly string[]>;
  readonly roles: ReadonlySet<string>;
  /** Role -> every role that it is a member of, directly or through others. A superuser is a member of what was granted, no more. */
  readonly memberOf: ReadonlyMap<string, ReadonlySet<string>>;
  /** What the analyser says of rule and view texts. */
  readonly analyses: ReadonlyMap<string, Analysis>;
  /** What the bodies of routines do, by their definition. */
  readonly bodies: ReadonlyMap<string, RoutineBody>;
}

function groupBy<Row, Key, Value>(rows: Iterable<Row>, keyOf: (row: Row) => Key, valueOf: (row: Row) => Value): ReadonlyMap<Key, readonly Value[]> {
  const groups = new Map<Key, Value[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [valueOf(row)]);
    else group.push(valueOf(row));
  }
  return groups;
}

const same = <Row>(row: Row): Row => row;

/** Texts in the rows that `reach` needs the facts of. */
export function ruleTexts(rows: Pick<CatalogRows, 'rules'>): readonly string[] {
  return rows.rules.flatMap((rule) => (rule.text === null ? [] : [rule.text]));
}

/** Definitions of routines that `reach` needs the bodies of. */
export function routineTexts(rows: Pick<CatalogRows, 'functions'>): readonly string[] {
  return rows.functions.flatMap((fn) => fn.definition ?? []);
}

/** Roles reached from each member, over any number of grants. pg_auth_members cannot hold a cycle, but a hand-made one must not hang us. */
function closeMemberships(rows: CatalogRows): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map(rows.roles.map((role) => [role.oid, role.name]));
  const granted = groupBy(rows.memberships, (row) => row.member, (row) => row.role);
  const memberOf = new Map<string, ReadonlySet<string>>();
  for (const member of granted.keys()) {
    const reached = new Set<number>();
    const queue = [member];
    for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
      for (const role of granted.get(current) ?? []) {
        if (reached.has(role)) continue;
        reached.add(role);
        queue.push(role);
      }
    }
    const name = names.get(member);
    if (name !== undefined) memberOf.set(name, new Set([...reached].flatMap((oid) => names.get(oid) ?? [])));
  }
  return memberOf;
}

export function snapshotVersion(rows: CatalogRows): string {
  return createHash('sha256').update(JSON.stringify(rows)).digest('base64url');
}

/** `analyses` must hold every text of `ruleTexts(rows)`; a view whose text is missing counts as opaque. */
export function buildSnapshot(rows: CatalogRows, analyses: ReadonlyMap<string, Analysis>, version: string = snapshotVersion(rows), bodies: ReadonlyMap<string, RoutineBody> = new Map()): Snapshot {
  const relations = new Map(rows.relations.map((relation) => [relation.oid, relation]));
  const functions = new Map(rows.functions.map((fn) => [fn.oid, fn]));
  const dependenciesVia = (via: DependencyRow['via']): ReadonlyMap<number, readonly DependencyRow[]> =>
    groupBy(rows.dependencies.filter((row) => row.via === via), (row) => row.owner, same);
  return {
    version,
    database: rows.database,
    databaseOid: rows.databaseOid,
    serverVersion: rows.serverVersion,
    schemas: new Set(rows.namespaces.map((namespace) => namespace.name)),
    publicSchemas: new Set(rows.namespaces.flatMap((namespace) => (namespace.publicUsage ? [namespace.name] : []))),
    relations,
    relationsByName: groupBy(rows.relations, (relation) => relation.name, same),
    columns: new Map(rows.columns.map(({ relation, attnums, names, types }) => [relation, { attnums, names, types }])),
    indexes: new Map((rows.indexes ?? []).map(({ relation, count }) => [relation, count])),
    uniqueKeys: groupBy(rows.uniqueKeys ?? [], ({ relation }) => relation, ({ columns }) => columns),
    children: groupBy(rows.inherits, (row) => row.parent, (row) => row.child),
    parents: groupBy(rows.inherits, (row) => row.child, (row) => row.parent),
    rules: groupBy(rows.rules, (rule) => rule.relation, same),
    dependencies: { rule: dependenciesVia('rule'), write: dependenciesVia('write'), place: dependenciesVia('place'), fill: dependenciesVia('fill'), read: dependenciesVia('read'), type: dependenciesVia('type'), input: dependenciesVia('input'), maintain: dependenciesVia('maintain') },
    triggers: groupBy(rows.triggers, (row) => row.relation, same),
    eventTriggers: rows.eventTriggers,
    cascades: groupBy(rows.foreignKeys.filter(({ onDelete, onUpdate }) => onDelete || onUpdate), (row) => row.referenced, same),
    references: groupBy(rows.foreignKeys, (row) => row.referencing, same),
    functions,
    functionsByName: groupBy(rows.functions, (fn) => fn.name, same),
    operators: new Map(rows.operators.map((operator) => [operator.oid, operator])),
    operatorsByName: groupBy(rows.operators, (operator) => operator.name, same),
    builtinOperators: new Set(rows.builtinOperators),
    casts: rows.casts,
    types: new Map(rows.types.map((type) => [type.oid, type])),
    typesByName: groupBy(rows.types, (type) => type.name, same),
    builtinTypes: groupBy(rows.builtinTypes, (type) => type.name, (type) => type.schema),
    roles: new Set(rows.roles.map((role) => role.name)),
    memberOf: closeMemberships(rows),
    analyses,
    bodies,
  };
}

export function qualifiedName(object: { readonly schema: string; readonly name: string }): string {
  return `${object.schema}.${object.name}`;
}

/** Schemas of temporary relations, one a backend (catalog/namespace.c). `pg_temp` itself is only an alias in SQL. */
export function isTempSchema(schema: string): boolean {
  return schema.startsWith('pg_temp_') || schema === 'pg_temp';
}

/** `oid`, and everything that is reached from it over `edges`. */
export function closure(oid: number, edges: ReadonlyMap<number, readonly number[]>): ReadonlySet<number> {
  const reached = new Set([oid]);
  for (const current of reached) for (const next of edges.get(current) ?? []) reached.add(next);
  return reached;
}
