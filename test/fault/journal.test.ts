/** A Rowgate that is killed while Redis loses its data: what it granted stands in its journal alone. */

import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let redis: TestRedis;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 100);
  redis = await startRedis();
}, 60_000);
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});

const ONE = 'SELECT id FROM crm.customers WHERE id = 1';

describe('a Rowgate that was killed while Redis lost its data', () => {
  test('is waited for, as long as it takes to start it again on a busy machine, and nobody else grants what it granted', async () => {
    const journals = [1, 2].map((n) => join(tmpdir(), `rowgate-${randomUUID()}-${n}.journal`));
    const start = (n: number): Promise<TestRowgate> => startRowgate({
      postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 10, action: block }]', store: `{ redis: "${redis.url}", journal: ${journals[n]}, prefix: "journal:" }`,
    });
    const [killed, lives] = [await start(0), await start(1)];
    const took = await killed.connect('agent');
    took.on('error', () => undefined);
    for (let n = 0; n < 10; n++) expect((await took.query(ONE)).rowCount).toBe(1);
    await sleep(1500);
    await killed.stop('SIGKILL');
    const admin = new Redis(redis.url);
    await admin.flushall();
    admin.disconnect();
    const client = await lives.connect('agent');
    // Longer than those are waited for who have nothing to bring.
    for (let n = 0; n < 13; n++) {
      await expect(client.query(ONE)).rejects.toMatchObject({ code: '57P03' });
      await sleep(1000);
    }
    const again = await start(0);
    await expect.poll(() => client.query(ONE).then(() => 'granted', (error: { code: string }) => error.code), { timeout: 20_000 }).not.toBe('57P03');
    await expect(client.query(ONE)).rejects.toMatchObject({ code: '53400' });
    await client.end();
    await Promise.all([again.stop(), lives.stop()]);
    for (const path of journals) rmSync(path, { force: true });
  }, 120_000);
});
