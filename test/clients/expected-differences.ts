/** Steps that a role with quotas may see another answer to, and why. Everything else must be the same; a role without limits has no entry here. */

export interface ExpectedDifference {
  readonly client: RegExp;
  readonly step: RegExp;
  /** What the line through Rowgate must look like. */
  readonly through: RegExp;
  readonly why: string;
}

const EXPECTED: readonly ExpectedDifference[] = [];

export function expectedDifference(client: string, step: string, user: string): ExpectedDifference | undefined {
  return user === 'agent' ? EXPECTED.find((each) => each.client.test(client) && each.step.test(step)) : undefined;
}

const LARGE_OBJECTS = 'large objects are refused to roles with quotas (deny: fastpath and opaque): what one holds cannot be told';
const NEW_TYPES = 'a type that was made earlier in the same transaction is not in the catalog yet, so that what uses it is opaque';

/** Clients whose script a role with quotas does not get through, and why: their tests are expected to fail, and turn red when they no longer do. */
export const STOPS_WITH_QUOTAS: ReadonlyMap<string, string> = new Map([
  ['psql', 'a text that makes a partitioned table and a partition of it is refused as a copy (deny: derived_copy), and the rest of the script lacks its tables'],
  ['node-postgres', LARGE_OBJECTS],
  ['psycopg2', LARGE_OBJECTS],
  ['pygresql', LARGE_OBJECTS],
  ['DBD::Pg', LARGE_OBJECTS],
  ['ruby-pg', LARGE_OBJECTS],
  ['php-pgsql', LARGE_OBJECTS],
  ['pgjdbc', LARGE_OBJECTS],
  ['typeorm', NEW_TYPES],
  ['sequelize', NEW_TYPES],
  ['sqlalchemy', NEW_TYPES],
  ['asyncpg', NEW_TYPES],
]);
