import { describe, expect, it } from 'vitest';
import type { LeasePlan } from '../../../src/quota/lease-plan.ts';
import { planLease, planPeople } from '../../../src/quota/lease-planner.ts';
import { Leasing } from '../../../src/quota/leasing.ts';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { StoreUnavailableError, type CounterStore } from '../../../src/quota/store.ts';
import type { CompiledQuota } from '../../../src/policy/types.ts';

const HOUR_MS = 3_600_000;

function quota(limit: number, more: Partial<CompiledQuota> = {}): CompiledQuota {
  const base = { role: 'support', className: 'customers', dimension: 'rows', window: HOUR_MS, windowText: '1h', scope: 'principal', action: 'block' } as const;
  const quotaOf = { ...base, ...more, limit };
  return { ruleId: `${quotaOf.role}/${quotaOf.className}/${quotaOf.dimension}/${quotaOf.window}/${limit}`, ...quotaOf };
}

function planFor(quotas: CompiledQuota[], options: { rowBound?: number; credits?: Parameters<typeof planLease>[3] } = {}): LeasePlan {
  const classNames = [...new Set(quotas.map(({ className }) => className))];
  const byClass = new Map(classNames.map((name) => [name, quotas.filter(({ className }) => className === name)]));
  return planLease({ principal: 'agent', quotas: byClass }, classNames.map((className) => ({ className, width: 1 })), options.rowBound, options.credits);
}

function fixture(): { store: MemoryStore; clock: { nowMs: number }; leasing: (plan: LeasePlan, store?: CounterStore) => Leasing; used: (plan: LeasePlan) => Promise<number[]> } {
  const clock = { nowMs: 1_000_000 };
  const store = new MemoryStore({ nowMs: () => clock.nowMs });
  return {
    store,
    clock,
    leasing: (plan, other = store) => new Leasing(other, plan, { nowMs: () => clock.nowMs }),
    used: async (plan) => {
      const counters = plan.classes.flatMap(({ rows, bytes }) => [...rows.counters, ...bytes.counters].map(({ counter }) => counter));
      return (await store.usage(counters)).map(({ used }) => used);
    },
  };
}

/** As a session does it: rows go until the lease says no, then it renews. Returns the rows that went. */
async function deliver(leasing: Leasing, rows: number, cost: readonly number[] = [1], bytes = 0): Promise<number> {
  if ((await leasing.begin()).kind !== 'granted') return 0;
  for (let row = 0; row < rows; row += 1) {
    while (!leasing.lease.trySpend(cost, bytes)) if ((await leasing.renew()).kind !== 'granted') return row;
  }
  return rows;
}

