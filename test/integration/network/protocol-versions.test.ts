/** Protocol 3.0 and 3.2, whose cancel keys are longer, and clients that ask for more than there is. */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newNonce } from '../../../src/auth/scram.ts';
import { ScramClient } from '../../../src/auth/scram-client.ts';
import { writeSaslInitialResponse, writeSaslResponse } from '../../../src/protocol/authentication.ts';
import { writeCancelRequest, writeStartupMessage } from '../../../src/protocol/startup.ts';
import { makeCustomerBase, serverMajor, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { errorFields, openRaw, type RawConnection } from '../../support/raw-login.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';
import { wire, type WireMessage } from '../../support/wire-client.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
  rowgate = await startRowgate({ postgresPort: postgres.port });
});
afterAll(async () => {
  await rowgate.stop();
  await postgres.stop();
});

interface Login {
  readonly raw: RawConnection;
  /** Body of NegotiateProtocolVersion, if there was one. */
  readonly negotiated: Buffer | undefined;
  /** Body of BackendKeyData. */
  readonly key: Buffer;
}

async function logIn(port: number, minor: number, more: readonly (readonly [string, string])[] = []): Promise<Login> {
  const raw = await openRaw(port);
  raw.send(writeStartupMessage(minor, [['user', 'agent'], ['database', 'postgres'], ...more]));
  const scram = new ScramClient({ secret: { kind: 'password', password: 'secret' }, mechanisms: ['SCRAM-SHA-256'], encrypted: false, channelBinding: undefined, nonce: newNonce() });
  let negotiated: Buffer | undefined;
  let key: Buffer = Buffer.alloc(0);
  for (;;) {
    const message = await raw.message();
    if (message === undefined || message.type === 'E') throw new Error(`no login: ${JSON.stringify(errorFields(message))}`);
    if (message.type === 'v') negotiated = message.body;
    if (message.type === 'K') key = Buffer.from(message.body);
    if (message.type === 'Z') return { raw, negotiated, key };
    if (message.type !== 'R') continue;
    if (message.body.readInt32BE(0) === 10) raw.send(writeSaslInitialResponse(scram.mechanism, scram.first()));
    if (message.body.readInt32BE(0) === 11) raw.send(writeSaslResponse(await scram.final(message.body.subarray(4))));
  }
}

async function until(raw: RawConnection, type: string): Promise<WireMessage> {
  for (;;) {
    const message = await raw.message(20_000);
    if (message === undefined) throw new Error(`the connection ended before ${type}`);
    if (message.type === type) return message;
  }
}

describe.each(['directly', 'through Rowgate'])('%s', (way) => {
  const port = (): number => (way === 'directly' ? postgres.port : rowgate.port);

  test.each([0, 2])('protocol 3.%d: a session, and a cancel request with its key', async (minor) => {
    const { raw, key } = await logIn(port(), minor);
    expect(key).toHaveLength(minor === 2 && serverMajor >= 18 ? 4 + 32 : 4 + 4);
    raw.send(wire.query('SELECT pg_sleep(20)'));
    await sleep(300);
    // Part of the key is not enough.
    for (const sent of [key.length > 8 ? key.subarray(0, -1) : Buffer.concat([key.subarray(0, 7), Buffer.from([(key[7] as number) ^ 1])]), key]) {
      const canceller = await openRaw(port());
      canceller.send(writeCancelRequest(sent));
      await canceller.end();
    }
    expect(errorFields(await until(raw, 'E'))).toMatchObject({ C: '57014', M: 'canceling statement due to user request' });
    await until(raw, 'Z');
    raw.send(wire.query('SELECT 1'));
    expect((await until(raw, 'D')).body.toString('latin1')).toContain('1');
    raw.destroy();
  });
});

test('a later version and options that nobody knows are negotiated away, as directly', async () => {
  const ask = async (port: number): Promise<Buffer | undefined> => {
    const { raw, negotiated } = await logIn(port, 9_999, [['_pq_.one', 'x'], ['_pq_.two', 'y']]);
    raw.destroy();
    return negotiated;
  };
  const direct = await ask(postgres.port);
  expect(direct?.toString('latin1', 8)).toBe('_pq_.one\0_pq_.two\0');
  expect(await ask(rowgate.port)).toEqual(direct);
});
