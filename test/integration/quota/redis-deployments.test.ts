import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { StoreNotice } from '../../../src/quota/redis-connection.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/quota/redis-store.ts';
import type { Counter } from '../../../src/quota/store.ts';
import { makeCertificates, plain, RedisProcess, startCluster, startSentinels, untilTrue } from '../../support/redis-processes.ts';
import { granted, group, usedOf } from './store-suite.ts';
import { hashesOf } from '../../support/people.ts';

const HOUR_MS = 3_600_000;

function of(className: string, limit: number | null, owner = 'p:agent', dimension = 'rows'): Counter {
  const people = dimension === 'subjects' ? { people: limit ?? 100 } : {};
  return { key: `q:{${className}}:${dimension}:${HOUR_MS}:${owner}`, windowMs: HOUR_MS, limit, ...people };
}

function open(options: Pick<RedisStoreOptions, 'redis'> & Partial<RedisStoreOptions>): Promise<RedisStore> {
  return RedisStore.open({ settleMs: 0, heartbeatMs: 100, ...options });
}

describe('Sentinel', () => {
  it('is followed to the new primary under load; what its replica lacked is put back, and the limit holds', async () => {
    const setup = await startSentinels();
    const nodes = setup.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
    const stores = await Promise.all([1, 2].map(() => open({ redis: { name: 'rowgate', sentinels: nodes }, settleMs: 500 })));
    const c = of('customers', 400);
    let delivered = 0;
    let failed = 0;
    let running = true;
    const load = stores.map(async (store) => {
      while (running) {
        const answer = await store.reserve([group(3, 1, c)]).catch(() => undefined);
        if (answer?.kind === 'granted') delivered += answer.groups[0]?.granted ?? 0;
        else failed += 1;
        await sleep(40);
      }
    });
    await sleep(800);
    const old = await setup.primary();
    // The replica hears nothing of the last grants.
    for (const server of setup.servers) if (server !== old) server.signal('SIGSTOP');
    await sleep(400);
    await old.kill();
    for (const server of setup.servers) if (server !== old) server.signal('SIGCONT');
    const before = delivered;
    await untilTrue(() => Promise.resolve(delivered > before + 6 || delivered >= 400), 40_000);
    running = false;
    await Promise.all(load);
    expect(failed).toBeGreaterThan(0);
    expect(delivered).toBeLessThanOrEqual(400);
    const [used] = await usedOf(stores[0] as RedisStore, c);
    expect(used).toBeGreaterThanOrEqual(delivered);
    await Promise.all(stores.map((store) => store.close()));
    await setup.stop();
  }, 90_000);

  it('does not count at an old primary that came back before everybody had heard of the new one', async () => {
    const setup = await startSentinels();
    const [first, second] = setup.sentinels as [RedisProcess, RedisProcess];
    const address = ({ port }: RedisProcess): { host: string; port: number } => ({ host: '127.0.0.1', port });
    const timing = { settleMs: 300, absentMs: 1000 };
    const early = await open({ redis: { name: 'rowgate', sentinels: [first, second].map(address) }, ...timing });
    const c = of('customers', 100);
    let delivered = granted(await early.reserve([group(60, 1, c)]))[0] as number;
    const old = await setup.primary();
    await old.kill();
    await untilTrue(async () => (await setup.primary()) !== old);
    await old.run();
    const notices: string[] = [];
    // A Sentinel that has not heard of the failover.
    const late = await RedisProcess.start((port, directory) => {
      const file = join(directory, 'sentinel.conf');
      writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`, `sentinel monitor rowgate 127.0.0.1 ${old.port} 9`, ''].join('\n'));
      return [file, '--sentinel'];
    });
    const misled = await open({ redis: { name: 'rowgate', sentinels: [late, first, second].map(address) }, ...timing, onNotice: ({ kind }) => notices.push(kind) });
    // Nor will it hear of it.
    late.signal('SIGSTOP');
    const untilMs = performance.now() + 5000;
    while (performance.now() < untilMs) {
      for (const store of [early, misled]) {
        const answer = await store.reserve([group(10, 1, c)]).catch(() => undefined);
        if (answer?.kind === 'granted') delivered += answer.groups[0]?.granted ?? 0;
      }
      await sleep(100);
    }
    expect(delivered).toBe(100);
    expect(notices).toContain('stale_primary');
    await late.stop();
    await Promise.all([early.close(), misled.close()]);
    await setup.stop();
  }, 90_000);
});

describe('a Cluster', () => {
  it('reserves all classes of a statement or none, spreads classes, and goes on for the others when a node is gone', async () => {
    const nodes = await startCluster();
    const target = { cluster: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) };
    const [store, other] = [await open({ redis: target, commandTimeoutMs: 500 }), await open({ redis: target })];
    const names = ['customers', 'invoices', 'contacts', 'tickets', 'payments', 'offers'];
    const counters = names.map((name) => of(name, 10));
    const answer = await store.reserve(counters.map((each) => group(4, 1, each)));
    expect(granted(answer)).toEqual([4, 4, 4, 4, 4, 4]);
    expect(await usedOf(other, ...counters)).toEqual([4, 4, 4, 4, 4, 4]);
    if (answer.kind === 'granted') await store.refund(answer.lease, counters.map((each) => ({ units: 1, counters: [each] })));
    expect(await usedOf(other, ...counters)).toEqual([3, 3, 3, 3, 3, 3]);
    // The last one has too little: nothing stays reserved in the others.
    await other.reserve([group(7, 7, counters[5] as Counter)]);
    expect(await store.reserve(counters.map((each) => group(2, 2, each)))).toMatchObject({ kind: 'refused', group: 5, counter: 0 });
    expect(await usedOf(other, ...counters)).toEqual([3, 3, 3, 3, 3, 10]);
    const spread = await Promise.all(nodes.map((node) => node.command((client) => client.dbsize())));
    expect(spread.filter((size) => size > 0).length).toBeGreaterThan(1);
    // A slot's node goes: its classes are closed within the timeout, the others work on until the Cluster itself gives up.
    const slotOf = (name: string): Promise<number> => (nodes[0] as RedisProcess).command((client) => client.cluster('KEYSLOT', `{${name}}`));
    const slots = await Promise.all(names.map(slotOf));
    const ends = [5460, 10_922, 16_383];
    const nodeOf = (slot: number): number => ends.findIndex((end) => slot <= end);
    const victim = nodeOf(slots[0] as number);
    const survivor = names.findIndex((_, i) => nodeOf(slots[i] as number) !== victim);
    for (const node of nodes) await node.command((client) => client.config('SET', 'cluster-require-full-coverage', 'no'));
    (nodes[victim] as RedisProcess).signal('SIGSTOP');
    const startMs = performance.now();
    await expect(store.reserve([group(1, 1, counters[0] as Counter)])).rejects.toThrow(/Redis/u);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(granted(await store.reserve([group(1, 1, counters[survivor] as Counter)]))).toEqual([1]);
    (nodes[victim] as RedisProcess).signal('SIGCONT');
    await untilTrue(() => store.reserve([group(1, 1, counters[0] as Counter)]).then((each) => each.kind === 'granted'));
    // Emptied, node by node: each class is put back by itself.
    const before = await usedOf(store, ...counters);
    for (const node of nodes) await node.command((client) => client.flushall());
    await untilTrue(() => store.ping().then(() => true));
    await untilTrue(() => other.ping().then(() => true));
    const after = await usedOf(store, ...counters);
    for (const [i, used] of after.entries()) expect(used).toBeGreaterThanOrEqual(before[i] as number - 1);
    await Promise.all([store.close(), other.close()]);
    await Promise.all(nodes.map((node) => node.stop()));
  }, 90_000);
});

describe('TLS', () => {
  it('needs the authority that signed the server\'s certificate', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rowgate-tls-'));
    const files = makeCertificates(directory);
    const server = await RedisProcess.start((port, folder) => ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, '--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca, '--tls-auth-clients', 'no']);
    const url = `rediss://127.0.0.1:${server.port}/0`;
    const store = await open({ redis: url, tls: { ca: readFileSync(files.ca, 'utf8') } });
    expect(granted(await store.reserve([group(9, 1, of('customers', 5))]))).toEqual([5]);
    await store.close();
    const distrustful = await open({ redis: url });
    await expect(distrustful.reserve([group(1, 1, of('customers', 5))])).rejects.toThrow(/certificate|self.signed|unable/iu);
    await distrustful.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });
});

describe('a user with the least rights', () => {
  it('as docs/operations.md gives them, is refused nothing, whatever the store does', async () => {
    const server = await RedisProcess.start(plain);
    const line = /^ACL SETUSER (.*)$/mu.exec(readFileSync('docs/operations.md', 'utf8'))?.[1] as string;
    await server.command((client) => client.call('ACL', 'SETUSER', ...line.replace('PASSWORD', 'secret').split(' ')));
    const notices: StoreNotice[] = [];
    const redis = `redis://rowgate:secret@127.0.0.1:${server.port}/0`;
    const [store, other] = await Promise.all([1, 2].map(() => open({ redis, onNotice: (notice) => notices.push(notice) }))) as [RedisStore, RedisStore];
    const [c, people] = [of('customers', 10), of('customers', 3, 'p:agent', 'subjects')];
    const work = async (): Promise<void> => {
      const answer = await store.reserve([group(4, 1, c)]);
      if (answer.kind === 'granted') await store.refund(answer.lease, [{ units: 1, counters: [c] }]);
      const admission = await other.admit([people], hashesOf(['a', 'b']));
      await other.dismiss(admission.lease, [{ people: hashesOf(['b']), counters: [people] }]);
      await other.admit([of('customers', null, 'r:all', 'subjects')], hashesOf(['c']));
      await other.admit([{ ...people, limit: 1 }], hashesOf(['a']));
      await store.usage([c, people]);
      await store.once(`once${Math.random()}`, 1000);
      await store.subjectSecret();
      await store.ping();
    };
    await work();
    await server.command((client) => client.flushall());
    await untilTrue(() => store.ping().then(() => true));
    await untilTrue(() => other.ping().then(() => true));
    await work();
    const denied = await server.command((client) => client.acl('LOG'));
    expect(denied).toEqual([]);
    expect(notices.some(({ kind }) => kind === 'misconfigured')).toBe(true);
    // Keys of others are out of reach.
    await expect(open({ redis, prefix: 'other:' }).then(async (foreign) => {
      try {
        return await foreign.reserve([group(1, 1, c)]);
      } finally {
        await foreign.close();
      }
    })).rejects.toThrow(/NOPERM|No permissions/iu);
    await store.close();
    await other.close();
    await server.stop();
  });
});
