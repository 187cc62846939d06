import { expect, test } from 'vitest';
import { Admission, type Newcomer } from '../../../src/session/admission.ts';

const LIMITS = { maxSessions: 3, maxSessionsPerPrincipal: 2, maxUnauthenticated: 4 };

function newcomer(address: string): Newcomer & { turnedAway: boolean } {
  const made = {
    address,
    turnedAway: false,
    turnAway() {
      made.turnedAway = true;
    },
  };
  return made;
}

test('the address that has the most waiting gives way, its oldest first', () => {
  const admission = new Admission(() => LIMITS);
  const honest = newcomer('10.0.0.1');
  admission.arrive(honest);
  const flood = Array.from({ length: 50 }, () => newcomer('10.6.6.6'));
  for (const each of flood) admission.arrive(each);
  expect(honest.turnedAway).toBe(false);
  expect(flood.map(({ turnedAway }) => turnedAway)).toEqual([...Array.from({ length: 47 }, () => true), false, false, false]);
  expect(admission.unauthenticated).toBe(4);
});

test('places are counted for each login, and come free when a session leaves', () => {
  const admission = new Admission(() => LIMITS);
  const [a, b, c, d, e] = [newcomer('10.0.0.1'), newcomer('10.0.0.2'), newcomer('10.0.0.3'), newcomer('10.0.0.4'), newcomer('10.0.0.5')];
  for (const each of [a, b, c, d]) admission.arrive(each);
  expect(admission.enter(a, 'agent')).toBeUndefined();
  expect(admission.enter(b, 'agent')).toBeUndefined();
  expect(admission.enter(c, 'agent')).toMatchObject({ sqlstate: '53300', message: 'too many connections for role "agent"' });
  expect(admission.enter(c, 'other')).toBeUndefined();
  expect(admission.full).toBe(true);
  expect(admission.enter(d, 'third')).toMatchObject({ sqlstate: '53300', message: 'sorry, too many clients already' });
  admission.leave(a);
  admission.leave(a);
  expect(admission.full).toBe(false);
  expect(admission.enter(d, 'agent')).toBeUndefined();
  admission.arrive(e);
  expect(admission.unauthenticated).toBe(1);
  admission.leave(e);
  expect(admission.unauthenticated).toBe(0);
});

test('a limit that a reload lowers holds for those who come next', () => {
  let limits = LIMITS;
  const admission = new Admission(() => limits);
  const waiting = Array.from({ length: 4 }, (_, i) => newcomer(`10.0.0.${i}`));
  for (const each of waiting) admission.arrive(each);
  limits = { ...LIMITS, maxUnauthenticated: 1 };
  admission.arrive(newcomer('10.0.1.1'));
  expect(waiting.every(({ turnedAway }) => turnedAway)).toBe(true);
  expect(admission.unauthenticated).toBe(1);
});
