import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreNotice } from '../../../src/quota/redis-connection.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/quota/redis-store.ts';
import { NotCarriedOutError, StoreUnavailableError, type Counter } from '../../../src/quota/store.ts';
import { MAX_LIVE_SLICES, shapeOf } from '../../../src/quota/window.ts';
import { RedisServer } from './redis-server.ts';
import { counter, describeStore, granted, group, people, usedOf } from './store-suite.ts';
import { hashesOf } from '../../support/people.ts';

let server: RedisServer;
let raw: Redis;
beforeAll(async () => {
  server = await RedisServer.start();
  raw = new Redis(server.url);
  raw.on('error', () => undefined);
});
afterAll(async () => {
  raw.disconnect();
  await server.stop();
});

function open(options: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
  return RedisStore.open({ redis: server.url, settleMs: 0, heartbeatMs: 0, ...options });
}

async function until(ready: () => Promise<boolean>, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!(await ready())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`);
    await sleep(20);
  }
  return performance.now() - start;
}

describeStore('the Redis store', async () => {
  const store = await open();
  const other = await open();
  return {
    store,
    other,
    pass: (ms: number) => sleep(ms),
    end: async () => {
      await store.close();
      await other.close();
    },
  };
});

describe('the Redis store, what is its own', () => {
  it('keeps counters over a new store, and keys under the prefix', async () => {
    const c = counter(10);
    const first = await open({ prefix: 'mine:' });
    await first.reserve([group(6, 1, c)]);
    await first.close();
    const second = await open({ prefix: 'mine:' });
    expect(granted(await second.reserve([group(9, 1, c)]))).toEqual([4]);
    await second.close();
    expect(await raw.exists(`mine:count:${c.windowMs}:${c.key}`, 'mine:clock')).toBe(2);
  });

  it('puts people back that Redis forgot, and the secret that they are hashed with', async () => {
    const store = await open({ prefix: 'people:' });
    const c = people(10);
    const secret = await store.subjectSecret();
    await store.admit([c], hashesOf(['a', 'b', 'c']));
    await store.reserve([group(2, 2, c)]);
    await raw.flushall();
    expect(await usedOf(store, c)).toEqual([5]);
    expect(await store.admit([c], hashesOf(['b', 'x']))).toMatchObject({ admitted: 2, fresh: [0, 1] });
    await store.ping();
    const second = await open({ prefix: 'people:' });
    expect((await second.subjectSecret()).equals(secret)).toBe(true);
    await second.close();
    await store.close();
  });

  it('holds nothing of people but keyed hashes, in a set no longer than the limit, which expires', async () => {
    const store = await open({ prefix: 'sets:' });
    const c = people(20, 500);
    for (let i = 0; i < 40; i += 1) await store.admit([c], hashesOf([`p${i}`]));
    const key = `sets:count:500:${c.key}:set`;
    expect(await raw.zcard(key)).toBe(20);
    expect(await raw.pttl(key)).toBeGreaterThan(0);
    await sleep(shapeOf(500).horizonMs + 1500);
    expect(await raw.exists(key)).toBe(0);
    await store.close();
  });

  it('holds at most 72 slices and the head a key, and lets the key expire after its window', async () => {
    const store = await open();
    const c = counter(null, 1000);
    const key = `rowgate:count:1000:${c.key}`;
    const endMs = performance.now() + 1600;
    while (performance.now() < endMs) {
      await store.reserve([group(1, 1, c)]);
      await sleep(4);
    }
    expect(await raw.hlen(key)).toBeLessThanOrEqual(MAX_LIVE_SLICES + 4);
    expect(await raw.object('ENCODING', key)).toMatch(/listpack|ziplist/u);
    const ttlMs = await raw.pttl(key);
    expect(ttlMs).toBeGreaterThan(shapeOf(1000).horizonMs);
    expect(ttlMs).toBeLessThanOrEqual(shapeOf(1000).horizonMs + shapeOf(1000).sliceMs + 1000);
    const [head, total] = await Promise.all([raw.hgetall(key), raw.hget(key, 't')]);
    const sum = Object.entries(head).reduce((units, [field, value]) => (/^\d+$/u.test(field) ? units + Number(value) : units), 0);
    expect(sum).toBe(Number(total));
    await store.close();
  });

  it('goes on after SCRIPT FLUSH', async () => {
    const store = await open();
    const c = counter(10);
    await store.reserve([group(3, 1, c)]);
    await raw.script('FLUSH');
    expect(granted(await store.reserve([group(9, 1, c)]))).toEqual([7]);
    await store.close();
  });

  it('keeps counting when the clock of Redis is behind what was seen', async () => {
    const store = await open({ prefix: 'ahead:' });
    const c = counter(5, 60_000);
    await store.reserve([group(5, 1, c)]);
    // As if the clock had stood an hour ahead until now.
    const aheadMs = Date.now() + 3_600_000;
    await raw.hset('ahead:clock', 'now', aheadMs);
    const answer = await store.reserve([group(1, 1, c)]);
    expect(answer).toMatchObject({ kind: 'granted', lease: { grantedAtMs: aheadMs } });
    const [state] = await store.usage([c]);
    expect(state?.nextFreeInMs).toBeGreaterThan(3_600_000);
    expect((await store.reserve([group(9, 9, c)])).kind).toBe('refused');
    await store.close();
  });

  it('tells of a Redis that may evict or lose counters', async () => {
    const notices: StoreNotice[] = [];
    await raw.config('SET', 'maxmemory', '100mb');
    await raw.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const store = await open({ onNotice: (notice) => notices.push(notice) });
    await until(() => Promise.resolve(notices.filter(({ kind }) => kind === 'misconfigured').length === 2), 1000);
    await raw.config('SET', 'maxmemory', '0');
    await store.close();
  });
});

describe('a Redis that has forgotten', () => {
  it('gets back what this process was granted, and refunds still find their slices', async () => {
    const notices: StoreNotice[] = [];
    const store = await open({ prefix: 'lost:', onNotice: (notice) => notices.push(notice) });
    const [c, d] = [counter(10), counter(null, 60_000)];
    const lease = await store.reserve([group(7, 1, c, d)]);
    if (lease.kind !== 'granted') throw new Error('refused');
    await raw.flushall();
    expect(granted(await store.reserve([group(9, 1, c)]))).toEqual([3]);
    expect(notices.filter(({ kind }) => kind === 'refilled')).toEqual([{ kind: 'refilled', counters: 2, units: 14 }]);
    await store.refund(lease.lease, [{ units: 2, counters: [c, d] }]);
    expect(await usedOf(store, c, d)).toEqual([8, 5]);
    await raw.flushall();
    expect(await usedOf(store, c, d)).toEqual([8, 5]);
    await store.close();
  });

  it('gets back only what an older snapshot lacks', async () => {
    const store = await open({ prefix: 'old:' });
    const c = counter(100, 1000);
    await store.reserve([group(10, 1, c)]);
    const keys = await raw.keys('old:*');
    const snapshot = await Promise.all(keys.map(async (key) => [key, await raw.dumpBuffer(key), await raw.pttl(key)] as const));
    await sleep(100);
    await store.reserve([group(20, 1, c)]);
    await raw.del(keys);
    for (const [key, dump, ttlMs] of snapshot) await raw.restore(key, Math.max(0, ttlMs), dump as Buffer);
    const [used] = await usedOf(store, c);
    // The slice in which the snapshot was taken is put back whole: over, never under.
    expect(used).toBeGreaterThanOrEqual(30);
    expect(used).toBeLessThanOrEqual(40);
    await store.close();
  });

  it('grants nothing until every process has had the time to put back its own', async () => {
    const [a, b] = [await open({ prefix: 'two:', settleMs: 600 }), await open({ prefix: 'two:', settleMs: 600, heartbeatMs: 100 })];
    const c = counter(10);
    await a.reserve([group(4, 1, c)]);
    await b.reserve([group(5, 1, c)]);
    await raw.flushall();
    await expect(a.reserve([group(1, 1, c)])).rejects.toThrow(StoreUnavailableError);
    await until(() => a.ping().then(() => true, () => false), 1500);
    expect(granted(await a.reserve([group(9, 1, c)]))).toEqual([1]);
    await a.close();
    await b.close();
  });
});

describe('a Redis that is away', () => {
  async function expectUnavailable(store: RedisStore, c: Counter): Promise<void> {
    const start = performance.now();
    const calls = [store.reserve([group(1, 1, c)]), store.usage([c]), store.once('x', 1000), store.ping()];
    for (const result of await Promise.allSettled(calls)) {
      expect(result.status === 'rejected' && result.reason instanceof StoreUnavailableError).toBe(true);
    }
    expect(performance.now() - start).toBeLessThan(1500);
  }

  it('fails every call soon when it is killed, comes back by itself, and is refilled', async () => {
    const notices: StoreNotice['kind'][] = [];
    const store = await open({ onNotice: ({ kind }) => notices.push(kind) });
    const c = counter(100);
    await store.reserve([group(30, 1, c)]);
    const inFlight = Promise.allSettled(Array.from({ length: 50 }, () => store.reserve([group(1, 1, c)])));
    await server.kill();
    let known = 30;
    for (const result of await inFlight) {
      if (result.status === 'fulfilled') known += 1;
      else expect(result.reason).toBeInstanceOf(StoreUnavailableError);
    }
    await expectUnavailable(store, c);
    await server.run();
    await until(() => store.ping().then(() => true, () => false), 3000);
    expect(await usedOf(store, c)).toEqual([known]);
    expect(notices).toContain('disconnected');
    expect(notices).toContain('refilled');
    await store.close();
  });

  it('takes back what was returned meanwhile once it is there again: each unit once, also if it came back empty', async () => {
    const store = await open();
    const other = await open();
    const c = counter(100);
    const long = counter(100, 600_000);
    const answer = await store.reserve([group(40, 1, c, long)]);
    await other.reserve([group(20, 1, c, long)]);
    if (answer.kind !== 'granted') throw new Error('nothing was granted');
    await server.kill();
    await until(() => store.reserve([group(1, 1, c)]).then(() => false, (error: unknown) => error instanceof NotCarriedOutError), 3000);
    for (let i = 0; i < 3; i += 1) await store.refund(answer.lease, [{ units: 10, counters: [c, long] }]);
    await server.run();
    await until(() => Promise.all([store.ping(), other.ping()]).then(() => true, () => false), 5000);
    // 40 and 20 are put back, the three tens go: not more with further calls.
    for (let i = 0; i < 3; i += 1) {
      await store.ping();
      expect(await usedOf(store, c, long)).toEqual([30, 30]);
    }
    await store.close();
    await other.close();
  });

  it('does not send a refund again whose outcome is not known', async () => {
    const store = await open({ commandTimeoutMs: 300 });
    const c = counter(100);
    const answer = await store.reserve([group(40, 1, c)]);
    if (answer.kind !== 'granted') throw new Error('nothing was granted');
    await store.refund(answer.lease, [{ units: 5, counters: [c] }]);
    server.hang();
    try {
      await expect(store.refund(answer.lease, [{ units: 10, counters: [c] }])).rejects.toThrow(StoreUnavailableError);
    } finally {
      server.wake();
    }
    await until(() => store.ping().then(() => true, () => false), 3000);
    await store.ping();
    // Carried out when the server woke up, or lost with the connection: never twice.
    expect([35, 25]).toContain((await usedOf(store, c))[0]);
    await store.close();
  });

  it('fails every call within the timeout when it hangs, drops the connection, and queues nothing', async () => {
    const store = await open({ commandTimeoutMs: 300 });
    const c = counter(100);
    await store.reserve([group(30, 1, c)]);
    server.hang();
    try {
      await expectUnavailable(store, c);
      const start = performance.now();
      for (let i = 0; i < 1000; i += 1) await expect(store.reserve([group(1, 1, c)])).rejects.toThrow(StoreUnavailableError);
      // Not one of them waited for a timeout.
      expect(performance.now() - start).toBeLessThan(1500);
    } finally {
      server.wake();
    }
    await until(() => store.ping().then(() => true, () => false), 3000);
    // The request that timed out may have been counted: never less.
    const [used] = await usedOf(store, c);
    expect(used).toBeGreaterThanOrEqual(30);
    expect(used).toBeLessThanOrEqual(31);
    await store.close();
  });

  it('lets a proxy start before its Redis', async () => {
    await server.kill();
    const store = await open();
    const c = counter(10);
    await expectUnavailable(store, c);
    await server.run();
    await until(() => store.ping().then(() => true, () => false), 3000);
    expect(granted(await store.reserve([group(9, 1, c)]))).toEqual([9]);
    await store.close();
  });

  it('bounds how many calls wait for an answer', async () => {
    const store = await open({ maxInFlight: 10 });
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => store.ping()));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(20);
    await store.close();
  });
});
