import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreNotice } from '../../../src/quota/redis-connection.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/quota/redis-store.ts';
import { TcpRelay } from '../../support/tcp-relay.ts';
import { RedisServer } from './redis-server.ts';
import { counter, granted, group, usedOf } from './store-suite.ts';

/** Redis that comes back empty, older or as another server: everybody joins before anybody is granted. */

let primary: RedisServer;
let replica: RedisServer;
let relay: TcpRelay;
beforeAll(async () => {
  primary = await RedisServer.start();
  replica = await RedisServer.start();
  relay = await TcpRelay.start(primary.port);
});
afterAll(async () => {
  await relay.stop();
  await primary.stop();
  await replica.stop();
});

function open(prefix: string, options: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
  return RedisStore.open({ redis: `redis://127.0.0.1:${relay.port}/0`, prefix, settleMs: 400, absentMs: 1500, heartbeatMs: 100, ...options });
}

async function command(server: RedisServer, run: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(server.url);
  await run(client);
  client.disconnect();
}

async function untilGranting(store: RedisStore): Promise<number> {
  const startMs = performance.now();
  while (performance.now() - startMs < 8000) {
    if (await store.ping().then(() => true, () => false)) return performance.now() - startMs;
    await sleep(20);
  }
  throw new Error('the store grants nothing');
}

describe('a replica that is promoted before it had everything', () => {
  it('grants nothing before the process whose grants it lacks has put them back, not even to those who miss nothing', async () => {
    const [idle, busy] = [await open('stale:'), await open('stale:')];
    const c = counter(10);
    await busy.reserve([group(3, 3, c)]);
    await command(replica, (client) => client.replicaof('127.0.0.1', primary.port));
    await command(replica, async (client) => {
      while (!/master_link_status:up/u.test(await client.info('replication'))) await sleep(20);
      await client.replicaof('NO', 'ONE');
    });
    // The replica will never see this.
    await busy.reserve([group(6, 6, c)]);
    relay.target = replica;
    relay.cut();
    // The one that lost nothing asks at once, and again and again, while the other is on its way.
    const answers: number[] = [];
    const endMs = performance.now() + 3000;
    while (performance.now() < endMs && answers.length < 3) {
      const answer = await idle.reserve([group(9, 1, c)]).catch(() => undefined);
      if (answer?.kind === 'granted') answers.push(...granted(answer));
      else if (answer?.kind === 'refused') answers.push(0);
      await sleep(10);
    }
    expect(answers).toEqual([1, 0, 0]);
    expect(await usedOf(busy, c)).toEqual([10]);
    await Promise.all([idle.close(), busy.close()]);
    relay.target = primary;
    relay.cut();
  });
});

describe('a Redis that was emptied', () => {
  it('gets back from each of three processes its own part, and nothing twice', async () => {
    const notices: StoreNotice[] = [];
    const stores = await Promise.all([1, 2, 3].map(() => open('three:', { onNotice: (notice) => notices.push(notice) })));
    const [c, d] = [counter(100), counter(null, 60_000)];
    for (const [i, store] of stores.entries()) await store.reserve([group(10 * (i + 1), 1, c, d)]);
    await command(primary, (client) => client.flushall());
    await Promise.all(stores.map((store) => untilGranting(store)));
    expect(await usedOf(stores[0] as RedisStore, c, d)).toEqual([60, 60]);
    await command(primary, (client) => client.flushall());
    await Promise.all(stores.map((store) => untilGranting(store)));
    expect(await usedOf(stores[1] as RedisStore, c, d)).toEqual([60, 60]);
    expect(notices.filter(({ kind }) => kind === 'refilled').length).toBeGreaterThanOrEqual(6);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('waits for a process that was alive and is cut off, and goes on without it in the end', async () => {
    const far = await TcpRelay.start(primary.port);
    const here = await open('cut:');
    const away = await open('cut:', { redis: `redis://127.0.0.1:${far.port}/0` });
    const c = counter(10);
    await away.reserve([group(8, 8, c)]);
    await here.ping();
    await far.refuse();
    await command(primary, (client) => client.flushall());
    await expect(here.reserve([group(9, 1, c)])).rejects.toThrow(/put back/u);
    const waitedMs = await untilGranting(here);
    expect(waitedMs).toBeGreaterThan(1000);
    await far.accept();
    await untilGranting(away);
    expect(await usedOf(here, c)).toEqual([8]);
    await Promise.all([here.close(), away.close()]);
    await far.stop();
  });

  it('does not wait for a process that said goodbye', async () => {
    const [first, second] = [await open('bye:', { absentMs: 20_000 }), await open('bye:', { absentMs: 20_000 })];
    await first.ping();
    await second.close();
    await first.ping();
    await command(primary, (client) => client.flushall());
    await expect(untilGranting(first)).resolves.toBeLessThan(6000);
    await first.close();
  });
});

describe('a server that restarts with its data', () => {
  it('counts nothing twice', async () => {
    const own = await RedisServer.start();
    await own.kill();
    await own.run('--appendonly', 'yes', '--appendfsync', 'always');
    const stores = await Promise.all([1, 2].map(() => open('aof:', { redis: own.url })));
    const c = counter(100);
    for (const store of stores) await store.reserve([group(20, 20, c)]);
    await own.kill();
    await own.run('--appendonly', 'yes', '--appendfsync', 'always');
    await Promise.all(stores.map((store) => untilGranting(store)));
    expect(await usedOf(stores[0] as RedisStore, c)).toEqual([40]);
    await Promise.all(stores.map((store) => store.close()));
    await own.stop();
  });
});

describe('what else is counted there', () => {
  it('is put back before anything is granted, with the last grant that Redis knew', async () => {
    const asked: unknown[] = [];
    const store = await open('else:', {
      sources: [{ replay: (lost) => {
        asked.push(lost);
        return Promise.resolve();
      } }],
    });
    await store.reserve([group(1, 1, counter(10))]);
    await command(primary, (client) => client.flushall());
    await untilGranting(store);
    expect(asked).toEqual([{ domain: '', sequence: 0, sinceMs: 0 }]);
    await store.close();
  });
});