describe('leasing', () => {
  it('delivers exactly the limit and then says which, how much is used and when it frees', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(200), quota(5000, { window: 86_400_000 })]);
    const one = leasing(plan);
    expect(await deliver(one, 1000)).toBe(200);
    expect(one.lease.trySpend([1], 0)).toBe(false);
    const outcome = await one.renew();
    expect(outcome).toMatchObject({
      kind: 'refused',
      refusal: { ruleId: 'support/customers/rows/3600000/200', className: 'customers', dimension: 'rows', limit: 200, used: 200, windowMs: HOUR_MS },
    });
    expect(outcome.kind === 'refused' && outcome.refusal.nextFreeInMs).toBeGreaterThan(HOUR_MS);
    one.close();
    expect(await used(plan)).toEqual([200, 200]);
  });

  it('leaves spent what was delivered, and one unit where nothing was', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(200)]);
    const first = leasing(plan);
    await deliver(first, 37);
    first.close();
    expect(await used(plan)).toEqual([37]);
    const empty = leasing(plan);
    await empty.begin();
    empty.close();
    expect(await used(plan)).toEqual([38]);
  });

  it('does not start a statement in a class whose quota is spent, and counts nothing for it in another', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(200), quota(0, { className: 'invoices' })]);
    expect((await leasing(plan).begin()).kind).toBe('refused');
    expect(await used(plan)).toEqual([0, 0]);
  });

  it('lets two sessions share a quota to the last unit', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(100)]);
    const [a, b] = [leasing(plan), leasing(plan)];
    const counts = await Promise.all([deliver(a, 80), deliver(b, 80)]);
    a.close();
    b.close();
    expect(counts[0] + counts[1]).toBeLessThanOrEqual(100);
    const rest = leasing(plan);
    expect(counts[0] + counts[1] + (await deliver(rest, 100))).toBe(100);
    rest.close();
    expect(await used(plan)).toEqual([100]);
  });

  it('charges classes and dimensions with amounts of their own', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(1000), quota(1_000_000, { dimension: 'bytes' }), quota(1000, { className: 'invoices' })]);
    const one = leasing(plan);
    expect(await deliver(one, 100, [1, 3], 500)).toBe(100);
    one.close();
    expect(await used(plan)).toEqual([100, 50_000, 300]);
  });

  it('stops at the first limit that ends, be it of bytes', async () => {
    const { leasing } = fixture();
    const one = leasing(planFor([quota(1000), quota(1000, { dimension: 'bytes' })]));
    expect(await deliver(one, 100, [1], 300)).toBe(3);
    expect(one.lease.trySpend([1], 300)).toBe(false);
    expect(await one.renew()).toMatchObject({ kind: 'refused', refusal: { dimension: 'bytes', limit: 1000, used: 900 } });
  });

  it('does not let a pool that merely runs low stop one that is needed', async () => {
    const { leasing } = fixture();
    // The rows of `invoices` come from its limit of 16 at first; later asks for more of them would be refused.
    const one = leasing(planFor([quota(1000), quota(16, { className: 'invoices' })]));
    expect(await deliver(one, 200, [10, 0])).toBe(100);
  });

  it('voids units after their life and reserves anew; the old ones go back to where they came from', async () => {
    const { leasing, clock, used } = fixture();
    const plan = planFor([quota(200)]);
    const one = leasing(plan);
    await deliver(one, 5);
    clock.nowMs += 31_000;
    expect(one.lease.expired(clock.nowMs)).toBe(true);
    expect((await one.renew()).kind).toBe('granted');
    expect(one.lease.expired(clock.nowMs)).toBe(false);
    expect(one.lease.trySpend([1], 0) || (await one.renew()).kind === 'granted').toBe(true);
    one.lease.trySpend([1], 0);
    one.close();
    expect((await used(plan))[0]).toBeLessThanOrEqual(7);
    expect((await used(plan))[0]).toBeGreaterThanOrEqual(6);
  });

  it('hands the unit that a DECLARE paid to the first FETCH, once', async () => {
    const { leasing, used } = fixture();
    const quotas = [quota(200)];
    const declare = leasing(planFor(quotas));
    await declare.begin();
    const { credits } = declare.close();
    expect(credits).toMatchObject([{ className: 'customers', units: 1 }]);
    const plan = planFor(quotas, { credits });
    const fetch = leasing(plan);
    expect(await deliver(fetch, 10)).toBe(10);
    expect(fetch.close().credits).toEqual([]);
    expect(await used(plan)).toEqual([10]);
  });

  it('delivers the row that is paid for though nothing else is left', async () => {
    const { leasing } = fixture();
    const quotas = [quota(1)];
    const declare = leasing(planFor(quotas));
    await declare.begin();
    const fetch = leasing(planFor(quotas, { credits: declare.close().credits }));
    expect(await deliver(fetch, 5)).toBe(1);
  });

  it('keeps a limit on one statement without the store', async () => {
    const { leasing } = fixture();
    const away = { reserve: () => Promise.reject(new Error('asked')) } as unknown as CounterStore;
    const one = leasing(planFor([quota(50, { window: 'statement' })]), away);
    expect(await deliver(one, 100)).toBe(50);
    expect(one.lease.trySpend([1], 0)).toBe(false);
    expect(await one.renew()).toMatchObject({ kind: 'refused', refusal: { windowMs: 'statement', limit: 50, used: 50, nextFreeInMs: undefined } });
  });

  it('reports a flag when more than its limit is really spent, not when it is only leased, and once', async () => {
    const { leasing } = fixture();
    const plan = planFor([quota(100, { action: 'flag' })]);
    const one = leasing(plan);
    const seen: [number, number][] = [];
    const note = (row: number, flags: readonly { used: number }[]): void => flags.forEach(({ used }) => seen.push([row, used]));
    const first = await one.begin();
    if (first.kind === 'granted') note(0, first.flags);
    for (let row = 1; row <= 150; row += 1) {
      while (!one.lease.trySpend([1], 0)) {
        const outcome = await one.renew();
        if (outcome.kind !== 'granted') throw new Error(outcome.kind);
        note(row, outcome.flags);
      }
    }
    note(151, one.close().flags);
    expect(seen).toEqual([[101, 101]]);
  });

  it('is unavailable, never granted, when the store fails', async () => {
    const { leasing } = fixture();
    const failing = { reserve: () => Promise.reject(new StoreUnavailableError('away')) } as unknown as CounterStore;
    const one = leasing(planFor([quota(100)]), failing);
    expect(await one.begin()).toMatchObject({ kind: 'unavailable', error: { message: 'away' } });
    expect(one.lease.trySpend([1], 0)).toBe(false);
  });

  it('takes an answer that comes after its units are void for no answer', async () => {
    const { leasing, clock, store } = fixture();
    const slow = Object.assign(Object.create(store) as CounterStore, {
      reserve: async (groups: Parameters<CounterStore['reserve']>[0]) => {
        const answer = await store.reserve(groups);
        clock.nowMs += 60_000;
        return answer;
      },
      refund: store.refund.bind(store),
    });
    const one = leasing(planFor([quota(100)]), slow);
    expect((await one.begin()).kind).toBe('unavailable');
    expect(one.lease.trySpend([1], 0)).toBe(false);
  });

  it('gives back all but the minimum when it is closed before its first answer', async () => {
    const { leasing, used } = fixture();
    const plan = planFor([quota(100)]);
    const one = leasing(plan);
    const begun = one.begin();
    one.close();
    expect((await begun).kind).toBe('unavailable');
    expect(await used(plan)).toEqual([1]);
  });

  it('waits for the first reservation when a row comes before its answer', async () => {
    const { leasing } = fixture();
    const one = leasing(planFor([quota(100)]));
    const begun = one.begin();
    expect(one.lease.trySpend([20], 0)).toBe(false);
    expect((await one.renew()).kind).toBe('granted');
    expect((await begun).kind).toBe('granted');
    while (!one.lease.trySpend([20], 0)) expect((await one.renew()).kind).toBe('granted');
    expect(one.lease.spentUnits(0)).toBe(20);
  });

  it('reports a refund that failed and goes on', async () => {
    const { store } = fixture();
    const errors: string[] = [];
    const lame = { reserve: store.reserve.bind(store), refund: () => Promise.reject(new StoreUnavailableError('away')) } as unknown as CounterStore;
    const one = new Leasing(lame, planFor([quota(100)]), { nowMs: () => 0, onRefundError: ({ message }) => errors.push(message) });
    await one.begin();
    one.close();
    await Promise.resolve();
    await new Promise(setImmediate);
    expect(errors).toEqual(['away']);
  });
});

