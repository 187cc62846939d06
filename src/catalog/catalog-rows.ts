/** What is read from pg_catalog, as rows. `buildSnapshot` makes the indexes; tests write these rows by hand. */

/** Objects below this oid come from initdb (FirstNormalObjectId, access/transam.h). A superuser's additions to pg_catalog have higher ones. */
export const FIRST_USER_OID = 16384;

export interface NamespaceRow {
  readonly oid: number;
  readonly name: string;
  /** USAGE is granted to PUBLIC. PostgreSQL skips schemas of the path that the user may not use (recomputeNamespacePath, catalog/namespace.c). */
  readonly publicUsage: boolean;
  /** Who owns it and who may use it: another text is another search path for somebody. */
  readonly rights: string;
}

/** pg_class.relkind without indexes, sequences' and composite types' kinds included: see `RelationRow.kind`. */
export type RelationKind = 'r' | 'p' | 'v' | 'm' | 'f' | 't' | 'S' | 'c';

export interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** oid of its TOAST table, or 0. */
  readonly toast: number;
  /** oid of its row type, or 0. */
  readonly rowType: number;
}

export interface ColumnsRow {
  readonly relation: number;
  readonly attnums: readonly number[];
  readonly names: readonly string[];
  readonly types: readonly number[];
}

/** pg_rewrite: the SELECT rule of a view or matview (`event` 1), or a rule on a table (2 update, 3 insert, 4 delete). */
export interface RuleRow {
  readonly oid: number;
  readonly relation: number;
  readonly event: '1' | '2' | '3' | '4';
  /** The view's query, or the whole CREATE RULE, with qualified names. Null for what initdb made. */
  readonly text: string | null;
}

/** What pg_depend says that something on a relation refers to, resolved to the relation (or type) that it belongs to. */
export interface DependencyRow {
  /**
   * `rule`: a rule's query (owner: pg_rewrite oid). `write`: check constraint (owner: relation). `place`: expression or condition of an index, a trigger's
   * condition, partition key: decides which rows are there, and where (owner: relation). `fill`: column default, stored
   * generated column: run by a write too, and kept in the row (owner: relation).
   * `maintain`: expression of extended statistics, run by ANALYZE alone (owner: relation).
   * `read`: row security policy, virtual generated column (owner: relation). `type`: domain check, default, functions of a range (owner: type).
   * `input`: a base type's own functions, which only a superuser makes (owner: type).
   */
  readonly via: 'rule' | 'write' | 'place' | 'fill' | 'read' | 'type' | 'input' | 'maintain';
  readonly owner: number;
  readonly target: 'relation' | 'function' | 'operator' | 'type';
  readonly oid: number;
}

export interface FunctionRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** aggregate, window, function, procedure */
  readonly kind: 'a' | 'w' | 'f' | 'p';
  readonly language: string;
  readonly volatility: 'i' | 's' | 'v';
  readonly securityDefiner: boolean;
  /** Extension that it belongs to. */
  readonly extension: string | null;
  /** Its only argument's type where it has exactly one: `rel.name` then calls it too ("functional notation", ParseFuncOrColumn in parser/parse_func.c). */
  readonly soleArgument: number | null;
  /** A call gives any number of rows. */
  readonly returnsSet?: boolean;
  /** CREATE FUNCTION of a routine in SQL or PL/pgSQL, as pg_get_functiondef prints it. */
  readonly definition?: string;
  /** Functions that a user's aggregate is made of. */
  readonly parts?: readonly number[];
  /** Types of its state. */
  readonly states?: readonly number[];
}

export interface TriggerRow {
  /** Names of its transition tables. */
  readonly tables?: readonly string[];
  readonly relation: number;
  readonly function: number;
  readonly name: string;
}

export interface EventTriggerRow {
  readonly function: number;
  readonly name: string;
}

/** An operator or cast made after initdb. Types are 0 where the operand is missing. */
export interface OperatorRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly left: number;
  readonly right: number;
  readonly function: number;
}

export interface CastRow {
  readonly oid: number;
  readonly source: number;
  readonly target: number;
  /** 0 if it runs none. */
  readonly function: number;
  /** Whatever takes the target takes the source, too, and no text shows it. */
  readonly implicit: boolean;
}

/** A type made after initdb; array and row types included. */
export interface TypeRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** The domain's base type, the type of an array's elements or a range's bounds, and the composite's relation, or 0. */
  readonly base: number;
  readonly element: number;
  readonly relation: number;
  /** pg_type.typtype; `a` for an array. */
  readonly kind: string;
}

export interface ForeignKeyRow {
  readonly referenced: number;
  readonly referencing: number;
  /** Of the referenced relation. */
  readonly columns: readonly string[];
  /** ON DELETE and ON UPDATE change rows of the referencing relation. */
  readonly onDelete: boolean;
  readonly onUpdate: boolean;
}

export interface RoleRow {
  readonly oid: number;
  readonly name: string;
}

export interface CatalogRows {
  readonly database: string;
  /** Stays when the database is renamed. */
  readonly databaseOid: number;
  /** server_version_num: 150018. */
  readonly serverVersion: number;
  readonly namespaces: readonly NamespaceRow[];
  readonly relations: readonly RelationRow[];
  readonly columns: readonly ColumnsRow[];
  /** How many indexes each table has. */
  readonly indexes?: readonly { readonly relation: number; readonly count: number }[];
  /** Columns of which no two rows of the table, its children left out, have equal values. */
  readonly uniqueKeys?: readonly { readonly relation: number; readonly columns: readonly string[] }[];
  /** pg_inherits: partitions too. */
  readonly inherits: readonly { readonly child: number; readonly parent: number }[];
  readonly rules: readonly RuleRow[];
  readonly dependencies: readonly DependencyRow[];
  readonly triggers: readonly TriggerRow[];
  readonly eventTriggers: readonly EventTriggerRow[];
  readonly foreignKeys: readonly ForeignKeyRow[];
  readonly functions: readonly FunctionRow[];
  readonly operators: readonly OperatorRow[];
  /** Names of operators that initdb made. */
  readonly builtinOperators: readonly string[];
  readonly casts: readonly CastRow[];
  readonly types: readonly TypeRow[];
  /** Names of types that initdb made, row types of system relations included. */
  readonly builtinTypes: readonly { readonly schema: string; readonly name: string }[];
  readonly roles: readonly RoleRow[];
  /** pg_auth_members: `member` has been granted `role`, whatever the options of the grant. */
  readonly memberships: readonly { readonly role: number; readonly member: number; readonly inherits: string }[];
}
