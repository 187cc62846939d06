import { describe, expect, test } from 'vitest';
import { LoginDelay } from '../../../src/auth/login-delay.ts';

function delayOf(delay: LoginDelay, user = 'agent', address = '10.0.0.1'): number {
  const admission = delay.admit(user, address);
  if (admission.kind === 'refused') throw new Error('refused');
  delay.abandoned(user, address);
  return admission.delayMs;
}

describe('the wait before an attempt to log in', () => {
  test('is nothing at first and after one mistake, then doubles up to its bound', () => {
    const delay = new LoginDelay({ maxDelayMs: 2000 });
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      seen.push(delayOf(delay));
      delay.failed('agent', '10.0.0.1');
    }
    expect(seen).toEqual([0, 0, 250, 500, 1000, 2000, 2000, 2000]);
  });

  test('is for one login at one address alone', () => {
    const delay = new LoginDelay({ maxDelayMs: 2000 });
    for (let i = 0; i < 10; i++) delay.failed('agent', '10.0.0.1');
    expect(delayOf(delay)).toBe(2000);
    expect(delayOf(delay, 'agent', '10.0.0.2')).toBe(0);
    expect(delayOf(delay, 'agent_2')).toBe(0);
  });

  test('comes for an address that tries many logins', () => {
    const delay = new LoginDelay({ maxDelayMs: 2000 });
    for (let i = 0; i < 25; i++) delay.failed(`guess_${i}`, '10.0.0.1');
    expect(delayOf(delay, 'never_tried')).toBeGreaterThan(0);
    expect(delayOf(delay, 'never_tried', '10.0.0.2')).toBe(0);
  });

  test('is over with a right password, and after a quarter of an hour', () => {
    let now = 0;
    const delay = new LoginDelay({ maxDelayMs: 2000, now: () => now });
    for (let i = 0; i < 5; i++) delay.failed('agent', '10.0.0.1');
    delay.succeeded('agent', '10.0.0.1');
    expect(delayOf(delay)).toBe(0);
    for (let i = 0; i < 5; i++) delay.failed('agent', '10.0.0.1');
    expect(delayOf(delay)).toBeGreaterThan(0);
    now += 15 * 60_000 + 1;
    expect(delayOf(delay)).toBe(0);
  });

  test('cannot be got round by many attempts side by side', () => {
    const delay = new LoginDelay({ maxDelayMs: 2000 });
    for (let i = 0; i < 5; i++) delay.failed('agent', '10.0.0.1');
    const kinds = Array.from({ length: 40 }, () => delay.admit('agent', '10.0.0.1').kind);
    expect(kinds.filter((kind) => kind === 'after').length).toBe(16);
    expect(delay.admit('agent', '10.0.0.2').kind).toBe('after');
    delay.failed('agent', '10.0.0.1');
    expect(delay.admit('agent', '10.0.0.1').kind).toBe('after');
  });

  test('holds for what other processes saw: guesses there wait here, and a success there ends it', () => {
    const here = new LoginDelay({ maxDelayMs: 2000 });
    const there = new LoginDelay({ maxDelayMs: 2000 });
    there.onOutcome = (outcome) => here.heard(outcome);
    for (let i = 0; i < 4; i++) there.failed('agent', '10.0.0.1');
    expect(delayOf(here)).toBe(delayOf(there));
    expect(delayOf(here)).toBeGreaterThan(0);
    there.succeeded('agent', '10.0.0.1');
    expect(delayOf(here)).toBe(0);
    expect(here.admit('agent', '10.0.0.2')).toEqual({ kind: 'after', delayMs: 0 });
  });

  test('costs bounded memory', () => {
    const delay = new LoginDelay({ maxDelayMs: 2000, maxEntries: 100 });
    for (let i = 0; i < 10_000; i++) delay.failed(`guess_${i}`, `10.0.${i % 250}.1`);
    expect(delay.size).toBeLessThanOrEqual(100);
  });
});
