import { shownByRelation } from './bookkeeping.ts';

/**
 * Relations of initdb's that hold more than metadata. Everything else in pg_catalog and information_schema is free: clients read it to draw their trees.
 *
 * `statistics`: values of the protected columns themselves (most common values, histogram bounds); counters of the open transaction, which can be made to spell them.
 * `counters`, `locks`: what can be made to spell them by a statement over a class; see bookkeeping.ts.
 * `closed`: large objects' bytes and credentials; opaque, though only superusers may read them.
 * `server_files`: views over files of the server.
 *
 * pg_stat_activity is free on purpose. It shows a login the statements of its own sessions, and of other roles only to members of
 * pg_read_all_stats (HAS_PGSTAT_PERMISSIONS, utils/adt/pgstatfuncs.c). What stands in a statement or in application_name was typed by somebody, or was put there by
 * set_config, which is charged as a derived copy. Every dashboard polls it: charging would cost honest users their quotas for nothing.
 */
export type SystemRelationKind = 'free' | 'statistics' | 'counters' | 'locks' | 'closed' | 'server_files';

const STATISTICS = new Set(['pg_statistic', 'pg_stats', 'pg_statistic_ext_data', 'pg_stats_ext', 'pg_stats_ext_exprs']);
/** Counters of the open transaction: which table a statement scanned how often, without the noise of others. No client draws its trees from them. */
const OWN_COUNTERS = /^pg_stat_xact_/;
const CLOSED = new Set(['pg_largeobject', 'pg_authid', 'pg_shadow', 'pg_user_mapping']);
const SERVER_FILES = new Set(['pg_hba_file_rules', 'pg_ident_file_mappings', 'pg_file_settings']);

export function systemRelation(schema: string, name: string): SystemRelationKind {
  if (schema !== 'pg_catalog') return 'free';
  if (STATISTICS.has(name) || OWN_COUNTERS.test(name)) return 'statistics';
  if (CLOSED.has(name)) return 'closed';
  return SERVER_FILES.has(name) ? 'server_files' : (shownByRelation(name) ?? 'free');
}

