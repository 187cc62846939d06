import { describe, expect, test } from 'vitest';
import { LookupHabits, type LookupRule } from '../../../src/quota/lookup-habits.ts';

const HOUR = 3_600_000;
const RULE: LookupRule = { role: 'support', className: 'customers', windowMs: HOUR, above: 10, habit: 5 };
const START = 1_000 * HOUR;

/** Notes `count` look-ups evenly over an hour; returns the last answer. */
function hour(habits: LookupHabits, principal: string, count: number, from: number, rule = RULE) {
  let last;
  for (let i = 0; i < count; i++) last = habits.note(rule, principal, from + Math.floor((i * (HOUR - 1)) / count));
  return last;
}

describe('look-ups far above the habit', () => {
  test('nobody is told of up to the least habit times `above`, one more is', () => {
    const habits = new LookupHabits();
    expect(hour(habits, 'a', 50, START)).toBeUndefined();
    expect(habits.note(RULE, 'a', START + HOUR - 1)).toEqual({ count: 51, habit: 5 });
  });

  test('the habit is the median of what members do, not of what one does', () => {
    const habits = new LookupHabits();
    for (let h = 0; h < 5; h++) {
      for (const member of ['a', 'b', 'c']) hour(habits, member, 20, START + h * HOUR);
      hour(habits, 'greedy', 40, START + h * HOUR);
    }
    expect(hour(habits, 'a', 200, START + 5 * HOUR)).toBeUndefined();
    expect(habits.note(RULE, 'a', START + 6 * HOUR - 1)).toEqual({ count: 201, habit: 20 });
  });

  test('few windows are no habit yet', () => {
    const habits = new LookupHabits();
    for (let h = 0; h < 7; h++) hour(habits, 'a', 40, START + h * HOUR);
    expect(hour(habits, 'a', 51, START + 8 * HOUR)).toEqual({ count: 51, habit: 5 });
  });

  test('the window slides', () => {
    const habits = new LookupHabits();
    hour(habits, 'a', 48, START);
    // Half an hour later half of them are out.
    expect(habits.note(RULE, 'a', START + HOUR + HOUR / 2)).toBeUndefined();
    expect(hour(habits, 'a', 20, START + HOUR + HOUR / 2)).toBeUndefined();
    // After a day all are.
    expect(hour(habits, 'a', 50, START + 24 * HOUR)).toBeUndefined();
  });

  test('roles, classes and logins are counted apart', () => {
    const habits = new LookupHabits();
    for (const [principal, rule] of [['a', RULE], ['b', RULE], ['a', { ...RULE, className: 'employees' }], ['a', { ...RULE, role: 'sales' }]] as const) expect(hour(habits, principal, 50, START, rule)).toBeUndefined();
    expect(habits.note(RULE, 'a', START)).toBeDefined();
  });

  test('`above: 0` counts nothing', () => {
    expect(hour(new LookupHabits(), 'a', 5_000, START, { ...RULE, above: 0 })).toBeUndefined();
  });

  test('a clock that goes back loses nothing', () => {
    const habits = new LookupHabits();
    hour(habits, 'a', 50, START);
    expect(habits.note(RULE, 'a', START - HOUR)).toEqual({ count: 51, habit: 5 });
  });

  test('a hundred thousand logins are not all kept, and the one that is there is', () => {
    const habits = new LookupHabits();
    for (let i = 0; i < 100_000; i++) {
      habits.note(RULE, `login ${i}`, START);
      if (i % 2_000 === 0) habits.note(RULE, 'a', START);
    }
    expect(habits.note(RULE, 'a', START)).toEqual({ count: 51, habit: 5 });
    expect(habits.note(RULE, 'login 0', START)).toBeUndefined();
  });

  test('what a new configuration does not have is forgotten', () => {
    const habits = new LookupHabits();
    hour(habits, 'a', 50, START);
    habits.keepOnly([{ ...RULE, className: 'employees' }]);
    expect(habits.note(RULE, 'a', START + 1)).toBeUndefined();
  });
});
