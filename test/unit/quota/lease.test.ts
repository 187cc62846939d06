import { describe, expect, it } from 'vitest';
import type { LeasePlan, PoolPlan } from '../../../src/quota/lease-plan.ts';
import { unitsToAsk } from '../../../src/quota/lease-size.ts';
import { Lease } from '../../../src/quota/lease.ts';
import type { LeaseStamp } from '../../../src/quota/store.ts';

const free: PoolPlan = { counters: [], statement: [] };
const stamp: LeaseStamp = { grantedAtMs: 1000, validForMs: 100 };

function pool(key: string, limit: number | null = 1000, statementLimit?: number): PoolPlan {
  const statement = statementLimit === undefined ? [] : [{ ruleId: `${key}/statement`, limit: statementLimit, enforced: true }];
  return { counters: [{ counter: { key, windowMs: 60_000, limit }, ruleId: key, flags: [] }], statement };
}

function planOf(...classes: { rows?: PoolPlan; bytes?: PoolPlan; width?: number; prepaid?: LeasePlan['classes'][number]['prepaid'] }[]): LeasePlan {
  return {
    classes: classes.map(({ rows, bytes, width, prepaid }, c) => ({ className: `class${c}`, width: width ?? 1, rows: rows ?? free, bytes: bytes ?? free, prepaid })),
    rowBound: undefined,
  };
}

/** Answers the lease's asks with everything that it wants. */
function grantAll(lease: Lease, deadlineMs = 100, from: LeaseStamp = stamp): void {
  for (const ask of lease.asks()) lease.accept(ask, from, deadlineMs, ask.want, [{ used: ask.want, nextFreeInMs: 1 }]);
  lease.clearPending();
}

