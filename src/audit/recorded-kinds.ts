import type { StatementKind } from '../sql/facts.ts';

/** `unparsed`: PostgreSQL's grammar as we have it did not accept the text. `fastpath`: a FunctionCall message. */
export type RecordedKind = StatementKind | 'unparsed' | 'fastpath';

/** A record, not a list: the compiler says when a kind is missing. */
const kinds: Readonly<Record<RecordedKind, true>> = {
  select: true, insert: true, update: true, delete: true, merge: true, values: true,
  create_table_as: true, select_into: true, create_view: true, create_matview: true, refresh_matview: true,
  copy_to: true, copy_from: true,
  declare_cursor: true, fetch: true, move: true, close_cursor: true,
  prepare: true, execute: true, deallocate: true, discard: true,
  explain: true, do: true, call: true,
  set: true, reset: true, show: true,
  begin: true, commit: true, rollback: true, savepoint: true, release: true, rollback_to: true,
  prepare_transaction: true, commit_prepared: true, rollback_prepared: true,
  listen: true, unlisten: true, notify: true, lock: true, truncate: true, vacuum: true, analyze: true,
  ddl: true, code: true, other: true,
  unparsed: true, fastpath: true,
};

export const RECORDED_KINDS = Object.keys(kinds) as readonly RecordedKind[];
