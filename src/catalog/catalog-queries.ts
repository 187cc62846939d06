/**
 * The questions put to pg_catalog. All of it is readable by every login (PostgreSQL documentation, "System Catalogs"); none needs a right on
 * a user's table. They run in one REPEATABLE READ transaction with an empty search_path, so that pg_get_viewdef and pg_get_ruledef print
 * every name outside pg_catalog with its schema. They hold for PostgreSQL 14 to 18.
 */

const USER = 'OPERATOR(pg_catalog.>=) 16384';

export const SERVER = `SELECT current_setting('server_version_num')::int, current_database()::text, (SELECT oid FROM pg_database WHERE datname = current_database())`;

export const NAMESPACES = `
  SELECT n.oid, n.nspname::text,
         EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'USAGE'), concat_ws(' ', n.nspowner, n.nspacl)
    FROM pg_namespace n ORDER BY 1`;

export const RELATIONS = `
  SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.reltoastrelid, c.reltype
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind NOT IN ('i', 'I') ORDER BY 1`;

/** In the order in which they lie: to sort three lists for each table would take the server half as long again. */
export const COLUMNS = `
  SELECT a.attrelid, json_agg(a.attnum), json_agg(a.attname), json_agg(a.atttypid::int8)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid ${USER} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
   GROUP BY 1 ORDER BY 1`;

/** How many each table has. */
export const INDEXES = `SELECT indrelid, count(*)::int FROM pg_index WHERE indrelid ${USER} GROUP BY 1 ORDER BY 1`;

/**
 * Columns that no two rows have equal values of at any time: a key that may be checked late, or an index over some rows or over expressions, does not say so. Nor does one whose operators or collation are not those that
 * `=` has for the column (`citext` by text_pattern_ops, COLLATE "C"): the index tells apart what is equal. Operator classes of arrays, enums, ranges and rows are of pseudo-types; varchar has text's.
 */
export const UNIQUE_KEYS = `
  SELECT i.indrelid, ARRAY(SELECT attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS part(attnum) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.attnum ORDER BY 1)
    FROM pg_index i
   WHERE i.indrelid ${USER} AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
     AND NOT EXISTS (
       SELECT FROM generate_series(0, i.indnkeyatts - 1) AS part(n) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[part.n] JOIN pg_opclass o ON o.oid = i.indclass[part.n]
        WHERE NOT o.opcdefault OR i.indcollation[part.n] <> a.attcollation
           OR NOT (o.opcintype = a.atttypid OR (a.atttypid = 'varchar'::regtype AND o.opcintype = 'text'::regtype) OR o.opcintype IN (SELECT oid FROM pg_type WHERE typtype = 'p')))
   ORDER BY 1, 2`;

export const INHERITS = `SELECT inhrelid, inhparent FROM pg_inherits ORDER BY 1, 2`;

/** Without the text: pg_get_viewdef and pg_get_ruledef lock what they print (AcquireRewriteLocks, utils/adt/ruleutils.c) and so may wait. */
export const RULES = `SELECT r.oid, r.ev_class, r.ev_type::text FROM pg_rewrite r WHERE r.ev_class ${USER} ORDER BY 1`;

export const RULE_TEXTS = `
  SELECT r.oid, CASE WHEN r.ev_type = '1' THEN pg_get_viewdef(r.ev_class) ELSE pg_get_ruledef(r.oid) END
    FROM unnest($1::oid[]) AS wanted(oid) JOIN pg_rewrite r ON r.oid = wanted.oid`;

const TARGET = `CASE d.refclassid WHEN 'pg_class'::regclass THEN 'relation' WHEN 'pg_proc'::regclass THEN 'function'
  WHEN 'pg_operator'::regclass THEN 'operator' ELSE 'type' END`;
const TARGETS = `d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass) AND d.refobjid ${USER}`;

/** A type in such an expression is made or not; what it calls decides about rows. */
const PLACE = `CASE WHEN d.refclassid = 'pg_type'::regclass THEN 'write' ELSE 'place' END`;

/**
 * Dependencies on objects that initdb made are not recorded (pinned objects, catalog/dependency.c), nor are they asked for. PostgreSQL 14 records what a generated
 * column calls with the column, later versions with its expression (StoreAttrDefault, catalog/heap.c and catalog/pg_attrdef.c).
 */
