/**
 * What a statement's text alone says. Names are as written; the catalog resolves them (`catalog/reach.ts`).
 * Facts never depend on session state, so they can be cached by text.
 */

/** A relation named in the statement: one entry for each place where it stands. */
export interface RelationUse {
  readonly schema: string | undefined;
  readonly name: string;
  /** `read`: rows flow out of it. `write`: target of INSERT/UPDATE/DELETE/MERGE/COPY FROM/TRUNCATE (an UPDATE, DELETE or MERGE target is listed as `read` too). `define`: named by DDL. */
  readonly mode: 'read' | 'write' | 'define';
  /** How often the reference is evaluated side by side: 1, or more where it stands in a CTE that is named several times. Saturates at 1e9. */
  readonly times: number;
}

/** Two relation uses tied by an equality that holds for every row they give together: `a.x = b.y` ANDed at top level of WHERE or JOIN ON, or USING (x). Indexes into `relations`. */
export interface KeyLink {
  readonly left: number;
  readonly leftColumn: string;
  readonly right: number;
  readonly rightColumn: string;
}

/** A column of one relation use. Index into `relations`. */
export interface ColumnOfUse {
  readonly use: number;
  readonly column: string;
}

export interface Pin extends ColumnOfUse {
  /** What it equals is this parameter, whose type stands elsewhere. */
  readonly parameter?: number | undefined;
  /** It is under a cast to a type of this name, without a schema: PostgreSQL's own, if users have none of the name. */
  readonly cast?: string | undefined;
}

/** A function called anywhere in the statement (also in FROM, in casts written as calls, in DEFAULTs). One entry for each distinct (schema, name, window). */
export interface FunctionUse {
  readonly schema: string | undefined;
  readonly name: string;
  /** Number of calls, multiplied like `RelationUse.times`. */
  readonly times: number;
  /** Called with OVER. */
  readonly window: boolean;
}

/** An operator that the statement applies, written or implied (IN, BETWEEN, CASE x WHEN, USING ...): all of them, the built-in ones too, since another schema may hold one of the same name. `schema` set for OPERATOR(s.+). */
export interface OperatorUse {
  readonly schema: string | undefined;
  readonly name: string;
}

/** A type named in a cast, column definition or constructor. Built-in grammar types (`int`, `varchar`) come with schema `pg_catalog`. */
export interface TypeUse {
  readonly schema: string | undefined;
  readonly name: string;
  /** If there is none of the name, `%` is the operator, or what stands before it a variable. */
  readonly orNone?: true | undefined;
}

export type StatementKind =
  | 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'values'
  | 'create_table_as' | 'select_into' | 'create_view' | 'create_matview' | 'refresh_matview'
  | 'copy_to' | 'copy_from'
  | 'declare_cursor' | 'fetch' | 'move' | 'close_cursor'
  | 'prepare' | 'execute' | 'deallocate' | 'discard'
  | 'explain' | 'do' | 'call'
  | 'set' | 'reset' | 'show'
  | 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback_to' | 'prepare_transaction' | 'commit_prepared' | 'rollback_prepared'
  | 'listen' | 'unlisten' | 'notify' | 'lock' | 'truncate' | 'vacuum' | 'analyze'
  | 'ddl'      // any other definition statement
  | 'code'     // CREATE FUNCTION/PROCEDURE/TRIGGER/RULE/OPERATOR/CAST/AGGREGATE/base TYPE/LANGUAGE/EXTENSION/EVENT TRIGGER and their ALTERs
  | 'other';   // anything else that the grammar accepts and that holds no query (CHECKPOINT, GRANT, COMMENT ...)

/** Where COPY reads or writes. */
export type CopyEndpoint = 'client' | 'file' | 'program';

export interface CopyFacts {
  readonly endpoint: CopyEndpoint;
  readonly format: 'text' | 'csv' | 'binary';
  /** The first CopyData is a line of column names. */
  readonly header: boolean;
  /** Delimiters, quotes, NULL and encoding are the defaults of the format. */
  readonly plain: boolean;
}

/** A column of a relation that a query gives as it stands; `*`: all of them. `relation` undefined: it is not known which. */
export interface OutputColumn {
  readonly relation: { readonly schema: string | undefined; readonly name: string } | undefined;
  readonly column: string;
}

