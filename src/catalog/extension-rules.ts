/** What is known of the functions that extensions bring, by the extension that pg_depend says they belong to. */
export type ExtensionVerdict = 'trusted' | 'remote' | 'server_files' | 'opaque';

const NONE = /^$/;

/**
 * Reviewed extensions: their functions compute from their arguments alone. The expression names exceptions.
 * pg_trgm, isn: keep their argument as a setting.
 * pgcrypto: pgp_*_encrypt compress what they encrypt, so bytes no longer bound what a value holds.
 * tablefunc: all but normal_rand() run SQL that they get as text.
 * postgis: what reads statistics or geometry_columns, builds SQL, or writes tables.
 */
const TRUSTED: ReadonlyMap<string, RegExp> = new Map([
  ['pg_trgm', /^set_limit$/], ['citext', NONE], ['hstore', NONE], ['unaccent', NONE], ['uuid-ossp', NONE], ['btree_gin', NONE], ['btree_gist', NONE],
  ['fuzzystrmatch', NONE], ['intarray', NONE], ['ltree', NONE], ['cube', NONE], ['earthdistance', NONE], ['isn', /^isn_weak$/], ['seg', NONE],
  ['vector', NONE], ['dict_int', NONE], ['dict_xsyn', NONE], ['tsm_system_rows', NONE], ['tsm_system_time', NONE],
  ['pgcrypto', /^pgp_(sym|pub)_encrypt/],
  ['tablefunc', /^(crosstab|connectby)/],
  ['postgis', /^(?!_?st_|postgis_(lib_|full_|geos_|proj_|scripts_|libxml_)?version|geometry|geography|box|overlaps_|contains_|is_contained_|equals$|text$|bytea$|json|path$|point$|polygon$|gserialized|spheroid|gidx)|^_?st_(estimatedextent|findextent|fromflatgeobuf|asmvt|asgeobuf|asflatgeobuf)/],
]);

/** Reach out to other servers: they see nothing of ours, and we see nothing of theirs. */
const REMOTE = new Set(['dblink', 'postgres_fdw', 'mysql_fdw', 'oracle_fdw', 'tds_fdw', 'mongo_fdw', 'redis_fdw', 'http', 'pg_net', 'plproxy', 'aws_s3', 'aws_lambda']);
const SERVER_FILES = new Set(['adminpack', 'file_fdw']);

export function extensionFunction(extension: string, name: string): ExtensionVerdict {
  if (REMOTE.has(extension)) return 'remote';
  if (SERVER_FILES.has(extension)) return 'server_files';
  const exceptions = TRUSTED.get(extension);
  return exceptions !== undefined && !exceptions.test(name) ? 'trusted' : 'opaque';
}
