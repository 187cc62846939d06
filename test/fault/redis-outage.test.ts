import type { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RedisProcess, untilTrue } from '../support/redis-processes.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let postgres: TestPostgres;
let redis: RedisProcess;
let relay: TcpRelay;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  redis = await RedisProcess.start();
  relay = await TcpRelay.start(redis.port);
});
afterAll(async () => {
  await relay.stop();
  await redis.stop();
  await postgres.stop();
});

const ONE = 'SELECT id FROM crm.customers WHERE id = 1';
const FREE = 'SELECT count(*) FROM public.tariffs';

function store(extra = ''): string {
  return `{ redis: "redis://127.0.0.1:${relay.port}/0", prefix: "f${Math.random().toString(36).slice(2, 8)}:" ${extra} }`;
}

interface Outcome {
  readonly code: string | undefined;
  readonly tookMs: number;
}

async function ask(client: Client, text: string): Promise<Outcome> {
  const startMs = performance.now();
  const code = await client.query(text).then(() => undefined, (error: Error & { code?: string }) => error.code ?? error.message);
  return { code, tookMs: performance.now() - startMs };
}

describe('block', () => {
  let rowgate: TestRowgate;
  let client: Client;
  beforeAll(async () => {
    rowgate = await startRowgate({ postgresPort: postgres.port, store: store(), quotas: '[{ class: customers, window: 1h, rows: 100000 }]' });
    client = await rowgate.connect();
  });
  afterAll(async () => {
    await client.end();
    await rowgate.stop();
  });

  const failures: readonly (readonly [name: string, fail: () => unknown, mend: () => unknown])[] = [
    ['hangs (SIGSTOP)', () => redis.signal('SIGSTOP'), () => redis.signal('SIGCONT')],
    ['is killed', () => redis.kill(), () => redis.run()],
    ['refuses connections', () => relay.refuse(), () => relay.accept()],
    ['is behind a network that swallows everything', () => relay.blackhole(true), () => relay.blackhole(false)],
  ];

  it.each(failures)('answers 57P03 soon when Redis %s, serves what is unprotected, and recovers by itself', async (name, fail, mend) => {
    await untilTrue(async () => (await ask(client, ONE)).code === undefined);
    await fail();
    const startMs = performance.now();
    // A Redis that hangs is noticed when a heartbeat stays out; until then look-ups use what was reserved before.
    let first = await ask(client, ONE);
    while (first.code === undefined && performance.now() - startMs < 2500) first = await ask(client, ONE);
    expect(first, name).toMatchObject({ code: '57P03' });
    expect(first.tookMs, name).toBeLessThan(2500);
    const others = await rowgate.connect('agent_2');
    for (let i = 0; i < 5; i += 1) {
      expect(await ask(others, FREE)).toMatchObject({ code: undefined });
      expect(await ask(client, ONE)).toMatchObject({ code: '57P03' });
    }
    await others.end();
    console.log(`Redis ${name}: refused after ${first.tookMs.toFixed(0)} ms, ten more statements in ${(performance.now() - startMs - first.tookMs).toFixed(0)} ms`);
    await mend();
    await untilTrue(async () => (await ask(client, ONE)).code === undefined);
  });

  it('waits for a slow Redis in protected statements, and in nothing else', async () => {
    // What was reserved before is given back by then, so that look-ups need the store.
    await sleep(2000);
    relay.delayMs = 250;
    try {
      const [protectedOnes, free] = [await ask(client, ONE), await ask(client, FREE)];
      expect(protectedOnes.code).toBeUndefined();
      expect(protectedOnes.tookMs).toBeGreaterThan(450);
      expect(free.tookMs).toBeLessThan(protectedOnes.tookMs);
      const slow = ask(client, ONE);
      const other = await rowgate.connect('agent_2');
      const startMs = performance.now();
      for (let i = 0; i < 20; i += 1) await other.query(FREE);
      expect((performance.now() - startMs) / 20).toBeLessThan(250);
      await other.end();
      expect((await slow).code).toBeUndefined();
    } finally {
      relay.delayMs = 0;
    }
  });
});

describe('an allowance', () => {
  it('lets each process grant so many more, and counts them in Redis before anything else is granted', async () => {
    const config = { postgresPort: postgres.port, store: store(', on_outage: { allowance: 7 }'), quotas: '[{ class: customers, window: 1h, rows: 40 }]' };
    const rowgates = [await startRowgate(config), await startRowgate(config)];
    const clients = await Promise.all(rowgates.map((each) => each.connect()));
    const [a, b] = clients as [Client, Client];
    const rowsOf = async (client: Client, count: number): Promise<number> => {
      let rows = 0;
      for (let i = 0; i < count; i += 1) rows += await client.query(ONE).then(() => 1, () => 0);
      return rows;
    };
    expect(await rowsOf(a, 10)).toBe(10);
    // Refunds of these are on their way.
    await sleep(300);
    await relay.refuse();
    expect(await rowsOf(a, 12)).toBe(7);
    expect(await rowsOf(b, 12)).toBe(7);
    expect((await ask(a, ONE)).code).toBe('57P03');
    await relay.accept();
    // Each settles its own debt as soon as it has a connection again.
    for (const each of rowgates) await untilTrue(async () => each.log().some((line) => (line['store'] as { kind?: string } | undefined)?.kind === 'debt_settled'));
    const left = [await rowsOf(a, 10), await rowsOf(b, 30)];
    expect(left.reduce((sum, rows) => sum + rows, 0)).toBe(40 - 10 - 7 - 7);
    expect((await ask(b, ONE)).code).toBe('53400');
    for (const client of clients) await client.end();
    for (const each of rowgates) await each.stop();
  });
});
