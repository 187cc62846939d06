/** Steps that a role with quotas may see another answer to, and why. Everything else must be the same; a role without limits has no entry here. */

export interface ExpectedDifference {
  readonly client: RegExp;
  readonly step: RegExp;
  /** What the line through Rowgate must look like. */
  readonly through: RegExp;
  readonly why: string;
}

const LARGE_OBJECTS = 'large objects are refused to roles with quotas (deny: fastpath and opaque): what one holds cannot be told';

const EXPECTED: readonly ExpectedDifference[] = [
  { client: /^(psql|node-postgres|psycopg2|pgjdbc)$/, step: /^large objects?$/, through: /rule support\/deny\/(fastpath|opaque)/, why: LARGE_OBJECTS },
  // These do not hand on the server's words.
  { client: /^pygresql$/, step: /^large objects$/, through: /Can't create large object/, why: LARGE_OBJECTS },
  { client: /^ruby-pg$/, step: /^large objects$/, through: /lo_creat failed/, why: LARGE_OBJECTS },
  { client: /^(DBD::Pg|php-pgsql)$/, step: /^large objects$/, through: /"ok":(null|false)/, why: LARGE_OBJECTS },
  { client: /^sequelize$/, step: /^sync of an enum$/, through: /rule support\/deny\/code/, why: 'Sequelize makes an enum in a DO block, and blocks of code are refused to roles with quotas (deny: code)' },
];

export function expectedDifference(client: string, step: string, user: string): ExpectedDifference | undefined {
  return user === 'agent' ? EXPECTED.find((each) => each.client.test(client) && each.step.test(step)) : undefined;
}
