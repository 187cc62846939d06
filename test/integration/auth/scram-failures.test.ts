/** auth.method: scram, when the password is wrong, or the messages are. */

import { describe, expect, test } from 'vitest';
import { ScramClient } from '../../../src/auth/scram-client.ts';
import { newNonce } from '../../../src/auth/scram.ts';
import { readSaslInitialResponse, writePasswordMessage, writeSaslInitialResponse, writeSaslResponse } from '../../../src/protocol/authentication.ts';
import { errorFields } from '../../support/raw-login.ts';
import type { WireMessage } from '../../support/wire-client.ts';
import { attempt, LOOKUP, openLogin, openScramSetting, postgres, rowgate, start, whoami } from './scram-setting.ts';

openScramSetting();

describe('failed logins', () => {
  test('say the same for a wrong password, an unknown login and one that has no usable password', async () => {
    const shapes = new Map<string, readonly string[]>();
    for (const user of ['agent_guess', 'nobody_at_all', 'agent_md5', 'agent_none', 'agent_old']) {
      const said = await attempt(user, 'wrong');
      expect(said.map(({ type }) => type)).toEqual(['R', 'R', 'E']);
      const [asked, challenge, refusal] = said as [WireMessage, WireMessage, WireMessage];
      const text = challenge.body.toString('latin1', 4);
      const shape = text.replace(/^r=[^,]*/, (nonce) => `r=${nonce.length}`).replace(/s=[^,]*/, (s) => `s=${s.length}`);
      shapes.set(user, [asked.body.toString('latin1'), shape, refusal.body.toString('utf8').replaceAll(user, 'USER')]);
    }
    const [first, ...others] = [...shapes.values()];
    for (const other of others) expect(other).toEqual(first);
    expect(first?.[2]).toContain('C28P01\0Mpassword authentication failed for user "USER"');
  });

  test('show an unknown login the same salt each time, as a real one has', async () => {
    const saltOf = async (user: string): Promise<string> => /s=([^,]*)/.exec((await attempt(user, 'wrong'))[1]?.body.toString('latin1') ?? '')?.[1] ?? '';
    const first = await saltOf('nobody_1');
    expect(first.length).toBe(24);
    expect(await saltOf('nobody_1')).toBe(first);
    expect(await saltOf('nobody_2')).not.toBe(first);
    // Another process with the same certificate shows the same.
    const other = await start(LOOKUP);
    try {
      const again = /s=([^,]*)/.exec((await attempt('nobody_1', 'wrong', other))[1]?.body.toString('latin1') ?? '')?.[1];
      expect(again).toBe(first);
    } finally {
      await other.stop();
    }
  });

  test('are the right password of an expired or MD5 login, too', async () => {
    await expect(whoami({ user: 'agent_old' })).rejects.toMatchObject({ code: '28P01' });
    await expect(whoami({ user: 'agent_md5' })).rejects.toMatchObject({ code: '28P01' });
  });

  test('are counted and on record, with the reason that the client did not learn', async () => {
    await attempt('agent_none', 'wrong');
    const records = (): readonly Record<string, unknown>[] => rowgate.audit().filter((record) => record['event'] === 'login_failed' && record['principal'] === 'agent_none');
    await expect.poll(() => records().at(-1), { timeout: 10_000 }).toMatchObject({ sqlstate: '28P01', reason: 'the login has no password' });
    expect(await rowgate.metrics()).toMatch(/^rowgate_auth_failures_total{sqlstate="28P01"} [1-9]/m);
  });

  test('make the next attempt of the same login wait, and nobody else', async () => {
    const target = await start(LOOKUP, { extra: 'limits: { max_login_delay: 2s }' });
    try {
      for (let i = 0; i < 4; i++) await attempt('agent_guess', 'wrong', target);
      const began = performance.now();
      await attempt('agent_guess', 'wrong', target);
      // After four failures: 250 ms, doubled twice.
      expect(performance.now() - began).toBeGreaterThan(950);
      const waiting = whoami({ user: 'agent_guess' }, target);
      expect(await whoami({ user: 'agent' }, target)).toBe('agent true');
      // The right password works, after its wait, and takes the delay away.
      expect(await waiting).toBe('agent_guess true');
    } finally {
      await target.stop();
    }
  });
});

