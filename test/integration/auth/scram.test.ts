/** auth.method: scram. Rowgate checks the password and logs in with the keys that the client proved; the server demands SCRAM over TLS. */

import { spawnSync } from 'node:child_process';
import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { writePasswordMessage } from '../../../src/protocol/authentication.ts';
import { errorFields, openRaw } from '../../support/raw-login.ts';
import { authority, LOOKUP, openLogin, openScramSetting, options, postgres, psql, rowgate, start, whoami } from './scram-setting.ts';

openScramSetting();

describe('logins whose passwords Rowgate checks', () => {
  test('work with a driver that binds to the certificate and with one that does not', async () => {
    expect(await whoami({ enableChannelBinding: true })).toBe('agent true');
    expect(await whoami()).toBe('agent true');
    const methods = (): unknown => rowgate.audit().filter((record) => record['event'] === 'session_start').map((record) => record['auth_method']);
    await expect.poll(methods, { timeout: 10_000 }).toEqual(['scram-sha-256-plus', 'scram-sha-256']);
  });

  test('work with psql that demands channel binding and a proven host, to a server that demands SCRAM', () => {
    const result = psql('user=agent sslmode=verify-full channel_binding=require');
    if (result === undefined) return; // no psql on this machine
    expect(result).toEqual({ out: 'agent', err: '' });
  });

  test.each(['prefer', 'disable'])('work with psql and channel_binding=%s', (binding) => {
    const result = psql(`user=agent sslmode=require channel_binding=${binding}`);
    if (result === undefined) return;
    expect(result).toEqual({ out: 'agent', err: '' });
  });

  test('work with psycopg2 where it is installed', () => {
    const script = `import psycopg2\nc = psycopg2.connect(host='localhost', port=${rowgate.port}, user='agent', password='secret', dbname='postgres', sslmode='verify-full', sslrootcert='${authority.ca}', channel_binding='require')\ncur = c.cursor()\ncur.execute('SELECT session_user')\nprint(cur.fetchone()[0])\n`;
    const result = spawnSync('/usr/bin/python3', ['-c', script], { encoding: 'utf8' });
    if (result.error !== undefined || result.stderr.includes('No module named')) return;
    expect(result.stderr).toBe('');
    expect(result.stdout.trim()).toBe('agent');
  });

  test.each([
    ['agent_ü', 'pässwört'],
    ['agent_prep', 'IX'],
    ['agent_odd', 'a\u0007b'],
    ['agent_slow', 'secret'],
  ])('work for %s with %j', async (user, password) => {
    expect(await whoami({ user, password })).toBe(`${user} true`);
  });

  test('quotas hold for them', async () => {
    const client = new Client(options({ user: 'agent_2' }));
    await client.connect();
    await expect(client.query('SELECT * FROM crm.customers')).rejects.toMatchObject({ code: '53400' });
    await client.end();
  });

  test('a new password works at once, and the old one does not', async () => {
    expect(await whoami({ user: 'agent_moves' })).toBe('agent_moves true');
    const admin = await postgres.connect();
    for (const password of ['one', 'two', 'three']) {
      await admin.query(`ALTER ROLE agent_moves PASSWORD '${password}'`);
      expect(await whoami({ user: 'agent_moves', password })).toBe('agent_moves true');
    }
    await admin.end();
    await expect(whoami({ user: 'agent_moves', password: 'two' })).rejects.toMatchObject({ code: '28P01' });
  });

  test('what the server itself refuses after the password comes in its own words', async () => {
    await expect(whoami({ user: 'agent_nologin' })).rejects.toMatchObject({ code: '28000', message: 'role "agent_nologin" is not permitted to log in' });
    await expect(whoami({ database: 'nowhere' })).rejects.toMatchObject({ code: '3D000', message: 'database "nowhere" does not exist' });
  });

  test('a cancel request finds its statement', async () => {
    const client = new Client(options());
    await client.connect();
    const cut = expect(client.query('SELECT pg_sleep(20)')).rejects.toMatchObject({ code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const raw = await openRaw(rowgate.port);
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE((1234 << 16) | 5678, 4);
    packet.writeInt32BE(processID, 8);
    packet.writeInt32BE(secretKey, 12);
    raw.send(packet);
    await raw.end();
    await cut;
    await client.end();
  });
});

describe('passwords in clear', () => {
  test('are asked for from logins that are named, over TLS only, and reach the server as SCRAM', async () => {
    const target = await start(`${LOOKUP}, cleartext: [agent]`, { mode: 'prefer' });
    try {
      const { raw, asked } = await openLogin('agent', target);
      expect(asked?.body.readInt32BE(0)).toBe(3);
      raw.send(writePasswordMessage('wrong'));
      expect(errorFields(await raw.message())).toMatchObject({ C: '28P01', M: 'password authentication failed for user "agent"' });
      expect(await whoami({}, target)).toBe('agent true');
      await expect.poll(() => target.audit().findLast((record) => record['event'] === 'session_start'), { timeout: 10_000 }).toMatchObject({ auth_method: 'cleartext' });
      // Without TLS the same login is asked for SCRAM, and so is everybody else with it.
      const plain = await openRaw(target.port);
      plain.startup('agent');
      expect((await plain.message())?.body.readInt32BE(0)).toBe(10);
      plain.destroy();
      const other = await openLogin('agent_2', target);
      expect(other.asked?.body.readInt32BE(0)).toBe(10);
      other.raw.destroy();
    } finally {
      await target.stop();
    }
  });
});
