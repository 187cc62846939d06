import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import type { Admission, Counter } from '../../../src/quota/store.ts';
import { PeopleModel } from '../../integration/quota/people-model.ts';
import { hashesOf } from '../../support/people.ts';

const step = fc.record({
  passMs: fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, { weight: 3, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(2000) }),
  people: fc.uniqueArray(fc.integer({ min: 1, max: 25 }).map(String), { minLength: 1, maxLength: 8 }),
  /** The last of those who were new are taken back. */
  dismiss: fc.nat(4),
});

it('admits people as the plain model does, and never more than the limit in any interval of the window', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(500, 600, 1000, 1777), fc.integer({ min: 0, max: 15 }), fc.array(step, { minLength: 5, maxLength: 60 }), async (windowMs, limit, steps) => {
      let nowMs = 100_000;
      const store = new MemoryStore({ nowMs: () => nowMs });
      const counter: Counter = { key: '{k}:subjects:x', windowMs, limit, people: 1 };
      const model = new PeopleModel(counter);
      for (const { passMs, people, dismiss } of steps) {
        nowMs += passMs;
        const before = model.counted(nowMs);
        const answer = await store.admit([counter], hashesOf(people));
        expect(answer.admitted).toBe(model.expected(nowMs, people));
        expect(answer.refused).toBe(answer.admitted === people.length ? undefined : 0);
        expect(answer.fresh).toEqual(people.slice(0, answer.admitted).map((person) => (before.has(person) ? 0 : 1)));
        model.take(people, answer);
        expect(answer.counters[0]?.used).toBe(model.counted(nowMs).size);
        const undelivered = people.slice(0, answer.admitted).filter((_, i) => answer.fresh[i] === 1).slice(-dismiss);
        if (dismiss > 0 && undelivered.length > 0) {
          await store.dismiss(answer.lease, [{ people: hashesOf(undelivered), counters: [counter] }]);
          for (const person of undelivered) model.dismiss(person, answer.lease.grantedAtMs);
        }
        expect((await store.usage([counter]))[0]?.used).toBe(model.counted(nowMs).size);
      }
      expect(model.worstInterval()).toBeLessThanOrEqual(limit);
    }),
    { numRuns: 1500 },
  );
});

it('keeps people and units that nobody can be told from together under one limit', async () => {
  const store = new MemoryStore();
  const counter: Counter = { key: '{k}:subjects:x', windowMs: 60_000, limit: 10, people: 1 };
  expect((await store.reserve([{ want: 6, min: 6, counters: [counter] }])).kind).toBe('granted');
  const answer = await store.admit([counter], hashesOf(['a', 'b', 'c', 'd', 'e', 'f']));
  expect(answer).toMatchObject({ admitted: 4, refused: 0, counters: [{ used: 10 }] });
  expect((await store.reserve([{ want: 1, min: 1, counters: [counter] }])).kind).toBe('refused');
  expect((await store.admit([counter], hashesOf(['d', 'a', 'e']))).admitted).toBe(2);
});

it('is free for as many people as a lowered limit allows, always the same ones', async () => {
  let nowMs = 1000;
  const store = new MemoryStore({ nowMs: () => nowMs });
  const counter: Counter = { key: '{k}:subjects:x', windowMs: 60_000, limit: 5, people: 1 };
  for (const person of ['a', 'b', 'c', 'd', 'e']) {
    nowMs += 10;
    await store.admit([counter], hashesOf([person]));
  }
  const lowered = { ...counter, limit: 2 };
  const asked = async (person: string): Promise<number> => (await store.admit([lowered], hashesOf([person]))).admitted;
  expect([await asked('d'), await asked('e'), await asked('a'), await asked('d'), await asked('c'), await asked('x')]).toEqual([1, 1, 0, 1, 0, 0]);
});

it('remembers no more people than a flag needs where nothing limits them', async () => {
  const store = new MemoryStore();
  const counter: Counter = { key: '{k}:subjects:x', windowMs: 60_000, limit: null, people: 20 };
  for (let i = 0; i < 50; i += 1) await store.admit([counter], hashesOf([`a${i}`, `b${i}`]));
  expect((await store.usage([counter]))[0]?.used).toBe(20);
});

it('counts over several counters: a person who is new in one only needs room there', async () => {
  const store = new MemoryStore();
  const [hour, day] = [{ key: '{k}:subjects:h', windowMs: 60_000, limit: 2, people: 1 }, { key: '{k}:subjects:d', windowMs: 600_000, limit: 3, people: 1 }];
  const admit = (people: string[]): Promise<Admission> => store.admit([hour, day], hashesOf(people));
  expect(await admit(['a', 'b', 'c'])).toMatchObject({ admitted: 2, refused: 0, fresh: [3, 3] });
  await store.admit([day], hashesOf(['x']));
  expect(await store.admit([day], hashesOf(['y']))).toMatchObject({ admitted: 0, refused: 0 });
  expect(await admit(['b'])).toMatchObject({ admitted: 1, fresh: [0] });
});

it('rejects malformed calls before anything is counted', async () => {
  const store = new MemoryStore();
  const counter: Counter = { key: '{k}:subjects:x', windowMs: 60_000, limit: 10, people: 1 };
  const bad: [Counter[], Buffer][] = [[[counter], hashesOf([])], [[counter], hashesOf(['a', 'a'])], [[], hashesOf(['a'])], [[counter, counter], hashesOf(['a'])], [[{ key: '{k}:subjects:x', windowMs: 60_000, limit: 1 }], hashesOf(['a'])], [[counter], Buffer.alloc(15)], [[counter], hashesOf(Array.from({ length: 1025 }, (_, i) => `${i}`))]];
  for (const [counters, people] of bad) await expect(store.admit(counters, people)).rejects.toThrow(RangeError);
  expect((await store.usage([counter]))[0]?.used).toBe(0);
});
