import type { CatalogRows } from '../../../src/catalog/catalog-rows.ts';
import { ReachIndex, type ReachPolicy } from '../../../src/catalog/reach-index.ts';
import { buildSnapshot } from '../../../src/catalog/snapshot.ts';
import type { Analysis, RelationUse, StatementFacts } from '../../../src/sql/facts.ts';

/** A database without a server: two protected tables, one that is not, and the few built-in things that the tests name. */
export const BASE: CatalogRows = {
  database: 'hand_made',
  databaseOid: 5,
  serverVersion: 180004,
  namespaces: [
    { oid: 11, name: 'pg_catalog', publicUsage: true, rights: '' },
    { oid: 2200, name: 'public', publicUsage: true, rights: '' },
    { oid: 20001, name: 'crm', publicUsage: false, rights: '' },
    { oid: 20002, name: 'closed', publicUsage: false, rights: '' },
    { oid: 20003, name: 'pg_temp_3', publicUsage: false, rights: '' },
  ],
  relations: [
    { oid: 1259, schema: 'pg_catalog', name: 'pg_class', kind: 'r', toast: 0, rowType: 83 },
    { oid: 30001, schema: 'crm', name: 'customers', kind: 'r', toast: 30901, rowType: 40001 },
    { oid: 30901, schema: 'pg_toast', name: 'pg_toast_30001', kind: 't', toast: 0, rowType: 0 },
    { oid: 30002, schema: 'crm', name: 'invoices', kind: 'r', toast: 0, rowType: 40002 },
    { oid: 30003, schema: 'public', name: 'products', kind: 'r', toast: 0, rowType: 40003 },
    { oid: 30004, schema: 'closed', name: 'products', kind: 'r', toast: 0, rowType: 40004 },
    { oid: 30005, schema: 'pg_temp_3', name: 'scratch', kind: 'r', toast: 0, rowType: 40005 },
    { oid: 30010, schema: 'public', name: 'view', kind: 'v', toast: 0, rowType: 40010 },
  ],
  columns: [
    { relation: 30001, attnums: [1, 2], names: ['id', 'name'], types: [23, 25] },
    { relation: 30002, attnums: [1, 2, 4], names: ['id', 'region', 'customer_id'], types: [23, 25, 23] },
  ],
  inherits: [],
  rules: [{ oid: 50001, relation: 30010, event: '1', text: 'the view' }],
  dependencies: [],
  triggers: [],
  eventTriggers: [],
  foreignKeys: [],
  functions: [
    { oid: 870, schema: 'pg_catalog', name: 'lower', kind: 'f', language: 'internal', volatility: 'i', securityDefiner: false, extension: null, soleArgument: 25 },
    { oid: 2147, schema: 'pg_catalog', name: 'count', kind: 'a', language: 'internal', volatility: 'i', securityDefiner: false, extension: null, soleArgument: 2276 },
    { oid: 3175, schema: 'pg_catalog', name: 'json_agg', kind: 'a', language: 'internal', volatility: 's', securityDefiner: false, extension: null, soleArgument: 2283 },
    { oid: 60001, schema: 'public', name: 'mystery', kind: 'f', language: 'plpgsql', volatility: 'v', securityDefiner: true, extension: null, soleArgument: 40001 },
    { oid: 60002, schema: 'pg_catalog', name: 'abs', kind: 'f', language: 'plpgsql', volatility: 'i', securityDefiner: false, extension: null, soleArgument: 23 },
  ],
  operators: [],
  builtinOperators: ['=', '<'],
  casts: [],
  types: [],
  builtinTypes: [{ schema: 'pg_catalog', name: 'int4' }],
  roles: [{ oid: 70001, name: 'a' }, { oid: 70002, name: 'b' }],
  memberships: [{ member: 70001, role: 70002, inherits: '' }, { member: 70002, role: 70001, inherits: '' }],
};

export const POLICY: ReachPolicy = {
  classes: [{
    name: 'customers',
    relations: [{ pattern: 'crm.customers', subject: ['id'] }, { pattern: 'crm.invoices', subject: ['region', 'customer_id'] }],
    functions: [],
  }],
  trustedFunctions: [],
};

export function makeIndex(rows: Partial<CatalogRows> = {}, bodies: Readonly<Record<string, Partial<StatementFacts>>> = {}, policy: ReachPolicy = POLICY): ReachIndex {
  const analyses = new Map<string, Analysis>(Object.entries(bodies).map(([text, body]) => [text, { kind: 'statements', statements: [makeFacts(body)] }]));
  return new ReachIndex(buildSnapshot({ ...BASE, ...rows }, analyses), policy);
}

export function makeFacts(facts: Partial<StatementFacts>): StatementFacts {
  return {
    kind: 'select', node: 'SelectStmt', relations: [], links: [], functions: [], attributes: [], updatesOnConflict: false, operators: [], types: [], packs: false, grouped: false, modifies: false, derives: false,
    assigns: [], defines: [], definesType: undefined, changesCatalog: false, copy: undefined, named: undefined, settings: [], explainAnalyze: false, opaque: [], categories: [], offset: 0, length: 0, ...facts,
  } as StatementFacts;
}

export function reads(schema: string | undefined, name: string, times = 1): RelationUse {
  return { schema, name, mode: 'read', times };
}
