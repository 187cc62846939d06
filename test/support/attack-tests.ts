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

/**
 * The tests of a suite's techniques. `spentBefore`: units that are used up before each, so that techniques which take customers one by one have less to do.
 * Returns its bed, for more tests on it.
 */
export function testAttacks(suite: AttackSuite, spentBefore = 0): () => TestBed {
  const bed = useTestBed(suite.bed);
  for (const group of new Set(suite.attacks.map((each) => each.group))) {
    describe(group, () => {
      for (const { name, role, technique, least, spent: own } of suite.attacks.filter((each) => each.group === group)) {
        test(`${name} [${role}]`, async (context) => {
          const spent = Math.max(own, spentBefore);
          const direct = await carryOut(bed(), role, true, technique, spent);
          const through = await carryOut(bed(), role, false, technique, spent);
          expect(through.tokens, 'customers that came through Rowgate').toBeLessThanOrEqual(QUOTA - spent);
          // Some need syntax, functions or faults that older servers do not have.
          const enough = least ?? QUOTA - spent + 1;
          if (direct.tokens < enough && serverMajor < NEWEST) context.skip(`PostgreSQL ${serverMajor} does not give that much by it`);
          expect(direct.tokens, 'the technique works on the bare server').toBeGreaterThanOrEqual(enough);
        }, TECHNIQUE_MS);
      }
    });
  }
  return bed;
}
