/** What goes wrong in the run. Each fault mends itself before it is over. */

import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisProcess } from '../support/redis-processes.ts';
import { untilTrue } from '../support/redis-processes.ts';
import type { Fleet } from './fleet.ts';

export interface Fault {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** Loading what it has, and starting a process, on a machine that is busy. A Sentinel that did not get the CPU for two seconds does nothing for the next thirty (TILT). */
const SLOW_MS = 150_000;

export function faultsOf(fleet: Fleet): readonly Fault[] {
  const rowgate = (i: number): Fleet['rowgates'][number] => fleet.rowgates[i] as Fleet['rowgates'][number];
  const kill = async (i: number, signal: NodeJS.Signals): Promise<void> => {
    const { process, clients } = rowgate(i);
    await process.end(signal);
    clients.cut();
    await process.start();
  };
  const primary = (): Promise<RedisProcess> => fleet.redis.primary();
  const replicaIsThere = async (): Promise<boolean> => {
    const now = await primary();
    const replica = fleet.redis.servers.find((server) => server !== now) as RedisProcess;
    const info = await replica.command((client) => client.info('replication'));
    return info.includes(`master_port:${now.port}\r\n`) && info.includes('master_link_status:up');
  };
  const everything: Fault[] = [
    { name: 'kill -9 of a Rowgate', run: () => kill(0, 'SIGKILL') },
    {
      name: 'Redis killed, started again with its data',
      run: async () => {
        const redis = await primary();
        await redis.kill();
        await redis.run();
      },
    },
    { name: 'connections to PostgreSQL delayed by 150 ms, then cut', run: async () => {
      fleet.upstream.delayMs = 150;
      await sleep(1500);
      fleet.upstream.delayMs = 0;
      fleet.upstream.cut();
    } },
    {
      name: 'Redis killed, started again empty',
      run: async () => {
        const redis = await primary();
        await redis.kill();
        rmSync(join(redis.directory, 'appendonlydir'), { recursive: true, force: true });
        rmSync(join(redis.directory, 'appendonly.aof'), { force: true });
        rmSync(join(redis.directory, 'dump.rdb'), { force: true });
        await redis.run();
      },
    },
    { name: 'connections of clients cut', run: async () => {
      for (const { clients } of fleet.rowgates) clients.cut();
      await Promise.resolve();
    } },
    {
      name: 'Sentinel failover under load, the old primary comes back',
      run: async () => {
        // A Sentinel promotes nobody who has not caught up with what came before.
        await untilTrue(replicaIsThere, SLOW_MS);
        const old = await primary();
        await old.kill();
        await untilTrue(async () => (await primary()) !== old, SLOW_MS);
        await old.run();
      },
    },
    {
      name: 'kill -9 of two Rowgates while Redis restarts empty (FLUSHALL)',
      run: async () => {
        const redis = await primary();
        await Promise.all([kill(1, 'SIGKILL'), kill(2, 'SIGKILL'), redis.command((client) => client.flushall())]);
      },
    },
    { name: 'Redis hangs for a second', run: async () => {
      const redis = await primary();
      redis.signal('SIGSTOP');
      await sleep(1000);
      redis.signal('SIGCONT');
    } },
    {
      name: 'kill -9 of one worker of a Rowgate',
      run: async () => {
        const [worker] = rowgate(3).process.workers();
        if (worker !== undefined) process.kill(worker, 'SIGKILL');
        await untilTrue(() => Promise.resolve(rowgate(3).process.workers().length === 2), SLOW_MS);
      },
    },
    { name: 'connections to Redis cut', run: async () => {
      const redis = await primary();
      await redis.command((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'));
    } },
    { name: 'a Rowgate is stopped and started again (SIGTERM)', run: () => kill(0, 'SIGTERM') },
    { name: 'kill -9 of a Rowgate and all of its workers', run: () => kill(3, 'SIGKILL') },
  ];
  const { smallDisk } = fleet;
  if (smallDisk !== undefined) {
    everything.splice(3, 0, {
      name: 'the audit disk of a Rowgate is full',
      run: async () => {
        fillDisk(smallDisk);
        await sleep(2500);
        rmSync(join(smallDisk, 'filler'));
      },
    });
  }
  return everything;
}

function fillDisk(path: string): void {
  const file = openSync(join(path, 'filler'), 'w');
  const block = Buffer.alloc(64 * 1024);
  try {
    while (statfsSync(path).bavail > 0) writeSync(file, block);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  } finally {
    closeSync(file);
  }
}
