/** Runs lists of techniques as tests: each works on the bare server, and Rowgate bounds it. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { carryOut, QUOTA, startBed, type AttackSuite, type BedOptions, type TestBed } from './attack.ts';
import { serverMajor } from './postgres.ts';

/** Some are hundreds of statements, each of which makes Rowgate look at the catalog anew. */
const TECHNIQUE_MS = 90_000;
/** The version that the techniques are written for: here each must work on the bare server. */
const NEWEST = 18;

/** Starts the servers of a test file. Call at its top. */
export function useTestBed(options: BedOptions = {}): () => TestBed {
  let bed: TestBed | undefined;
  beforeAll(async () => {
    bed = await startBed(options);
  });
  afterAll(async () => bed?.stop());
  return () => bed as TestBed;
}

/** The tests of a suite's techniques. Returns its bed, for more tests on it. */
export function testAttacks(suite: AttackSuite): () => TestBed {
  const bed = useTestBed(suite.bed);
  for (const group of new Set(suite.attacks.map((each) => each.group))) {
    describe(group, () => {
      for (const { name, role, technique, least, spent } of suite.attacks.filter((each) => each.group === group)) {
        test(`${name} [${role}]`, async (context) => {
          const direct = await carryOut(bed(), role, true, technique);
          const through = await carryOut(bed(), role, false, technique, spent);
          expect(through.tokens, 'customers that came through Rowgate').toBeLessThanOrEqual(QUOTA - spent);
          // Some need syntax, functions or faults that older servers do not have.
          if (direct.tokens < least && serverMajor < NEWEST) context.skip(`PostgreSQL ${serverMajor} does not give that much by it`);
          expect(direct.tokens, 'the technique works on the bare server').toBeGreaterThanOrEqual(least);
        }, TECHNIQUE_MS);
      }
    });
  }
  return bed;
}
