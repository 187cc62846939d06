/** The counter store that the configuration asks for, with what ops should hear of it. */

import { readFileSync } from 'node:fs';
import type { OpsLog } from '../audit/ops-log.ts';
import type { Config, StoreConfig } from '../policy/config.ts';
import { JournalFile } from '../quota/journal-file.ts';
import { MemoryStore } from '../quota/memory-store.ts';
import { OutageStore } from '../quota/outage-store.ts';
import type { ConnectionOptions, StoreNotice } from '../quota/redis-connection.ts';
import { RedisStore } from '../quota/redis-store.ts';
import type { CounterStore } from '../quota/store.ts';
import { workerFile } from './workers/worker-file.ts';

/** A class's own `unit_bytes` is not known to the store: an allowance in bytes takes the default. */
const BYTES_PER_UNIT = 1024;

/** A process that was killed is up again within this time, also on a busy machine. */
const RESTART_MS = 60_000;

export interface OpenStoreOptions {
  readonly config: Config;
  readonly log: OpsLog;
  /** Told of what happens to the store. */
  readonly onNotice: (notice: StoreNotice) => void;
  /** Of several workers: each has a journal of its own. */
  readonly worker?: number | undefined;
}

export async function openStore({ config, log, onNotice, worker }: OpenStoreOptions): Promise<CounterStore> {
  const { store } = config;
  if (store.kind === 'memory') return new MemoryStore();
  const notice = (each: StoreNotice): void => {
    onNotice(each);
    tell(log, each);
  };
  const path = store.journal === undefined ? undefined : workerFile(store.journal.file, worker);
  const onError = (error: Error): void => notice({ kind: 'journal_failing', reason: error.message });
  const journal = path === undefined || store.journal === undefined ? undefined : await JournalFile.open({ path, sync: store.journal.sync, onError });
  const redis = await RedisStore.open({
    redis: target(store),
    tls: store.tls === undefined ? undefined : { ca: read(store.tls.ca), cert: read(store.tls.cert), key: read(store.tls.key), servername: store.tls.servername },
    prefix: store.prefix,
    commandTimeoutMs: store.timeoutMs,
    onNotice: notice,
    // What a killed process was granted stands in its journal and nowhere else: it is worth waiting for until it is up again.
    ...(journal === undefined ? {} : { journal, absentMs: RESTART_MS }),
  });
  if (store.onOutage === 'block') return redis;
  return new OutageStore(redis, {
    units: store.onOutage.allowance,
    bytesPerUnit: BYTES_PER_UNIT,
    onChange: (state) => {
      if (state === 'granting') log.error({ allowance: store.onOutage }, 'the counter store is away: protected rows go out within the allowance');
      else log.info('the counter store is back: what was taken meanwhile is counted');
    },
  });
}

export function target(store: Exclude<StoreConfig, { readonly kind: 'memory' }>): ConnectionOptions['redis'] {
  switch (store.kind) {
    case 'redis':
      return store.url.reveal();
    case 'sentinel': {
      const { sentinelLogin: login } = store;
      return {
        name: store.master,
        sentinels: store.nodes.map(({ host, port }) => ({ host, port })),
        ...defined({ username: store.username, password: store.password?.reveal(), sentinelUsername: login.username, sentinelPassword: login.password?.reveal() }),
        ...(store.tls === undefined ? {} : { enableTLSForSentinelMode: true }),
      };
    }
    case 'cluster':
      return { cluster: store.nodes, options: defined({ username: store.username, password: store.password?.reveal() }) };
  }
}

function defined<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: string };
}

function read(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, 'utf8');
}

function tell(log: OpsLog, notice: StoreNotice): void {
  switch (notice.kind) {
    case 'connected':
      log.info({ store: notice }, 'connected to the counter store');
      return;
    case 'disconnected':
      log.error({ store: notice }, 'the counter store is away');
      return;
    case 'refilled':
      log.warn({ store: notice }, 'the counter store had started anew or forgotten: what this process knows is put back');
      return;
    case 'debt_settled':
      log.info({ store: notice }, 'what was taken while the counter store was away is counted');
      return;
    case 'journal_failing':
      log.error({ store: notice }, 'the journal cannot be written');
      return;
    case 'clock_jumped':
      log.warn({ store: notice }, 'the clock of the counter store jumped');
      return;
    case 'stale_primary':
      log.warn({ store: notice }, 'the counter store was not the primary any more; connecting to the one that the Sentinels name');
      return;
    case 'other_layout':
      log.error({ store: notice }, `the counters in Redis are those of another version of Rowgate (layout ${notice.layout}; this one has ${notice.own}): nothing protected goes out here. Stop all processes of the other version, or give this one a store.prefix of its own`);
      return;
    case 'misconfigured':
      log.warn({ store: notice }, `the counter store may lose counters: ${notice.text}`);
  }
}
