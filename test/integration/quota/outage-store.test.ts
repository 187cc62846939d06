import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JournalFile } from '../../../src/quota/journal-file.ts';
import { OutageStore } from '../../../src/quota/outage-store.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/quota/redis-store.ts';
import { StoreUnavailableError, type Counter, type LeaseStamp } from '../../../src/quota/store.ts';
import { TcpRelay } from '../../support/tcp-relay.ts';
import { RedisServer } from './redis-server.ts';
import { granted, group, usedOf } from './store-suite.ts';
import { hashesOf } from '../../support/people.ts';

let server: RedisServer;
let relay: TcpRelay;
let directory: string;
beforeAll(async () => {
  server = await RedisServer.start();
  relay = await TcpRelay.start(server.port);
  directory = mkdtempSync(join(tmpdir(), 'rowgate-journal-'));
});
afterAll(async () => {
  await relay.stop();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

let serial = 0;
function own(limit: number | null, owner = `p:agent${(serial += 1)}`, className = 'customers', dimension = 'rows'): Counter {
  return { key: `q:{${className}}:${dimension}:3600000:${owner}`, windowMs: 3_600_000, limit };
}

async function open(units: number, options: Partial<RedisStoreOptions> = {}): Promise<{ redis: RedisStore; store: OutageStore; changes: string[] }> {
  const redis = await RedisStore.open({ redis: `redis://127.0.0.1:${relay.port}/0`, prefix: `outage${(serial += 1)}:`, settleMs: 0, heartbeatMs: 0, commandTimeoutMs: 300, ...options });
  const changes: string[] = [];
  return { redis, store: new OutageStore(redis, { units, bytesPerUnit: 1024, onChange: (state) => changes.push(state) }), changes };
}

async function untilBack(store: OutageStore): Promise<void> {
  for (let i = 0; i < 300; i += 1) {
    if (await store.ping().then(() => true, () => false)) return;
    await sleep(20);
  }
  throw new Error('Redis does not come back');
}

async function stampOf(store: OutageStore, c: Counter, units: number): Promise<LeaseStamp> {
  const answer = await store.reserve([group(units, units, c)]);
  if (answer.kind !== 'granted') throw new Error('refused');
  return answer.lease;
}

describe('the allowance while Redis is away', () => {
  it('is so many units a principal and class, never more than the limit leaves, and then protected rows stop', async () => {
    const { store, changes } = await open(20);
    const [a, tight, other] = [own(200), own(12), own(200, 'p:agent1', 'invoices')];
    await store.reserve([group(9, 9, tight)]);
    await relay.refuse();
    expect(granted(await store.reserve([group(16, 1, a)]))).toEqual([16]);
    expect(granted(await store.reserve([group(16, 1, a)]))).toEqual([4]);
    await expect(store.reserve([group(1, 1, a)])).rejects.toThrow(StoreUnavailableError);
    expect(granted(await store.reserve([group(16, 1, tight)]))).toEqual([3]);
    expect(granted(await store.reserve([group(20, 20, other)]))).toEqual([20]);
    expect(granted(await store.reserve([group(50_000, 1, own(null, 'p:agent1', 'customers', 'bytes'))]))).toEqual([20 * 1024]);
    await expect(store.reserve([group(21, 21, own(null))])).rejects.toThrow(StoreUnavailableError);
    expect(changes).toEqual(['granting']);
    await relay.accept();
    await store.close();
  });

  it('is owed to Redis, which counts it before anything else is granted', async () => {
    const { store, redis, changes } = await open(20);
    const c = own(30);
    await store.reserve([group(5, 5, c)]);
    await relay.refuse();
    const lease = await stampOf(store, c, 16);
    await store.refund(lease, [{ units: 6, counters: [c] }]);
    expect(redis.debtUnits).toBe(10);
    await relay.accept();
    // No heartbeat: the first to find Redis is a statement.
    let answer;
    while ((answer = await redis.reserve([group(100, 1, c)]).catch(() => undefined)) === undefined) await sleep(10);
    expect(granted(answer)).toEqual([15]);
    expect(redis.debtUnits).toBe(0);
    expect(await usedOf(store, c)).toEqual([30]);
    await store.reserve([group(1, 1, own(5))]);
    expect(changes).toEqual(['granting', 'over']);
    await store.close();
  });

  it('is there again for the next outage, and a refund after the settlement gives nothing back', async () => {
    const { store } = await open(10);
    const c = own(100);
    await relay.refuse();
    const lease = await stampOf(store, c, 10);
    await relay.accept();
    await untilBack(store);
    await store.refund(lease, [{ units: 10, counters: [c] }]);
    expect(granted(await store.reserve([group(1, 1, c)]))).toEqual([1]);
    expect(await usedOf(store, c)).toEqual([11]);
    await relay.refuse();
    expect(granted(await store.reserve([group(99, 1, c)]))).toEqual([10]);
    await relay.accept();
    await untilBack(store);
    expect(await usedOf(store, c)).toEqual([21]);
    await store.close();
  });

  it('is counted once also if Redis had lost everything meanwhile', async () => {
    const { store } = await open(10);
    const c = own(100);
    await store.reserve([group(7, 7, c)]);
    await relay.refuse();
    await server.kill();
    await store.reserve([group(5, 5, c)]);
    await server.run();
    await relay.accept();
    await untilBack(store);
    expect(await usedOf(store, c)).toEqual([12]);
    await store.close();
  });
});

describe('the journal on disk', () => {
  it('puts back what a process was granted before it was restarted, when Redis lost it meanwhile', async () => {
    const path = join(directory, 'restart.journal');
    const c = own(50);
    const journal = await JournalFile.open({ path, sync: 'always' });
    const first = await open(10, { journal, prefix: 'j1:' });
    const lease = await stampOf(first.store, c, 20);
    await first.store.refund(lease, [{ units: 4, counters: [c] }]);
    await first.store.close();
    await server.kill();
    await server.run();
    const second = await open(10, { journal: await JournalFile.open({ path, sync: 'always' }), prefix: 'j1:' });
    await untilBack(second.store);
    expect(await usedOf(second.store, c)).toEqual([16]);
    await second.store.close();
    // And counts nothing twice when Redis has lost nothing.
    const third = await open(10, { journal: await JournalFile.open({ path, sync: 'always' }), prefix: 'j1:' });
    await untilBack(third.store);
    expect(await usedOf(third.store, c)).toEqual([16]);
    await third.store.close();
  });

  it('has one unit for each person, however often they were admitted, and none for those who were taken back', async () => {
    const path = join(directory, 'people.journal');
    const c = { ...own(50, 'p:agent', 'customers', 'subjects'), people: 101 };
    const person = (n: number): string => `person${n}`;
    const { store } = await open(10, { journal: await JournalFile.open({ path, sync: 'always' }), prefix: 'j3:' });
    for (let round = 0; round < 5; round++) {
      expect((await store.admit([c], hashesOf([person(1), person(2), person(3)]))).admitted).toBe(3);
      await sleep(5);
    }
    const { lease } = await store.admit([c], hashesOf([person(4), person(1)]));
    await store.dismiss(lease, [{ people: hashesOf([person(4)]), counters: [c] }]);
    expect(await usedOf(store, c)).toEqual([3]);
    await store.close();
    await server.kill();
    await server.run();
    const second = await open(10, { journal: await JournalFile.open({ path, sync: 'always' }), prefix: 'j3:' });
    await untilBack(second.store);
    expect(await usedOf(second.store, c)).toEqual([3]);
    await second.store.close();
  });

  it('keeps what is owed over a restart', async () => {
    const path = join(directory, 'debt.journal');
    const c = own(50);
    const first = await open(10, { journal: await JournalFile.open({ path, sync: '1s' }), prefix: 'j2:' });
    await relay.refuse();
    await first.store.reserve([group(9, 9, c)]);
    await first.store.close();
    await relay.accept();
    const second = await open(10, { journal: await JournalFile.open({ path, sync: '1s' }), prefix: 'j2:' });
    await untilBack(second.store);
    expect(await usedOf(second.store, c)).toEqual([9]);
    await second.store.close();
  });
});

describe('people while Redis is away', () => {
  it('cost a unit of the allowance each, and are owed', async () => {
    const { store, redis } = await open(3);
    const c = { ...own(10, 'p:agent', 'customers', 'subjects'), people: 10 };
    const person = (n: number): string => `person${n}`;
    await store.admit([c], hashesOf([person(1), person(2)]));
    await relay.refuse();
    const answer = await store.admit([c], hashesOf([person(3), person(4), person(5), person(6)]));
    expect(answer).toMatchObject({ admitted: 3, refused: 0, fresh: [1, 1, 1] });
    await expect(store.admit([c], hashesOf([person(7)]))).rejects.toThrow(StoreUnavailableError);
    await store.dismiss(answer.lease, [{ people: hashesOf([person(5)]), counters: [c] }]);
    expect(redis.debtUnits).toBe(2);
    await relay.accept();
    await untilBack(store);
    expect(await usedOf(store, c)).toEqual([4]);
    await store.close();
  });
});