describe('a lease', () => {
  it('spends a row in every class or in none', () => {
    const lease = new Lease(planOf({ rows: pool('a') }, { rows: pool('b') }));
    lease.expectFirstRow();
    grantAll(lease);
    expect(lease.trySpend([3, 17], 100)).toBe(false);
    expect([lease.spentUnits(0), lease.spentUnits(1)]).toEqual([0, 0]);
    expect(lease.trySpend([3, 16], 100)).toBe(true);
    expect([lease.spentUnits(0), lease.spentUnits(1), lease.spentBytes(1)]).toEqual([3, 16, 100]);
  });

  it('lets nothing through before its first grant', () => {
    expect(new Lease(planOf({ rows: pool('a') })).trySpend([1], 0)).toBe(false);
  });

  it.each([Number.NaN, -1, undefined])('finds a row that costs %s not affordable, and asks nothing for it', (cost) => {
    const lease = new Lease(planOf({}));
    expect(lease.trySpend([cost as number], 0)).toBe(false);
    expect(lease.pendingIsSound).toBe(false);
    expect(lease.trySpend([1], Number.NaN)).toBe(false);
  });

  it('never asks for a class without quotas, and counts what it spends', () => {
    const lease = new Lease(planOf({}, { rows: pool('b') }));
    lease.expectFirstRow();
    expect(lease.asks()).toEqual([{ pool: 2, want: 16, need: 1 }]);
    grantAll(lease);
    for (let i = 0; i < 10; i += 1) expect(lease.trySpend([5, 1], 7)).toBe(true);
    expect(lease.spentUnits(0)).toBe(50);
  });

  it('doubles what it asks for up to the cap', () => {
    const lease = new Lease(planOf({ rows: pool('a', null) }), { firstRows: 16, maxRowUnits: 100, firstBytes: 1, maxBytes: 1 });
    const wants: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      lease.expectFirstRow();
      wants.push(lease.asks()[0]?.want ?? 0);
      grantAll(lease);
      lease.trySpend([wants[i] as number], 0);
    }
    expect(wants).toEqual([16, 32, 64, 100, 100]);
  });

  it('asks for a row that is dearer than the next size, less what it holds', () => {
    const lease = new Lease(planOf({ rows: pool('a') }));
    lease.expectFirstRow();
    grantAll(lease);
    expect(lease.trySpend([500], 0)).toBe(false);
    expect(lease.asks()).toEqual([{ pool: 0, want: 484, need: 484 }]);
  });

  it('asks for no more than a statement of known size can cost, and scales the first ask by the width', () => {
    const bounded = new Lease({ ...planOf({ rows: pool('a'), width: 2 }), rowBound: 3 });
    bounded.expectFirstRow();
    expect(bounded.asks()[0]?.want).toBe(6);
    const wide = new Lease(planOf({ rows: pool('a'), width: 3 }));
    wide.expectFirstRow();
    expect(wide.asks()[0]?.want).toBe(48);
  });

  it('keeps the minimum charge, and the first row uses it', () => {
    const empty = new Lease(planOf({ rows: pool('a') }));
    empty.expectFirstRow();
    grantAll(empty);
    expect(empty.close()).toMatchObject({ refunds: [{ units: 15 }], credits: [{ className: 'class0', units: 1 }] });
    const oneRow = new Lease(planOf({ rows: pool('a') }));
    oneRow.expectFirstRow();
    grantAll(oneRow);
    oneRow.trySpend([1], 0);
    expect(oneRow.close()).toMatchObject({ refunds: [{ units: 15 }], credits: [] });
  });

  it('charges the minimum once, not at each renewal', () => {
    const lease = new Lease(planOf({ rows: pool('a') }));
    lease.expectFirstRow();
    grantAll(lease);
    lease.trySpend([16], 0);
    lease.expectFirstRow();
    grantAll(lease);
    expect(lease.close()).toMatchObject({ refunds: [{ units: 32 }], credits: [] });
  });

  it('uses a cursor\'s credit before its deadline, and not after', () => {
    const plan = planOf({ rows: pool('a'), prepaid: { className: 'class0', units: 1, deadlineMs: 50 } });
    const early = new Lease(plan);
    expect(early.trySpend([1], 0)).toBe(true);
    expect(early.trySpend([1], 0)).toBe(false);
    const late = new Lease(plan);
    expect(late.expired(49)).toBe(false);
    expect(late.expired(50)).toBe(true);
    expect(late.expire(50)).toEqual([]);
    expect(late.trySpend([1], 0)).toBe(false);
  });

  it('drops void units, gives them back to their own reservations, and keeps what is still good', () => {
    const lease = new Lease(planOf({ rows: pool('a') }));
    lease.expectFirstRow();
    grantAll(lease, 100);
    lease.trySpend([10], 0);
    const later: LeaseStamp = { grantedAtMs: 2000, validForMs: 100 };
    lease.trySpend([20], 0);
    grantAll(lease, 200, later);
    expect(lease.expired(99)).toBe(false);
    expect(lease.expired(100)).toBe(true);
    expect(lease.expire(100).map(({ stamp: from, units }) => [from.grantedAtMs, units])).toEqual([[1000, 6]]);
    expect(lease.expired(100)).toBe(false);
    expect(lease.trySpend([32], 0)).toBe(true);
    expect(lease.trySpend([1], 0)).toBe(false);
  });

  it('keeps a statement\'s own limit without asking', () => {
    const lease = new Lease(planOf({ rows: { counters: [], statement: [{ ruleId: 's', limit: 2, enforced: true }] } }));
    lease.expectFirstRow();
    expect(lease.asks()).toEqual([]);
    expect(lease.statementRefusal()).toBeUndefined();
    lease.clearPending();
    expect([lease.trySpend([1], 0), lease.trySpend([1], 0), lease.trySpend([1], 0)]).toEqual([true, true, false]);
    expect(lease.statementRefusal()).toMatchObject({ ruleId: 's', limit: 2, used: 2, windowMs: 'statement' });
  });

  it('asks the store for no more than the statement\'s limit leaves', () => {
    const lease = new Lease(planOf({ rows: pool('a', 1000, 5) }));
    lease.expectFirstRow();
    expect(lease.asks()[0]?.want).toBe(5);
  });

  it('spends nothing once closed', () => {
    const lease = new Lease(planOf({}));
    expect(lease.trySpend([0], 0)).toBe(true);
    lease.close();
    expect(lease.trySpend([0], 0)).toBe(false);
  });
});

describe('the size of a reservation', () => {
  const open = { size: 64, need: 1, remaining: Infinity, flagRoom: Infinity, bound: Infinity };
  it.each([
    ['doubling, where nothing limits', {}, 64],
    ['half of what remains', { remaining: 21 }, 11],
    ['what is needed, though it is more than half', { remaining: 21, need: 18 }, 18],
    ['what is needed where nothing seems to remain: the window may have slid', { remaining: 0, need: 3 }, 3],
    ['up to the next flag', { flagRoom: 5 }, 5],
    ['as ever once the flag is passed', { flagRoom: 0 }, 64],
    ['what the statement can still cost', { bound: 9 }, 9],
  ])('is %s', (_, limits, units) => {
    expect(unitsToAsk({ ...open, ...limits })).toBe(units);
  });
});
