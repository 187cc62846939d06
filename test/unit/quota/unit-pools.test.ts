import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CompiledQuota } from '../../../src/policy/types.ts';
import type { LeasePlan } from '../../../src/quota/lease-plan.ts';
import { planLease } from '../../../src/quota/lease-planner.ts';
import { Leasing } from '../../../src/quota/leasing.ts';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { Neighbours } from '../../../src/quota/neighbours.ts';
import { StoreUnavailableError, type CounterStore } from '../../../src/quota/store.ts';
import { UnitPools } from '../../../src/quota/unit-pools.ts';

const HOUR_MS = 3_600_000;

function quota(limit: number, more: Partial<CompiledQuota> = {}): CompiledQuota {
  const whole = { role: 'support', className: 'customers', dimension: 'rows', window: HOUR_MS, windowText: '1h', scope: 'principal', action: 'block', limit, ...more } as const;
  return { ruleId: `support/customers/${whole.dimension}/${limit}`, ...whole };
}

/** Counts what it is asked, and can be cut off. */
class CountedStore extends MemoryStore {
  readonly calls = { reserve: 0, refund: 0 };
  down = false;

  override reserve(...args: Parameters<MemoryStore['reserve']>): ReturnType<MemoryStore['reserve']> {
    this.calls.reserve++;
    return this.down ? Promise.reject(new StoreUnavailableError('cut off')) : super.reserve(...args);
  }

  override refund(...args: Parameters<MemoryStore['refund']>): ReturnType<MemoryStore['refund']> {
    this.calls.refund++;
    return this.down ? Promise.reject(new StoreUnavailableError('cut off')) : super.refund(...args);
  }
}

/** Processes that share one store, each with its pools. */
function fixture(quotas: readonly CompiledQuota[], processes = 1) {
  const clock = { nowMs: 1_000_000 };
  const memory = new CountedStore({ nowMs: () => clock.nowMs });
  const store: CounterStore = memory;
  const principal = { principal: 'agent', quotas: new Map([['customers', quotas]]) };
  const plan = (): LeasePlan => planLease(principal, [{ className: 'customers', width: 1 }], undefined);
  const hosts = Array.from({ length: processes }, () => ({ neighbours: new Neighbours(), pools: new UnitPools(store, { nowMs: () => clock.nowMs }) }));
  const begin = (host = 0): Leasing => new Leasing(store, plan(), { nowMs: () => clock.nowMs, ...hosts[host] as (typeof hosts)[number] });
  const used = async (): Promise<number> => (await memory.usage(plan().classes.flatMap(({ rows }) => rows.counters.map(({ counter }) => counter))))[0]?.used ?? 0;
  return { clock, calls: memory.calls, hosts, begin, used, cut: () => { memory.down = true; } };
}

/** As a session does it: at once where that is possible, else by the store. */
async function deliver(leasing: Leasing, rows: number): Promise<number> {
  const outcome = leasing.beginNow() ?? (await leasing.begin());
  let delivered = 0;
  if (outcome.kind === 'granted') {
    for (; delivered < rows; delivered++) {
      while (!leasing.lease.trySpend([1], 0)) {
        if ((leasing.renewNow() ?? (await leasing.renew())).kind !== 'granted') {
          leasing.close();
          return delivered;
        }
      }
    }
  }
  leasing.close();
  return delivered;
}

const settled = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

describe('units held ready', () => {
  it('serve look-ups without asking the store each time', async () => {
    const { begin, calls } = fixture([quota(1_000_000)]);
    for (let i = 0; i < 1000; i++) expect(await deliver(begin(), 1)).toBe(1);
    expect(calls.reserve).toBeLessThan(60);
    expect(calls.refund).toBeLessThan(60);
  });

  it('are handed out at once, without a promise', async () => {
    const { begin } = fixture([quota(1_000_000)]);
    await deliver(begin(), 1);
    const leasing = begin();
    expect(leasing.beginNow()).toMatchObject({ kind: 'granted' });
    expect(leasing.lease.trySpend([1], 0)).toBe(true);
    leasing.close();
  });

  it('go back to the store when nobody wants them, with nothing lost', async () => {
    const { begin, hosts, used } = fixture([quota(1_000_000)]);
    for (let i = 0; i < 100; i++) await deliver(begin(), 1);
    await settled();
    expect(await used()).toBeGreaterThan(100);
    await hosts[0]?.pools.close();
    expect(await used()).toBe(100);
  });

  it('are none near a limit', async () => {
    const { begin, used } = fixture([quota(200)]);
    for (let i = 0; i < 50; i++) {
      await deliver(begin(), 1);
      await settled();
      expect(await used()).toBe(i + 1);
    }
  });

  it('are given up before anybody is refused', async () => {
    const { begin, used } = fixture([quota(2_000)]);
    let delivered = 0;
    for (let i = 0; i < 3_000; i++) delivered += await deliver(begin(), 1);
    expect(delivered).toBe(2_000);
    expect(await used()).toBe(2_000);
  });

  it('are not handed out once the store has failed', async () => {
    const { begin, cut, clock } = fixture([quota(1_000_000)]);
    for (let i = 0; i < 100; i++) await deliver(begin(), 1);
    cut();
    // A pool in use looks at the store once a second at least.
    clock.nowMs += 1_001;
    await deliver(begin(), 1);
    await settled();
    expect(await deliver(begin(), 1)).toBe(0);
  });

  it('are void when the life of their reservation is over', async () => {
    const { begin, clock } = fixture([quota(1_000_000)]);
    for (let i = 0; i < 100; i++) await deliver(begin(), 1);
    clock.nowMs += 30_000;
    expect(begin().beginNow()).toBeUndefined();
  });

  it('never let more than the limit out, in any number of processes, and lose nothing', async () => {
    await fc.assert(fc.asyncProperty(
      fc.integer({ min: 1, max: 4_000 }),
      fc.array(fc.record({ host: fc.integer({ min: 0, max: 2 }), rows: fc.integer({ min: 1, max: 300 }), afterMs: fc.integer({ min: 0, max: 400 }), together: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 60 }),
      async (limit, work) => {
        const { begin, hosts, used, clock } = fixture([quota(limit)], 3);
        let delivered = 0;
        for (const { host, rows, afterMs, together } of work) {
          clock.nowMs += afterMs;
          const parts = await Promise.all(Array.from({ length: together }, () => deliver(begin(host), rows)));
          delivered += parts.reduce((sum, part) => sum + part, 0);
        }
        expect(delivered).toBeLessThanOrEqual(limit);
        await settled();
        await Promise.all(hosts.map(({ pools }) => pools.close()));
        await settled();
        // Each statement costs a unit, a refused one as well.
        expect(await used()).toBeGreaterThanOrEqual(delivered);
        expect(await used()).toBeLessThanOrEqual(Math.min(limit, delivered + work.reduce((sum, { together }) => sum + together, 0)));
      },
    ), { numRuns: 60 });
  });
});