/** What a statement does to the session's named statements and cursors (SQL level). `name` undefined means ALL. */
export type NamedAction =
  | { readonly kind: 'prepare'; readonly name: string; readonly body: StatementFacts }
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | { readonly kind: 'declare'; readonly name: string; readonly body: StatementFacts; readonly hold: boolean }
  | { readonly kind: 'fetch'; readonly name: string; readonly move: boolean }
  | { readonly kind: 'close'; readonly name: string | undefined }
  | { readonly kind: 'discard'; readonly what: 'all' | 'plans' | 'temp' | 'sequences' };

/** A setting that the statement changes: SET, RESET, ALTER ROLE/DATABASE/SYSTEM ... SET, CREATE FUNCTION ... SET. */
export interface SettingChange {
  /** Lower case, as PostgreSQL compares it; `*` for RESET ALL. */
  readonly name: string;
  /** Undefined for RESET/DEFAULT or where the value is not a plain literal. */
  readonly value: string | undefined;
}

export interface StatementFacts {
  readonly kind: StatementKind;
  /** The parser's name of the top node, e.g. `SelectStmt`; for the audit log and for messages. */
  readonly node: string;
  /** EXPLAIN's, PREPARE's, DECLARE's and COPY (query)'s inner statement is merged into these lists. */
  readonly relations: readonly RelationUse[];
  readonly links: readonly KeyLink[];
  /** Columns that equal a constant or parameter in every row that the use gives, and no other value does (`src/sql/exact-types.ts`). */
  readonly pins?: readonly Pin[] | undefined;
  /** Columns that the outermost SELECT groups by: every row that comes of a use has one value of them. Empty where a window call could bring groups together. */
  readonly groupedBy?: readonly ColumnOfUse[] | undefined;
  /** What sum() and its kin add up: a use's column as it stands, undefined for all else. */
  readonly summed?: readonly (ColumnOfUse | undefined)[] | undefined;
  readonly functions: readonly FunctionUse[];
  /**
   * Last names of qualified column references and field selections: `c.name`, `(c).name`. PostgreSQL reads one that is no column as a call of
   * the function of that name on the row, aggregates included (`ParseFuncOrColumn`, src/backend/parser/parse_func.c).
   */
  readonly attributes: readonly string[];
  readonly operators: readonly OperatorUse[];
  readonly types: readonly TypeUse[];
  /** The statement's shape lets one value hold any number of rows: ARRAY(sub-select), recursive CTE, JSON_ARRAY(query), JSON_ARRAYAGG, JSON_OBJECTAGG, XMLAGG ... Aggregates by name are judged by the catalog. */
  readonly packs: boolean;
  /** GROUP BY, HAVING or an aggregate-only syntax (FILTER, WITHIN GROUP, DISTINCT in a call) is present. */
  readonly grouped: boolean;
  /** Contains INSERT/UPDATE/DELETE/MERGE at any depth (data-modifying CTEs too), COPY FROM, TRUNCATE, or row locks (FOR UPDATE ...). */
  readonly modifies: boolean;
  /** All that the statement makes, it makes of at most so many rows that these uses give together (`FROM (SELECT ... LIMIT 10)`). */
  readonly limited?: { readonly rows: number; readonly uses: readonly number[] } | undefined;
  /** Relation uses whose rows are locked (FOR UPDATE, FOR SHARE ...): indexes into `relations`. */
  readonly locks?: readonly number[] | undefined;
  /**
   * The text itself makes rows, or runs a part of it more than once: VALUES of several rows, UNION, XMLTABLE, JSON_TABLE, GROUPING SETS, MERGE, COPY FROM; `(f()).*`, which calls f for each column; COLLATE, by which a key
   * may equal several values.
   */
  readonly mayRepeat?: boolean | undefined;
  /** How many sequences nextval() may move: 2 stands for any number, and for names that are not written out. */
  readonly draws?: number | undefined;
  /** Calls a function that locks, until the transaction's end, a relation whose name is not written out: currval, pg_get_viewdef ... */
  readonly locksByName?: boolean | undefined;
  /** Indexes that the statement makes, those of keys included. */
  readonly indexes?: number | undefined;
  /** A definition that keeps the value of an expression in the catalog: bounds of a partition, the value that old rows have of a new column. */
  readonly evaluates?: boolean | undefined;
  /** INSERT ... ON CONFLICT DO UPDATE at any depth: a row that is there takes in values of one that comes. */
  readonly updatesOnConflict: boolean;
  /** Rows or a query over them are put under a new name: CTAS, SELECT INTO, CREATE [MATERIALIZED] VIEW, REFRESH, CREATE RULE, at any depth (under EXPLAIN, in CREATE SCHEMA). */
  readonly derives: boolean;
  /** Relations or views that this statement makes (CTAS, SELECT INTO, CREATE VIEW ...), replaces, renames, attaches or alters, as {schema, name}. */
  readonly defines: readonly { readonly schema: string | undefined; readonly name: string }[];
  /** The enum, composite type or domain that this statement makes. */
  readonly definesType: { readonly schema: string | undefined; readonly name: string } | undefined;
  /** The last part of the name of the function that this statement makes or replaces. */
  readonly definesFunction?: string | undefined;
  /** Functions that a definition names, by whatever name it has for them: of triggers, operators, casts, aggregates, of what is altered. Some are types, as the grammar has it. */
  readonly attaches?: readonly { readonly schema: string | undefined; readonly name: string }[] | undefined;
  /** GRANT and REVOKE on a schema: PostgreSQL passes over those of the search path that somebody may not use. */
  readonly rightsOnSchemas?: boolean | undefined;
  /** Anything that can change what a name means (DDL of relations, functions, types, schemas, operators, roles; SET search_path is in `settings`). */
  readonly changesCatalog: boolean;
  /** What a plain SELECT or COPY TO gives, column by column, undefined for expressions; undefined as a whole where it cannot be counted off. */
  readonly outputs?: readonly (OutputColumn | undefined)[] | undefined;
  /** Names of columns that UPDATE, ON CONFLICT DO UPDATE and MERGE set, at any depth. */
  readonly assigns: readonly string[];
  readonly copy: CopyFacts | undefined;
  readonly named: NamedAction | undefined;
  readonly settings: readonly SettingChange[];
  /** EXPLAIN with ANALYZE. */
  readonly explainAnalyze: boolean;
  /** Reasons why the text does not say all that the statement does (DO, CALL, node kind not known ...). Empty for most statements. */
  readonly opaque: readonly string[];
  /** Categories of `deny` that the text alone proves. */
  readonly categories: readonly TextCategory[];
  /** The block of a DO, or the body of a routine that is made, in a language that is read. */
  readonly body: RoutineBody | undefined;
  /** Byte offset and length of the statement in its text (UTF-8). */
  readonly offset: number;
  readonly length: number;
}

