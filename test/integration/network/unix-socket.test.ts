/** Unix sockets on both sides, under the names that PostgreSQL gives them. */

import { chmodSync, existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { reachableTmpdir } from '../../../src/cli/demo/embedded-postgres.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startRowgate, type RowgateOptions, type TestRowgate } from '../../support/rowgate.ts';

let directory: string;
let postgres: TestPostgres;
let rowgate: TestRowgate | undefined;

beforeAll(async () => {
  directory = mkdtempSync(join(reachableTmpdir(), 'rg-'));
  chmodSync(directory, 0o777); // the server runs as another user
  postgres = await startPostgres(['-c', `unix_socket_directories=${directory}`]);
  await makeCustomerBase(postgres, 300);
});
afterAll(async () => {
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});
afterEach(async () => {
  await rowgate?.stop();
  rowgate = undefined;
});

async function start(options: Partial<RowgateOptions>): Promise<TestRowgate> {
  rowgate = await startRowgate({ postgresPort: postgres.port, ...options });
  return rowgate;
}

test('clients come in over the socket, are metered, and stand in the records as [local]', async () => {
  const { port, connect, audit } = await start({ listen: `socket: ${directory}, socket_mode: "0770"` });
  const path = join(directory, `.s.PGSQL.${port}`);
  expect(lstatSync(path).mode & 0o777).toBe(0o770);
  const client = await connect('agent', { host: directory });
  expect((await client.query('SELECT * FROM crm.customers LIMIT 150')).rows).toHaveLength(150);
  await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
  await client.end();
  await expect.poll(() => audit().find((record) => record['event'] === 'session_end')).toMatchObject({ client_address: '[local]', units: 200 });
  // TCP works beside it.
  await (await connect()).end();
  await rowgate?.stop();
  expect(existsSync(path)).toBe(false);
  rowgate = undefined;
});

test('the server is reached over its socket: sessions, the catalog, cancel requests', async () => {
  const { connect } = await start({ upstreamHost: directory });
  const client = await connect();
  expect((await client.query(`SELECT inet_server_addr() IS NULL AS local`)).rows).toEqual([{ local: true }]);
  // The cut cancels the statement on a connection of its own.
  const result = client.query('SELECT c.id, repeat(\'x\', 500) FROM crm.customers c, generate_series(1, 1000)');
  await expect(result).rejects.toMatchObject({ code: '53400' });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  const canceller = await connect('agent_2');
  const { processID, secretKey } = canceller as unknown as { processID: number; secretKey: number };
  const sleeping = canceller.query('SELECT pg_sleep(60)').catch((error: { code: string }) => error.code);
  const packet = Buffer.alloc(16);
  [16, (1234 << 16) | 5678, processID, secretKey].forEach((value, i) => packet.writeInt32BE(value, i * 4));
  await new Promise((resolve) => setTimeout(resolve, 200));
  (await RawClient.open((rowgate as TestRowgate).port)).socket.write(packet);
  expect(await sleeping).toBe('57014');
  await canceller.end();
  await client.end();
});

test('a socket that a killed process left is replaced', async () => {
  const first = await start({ listen: `socket: ${directory}` });
  const path = join(directory, `.s.PGSQL.${first.port}`);
  await first.stop('SIGKILL');
  expect(existsSync(path)).toBe(true);
  const second = await start({ listen: `socket: ${directory}`, port: first.port });
  await (await second.connect('agent', { host: directory })).end();
});

test('a socket that is in use, and a file that is none, are left alone', async () => {
  const first = await start({ listen: `socket: ${directory}` });
  await expect(startRowgate({ postgresPort: postgres.port, listen: `socket: ${directory}`, port: first.port, host: '127.0.0.2' })).rejects.toThrow('is in use by another process');
  await (await first.connect('agent', { host: directory })).end();
  await first.stop();
  const path = join(directory, `.s.PGSQL.${first.port}`);
  writeFileSync(path, 'mine');
  await expect(startRowgate({ postgresPort: postgres.port, listen: `socket: ${directory}`, port: first.port })).rejects.toThrow('is no socket');
  expect(existsSync(path)).toBe(true);
  rmSync(path);
  rowgate = undefined;
});