export const DEPENDENCIES = `
  SELECT DISTINCT via, owner, target, oid FROM (
    SELECT 'rule' AS via, r.oid AS owner, ${TARGET} AS target, d.refobjid AS oid
      FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
     WHERE ${TARGETS} AND d.deptype = 'n' AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid = r.ev_class)
    UNION ALL
    SELECT CASE WHEN a.attgenerated = 'v' THEN 'read' ELSE 'fill' END, f.adrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
      JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
     WHERE ${TARGETS} AND d.refclassid <> 'pg_class'::regclass
    UNION ALL
    SELECT CASE WHEN a.attgenerated = 'v' THEN 'read' ELSE 'fill' END, a.attrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_attribute a ON d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum
     WHERE a.attgenerated <> '' AND ${TARGETS} AND d.refclassid <> 'pg_class'::regclass
    UNION ALL
    SELECT CASE WHEN c.contypid <> 0 THEN 'type' ELSE 'write' END, CASE WHEN c.contypid <> 0 THEN c.contypid ELSE c.conrelid END, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
     WHERE ${TARGETS} AND NOT (d.refclassid = 'pg_type'::regclass AND d.refobjid = c.contypid) AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
    UNION ALL
    SELECT ${PLACE}, i.indrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_index i ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
     WHERE ${TARGETS} AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
    UNION ALL
    SELECT 'maintain', s.stxrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
     WHERE ${TARGETS} AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
    UNION ALL
    SELECT ${PLACE}, p.partrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_partitioned_table p ON d.classid = 'pg_class'::regclass AND d.objid = p.partrelid
     WHERE ${TARGETS} AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
    UNION ALL
    SELECT ${PLACE}, t.tgrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
     WHERE ${TARGETS} AND NOT t.tgisinternal AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
       AND NOT (d.refclassid = 'pg_proc'::regclass AND d.refobjid = t.tgfoid)
    UNION ALL
    SELECT 'read', p.polrelid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
     WHERE ${TARGETS} AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid)
    UNION ALL
    SELECT CASE WHEN d.refobjid IN (t.typinput, t.typreceive, t.typoutput, t.typsend, t.typmodin, t.typmodout, t.typanalyze) THEN 'input' ELSE 'type' END, d.objid, ${TARGET}, d.refobjid
      FROM pg_depend d JOIN pg_type t ON t.oid = d.objid WHERE d.classid = 'pg_type'::regclass AND d.deptype = 'n' AND d.refclassid = 'pg_proc'::regclass AND d.refobjid ${USER}
  ) AS found ORDER BY 1, 2, 3, 4`;

/**
 * Built-in functions in defaults, checks, policies and the like, which pg_depend does not record: their oids stand in the expression's own tree (nodes/outfuncs.c), so that
 * nothing need be printed, and nothing locked. The fifth column: a plain default, which sees no row.
 */
export const EXPRESSION_FUNCTIONS = `
  SELECT DISTINCT via, owner, found[1]::oid, plain FROM (
    SELECT CASE WHEN a.attgenerated = 'v' THEN 'read' ELSE 'fill' END AS via, d.adrelid AS owner, d.adbin::text AS tree, a.attgenerated = '' AS plain
      FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    UNION ALL SELECT CASE WHEN contypid <> 0 THEN 'type' ELSE 'write' END, CASE WHEN contypid <> 0 THEN contypid ELSE conrelid END, conbin::text, false FROM pg_constraint WHERE conbin IS NOT NULL
    UNION ALL SELECT 'place', indrelid, concat(indexprs::text, indpred::text), false FROM pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
    UNION ALL SELECT 'place', partrelid, partexprs::text, false FROM pg_partitioned_table WHERE partexprs IS NOT NULL
    UNION ALL SELECT 'place', tgrelid, tgqual::text, false FROM pg_trigger WHERE tgqual IS NOT NULL
    UNION ALL SELECT 'read', polrelid, concat(polqual::text, polwithcheck::text), false FROM pg_policy
    UNION ALL SELECT 'type', oid, typdefaultbin::text, true FROM pg_type WHERE typdefaultbin IS NOT NULL
  ) AS expression, regexp_matches(tree, ':(?:funcid|aggfnoid|winfnoid) (\\d+)', 'g') AS found
  WHERE found[1]::oid OPERATOR(pg_catalog.<) 16384 ORDER BY 1, 2, 3, 4`;

/** With the names under which the function reads the rows of the statement (REFERENCING OLD TABLE AS ...). */
export const TRIGGERS = `SELECT tgrelid, tgfoid, tgname::text, json_build_array(tgoldtable, tgnewtable) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2, 3`;

/** confdeltype and confupdtype: c cascade, n set null, d set default; the server then writes to the referencing table, whose triggers fire. */
export const FOREIGN_KEYS = `
  SELECT confrelid, conrelid, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY (confkey) ORDER BY attnum),
         confdeltype IN ('c', 'n', 'd'), confupdtype IN ('c', 'n', 'd')
    FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2, oid`;

/** Whoever owns an extension (of those that any owner of a database may install) can add to it what else they own: only what a superuser owns came with it. */
const OF_EXTENSION = (classId: string, oid: string, owners: string): string => `
       EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${classId}'::regclass AND e.objid = ${oid} AND e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass)
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid IN (${owners}) AND NOT r.rolsuper)`;

export const FUNCTIONS = `
  SELECT p.oid, n.nspname::text, p.proname::text, p.prokind::text, l.lanname::text, p.provolatile::text, p.prosecdef, e.extname::text,
         CASE WHEN p.pronargs = 1 THEN p.proargtypes[0] END, p.proretset
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
    LEFT JOIN pg_extension e ON e.oid = d.refobjid AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.proowner AND r.rolsuper)
   ORDER BY 1`;

