import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, advance, filledSlices, leaseLifeMs, MAX_LIVE_SLICES, MAX_WINDOW_MS, MIN_WINDOW_MS, newWindow, shapeOf, stateAt, takeBack, validForMs } from '../../../src/quota/window.ts';

const windows = [MIN_WINDOW_MS, 1000, 1001, 1999, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000, MAX_WINDOW_MS];

describe('the sliding window', () => {
  it.each(windows)('of %i ms never needs more slices than its ring has', (windowMs) => {
    const { sliceMs, horizonMs } = shapeOf(windowMs);
    expect(Math.floor(horizonMs / sliceMs) + 2).toBeLessThanOrEqual(MAX_LIVE_SLICES);
  });

  it.each(windows)('of %i ms tells leases less time than it accounts for', (windowMs) => {
    const lifeMs = validForMs([{ key: 'k', windowMs, limit: 1 }]);
    expect(lifeMs).toBeGreaterThan(0);
    expect(lifeMs).toBeLessThan(leaseLifeMs(windowMs));
  });

  it('counts a unit until window and lease life are over, and at most a slice longer', () => {
    const window = newWindow(60_000);
    add(window, 1_000_000_500, 1);
    const endMs = 1_000_000_500 + 60_000 + leaseLifeMs(60_000);
    expect(stateAt(window, endMs).used).toBe(1);
    expect(stateAt(window, endMs + 1000).used).toBe(0);
  });

  it('says exactly when the oldest units leave', () => {
    const window = newWindow(60_000);
    add(window, 1_000_000_500, 1);
    const { nextFreeInMs = 0 } = stateAt(window, 1_000_010_000);
    expect(stateAt(window, 1_000_010_000 + nextFreeInMs - 1).used).toBe(1);
    expect(stateAt(window, 1_000_010_000 + nextFreeInMs).used).toBe(0);
  });

  it('agrees with a plain list of grants, whatever is added, taken back and let pass', () => {
    const step = fc.record({ passMs: fc.oneof(fc.nat(30), fc.nat(400), fc.nat(5000)), units: fc.nat(20), back: fc.nat(25), to: fc.nat(30) });
    fc.assert(
      fc.property(fc.constantFrom(600, 1000, 1500), fc.array(step, { maxLength: 60 }), (windowMs, steps) => {
        const window = newWindow(windowMs);
        const { sliceMs, horizonMs } = window.shape;
        const bySlice = new Map<number, number>();
        const times: number[] = [];
        let nowMs = 50_000;
        for (const { passMs, units, back, to } of steps) {
          nowMs += passMs;
          add(window, nowMs, units);
          const slice = Math.floor(nowMs / sliceMs);
          bySlice.set(slice, (bySlice.get(slice) ?? 0) + units);
          times.push(nowMs);
          const atMs = times[Math.max(0, times.length - 1 - to)] as number;
          advance(window, nowMs);
          takeBack(window, atMs, back);
          const old = Math.floor(atMs / sliceMs);
          bySlice.set(old, Math.max(0, (bySlice.get(old) ?? 0) - back));
          const live = [...bySlice].filter(([index, held]) => held > 0 && (index + 1) * sliceMs > nowMs - horizonMs);
          expect(stateAt(window, nowMs).used).toBe(live.reduce((sum, [, held]) => sum + held, 0));
          expect(filledSlices(window, 0)).toEqual(live.toSorted(([a], [b]) => a - b).map(([index, held]) => ({ slice: index, units: held })));
        }
      }),
      { numRuns: 500 },
    );
  });
});
