import { describe, expect, it } from 'vitest';
import { builtinFunction, isScalarAggregate } from '../../../src/catalog/builtin-functions.ts';
import { extensionFunction } from '../../../src/catalog/extension-rules.ts';
import { systemRelation } from '../../../src/catalog/system-relations.ts';

describe('a built-in function', () => {
  it.each([['lower', 870], ['count', 2803], ['now', 1299], ['pg_get_viewdef', 1641], ['nextval', 1574], ['row_to_json', 3155]])('%s is safe', (name, oid) => {
    expect(builtinFunction(name, oid).kind).toBe('safe');
  });

  it('is not safe under a name of the list with another oid', () => {
    expect(builtinFunction('lower', 871).kind).toBe('unsafe');
  });

  it('that nobody has looked at is opaque', () => {
    expect(builtinFunction('function_of_postgresql_19', 9999)).toMatchObject({ kind: 'unsafe', category: 'opaque' });
  });

  it.each([
    'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'table_to_xml', 'schema_to_xml', 'database_to_xml', 'cursor_to_xml', 'ts_stat', 'ts_rewrite', 'lo_get', 'loread',
    'pg_input_is_valid', 'pg_input_error_info', 'currtid2', 'plpgsql_validator', 'pg_restore_attribute_stats', 'binary_upgrade_set_missing_value',
  ])('%s is opaque', (name) => {
    expect(builtinFunction(name, 3000)).toMatchObject({ kind: 'unsafe', category: 'opaque' });
  });

  it.each(['pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_ls_waldir', 'pg_stat_file', 'lo_import', 'lo_export', 'pg_file_write', 'pg_current_logfile'])('%s works on files', (name) => {
    expect(builtinFunction(name, 3000)).toMatchObject({ kind: 'unsafe', category: 'server_files' });
  });

  it.each(['pg_logical_slot_get_changes', 'pg_logical_slot_peek_binary_changes', 'pg_create_logical_replication_slot', 'pg_copy_physical_replication_slot', 'pg_replication_origin_create', 'pg_switch_wal'])(
    '%s works on replication', (name) => {
      expect(builtinFunction(name, 3000)).toMatchObject({ kind: 'unsafe', category: 'replication' });
    });

  it.each(['pg_notify', 'set_config', 'setval', 'setseed', 'pg_logical_emit_message', 'pg_advisory_lock', 'pg_try_advisory_xact_lock_shared', 'lo_put', 'lowrite', 'lo_from_bytea'])('%s is a sink', (name) => {
    expect(builtinFunction(name, 3000)).toEqual({ kind: 'sink' });
  });

  it('tells when it looks up a name that is data', () => {
    expect(builtinFunction('to_regclass', 3495)).toEqual({ kind: 'safe', resolves: true });
    expect(builtinFunction('upper', 871)).toEqual({ kind: 'safe', resolves: false });
  });
});

it('aggregates that can hold every row are not scalar', () => {
  for (const name of ['json_agg', 'jsonb_object_agg', 'array_agg', 'string_agg', 'xmlagg', 'range_agg', 'range_intersect_agg', 'percentile_disc', 'an_aggregate_of_later']) expect(isScalarAggregate(name)).toBe(false);
});

it('functions of extensions that were not looked at are opaque', () => {
  expect(extensionFunction('pg_trgm', 'similarity')).toBe('trusted');
  expect(extensionFunction('tablefunc', 'crosstab')).toBe('opaque');
  expect(extensionFunction('pgcrypto', 'pgp_sym_encrypt')).toBe('opaque');
  expect(extensionFunction('dblink', 'dblink_exec')).toBe('remote');
  expect(extensionFunction('postgis', 'st_distance')).toBe('trusted');
  expect(extensionFunction('postgis', 'st_estimatedextent')).toBe('opaque');
  expect(extensionFunction('postgis', 'populate_geometry_columns')).toBe('opaque');
  expect(extensionFunction('made_up', 'f')).toBe('opaque');
});

it('relations of the system are judged in pg_catalog only', () => {
  expect(systemRelation('pg_catalog', 'pg_stats')).toBe('statistics');
  expect(systemRelation('pg_catalog', 'pg_class')).toBe('free');
  expect(systemRelation('information_schema', 'columns')).toBe('free');
});
