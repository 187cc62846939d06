import type { DenyCategory, Reach } from '../catalog/reach-types.ts';
import { listInWords } from './refusal-codes.ts';

/** What an employee reads when a category is denied: what it is, and what to do in its place. */
export interface DenyText {
  /** Subject of "... is not allowed". */
  readonly what: string;
  /** Said about the relations that the statement names, before their list. */
  readonly cause: string;
  /** What would be allowed. */
  readonly instead: string;
  /** For the configuration reference. */
  readonly covers: string;
}

export const DENY_TEXTS: Readonly<Record<DenyCategory, DenyText>> = {
  remote: {
    what: 'reaching another server from inside the database',
    cause: 'The statement goes to another server by way of',
    instead: 'Connect to the other server directly.',
    covers: 'dblink, postgres_fdw and other foreign data wrappers, foreign servers, user mappings, subscriptions',
  },
  server_files: {
    what: 'reading or writing files of the database server',
    cause: 'The statement moves data between a file or program on the server and',
    instead: 'SELECT the rows that you need; COPY ... FROM STDIN loads data from your own computer.',
    covers: 'COPY to or from a file or program, pg_read_file and its kin, export of large objects',
  },
  replication: {
    what: 'replication and logical decoding',
    cause: 'The statement streams changes of',
    instead: 'SELECT the rows that you need.',
    covers: 'replication connections, replication slots, publications, functions that read decoded changes',
  },
  fastpath: {
    what: 'the fast-path function call',
    cause: 'The call reaches',
    instead: 'Call the function in a SELECT.',
    covers: 'the FunctionCall message of the wire protocol, which names a function by number and carries no SQL',
  },
  code: {
    what: 'creating code in the database or running a block of it',
    cause: 'The statement is about',
    instead: 'Write plain SELECT, INSERT, UPDATE and DELETE statements, or have a database administrator create what you need.',
    covers: 'CREATE FUNCTION, PROCEDURE, TRIGGER, RULE, OPERATOR and CAST, and DO blocks',
  },
  derived_copy: {
    what: 'saving a copy of protected data',
    cause: 'The statement would copy from',
    instead: 'SELECT the rows that you need; a temporary table or view counts as a copy, too.',
    covers: 'CREATE TABLE AS, SELECT INTO, INSERT ... SELECT, views and other writes that a class feeds, and code that may copy unseen. Where it is not denied, the copy inherits the class',
  },
  opaque: {
    what: 'a statement whose reach cannot be told',
    cause: 'The statement names',
    instead: 'Write the query over tables and views, with built-in functions. A function that was reviewed can be listed in trusted_functions, by those who run Rowgate.',
    covers: 'statements that are not parsed, not resolved or that hide what they run: dynamic SQL, functions in languages that Rowgate does not read, views not yet seen',
  },
  copy_out: {
    what: 'taking protected data out with COPY',
    cause: 'The statement copies out',
    instead: 'SELECT the rows that you need, with a LIMIT.',
    covers: 'COPY ... TO STDOUT of a class, in any format (pg_dump uses it)',
  },
  statistics: {
    what: 'reading what the server keeps of its own work',
    cause: 'The statement reads',
    instead: 'Ask somebody who looks after the database; pg_stat_activity and the catalogs can be read.',
    covers: 'cumulative counters of relations, indexes and functions (pg_stat_user_tables, pg_statio_...), pg_locks, and the planner\'s statistics (pg_stats)',
  },
  packing: {
    what: 'packing many rows of protected data into one value',
    cause: 'The statement packs rows of',
    instead: 'SELECT the rows themselves, without json_agg, string_agg, array_agg and the like.',
    covers: 'aggregates and functions that put any number of rows of a class into one value: json_agg, string_agg, array_agg, query_to_xml',
  },
};

/** What in the statement made it fall under the category. */
export function denyDetail(category: DenyCategory, reach: Reach): string | undefined {
  if (category === 'opaque' && reach.opaque.length > 0) return `What the statement does cannot be told: ${listInWords(reach.opaque)}.`;
  const protectedRelations = [...new Set(reach.classes.flatMap((each) => each.relations))].toSorted();
  const relations = protectedRelations.length > 0 ? protectedRelations : reach.relations;
  if (relations.length > 0) return `${DENY_TEXTS[category].cause} ${listInWords(relations)}.`;
  return reach.opaque.length > 0 ? `What the statement does cannot be told: ${listInWords(reach.opaque)}.` : undefined;
}
