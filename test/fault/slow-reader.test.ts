/** A client that does not read must not make Rowgate's memory grow, nor slow down anybody else. */

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 100);
  rowgate = await startRowgate({ postgresPort: postgres.port });
});
afterAll(async () => {
  await rowgate?.stop();
  await postgres?.stop();
});

function residentMiB(): number {
  const status = readFileSync(`/proc/${rowgate.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

test('ten sessions that do not read 200 MB each do not make it grow, and the rows are all there afterwards', async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => rowgate.connect('dba')));
  for (const client of clients) client.on('error', () => undefined); // their sockets are destroyed below
  const before = residentMiB();
  const sockets = clients.map((client) => (client as unknown as { connection: { stream: Socket } }).connection.stream);
  const results = clients.map((client) => client.query(`SELECT repeat('x', 10000) FROM generate_series(1, 20000)`));
  for (const socket of sockets) socket.pause();
  await sleep(1000);
  const full = residentMiB();
  // 2 GB are on their way. What it takes to fill the buffers leaves some garbage in the heap; from then on nothing more may come.
  expect(full - before).toBeLessThan(150);
  await sleep(2000);
  expect(residentMiB() - full).toBeLessThan(10);
  const other = await rowgate.connect();
  const startMs = Date.now();
  expect((await other.query('SELECT count(*)::int AS n FROM tariffs')).rows).toEqual([{ n: 5 }]);
  expect(Date.now() - startMs).toBeLessThan(1000);
  await other.end();
  for (const socket of sockets.slice(1)) socket.destroy();
  await Promise.allSettled(results.slice(1));
  (sockets[0] as Socket).resume();
  expect((await results[0])?.rows.length).toBe(20_000);
  await clients[0]?.end();
});

test('what a client sends ahead while its statement runs stays in its socket', async () => {
  const client = await rowgate.connect('dba');
  client.on('error', () => undefined);
  const before = residentMiB();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  client.query('SELECT pg_sleep(2)').catch(() => undefined);
  const body = Buffer.alloc(60_000, 'x');
  const head = Buffer.alloc(5);
  head.write('d', 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  // 600 MB if all were taken.
  for (let i = 0; i < 10_000 && stream.write(Buffer.concat([head, body])); i++);
  await sleep(1000);
  expect(residentMiB() - before).toBeLessThan(40);
  stream.destroy();
});