/** One statement or expression of a routine's body. */
export interface BodyStatement {
  readonly facts: StatementFacts;
  /** Arguments and variables that it names. */
  readonly mentions: readonly string[];
  /** Variables that its value goes into. */
  readonly assigns: readonly string[];
  /** Which statements run next hangs on its value (IF, CASE, EXIT). */
  readonly decides: boolean;
  /** Of a trigger: what is set under it, or whether there is anything set, hangs on its value. */
  readonly decidesRow?: boolean;
}

/** In `assigns`: the row that a trigger hands on. */
export const TRIGGER_ROW = '*row*';

/** What the body of a function, procedure or DO block says. */
export interface RoutineBody {
  readonly statements: readonly BodyStatement[];
  /** What the caller gives; NEW and OLD of a trigger. */
  readonly arguments: readonly string[];
  /** Variables that are filled from cursors, errors or diagnostics: with whatever the body reads. */
  readonly filled: readonly string[];
  /** It goes on after errors (EXCEPTION WHEN): which statements run next can hang on the value of any. */
  readonly catches: boolean;
  /** Of a trigger: what is set under a condition; the row, if it may be kept back under one. */
  readonly guarded?: readonly string[];
  /** It can gather any number of rows in a variable. */
  readonly loops: boolean;
  /** It opens cursors, under names that the session does not see. */
  readonly opensCursors: boolean;
  /** Of arguments, result and variables. */
  readonly types: readonly TypeUse[];
  /** `search_path` that the routine sets for itself; undefined: the caller's. */
  readonly searchPath: readonly string[] | undefined;
  /** Why its text does not say all that it does: `runs dynamic SQL`. */
  readonly opaque: readonly string[];
}

/** Categories that need no catalog: see `deny` in the configuration reference. */
export type TextCategory = 'code' | 'server_files' | 'remote' | 'replication' | 'opaque' | 'copy_out';

/** Result of analysing one Query or Parse text. */
export type Analysis =
  | { readonly kind: 'statements'; readonly statements: readonly StatementFacts[] }   // empty array: the empty query
  | { readonly kind: 'syntax_error'; readonly message: string; readonly position: number | undefined } // libpg_query's grammar rejects it; the message may quote the text, `position` counts characters from 1
  | { readonly kind: 'opaque'; readonly reason: string };                             // too large, timed out, parser trapped, queue full ...
