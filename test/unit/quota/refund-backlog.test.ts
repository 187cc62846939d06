import { describe, expect, it } from 'vitest';
import { RefundBacklog } from '../../../src/quota/refund-backlog.ts';

const counter = (key: string, windowMs = 60_000): { readonly key: string; readonly windowMs: number } => ({ key, windowMs });

describe('refunds that wait for the store', () => {
  it('are added up by the time of their grant, and come out oldest first, once', () => {
    const backlog = new RefundBacklog();
    expect(backlog.keep(2000, [{ counter: counter('a'), units: 3 }])).toBe(true);
    expect(backlog.keep(1000, [{ counter: counter('a'), units: 5 }, { counter: counter('b'), units: 5 }])).toBe(true);
    expect(backlog.keep(2000, [{ counter: counter('a'), units: 4 }])).toBe(true);
    expect(backlog.size).toBe(3);
    expect(backlog.next(2500)).toEqual({ atMs: 1000, counted: [{ counter: counter('a'), units: 5 }, { counter: counter('b'), units: 5 }] });
    expect(backlog.next(2500)).toEqual({ atMs: 2000, counted: [{ counter: counter('a'), units: 7 }] });
    expect(backlog.next(2500)).toBeUndefined();
    expect(backlog.size).toBe(0);
  });

  it('are dropped where they no longer count', () => {
    const backlog = new RefundBacklog();
    backlog.keep(1000, [{ counter: counter('short'), units: 1 }, { counter: counter('long', 3_600_000), units: 2 }]);
    expect(backlog.next(200_000)).toEqual({ atMs: 1000, counted: [{ counter: counter('long', 3_600_000), units: 2 }] });
    backlog.keep(1000, [{ counter: counter('short'), units: 1 }]);
    expect(backlog.next(200_000)).toBeUndefined();
    expect(backlog.size).toBe(0);
  });

  it('are bounded: what is too much stays counted', () => {
    const backlog = new RefundBacklog();
    let kept = 0;
    for (let i = 0; i < 20_000; i += 1) if (backlog.keep(i, [{ counter: counter('a'), units: 1 }])) kept += 1;
    expect(kept).toBe(10_000);
    expect(backlog.size).toBe(10_000);
  });
});
