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
