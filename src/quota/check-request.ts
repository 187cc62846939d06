import { peopleIn, PERSON_BYTES, PERSON_WORDS, PersonTable, wordsOf } from './person-table.ts';
import { MAX_PEOPLE_A_CALL, PEOPLE_KEY, type Counter, type LeaseStamp, type ReserveGroup } from './store.ts';
import { MAX_UNITS, MAX_WINDOW_MS, MIN_WINDOW_MS } from './window.ts';

/** Faults of the caller, not of the store: they throw `RangeError` before anything is counted, in each implementation alike. */

export function checkGroups(groups: readonly ReserveGroup[]): void {
  for (const group of groups) {
    checkUnits(group.min, 'min');
    checkUnits(group.want, 'want');
    if (group.min < 1 || group.want < group.min) throw new RangeError(`want 1 <= min <= want, got min ${group.min}, want ${group.want}`);
  }
  checkCounters(groups.flatMap((group) => group.counters));
}

export function checkRefund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): void {
  if (!Number.isSafeInteger(lease.grantedAtMs) || lease.grantedAtMs < 0) throw new RangeError(`grantedAtMs ${lease.grantedAtMs} is not a time`);
  for (const group of groups) checkUnits(group.units, 'units');
  checkCounters(groups.flatMap((group) => group.counters));
}

/** Told apart here, one call after the other. */
const different = new PersonTable();

export function checkPeople(counters: readonly Counter[], people: Buffer): void {
  checkCounters(counters);
  const known = counters.every((counter) => counter.key.includes(PEOPLE_KEY) && counter.people !== undefined && Number.isSafeInteger(counter.people) && counter.people >= 1);
  if (!known || counters.length === 0 || counters.length > 50) throw new RangeError('people are counted in 1 to 50 counters of people');
  const asked = peopleIn(people);
  if (!Number.isInteger(asked)) throw new RangeError(`a person is a keyed hash of ${PERSON_BYTES} bytes`);
  if (asked === 0 || asked > MAX_PEOPLE_A_CALL) throw new RangeError(`1 to ${MAX_PEOPLE_A_CALL} people, got ${asked}`);
  const words = wordsOf(people);
  different.clear();
  for (let i = 0; i < asked; i++) different.add(words, i * PERSON_WORDS);
  if (different.size !== asked) throw new RangeError('each person once in a call');
}

/** One key twice in a call would be granted twice from the same remainder, so it is refused as a fault. */
export function checkCounters(counters: readonly Counter[]): void {
  const keys = new Set<string>();
  for (const { key, windowMs, limit } of counters) {
    if (key === '' || keys.has(key)) throw new RangeError(`counter key '${key}' is empty or repeated in one call`);
    keys.add(key);
    if (!Number.isSafeInteger(windowMs) || windowMs < MIN_WINDOW_MS || windowMs > MAX_WINDOW_MS) {
      throw new RangeError(`counter '${key}': windowMs ${windowMs} is not a whole number from ${MIN_WINDOW_MS} to ${MAX_WINDOW_MS}`);
    }
    if (limit !== null) checkUnits(limit, `limit of '${key}'`);
  }
}

function checkUnits(units: number, what: string): void {
  if (!Number.isSafeInteger(units) || units < 0 || units > MAX_UNITS) throw new RangeError(`${what} ${units} is not a whole number from 0 to ${MAX_UNITS}`);
}
