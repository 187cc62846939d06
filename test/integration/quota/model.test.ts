import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { RedisStore } from '../../../src/quota/redis-store.ts';
import type { Counter, CounterStore, LeaseStamp, ReserveGroup } from '../../../src/quota/store.ts';
import { QuotaModel, worstInterval, type Delivery } from '../../support/quota-model.ts';
import { RedisServer } from './redis-server.ts';

/** Random histories of several clients, against the model: every answer is the same, and no interval of a window has more than its limit delivered. */

const CLIENTS = 3;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({
    do: fc.constant('reserve' as const),
    client: fc.nat(CLIENTS - 1),
    groups: fc.array(fc.record({ want: fc.integer({ min: 1, max: 15 }), min: fc.integer({ min: 1, max: 15 }), counters: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 3 }) }), { minLength: 1, maxLength: 2 }),
  }) },
  // `part` of 16 of what was granted goes back; the rest was delivered.
  { weight: 3, arbitrary: fc.record({ do: fc.constant('refund' as const), client: fc.nat(CLIENTS - 1), age: fc.nat(4), part: fc.nat(16) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(40), fc.nat(400), fc.nat(4000)) }) },
  // The clock is set: back, it stands still until it has caught up; forward, windows end early, so that intervals are then looked at by the store's time.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('step' as const), ms: fc.integer({ min: -1500, max: 800 }) }) },
  // A client dies with all that it holds. Another takes its place and knows nothing.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), client: fc.nat(CLIENTS - 1) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const limits = fc.tuple(...[0, 1, 2, 3].map(() => fc.option(fc.integer({ min: 0, max: 40 }), { freq: 8 })));
const windowsMs = [500, 600, 1777, 1000];

interface World {
  /** The store as this client sees it. */
  store(client: number): CounterStore;
  crash(client: number): Promise<void>;
  /** The store's time, its high-water mark included. */
  nowMs(): Promise<number>;
  /** Lets time pass, or sets the clock. */
  pass(ms: number): Promise<void>;
  step(ms: number): Promise<void>;
}

let serial = 0;

async function play(world: World, limit: readonly (number | null)[], steps: readonly Step[]): Promise<void> {
  const model = new QuotaModel();
  serial += 1;
  const counters: Counter[] = limit.map((units, i) => ({ key: `q:{c}:rows:${windowsMs[i]}:p:h${serial}`, windowMs: windowsMs[i] as number, limit: units }));
  const held: { readonly lease: LeaseStamp; readonly groups: readonly { units: number; readonly counters: readonly Counter[] }[]; readonly deliveries: readonly Delivery[] }[][] = Array.from({ length: CLIENTS }, () => []);
  const deliveries: Delivery[] = [];
  for (const each of steps) {
    switch (each.do) {
      case 'pass':
        await world.pass(each.ms);
        break;
      case 'step':
        await world.step(each.ms);
        break;
      case 'crash':
        held[each.client] = [];
        await world.crash(each.client);
        break;
      case 'reserve': {
        const taken = new Set<number>();
        const groups: ReserveGroup[] = [];
        for (const { want, min, counters: indexes } of each.groups) {
          const own = indexes.filter((index) => !taken.has(index));
          for (const index of own) taken.add(index);
          if (own.length > 0) groups.push({ want: Math.max(want, min), min, counters: own.map((index) => counters[index] as Counter) });
        }
        if (groups.length === 0) break;
        const answer = await world.store(each.client).reserve(groups);
        const nowMs = answer.kind === 'granted' ? answer.lease.grantedAtMs : await world.nowMs();
        const expected = model.reserve(groups, nowMs);
        if (answer.kind === 'refused') {
          expect({ kind: answer.kind, group: answer.group, counter: answer.counter }).toEqual(expected);
          break;
        }
        expect({ kind: 'granted', amounts: answer.groups.map(({ granted }) => granted) }).toEqual(expected);
        for (const [g, group] of groups.entries()) {
          expect(answer.groups[g]?.counters.map(({ used }) => used)).toEqual(group.counters.map((counter) => model.used(counter, nowMs)));
        }
        const untilMs = nowMs + answer.lease.validForMs;
        const out = groups.flatMap((group, g) => group.counters.map((counter) => ({ counter, fromMs: nowMs, untilMs, units: answer.groups[g]?.granted ?? 0 })));
        deliveries.push(...out);
        held[each.client]?.push({ lease: answer.lease, groups: groups.map((group, g) => ({ units: answer.groups[g]?.granted ?? 0, counters: group.counters })), deliveries: out });
        break;
      }
      case 'refund': {
        const mine = held[each.client] as (typeof held)[number];
        const lease = mine.splice(-1 - each.age, 1)[0];
        if (lease === undefined) break;
        const back = lease.groups.map(({ units, counters: of }) => ({ units: Math.floor((units * each.part) / 16), counters: of }));
        await world.store(each.client).refund(lease.lease, back);
        model.refund(lease.lease.grantedAtMs, back, await world.nowMs());
        for (const { units, counters: of } of back) for (const delivery of lease.deliveries) if (of.includes(delivery.counter)) delivery.units -= units;
        break;
      }
    }
  }
  const states = await world.store(0).usage(counters);
  const nowMs = await world.nowMs();
  expect(states.map(({ used }) => used)).toEqual(counters.map((counter) => model.used(counter, nowMs)));
  for (const counter of counters) if (counter.limit !== null) expect(worstInterval(deliveries, counter)).toBeLessThanOrEqual(counter.limit);
}

