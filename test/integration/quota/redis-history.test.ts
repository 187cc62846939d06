import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RedisStore } from '../../../src/quota/redis-store.ts';
import type { Counter } from '../../../src/quota/store.ts';
import { RedisServer } from './redis-server.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

/** mulberry32: the same history each run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

it('in real time, with three processes, refunds and Redis emptied on the way: no interval of the window has more than the limit delivered', async () => {
  const windowMs = 600;
  const shared: Counter = { key: 'shared', windowMs, limit: 40 };
  const stores = await Promise.all([1, 2, 3].map(() => RedisStore.open({ redis: server.url, heartbeatMs: 50, settleMs: 150 })));
  const deliveries: { fromMs: number; untilMs: number; units: number }[] = [];
  let refusals = 0;
  const endMs = performance.now() + 5000;
  const flushAtMs = performance.now() + 2000;
  let flushed = false;
  await Promise.all(
    stores.map(async (store, s) => {
      const next = random(s + 1);
      while (performance.now() < endMs) {
        if (s === 0 && !flushed && performance.now() > flushAtMs) {
          flushed = true;
          await server.kill();
          await server.run();
        }
        const askedAtMs = performance.now();
        const answer = await store.reserve([{ want: 1 + next(8), min: 1, counters: [shared] }]).catch(() => undefined);
        if (answer?.kind === 'granted') {
          const granted = answer.groups[0]?.granted ?? 0;
          const kept = next(granted + 1);
          deliveries.push({ fromMs: performance.now(), untilMs: askedAtMs + answer.lease.validForMs, units: kept });
          if (next(2) === 0) await sleep(next(60));
          await store.refund(answer.lease, [{ units: granted - kept, counters: [shared] }]).catch(() => undefined);
        } else {
          refusals += 1;
        }
        await sleep(next(20));
      }
    }),
  );
  for (const first of deliveries) {
    const startMs = first.untilMs;
    const units = deliveries.reduce((sum, d) => (d.untilMs >= startMs && d.fromMs <= startMs + windowMs ? sum + d.units : sum), 0);
    expect(units).toBeLessThanOrEqual(40);
  }
  expect(deliveries.length).toBeGreaterThan(50);
  expect(refusals).toBeGreaterThan(20);
  await Promise.all(stores.map((store) => store.close()));
});
