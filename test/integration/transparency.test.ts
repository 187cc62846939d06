/** For what policy allows, the client gets what the server sent: psql's output and a driver's results, direct and through Rowgate. */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import postgresJs from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { statements } from '../support/statements.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { WireTap } from '../support/wire-tap.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 500);
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 100000000, action: block }]' });
});
afterAll(async () => {
  await rowgate?.stop();
  await postgres?.stop();
});

function psql(port: number, args: readonly string[], user = 'agent'): string {
  const out = execFileSync('psql', ['-X', '-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', 'postgres', ...args], {
    env: { ...process.env, PGPASSWORD: 'secret', PGAPPNAME: 'same' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return out;
}

describe.skipIf(spawnSync('psql', ['--version']).status !== 0)('psql', () => {
  for (const command of ['\\d', '\\dt+ *.*', '\\df+ pg_catalog.lower', '\\du', '\\dn+', '\\dp crm.*', '\\dT', '\\di+ crm.*', '\\dv+ crm.*', '\\conninfo']) {
    test(`${command} prints the same`, () => {
      if (command === '\\conninfo') expect(psql(rowgate.port, ['-c', command])).toContain('agent');
      else expect(psql(rowgate.port, ['-c', command])).toBe(psql(postgres.port, ['-c', command]));
    });
  }

  test('\\d+ of every table and view works and prints the same', () => {
    const names = psql(postgres.port, ['-Atc', `SELECT format('%I.%I', schemaname, name) FROM (SELECT schemaname, tablename AS name FROM pg_tables UNION ALL SELECT schemaname, viewname FROM pg_views) t ORDER BY 1`]).trim().split('\n');
    expect(names.length).toBeGreaterThan(150);
    const commands = names.flatMap((name) => ['-c', `\\d+ ${name}`]);
    expect(psql(rowgate.port, commands)).toBe(psql(postgres.port, commands));
  });

  test('introspection and unprotected work cost nothing', () => {
    expect(rowgate.audit().filter((record) => record['event'] === 'statement_end')).toEqual([]);
  });
});

describe('on the wire', () => {
  test('1,000 different statements give the same bytes', async () => {
    const list = statements(1000);
    expect(new Set(list).size).toBe(1000);
    const direct = await new WireTap(postgres.port, 'agent').runAll(list);
    const through = await new WireTap(rowgate.port, 'agent').runAll(list);
    expect(through.length).toBe(direct.length);
    for (const [i, bytes] of direct.entries()) {
      if (!bytes.equals(through[i] as Buffer)) {
        expect({ statement: list[i], bytes: (through[i] as Buffer).toString('latin1') }).toEqual({ statement: list[i], bytes: bytes.toString('latin1') });
      }
    }
  });
});

describe('drivers', () => {
  test('COPY FROM STDIN and COPY TO STDOUT round-trip megabytes', async () => {
    const through = await rowgate.connect();
    await through.query('CREATE TABLE public.bulk (id int, body text)');
    const rows = Array.from({ length: 20_000 }, (_, i) => `${i}\t${createHash('sha256').update(String(i)).digest('hex')}\n`).join('');
    await pipeline(Readable.from([rows]), through.query(copyFrom('COPY public.bulk FROM STDIN')));
    const chunks: Buffer[] = [];
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    });
    await pipeline(through.query(copyTo('COPY (SELECT * FROM public.bulk ORDER BY id) TO STDOUT')), sink);
    expect(Buffer.concat(chunks).toString('utf8')).toBe(rows);
    await through.query('DROP TABLE public.bulk');
    await through.end();
  });

  test('a failed COPY FROM STDIN leaves the session usable', async () => {
    const client = await rowgate.connect();
    await client.query('CREATE TABLE public.numbers (n int)');
    await expect(pipeline(Readable.from(['1\nnot a number\n']), client.query(copyFrom('COPY public.numbers FROM STDIN')))).rejects.toMatchObject({ code: '22P02' });
    await expect(pipeline(Readable.from(['1\n']), client.query(copyFrom('COPY public.numbers (nothing) FROM STDIN')))).rejects.toMatchObject({ code: '42703' });
    expect((await client.query('SELECT count(*)::int AS n FROM public.numbers')).rows).toEqual([{ n: 0 }]);
    await client.query('DROP TABLE public.numbers');
    await client.end();
  });

  test('postgres.js pipelines statements, transactions and savepoints', async () => {
    const sql = postgresJs({ host: '127.0.0.1', port: rowgate.port, user: 'agent', password: 'secret', database: 'postgres', max: 2, onnotice: () => undefined });
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => sql`SELECT ${i}::int AS i, name FROM crm.customers WHERE id = ${i + 1}`));
    expect(results.map(([row]) => (row as { i: number }).i)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    await sql.begin(async (tx) => {
      await tx`INSERT INTO public.notes (body) VALUES ('one')`;
      await tx.savepoint(async (inner) => {
        await inner`SELECT 1/0`;
      }).catch(() => undefined);
      await tx`INSERT INTO public.notes (body) VALUES ('two')`;
    });
    expect((await sql`SELECT count(*)::int AS n FROM public.notes`)[0]).toEqual({ n: 2 });
    await sql.end();
  });

  test('tables made in the open transaction are used at no cost', async () => {
    const client = await rowgate.connect();
    const before = rowgate.audit().length;
    await client.query('BEGIN');
    await client.query('CREATE TEMP TABLE mine (a int, b text)');
    await pipeline(Readable.from(['1\tx\n2\ty\n']), client.query(copyFrom('COPY mine FROM STDIN')));
    expect((await client.query('SELECT * FROM mine')).rows).toHaveLength(2);
    await client.query('CREATE TEMP TABLE prices AS SELECT * FROM tariffs');
    expect((await client.query('SELECT p.* FROM prices p, mine')).rows).toHaveLength(10);
    await client.query('COMMIT');
    expect((await client.query('SELECT * FROM mine')).rows).toHaveLength(2);
    await client.end();
    expect(rowgate.audit().slice(before).filter((record) => String(record['event']).startsWith('statement'))).toEqual([]);
  });

  test('LISTEN and NOTIFY arrive at any moment', async () => {
    const listener = await rowgate.connect();
    const sender = await rowgate.connect('agent_2');
    const heard = new Promise((resolve) => listener.once('notification', (message) => resolve([message.channel, message.payload])));
    await listener.query('LISTEN news');
    await sender.query(`NOTIFY news, 'hello'`);
    expect(await heard).toEqual(['news', 'hello']);
    await listener.end();
    await sender.end();
  });

  test('a cancel request reaches the server', async () => {
    const client = await rowgate.connect();
    const sleeping = client.query('SELECT pg_sleep(30)');
    const failure = expect(sleeping).rejects.toMatchObject({ code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const canceller = new Client({ host: '127.0.0.1', port: rowgate.port });
    (canceller as unknown as { cancel(client: Client, query: unknown): void }).cancel(client, (client as unknown as { activeQuery: unknown; _activeQuery: unknown })._activeQuery ?? (client as unknown as { activeQuery: unknown }).activeQuery);
    await failure;
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test('a wrong password and an unknown database are the server\'s own errors', async () => {
    for (const settings of [{ password: 'wrong' }, { database: 'nowhere' }]) {
      const errorAt = async (port: number): Promise<unknown> => {
        const client = new Client({ host: '127.0.0.1', port, user: 'agent', password: 'secret', database: 'postgres', ...settings });
        return client.connect().then(
          () => undefined,
          (error: { code: string; message: string; severity: string }) => ({ code: error.code, message: error.message, severity: error.severity }),
        );
      };
      expect(await errorAt(rowgate.port)).toEqual(await errorAt(postgres.port));
    }
  });
});
