import { createHash } from 'node:crypto';
import { PERSON_BYTES } from '../../src/quota/person-table.ts';
import type { PeopleGrants } from '../../src/quota/people-grants.ts';

/** What stands for these people in a store: as many keyed hashes, one behind the other. */
export function hashesOf(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => createHash('sha256').update(name).digest().subarray(0, PERSON_BYTES)));
}

/** Indexes of the people with these keys in a statement. */
export function meet(statement: PeopleGrants, keys: readonly string[]): Int32Array {
  const people = new Int32Array(keys.length);
  statement.hasher.begin();
  for (const key of keys) statement.hasher.addText(key);
  statement.meet(people, 0);
  return people;
}