describe('the plan of a lease', () => {
  it('puts all rules on the same units on one counter: the tightest block is its limit, flags ride along', () => {
    const plan = planFor([quota(200), quota(150, { role: 'sales' }), quota(100, { action: 'flag' }), quota(900, { scope: 'role' }), quota(10, { dimension: 'subjects' })]);
    expect(plan.classes[0]?.rows.counters).toMatchObject([
      { counter: { limit: 150 }, ruleId: 'sales/customers/rows/3600000/150', flags: [{ limit: 100 }] },
      { counter: { limit: 900 }, flags: [] },
    ]);
    // People are counted apart: a row may be about somebody who was counted before.
    expect(planPeople({ principal: 'agent', quotas: new Map([['c', [quota(200), quota(10, { dimension: 'subjects' })]]]) }, [{ className: 'b' }, { className: 'c' }])).toMatchObject([
      { at: 1, className: 'c', pool: { counters: [{ counter: { limit: 10, people: 21 }, flags: [] }] } },
    ]);
  });

  it('keeps logins apart that try to spell another key', () => {
    const keys = ['a:b', 'a%3Ab', 'r:support'].map((principal) => planLease({ principal, quotas: new Map([['c', [quota(1)]]]) }, [{ className: 'c', width: 1 }], undefined).classes[0]?.rows.counters[0]?.counter.key);
    expect(new Set(keys).size).toBe(3);
  });
});
