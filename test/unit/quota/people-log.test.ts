import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PeopleLog } from '../../../src/quota/people-log.ts';
import { personText } from '../../../src/quota/person-table.ts';
import { PeopleTimes } from '../../../src/quota/people-times.ts';
import { shapeOf } from '../../../src/quota/window.ts';
import { hashesOf } from '../../support/people.ts';

const WINDOW_MS = 60_000;
const { horizonMs } = shapeOf(WINDOW_MS);
const person = fc.integer({ min: 1, max: 30 }).map(String);
const step = fc.record({ passMs: fc.oneof(fc.nat(5), fc.nat(horizonMs)), people: fc.uniqueArray(person, { minLength: 1, maxLength: 8 }), dismissed: fc.boolean() });

it.each([PeopleLog, PeopleTimes])('%o tells of everybody whose last grant can still count, once, with its time', (History) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(2 * horizonMs), (steps, agoMs) => {
      const log = new History(WINDOW_MS);
      const model = new Map<string, number[]>();
      let nowMs = 1_000_000;
      for (const { passMs, people, dismissed } of steps) {
        nowMs += passMs + 1;
        log.record(nowMs, hashesOf(people), 1000);
        const fresh = people.filter((each) => (model.get(each)?.at(-1) ?? 0) <= nowMs - horizonMs);
        for (const each of people) model.set(each, [...(model.get(each) ?? []), nowMs]);
        if (!dismissed) continue;
        // Only who was new is taken back.
        log.dismiss(nowMs, hashesOf(fresh));
        for (const each of fresh) model.get(each)?.pop();
      }
      const sinceMs = nowMs - agoMs;
      const expected = [...model].flatMap(([each, times]) => {
        const lastMs = times.at(-1) ?? 0;
        return lastMs > nowMs - horizonMs && lastMs >= sinceMs ? [[personText(hashesOf([each]), 0), lastMs]] : [];
      });
      log.expire(nowMs);
      expect(new Map(log.since(sinceMs))).toEqual(new Map(expected as [string, number][]));
      log.expire(nowMs + horizonMs + 1);
      expect(log.isEmpty).toBe(true);
    }),
  );
});

it('is as long as twice what the store holds, however often the same people come, and keeps the newest', () => {
  const log = new PeopleLog(WINDOW_MS);
  for (let i = 0; i < 20_000; i++) log.record(1_000_000 + i, hashesOf([`a${i % 700}`, `b${i}`]), 50);
  const kept = log.since(0).map(([each]) => each);
  expect(kept.length).toBeLessThanOrEqual(2 * 50 + 1024);
  expect(kept).toEqual(expect.arrayContaining(Array.from({ length: 25 }, (_, i) => personText(hashesOf([`b${19_999 - i}`]), 0))));
});
