import { SAFE_FUNCTIONS } from './safe-functions.ts';

/** What calling a function of initdb's means. */
export type BuiltinVerdict =
  /** Computes from its arguments, or shows metadata. `resolves`: looks up a name that it gets as data. */
  | { readonly kind: 'safe'; readonly resolves: boolean }
  /** Puts its argument where another statement or session finds it. */
  | { readonly kind: 'sink' }
  | { readonly kind: 'unsafe'; readonly category: 'server_files' | 'replication' | 'opaque'; readonly why: string };

interface SafeEntry {
  readonly oids: ReadonlySet<number>;
  readonly verdict: BuiltinVerdict;
}

/** Oids from here on are given out while initdb runs and differ between majors (FirstGenbkiObjectId, access/transam.h). */
const FIRST_GENERATED_OID = 10_000;

const RESOLVING: BuiltinVerdict = { kind: 'safe', resolves: true };
const PLAIN: BuiltinVerdict = { kind: 'safe', resolves: false };
const SINK: BuiltinVerdict = { kind: 'sink' };

function parseSafeFunctions(text: string): ReadonlyMap<string, SafeEntry> {
  const entries = new Map<string, SafeEntry>();
  for (const word of text.split(/\s+/)) {
    const [, mark, name, oids] = /^(!?)([^:]+):(.*)$/.exec(word) ?? [];
    if (name === undefined || oids === undefined) continue;
    entries.set(name, { oids: new Set(oids.split(',').filter(Boolean).map(Number)), verdict: mark === '!' ? RESOLVING : PLAIN });
  }
  return entries;
}

const SAFE = parseSafeFunctions(SAFE_FUNCTIONS);

/**
 * pg_notify reaches LISTENers; set_config a setting that SHOW and pg_settings give back for nothing; setval a sequence; setseed the next
 * random(); advisory locks are seen in pg_locks; a session that is cancelled notices; exported snapshots are files with numbers; large objects are read back by oid; logical messages go into the WAL.
 */
const SINKS = /^(pg_notify|set_config|setval|setseed|pg_logical_emit_message|pg_create_restore_point|lo_(put|from_bytea|creat|create|open|close|lseek|lseek64|tell|tell64|truncate|truncate64|unlink)|lowrite|pg_(try_)?advisory_.*|pg_(cancel|terminate)_backend|pg_export_snapshot)$/;
const SERVER_FILES = /^(pg_(read_|ls_|stat_file|file_|logdir_|current_logfile|rotate_logfile|hba_file_rules|ident_file_mappings|show_all_file_settings|config)|lo_(import|export)$)/;
const REPLICATION = /^(pg_(logical_|create_.*slot|copy_.*slot|drop_replication_slot|replication_|sync_replication_slots|log_standby_snapshot|switch_wal|promote|backup_|wal_replay_|available_wal_summaries|wal_summary_contents)|binary_upgrade_.*(slot|origin|replorigin))/;

/** The default is not safe: a function of a later major that nobody has looked at is opaque. */
export function builtinFunction(name: string, oid: number): BuiltinVerdict {
  const safe = SAFE.get(name);
  if (safe !== undefined && (safe.oids.has(oid) || oid >= FIRST_GENERATED_OID)) return safe.verdict;
  if (SINKS.test(name)) return SINK;
  if (SERVER_FILES.test(name)) return { kind: 'unsafe', category: 'server_files', why: `function ${name} reads or writes files of the server` };
  if (REPLICATION.test(name)) return { kind: 'unsafe', category: 'replication', why: `function ${name} works on replication` };
  return { kind: 'unsafe', category: 'opaque', why: `function ${name} is not on the list of functions known to be safe` };
}

/**
 * Aggregates whose result is one value of bounded size whatever the number of rows, or one row's value. All others (json_agg, array_agg, string_agg,
 * xmlagg, range_agg, percentile_disc over an array of fractions ...) can hold every row, and so pack. sum and bit_or of long numbers and bit strings can be made to hold
 * many rows too; `ClassReach.aggregated` bounds those by their bytes.
 */
const SCALAR_AGGREGATES = new Set([
  'count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or', 'bit_xor', 'any_value', 'mode',
  'stddev', 'stddev_pop', 'stddev_samp', 'variance', 'var_pop', 'var_samp', 'corr', 'covar_pop', 'covar_samp',
  'regr_avgx', 'regr_avgy', 'regr_count', 'regr_intercept', 'regr_r2', 'regr_slope', 'regr_sxx', 'regr_sxy', 'regr_syy',
  'rank', 'dense_rank', 'percent_rank', 'cume_dist',
]);

export function isScalarAggregate(name: string): boolean {
  return SCALAR_AGGREGATES.has(name);
}
