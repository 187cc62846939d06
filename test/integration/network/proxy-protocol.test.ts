/** Behind a load balancer: the address in its header is the client's, and nobody else can claim one. */

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { writeStartupMessage } from '../../../src/protocol/startup.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { writeProxyV1, writeProxyV2 } from '../../support/proxy-header.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 100);
});
afterAll(() => postgres.stop());
afterEach(() => rowgate.stop());

async function start(from: string, extra = ''): Promise<void> {
  rowgate = await startRowgate({ postgresPort: postgres.port, listen: `proxy_protocol: { from: [${from}] }`, extra });
}

/** `pg`, on a connection that begins with the header. */
async function connectWith(header: readonly Buffer[], password = 'secret'): Promise<Client> {
  const socket: Socket = await new Promise((resolve, reject) => {
    const made = connect({ host: '127.0.0.1', port: rowgate.port, noDelay: true }, () => resolve(made));
    made.once('error', reject);
  });
  for (const part of header) {
    socket.write(part);
    if (header.length > 1) await sleep(1);
  }
  const stream = Object.assign(socket, { connect: () => process.nextTick(() => socket.emit('connect')) });
  const client = new Client({ user: 'agent', password, database: 'postgres', stream } as never);
  await client.connect();
  return client;
}

test.each([
  ['version 1', [writeProxyV1('TCP4', '198.51.100.7', 50_001)], '198.51.100.7:50001'],
  ['version 1, byte by byte', [...writeProxyV1('TCP4', '198.51.100.7', 50_001)].map((byte) => Buffer.from([byte])), '198.51.100.7:50001'],
  ['version 1 over IPv6', [writeProxyV1('TCP6', '2001:db8::7', 50_001)], '[2001:db8::7]:50001'],
  ['version 2 with TLVs', [writeProxyV2({ family: 0x11, address: Buffer.from([198, 51, 100, 7]), port: 50_001, tlvs: Buffer.from([4, 0, 1, 0]) })], '198.51.100.7:50001'],
  ['version 2 for a Unix socket', [writeProxyV2({ family: 0x31, address: Buffer.alloc(108) })], '[local]'],
])('%s: records and the list of sessions show the employee\'s address', async (_name, header, shown) => {
  await start('127.0.0.0/8');
  const client = await connectWith(header);
  expect((await client.query('SELECT * FROM crm.customers LIMIT 3')).rows).toHaveLength(3);
  const { sessions } = (await (await fetch(`http://127.0.0.1:${rowgate.adminPort}/v1/sessions`, { headers: { authorization: 'Bearer test-token' } })).json()) as { sessions: { client_address: string }[] };
  expect(sessions.map(({ client_address }) => client_address)).toEqual([shown]);
  await client.end();
  await expect.poll(() => rowgate.audit().map((record) => record['event'])).toContain('session_end');
  const ofSession = rowgate.audit().filter((record) => 'session_id' in record);
  expect(new Set(ofSession.map((record) => record['client_address']))).toEqual(new Set([shown]));
  expect(ofSession.map((record) => record['event'])).toEqual(expect.arrayContaining(['session_start', 'statement_start', 'statement_end', 'session_end']));
});

test('a failed login is recorded with the employee\'s address', async () => {
  await start('127.0.0.0/8');
  await expect(connectWith([writeProxyV1('TCP4', '198.51.100.7', 50_001)], 'wrong')).rejects.toMatchObject({ code: '28P01' });
  await expect.poll(() => rowgate.audit().find((record) => record['event'] === 'login_failed')).toMatchObject({ client_address: '198.51.100.7:50001' });
});

test('a health check speaks for the load balancer itself', async () => {
  await start('127.0.0.0/8');
  const client = await connectWith([writeProxyV2({ command: 0x20, family: 0, address: Buffer.alloc(0) })]);
  await client.end();
  await expect.poll(() => rowgate.audit().find((record) => record['event'] === 'session_start')).toMatchObject({ client_address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
});

test('a header from anywhere else is refused like any bad startup packet', async () => {
  await start('10.0.5.0/24, unix');
  for (const header of [writeProxyV1('TCP4', '10.0.5.1', 1), writeProxyV2({ family: 0x11, address: Buffer.from([10, 0, 5, 1]), port: 1 })]) {
    const client = await RawClient.open(rowgate.port);
    client.socket.write(Buffer.concat([header, writeStartupMessage(0, [['user', 'agent']])]));
    expect((await client.untilClosed()).length).toBe(0);
  }
  const honest = await rowgate.connect();
  await honest.end();
});

test('a load balancer must send one', async () => {
  await start('127.0.0.0/8');
  const client = await RawClient.open(rowgate.port);
  client.socket.write(writeStartupMessage(0, [['user', 'agent']]));
  expect((await client.untilClosed()).length).toBe(0);
});

test('a header that does not come to its end does not hold its place for ever', async () => {
  await start('127.0.0.0/8', 'limits: { auth_timeout: 1s }');
  const client = await RawClient.open(rowgate.port);
  client.socket.write('PROXY TCP4 198.');
  expect((await client.untilClosed()).length).toBe(0);
  await expect.poll(() => rowgate.log().some((line) => line['msg'] === 'no PROXY header came in time')).toBe(true);
});

test('a flood from one employee behind the load balancer does not lock the others out', async () => {
  await start('127.0.0.0/8', 'limits: { max_unauthenticated: 4 }');
  const patient = await RawClient.open(rowgate.port);
  patient.socket.write(writeProxyV1('TCP4', '198.51.100.8', 1));
  await sleep(200);
  const flood = await Promise.all(Array.from({ length: 30 }, () => RawClient.open(rowgate.port)));
  for (const each of flood) each.socket.write(writeProxyV1('TCP4', '198.51.100.66', 1));
  await expect.poll(() => flood.filter((each) => each.closed).length).toBeGreaterThanOrEqual(26);
  expect(patient.closed).toBe(false);
  for (const each of [...flood, patient]) each.socket.destroy();
});
