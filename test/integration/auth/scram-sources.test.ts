/** auth.method: scram, by what Rowgate has: certificates of every kind, a file of users, a lookup that does not answer. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CertificateOptions } from '../../support/certificates.ts';
import { authority, LOOKUP, openScramSetting, postgres, start, whoami } from './scram-setting.ts';

openScramSetting();

describe('certificates of every kind', () => {
  const kinds: readonly (readonly [string, CertificateOptions])[] = [
    ['RSA with SHA-256', { key: 'rsa' }],
    ['RSA with SHA-384', { key: 'rsa', digest: 'sha384' }],
    ['RSA with SHA-512', { key: 'rsa', digest: 'sha512' }],
    ['ECDSA with SHA-384', { digest: 'sha384' }],
    ['RSASSA-PSS', { key: 'rsa-pss', digest: 'sha384' }],
    ['Ed25519, which gives nothing to bind to', { key: 'ed25519' }],
  ];

  test.each(kinds)('psql and node-postgres log in to a Rowgate with %s', async (_what, kind) => {
    const own = authority.selfSigned('localhost', { names: 'DNS:localhost', ...kind });
    const target = await start(LOOKUP, { certificate: own });
    try {
      const bound = kind.key === 'ed25519' ? 'scram-sha-256' : 'scram-sha-256-plus';
      const ssl = { ca: readFileSync(own.cert, 'utf8') };
      // node-postgres knows RSASSA-PSS no more than it knows Ed25519.
      const enableChannelBinding = kind.key !== 'ed25519' && kind.key !== 'rsa-pss';
      expect(await whoami({ ssl, enableChannelBinding }, target)).toBe('agent true');
      if (enableChannelBinding) await expect.poll(() => target.audit().findLast((record) => record['event'] === 'session_start'), { timeout: 10_000 }).toMatchObject({ auth_method: bound });
      // libpq before version 16 cannot hash the certificate of RSASSA-PSS, and none can that of Ed25519.
      if (!enableChannelBinding) return;
      const result = spawnSync('psql', ['-XAt', '-c', 'SELECT 1', `host=localhost port=${target.port} user=agent dbname=postgres sslmode=verify-full sslrootcert=${own.cert} channel_binding=require`], { encoding: 'utf8', env: { ...process.env, PGPASSWORD: 'secret' } });
      if (result.error === undefined) expect({ out: result.stdout.trim(), err: result.stderr.trim() }).toEqual({ out: '1', err: '' });
    } finally {
      await target.stop();
    }
  });
});

describe('a file of users', () => {
  test('holds the verifiers; a changed line counts at once; rowgate users makes a line', async () => {
    const admin = await postgres.connect();
    const { rows } = await admin.query<{ v: string }>(`SELECT rolpassword AS v FROM pg_authid WHERE rolname = 'agent'`);
    const file = join(authority.directory, 'users.txt');
    writeFileSync(file, `# staff\nagent: ${rows[0]?.v ?? ''}\n`);
    const target = await start(`users: ${file}`);
    try {
      expect(await whoami({ enableChannelBinding: true }, target)).toBe('agent true');
      await expect(whoami({ user: 'agent_2' }, target)).rejects.toMatchObject({ code: '28P01' });
      const made = spawnSync(process.execPath, ['dist/cli/main.js', 'users', 'agent_2'], { encoding: 'utf8', input: 'a new one\n' });
      expect(made.stderr).toBe('');
      expect(made.stdout).toMatch(/^agent_2: SCRAM-SHA-256\$4096:/);
      writeFileSync(file, `agent: ${rows[0]?.v ?? ''}\n${made.stdout}`);
      // The server does not know it yet: the client learns nothing but that it failed.
      await expect(whoami({ user: 'agent_2', password: 'a new one' }, target)).rejects.toMatchObject({ code: '28000' });
      await admin.query(`ALTER ROLE agent_2 PASSWORD '${made.stdout.trim().slice('agent_2: '.length)}'`);
      expect(await whoami({ user: 'agent_2', password: 'a new one' }, target)).toBe('agent_2 true');
    } finally {
      await target.stop();
      await admin.query(`ALTER ROLE agent_2 PASSWORD 'secret'`);
      await admin.end();
    }
  });

  test('with a mistake in it is told at start, without its content', async () => {
    const file = join(authority.directory, 'broken.txt');
    writeFileSync(file, 'agent: my-password\n');
    const message = await start(`users: ${file}`).then(() => '', (error: unknown) => String(error));
    expect(message).toContain(`auth.users: ${file}:1: expected NAME: SCRAM-SHA-256$...`);
    expect(message).not.toContain('my-password');
  });
});

describe('without a word from the source of verifiers', () => {
  test('nobody is let in, and the reason is said', async () => {
    const target = await start('lookup: { user: rowgate_auth, password: wrong }');
    try {
      await expect(whoami({}, target)).rejects.toMatchObject({ code: '57P03' });
    } finally {
      await target.stop();
    }
  });

  test('a connection that the server ended is opened again', async () => {
    const admin = await postgres.connect();
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rowgate_auth'`);
    await admin.end();
    expect(await whoami()).toBe('agent true');
  });
});