/** Routines whose body can be read. An extension's are judged by the extension. */
export const ROUTINES = `
  SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
   WHERE p.oid ${USER} AND p.prokind IN ('f', 'p') AND l.lanname IN ('sql', 'plpgsql') AND length(p.prosrc) <= 262144
     AND NOT (${OF_EXTENSION('pg_proc', 'p.oid', 'p.proowner')})
   ORDER BY 1`;

/** The whole CREATE FUNCTION. A body that is kept parsed (BEGIN ATOMIC) is printed like a rule, locks included. */
export const ROUTINE_TEXTS = `SELECT wanted.oid, pg_get_functiondef(wanted.oid) FROM unnest($1::oid[]) AS wanted(oid) JOIN pg_proc p ON p.oid = wanted.oid`;

/** What a user's aggregate runs, and the types of its state, whose first value is made from a text. */
export const AGGREGATES = `
  SELECT aggfnoid::oid, array_remove(ARRAY[aggtransfn::oid, aggfinalfn::oid, aggcombinefn::oid, aggserialfn::oid, aggdeserialfn::oid, aggmtransfn::oid, aggminvtransfn::oid, aggmfinalfn::oid], 0::oid)::int8[]::text[],
         array_remove(ARRAY[aggtranstype, aggmtranstype], 0::oid)::int8[]::text[]
    FROM pg_aggregate WHERE aggfnoid::oid ${USER} ORDER BY 1`;

export const EVENT_TRIGGERS = `SELECT evtfoid, evtname::text FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1, 2`;

export const OPERATORS = `
  SELECT o.oid, n.nspname::text, o.oprname::text, o.oprleft, o.oprright, o.oprcode::oid
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid ${USER} ORDER BY 1`;

export const BUILTIN_OPERATORS = `SELECT DISTINCT oprname::text FROM pg_operator WHERE NOT oid ${USER} ORDER BY 1`;

/** castfunc is 0 for binary-coercible casts and those through the types' text form. An extension's implicit casts (citext to text, text to geometry) are none that somebody made to have code called. */
export const CASTS = `
  SELECT c.oid, c.castsource, c.casttarget, c.castfunc, c.castcontext = 'i' AND NOT (${OF_EXTENSION('pg_cast', 'c.oid', 'SELECT typowner FROM pg_type WHERE oid IN (c.castsource, c.casttarget)')})
    FROM pg_cast c WHERE c.oid ${USER} ORDER BY 1`;

export const TYPES = `
  SELECT t.oid, n.nspname::text, t.typname::text, t.typbasetype, CASE WHEN t.typelem <> 0 THEN t.typelem ELSE coalesce(r.rngsubtype, 0) END, t.typrelid, CASE WHEN t.typelem <> 0 THEN 'a' ELSE t.typtype::text END
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid) WHERE t.oid ${USER} ORDER BY 1`;

export const BUILTIN_TYPES = `
  SELECT n.nspname::text, t.typname::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE NOT t.oid ${USER} ORDER BY 1, 2`;

export const ROLES = `SELECT oid, rolname::text FROM pg_roles ORDER BY 1`;

/** Distinct: since PostgreSQL 16 several grantors may have granted the same membership. */
/** Whether rights are inherited is said of each since PostgreSQL 16. */
export const MEMBERSHIPS = `SELECT DISTINCT roleid, member, coalesce(to_jsonb(m) ->> 'inherit_option', '') FROM pg_auth_members m ORDER BY 1, 2, 3`;

const DIGESTED = [
  'pg_namespace', 'pg_class', 'pg_attribute', 'pg_attrdef', 'pg_inherits', 'pg_rewrite', 'pg_depend', 'pg_trigger', 'pg_constraint', 'pg_policy',
  'pg_proc', 'pg_aggregate', 'pg_event_trigger', 'pg_operator', 'pg_cast', 'pg_type', 'pg_extension', 'pg_auth_members',
] as const;

/**
 * A change of any of these tables makes, removes or replaces a row version, and a row version is known by its place and the transaction that
 * made it: (ctid, xmin). The digest covers all of them, so no change goes unseen, in whatever order transactions commit; a count or the
 * greatest xmin would miss the later commit of an older transaction. What is changed in place (relfrozenxid, reltuples; heap_inplace_update
 * in access/heap/heapam.c) does not matter here and does not show. pg_roles is a view, so its content is hashed.
 */
export const DIGEST = `SELECT concat_ws(' ', ${DIGESTED.map(
  (table) => `(SELECT count(*) || ':' || coalesce(bit_xor(hashtidextended(ctid, xmin::text::int8)), 0) FROM ${table})`,
).join(', ')}, (SELECT count(*) || ':' || coalesce(bit_xor(hashtextextended(rolname::text, oid::int8)), 0) FROM pg_roles))`;
