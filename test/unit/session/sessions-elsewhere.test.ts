import { describe, expect, it } from 'vitest';
import { Admission, type Newcomer } from '../../../src/session/admission.ts';
import { SessionsElsewhere } from '../../../src/session/sessions-elsewhere.ts';

function newcomer(): Newcomer {
  return { address: '192.0.2.1', turnAway: () => undefined };
}

describe('sessions of other workers', () => {
  it('are added up over processes, and gone with their process', () => {
    const elsewhere = new SessionsElsewhere();
    elsewhere.note(1, 'ann', 2);
    elsewhere.note(2, 'ann', 3);
    elsewhere.note(2, 'bob', 1);
    expect([elsewhere.total, elsewhere.of('ann'), elsewhere.of('bob'), elsewhere.of('eve')]).toEqual([6, 5, 1, 0]);
    elsewhere.note(1, 'ann', 1);
    expect([elsewhere.total, elsewhere.of('ann')]).toEqual([5, 4]);
    elsewhere.forget(2);
    expect([elsewhere.total, elsewhere.of('ann'), elsewhere.of('bob')]).toEqual([1, 1, 0]);
    elsewhere.forget(7);
    expect(elsewhere.total).toBe(1);
  });

  it('count against the limits, and their number here is told', () => {
    const admission = new Admission(() => ({ maxSessions: 6, maxSessionsPerPrincipal: 3, maxUnauthenticated: 10 }));
    const told: [string, number][] = [];
    admission.onCount = (principal, count) => told.push([principal, count]);
    admission.elsewhere.note(2, 'ann', 2);
    const first = newcomer();
    expect(admission.enter(first, 'ann')).toBeUndefined();
    expect(admission.enter(newcomer(), 'ann')).toMatchObject({ sqlstate: '53300', message: 'too many connections for role "ann"' });
    admission.elsewhere.note(2, 'bob', 3);
    expect(admission.full).toBe(true);
    expect(admission.enter(newcomer(), 'eve')).toMatchObject({ sqlstate: '53300', message: 'sorry, too many clients already' });
    admission.elsewhere.forget(2);
    expect(admission.enter(newcomer(), 'eve')).toBeUndefined();
    admission.leave(first);
    expect(told).toEqual([['ann', 1], ['eve', 1], ['ann', 0]]);
  });
});
