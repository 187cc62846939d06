import { expect, it } from 'vitest';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { PeopleGrants } from '../../../src/quota/people-grants.ts';
import { PersonHashers } from '../../../src/quota/person-hash.ts';
import { RecentPeople } from '../../../src/quota/recent-people.ts';
import { meet } from '../../support/people.ts';

const counter = { key: 'q:{customers}:subjects:3600000:p:agent', windowMs: 3_600_000, limit: 100_000, people: 1 };

function grants(store: MemoryStore, recent = new RecentPeople()): PeopleGrants {
  const pool = { counters: [{ counter, ruleId: 'r', flags: [] }], statement: [] };
  return new PeopleGrants(store, 'customers', pool, { nowMs: () => performance.now(), secret: Buffer.from('secret'), scope: 'main', recent, hashers: new PersonHashers(), keepNamed: true });
}

/** People whose keys are these numbers. */
function numbers(statement: PeopleGrants, from: number, to: number): Int32Array {
  return meet(statement, Array.from({ length: to - from }, (_, i) => `${from + i}`));
}

/** Delivers a row about each of these people, as the meter does: many are asked for at once, and each goes in its turn. */
async function deliver(statement: PeopleGrants, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 500) {
    const people = numbers(statement, first, Math.min(first + 500, to));
    for (const person of people) if (!statement.covers(person, performance.now())) statement.want(person);
    if (statement.wants) expect((await statement.ask(1)).kind).toBe('granted');
    for (const [i, person] of people.entries()) {
      expect(statement.covers(person, performance.now())).toBe(true);
      statement.deliver(people, i, i + 1);
    }
    statement.forgetDelivered();
  }
}

it('forgets people who were delivered, and asks for them again for nothing', async () => {
  const store = new MemoryStore();
  const statement = grants(store);
  await deliver(statement, 0, 500);
  await deliver(statement, 500, 60_000);
  expect(statement.covers(meet(statement, ['5'])[0] as number, performance.now())).toBe(true);
  await deliver(statement, 60_000, 70_000);
  expect(statement.taken.people).toBe(70_000);
  expect(statement.covers(meet(statement, ['5'])[0] as number, performance.now())).toBe(false);
  await deliver(statement, 0, 1_000);
  expect((await store.usage([counter]))[0]?.used).toBe(70_000);
  statement.close();
  expect((await store.usage([counter]))[0]?.used).toBe(70_000);
});

it('takes back whom it was granted and did not deliver, and nobody else', async () => {
  const store = new MemoryStore();
  const statement = grants(store);
  const people = numbers(statement, 0, 10);
  for (const person of people) statement.want(person);
  await statement.ask(1);
  statement.deliver(people, 0, 3);
  statement.close();
  expect((await store.usage([counter]))[0]?.used).toBe(3);
});

it('needs no answer of the store for somebody whom another statement has just delivered, and cannot take them back', async () => {
  const store = new MemoryStore();
  const recent = new RecentPeople();
  const first = grants(store, recent);
  await deliver(first, 0, 10);
  first.close();
  const second = grants(store, recent);
  const [seven, seventy] = meet(second, ['7', '70']) as unknown as [number, number];
  expect(second.covers(seven, performance.now())).toBe(true);
  expect(second.covers(seventy, performance.now())).toBe(false);
  second.close();
  expect((await store.usage([counter]))[0]?.used).toBe(10);
});

it('leaves the people of other statements where they are, however large a result is', async () => {
  const store = new MemoryStore();
  const recent = new RecentPeople();
  const small = grants(store, recent);
  await deliver(small, 0, 10);
  small.close();
  const large = grants(store, recent);
  await deliver(large, 100, 30_000);
  large.close();
  const next = grants(store, recent);
  const [seven, early, late] = meet(next, ['7', '105', '29999']) as unknown as [number, number, number];
  expect([seven, early, late].map((person) => next.covers(person, performance.now()))).toEqual([true, true, false]);
  next.close();
  expect((await store.usage([counter]))[0]?.used).toBe(29_910);
});
