/**
 * Types of PostgreSQL's own of which a constant equals one value of a unique key at most, whatever type the key is of. Not among them: float4 and float8, which equal several large whole numbers; character and
 * whatever is compared as it is, which sees no spaces at the end; timestamptz, of which one is two timestamps where clocks are put back; and types of users, whose casts and operators may say anything.
 */

import type { StatementFacts, TypeUse } from './facts.ts';

/** Names in pg_type, and oids (`src/include/catalog/pg_type.dat`). `unknown` is what has no type yet, and takes the key's. */
const EXACT: ReadonlyMap<string, number> = new Map([
  ['bool', 16], ['bytea', 17], ['int8', 20], ['int2', 21], ['int4', 23], ['text', 25], ['unknown', 705], ['varchar', 1043], ['date', 1082], ['timestamp', 1114], ['numeric', 1700], ['uuid', 2950],
]);
const OIDS: ReadonlySet<number> = new Set([0, ...EXACT.values()]);

/** That a type of users bears the name is for the catalog to say. */
export function isExactType({ schema, name }: TypeUse): boolean {
  return (schema === undefined || schema === 'pg_catalog') && EXACT.has(name);
}

/** `oid` as in Parse: 0 leaves it to the server. */
export function isExactOid(oid: number): boolean {
  return OIDS.has(oid);
}

/** By the parameters that it was made for last: programs say the same of a statement each time. */
const made = new WeakMap<StatementFacts, { readonly of: string; readonly facts: StatementFacts }>();

/** The same where these parameters, counted from 1, may be of any type: that a column equals one of them says nothing. */
export function withoutPinsBy(parameters: readonly number[] | 'all', facts: StatementFacts): StatementFacts {
  if (parameters.length === 0) return facts;
  const of = parameters.toString();
  const known = made.get(facts);
  if (known?.of === of) return known.facts;
  const { named, pins } = facts;
  const without: StatementFacts = {
    ...facts,
    pins: pins?.filter(({ parameter }) => parameter === undefined || (parameters !== 'all' && !parameters.includes(parameter))),
    named: named !== undefined && 'body' in named ? { ...named, body: withoutPinsBy(parameters, named.body) } : named,
  };
  made.set(facts, { of, facts: without });
  return without;
}