describe('what is no proper login', () => {
  const first = (data: string, mechanism = 'SCRAM-SHA-256'): Buffer => writeSaslInitialResponse(mechanism, Buffer.from(data));

  test('SCRAM-SHA-256-PLUS is offered first, on TLS', async () => {
    const { raw, asked } = await openLogin('agent');
    expect(asked?.body.toString('latin1', 4)).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');
    raw.destroy();
  });

  test('a client that could have bound and was not offered it finds its downgrade refused', async () => {
    const { raw } = await openLogin('agent');
    raw.send(first('y,,n=,r=abcdefgh'));
    expect(errorFields(await raw.message())).toMatchObject({ C: '28000', M: 'SCRAM channel binding negotiation error' });
    await raw.end();
  });

  test('a proof that is bound to another certificate is refused', async () => {
    const { raw } = await openLogin('agent');
    const client = new ScramClient({ secret: { kind: 'password', password: 'secret' }, mechanisms: ['SCRAM-SHA-256-PLUS'], encrypted: true, channelBinding: Buffer.alloc(32, 1), nonce: newNonce() });
    raw.send(writeSaslInitialResponse(client.mechanism, client.first()));
    const challenge = await raw.message();
    raw.send(writeSaslResponse(await client.final((challenge as WireMessage).body.subarray(4))));
    expect(errorFields(await raw.message())).toMatchObject({ C: '28000', M: 'SCRAM channel binding check failed' });
    await raw.end();
  });

  test.each([
    ['an unknown mechanism', (): Buffer => first('n,,n=,r=abc', 'SCRAM-SHA-1'), '08P01'],
    ['a length that does not fit', (): Buffer => Buffer.from('p\0\0\0\x17SCRAM-SHA-256\0\0\0\0\xffabc', 'latin1'), '08P01'],
    ['no mechanism at all', (): Buffer => Buffer.from('p\0\0\0\x08abcd', 'latin1'), '08P01'],
    ['an empty message', (): Buffer => first(''), '08P01'],
    ['a message of two megabytes', (): Buffer => first('n,,n=,r='.padEnd(2_000_000, 'x')), '08P01'],
    ['a query', (): Buffer => Buffer.from('Q\0\0\0\x0dSELECT 1\0', 'latin1'), '08P01'],
    ['a negative length', (): Buffer => Buffer.from('p\xff\xff\xff\xff', 'latin1'), '08P01'],
    ['a password in clear', (): Buffer => writePasswordMessage('secret'), '08P01'],
  ])('%s ends the login', async (_what, bytes, sqlstate) => {
    const { raw } = await openLogin('agent');
    raw.send(bytes());
    expect(errorFields(await raw.message())).toMatchObject({ S: 'FATAL', C: sqlstate });
    await raw.end();
  });

  test('statements that come before the password was checked are never run', async () => {
    const { raw } = await openLogin('agent');
    raw.send(first('n,,n=,r=abcdefgh'), Buffer.from('Q\0\0\0\x1cCREATE TABLE stolen(i int)\0'.replace('\x1c', String.fromCharCode(4 + 27)), 'latin1'));
    await raw.message();
    expect(errorFields(await raw.message())).toMatchObject({ C: '08P01' });
    await raw.end();
    const admin = await postgres.connect();
    expect((await admin.query(`SELECT to_regclass('stolen') AS t`)).rows).toEqual([{ t: null }]);
    await admin.end();
  });

  test('a client that wants to be asked first is asked', async () => {
    const { raw } = await openLogin('agent');
    const request = writeSaslInitialResponse('SCRAM-SHA-256', Buffer.alloc(0));
    request.writeInt32BE(-1, request.length - 4);
    expect(readSaslInitialResponse(request.subarray(5))).toEqual({ mechanism: 'SCRAM-SHA-256', data: undefined });
    raw.send(request);
    const empty = await raw.message();
    expect(empty?.body.readInt32BE(0)).toBe(11);
    raw.send(writeSaslResponse(Buffer.from('n,,n=,r=abcdefgh')));
    expect((await raw.message())?.body.toString('latin1', 4)).toMatch(/^r=abcdefgh/);
    raw.destroy();
  });

  test('logins that are begun and left are forgotten', async () => {
    const opened = await Promise.all(Array.from({ length: 20 }, () => openLogin('agent')));
    for (const { raw } of opened) raw.destroy();
    expect(await whoami()).toBe('agent true');
  });

  test('a login name that the server would cut is refused before anything is looked up', async () => {
    const { asked } = await openLogin('a'.repeat(64));
    expect(errorFields(asked)).toMatchObject({ C: '28000' });
  });
});