describe('the memory store', () => {
  it('answers as the model does, whatever several clients do and however its clock is set', async () => {
    await fc.assert(
      fc.asyncProperty(limits, fc.array(step, { minLength: 5, maxLength: 70 }), async (limit, steps) => {
        let clockMs = 1_000_000;
        let highMs = clockMs;
        const store = new MemoryStore({ nowMs: () => clockMs });
        const move = async (ms: number): Promise<void> => {
          clockMs += ms;
          highMs = Math.max(highMs, clockMs);
          // A clock's time counts when the store has looked at it.
          await store.usage([]);
        };
        await move(0);
        await play({ store: () => store, crash: () => Promise.resolve(), nowMs: () => Promise.resolve(highMs), pass: move, step: move }, limit, steps);
      }),
      { numRuns: 800 },
    );
  });
});

describe('the Redis store', () => {
  let server: RedisServer;
  let raw: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    raw = new Redis(server.url);
  });
  afterAll(async () => {
    raw.disconnect();
    await server.stop();
  });

  it('answers as the model does, whatever several processes do, die or come anew', async () => {
    const open = (): Promise<RedisStore> => RedisStore.open({ redis: server.url, settleMs: 0, heartbeatMs: 0 });
    const stores = await Promise.all(Array.from({ length: CLIENTS }, open));
    // Its clock cannot be set from here, but its high-water mark can: a day ahead, time is what the test says.
    let nowMs = Date.now() + 86_400_000;
    const set = async (ms: number): Promise<void> => {
      nowMs += Math.max(0, ms);
      await raw.hset('rowgate:clock', 'now', nowMs);
    };
    await set(0);
    const world: World = {
      store: (client) => stores[client] as RedisStore,
      crash: async (client) => {
        await stores[client]?.close();
        stores[client] = await open();
      },
      nowMs: () => Promise.resolve(nowMs),
      pass: set,
      // Back is where the clock is all the time.
      step: set,
    };
    await fc.assert(fc.asyncProperty(limits, fc.array(step, { minLength: 5, maxLength: 50 }), (limit, steps) => play(world, limit, steps)), { numRuns: 150 });
    await Promise.all(stores.map((store) => store.close()));
  });
});

it('is a model that can be failed: a store that forgets a slice too early is found out', async () => {
  let clockMs = 1_000_000;
  const early = new MemoryStore({ nowMs: () => clockMs * 1.2 });
  const world: World = { store: () => early, crash: () => Promise.resolve(), nowMs: () => Promise.resolve(clockMs), pass: (ms) => Promise.resolve(void (clockMs += ms)), step: () => Promise.resolve() };
  const reserve = (): Step => ({ do: 'reserve', client: 0, groups: [{ want: 5, min: 1, counters: [0] }] });
  await expect(play(world, [5, null, null, null], [reserve(), { do: 'pass', ms: 560 }, reserve()])).rejects.toThrow();
});
