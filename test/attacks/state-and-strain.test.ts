/** After a refusal the server is where the client believes it to be; and no message, however broken, ends the process or another session. */

import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { startRowgate } from '../support/rowgate.ts';
import { QUOTA } from '../support/attack.ts';
import { useTestBed } from '../support/attack-tests.ts';
import { WireClient, errorsOf, message, rowsOf, wire, type WireMessage } from '../support/wire-client.ts';

const bed = useTestBed({ sql: 'CREATE TABLE public.log (who text, what text); GRANT ALL ON public.log TO staff' });
const ALL = 'SELECT email FROM crm.customers';
let logins = 0;
const agent = (): string => `agent_${++logins}`;
const open = (user = agent()): Promise<WireClient> => WireClient.connect({ port: bed().rowgate.port, user });
const types = (messages: readonly WireMessage[]): string => messages.map(({ type }) => type).join('');
const state = (messages: readonly WireMessage[]): string | undefined => messages.findLast(({ type }) => type === 'Z')?.body.toString('latin1');

async function logged(who: string): Promise<readonly string[]> {
  const { rows } = await bed().admin.query<{ what: string }>('SELECT what FROM public.log WHERE who = $1 ORDER BY what', [who]);
  return rows.map(({ what }) => what);
}

describe('state after a refusal', () => {
  test('COMMIT after a cut inside a transaction rolls back, as after any error', async () => {
    const user = agent();
    const client = await open(user);
    await client.query('BEGIN');
    await client.query(`INSERT INTO public.log VALUES ('${user}', 'before')`);
    const cut = await client.query(ALL);
    expect([errorsOf(cut), state(cut)]).toEqual([['53400'], 'E']);
    const end = await client.query('COMMIT');
    expect([end.find(({ type }) => type === 'C')?.body.toString().replace('\0', ''), state(end)]).toEqual(['ROLLBACK', 'I']);
    expect(await logged(user)).toEqual([]);
  });

  test('COMMIT pipelined behind a cut', async () => {
    const user = agent();
    const client = await open(user);
    const answer = await client.ask([wire.query('BEGIN'), wire.query(`INSERT INTO public.log VALUES ('${user}', 'before')`), wire.query(ALL), wire.query(`INSERT INTO public.log VALUES ('${user}', 'after')`), wire.query('COMMIT')], 5);
    expect(errorsOf(answer)[0]).toBe('53400');
    expect(state(answer)).toBe('I');
    expect(await logged(user)).toEqual([]);
  });

  test('ROLLBACK TO a savepoint after a cut goes on in the transaction', async () => {
    const user = agent();
    const client = await open(user);
    await client.query(`BEGIN; INSERT INTO public.log VALUES ('${user}', 'a'); SAVEPOINT s; INSERT INTO public.log VALUES ('${user}', 'b')`);
    expect(state(await client.query(ALL))).toBe('E');
    expect(state(await client.query('ROLLBACK TO s'))).toBe('T');
    await client.query(`INSERT INTO public.log VALUES ('${user}', 'c'); COMMIT`);
    expect(await logged(user)).toEqual(['a', 'c']);
  });

  test('savepoint and ROLLBACK TO pipelined behind a cut', async () => {
    const user = agent();
    const client = await open(user);
    const answer = await client.ask([
      wire.query(`BEGIN; INSERT INTO public.log VALUES ('${user}', 'a'); SAVEPOINT s`), wire.query(ALL), wire.query('ROLLBACK TO s'),
      wire.query(`INSERT INTO public.log VALUES ('${user}', 'c')`), wire.query('COMMIT'),
    ], 5);
    expect(errorsOf(answer)).toEqual(['53400']);
    expect(await logged(user)).toEqual(['a', 'c']);
  });

  test('a Query of several statements that changes something and could be cut is refused outside of a transaction', async () => {
    const user = agent();
    const client = await open(user);
    const answer = await client.query(`INSERT INTO public.log VALUES ('${user}', 'a'); ${ALL}; INSERT INTO public.log VALUES ('${user}', 'b')`);
    expect([errorsOf(answer), state(answer)]).toEqual([['42501'], 'I']);
    expect(await logged(user)).toEqual([]);
  });

  test('a cut in an extended group undoes the group, with Sync at once and with Sync later', async () => {
    for (const later of [false, true]) {
      const user = agent();
      const client = await open(user);
      const group = [wire.run(`INSERT INTO public.log VALUES ('${user}', 'a')`), wire.run(ALL), wire.run(`INSERT INTO public.log VALUES ('${user}', 'b')`)];
      if (later) {
        client.send(...group, wire.flush);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      const answer = later ? await client.ask([wire.sync]) : await client.ask([...group, wire.sync]);
      expect(errorsOf(client.messages), `Sync ${later ? 'later' : 'at once'}`).toEqual(['53400']);
      expect(state(answer)).toBe('I');
      expect(await logged(user)).toEqual([]);
    }
  });

  test('a refused statement in an extended group undoes the group', async () => {
    const user = agent();
    const client = await open(user);
    const answer = await client.ask([wire.run(`INSERT INTO public.log VALUES ('${user}', 'a')`), wire.run(`DO $$ BEGIN END $$`), wire.run(`INSERT INTO public.log VALUES ('${user}', 'b')`), wire.sync]);
    expect(errorsOf(answer).length).toBe(1);
    expect(state(answer)).toBe('I');
    expect(await logged(user)).toEqual([]);
  });

  test('a refused Query in a transaction fails it', async () => {
    const user = agent();
    const client = await open(user);
    await client.query(`BEGIN; INSERT INTO public.log VALUES ('${user}', 'a')`);
    const refused = await client.query('DO $$ BEGIN END $$');
    expect(state(refused)).toBe('E');
    await client.query('COMMIT');
    expect(await logged(user)).toEqual([]);
  });

  test('UPDATE RETURNING that is cut in autocommit is undone, or the error says that it stays', async () => {
    const user = agent();
    const client = await open(user);
    const answer = await client.query(`UPDATE crm.customers SET tariff = 'x-${user}' RETURNING email`);
    expect(errorsOf(answer)).toEqual(['53400']);
    const { rows } = await bed().admin.query<{ n: string }>(`SELECT count(*) n FROM crm.customers WHERE tariff = 'x-${user}'`);
    const text = answer.find(({ type }) => type === 'E')?.body.toString('utf8') ?? '';
    if (rows[0]?.n !== '0') expect(text).toContain('stays');
    await bed().admin.query(`UPDATE crm.customers SET tariff = 'tariff ' || id % 5`);
  });

  test('200 times: the cancel of a cut never hits the next statement', async () => {
    const wrong: string[] = [];
    for (let i = 0; i < 200; i++) {
      // A login of its own each time: only a cut in the middle of a result sends a cancel, a spent quota refuses beforehand.
      const client = await open(`agent_${100 + i}`);
      const pipelined = i % 2 === 0;
      const parts = [wire.query('SELECT email, repeat(email, 100) FROM crm.customers'), wire.query('SELECT 7'), Buffer.concat([wire.run('SELECT count(*) FROM generate_series(1, 2000)'), wire.sync])];
      let answer: readonly WireMessage[] = [];
      if (pipelined) answer = await client.ask(parts, 3);
      else for (const part of parts) answer = [...answer, ...(await client.ask([part]))];
      const errors = errorsOf(answer);
      const rows = rowsOf(answer).length;
      if (errors.join() !== '53400' || rows < 50 || !types(answer).endsWith('TDCZ12DCZ')) wrong.push(`${i}: ${errors.join()} ${rows} ${types(answer).slice(-20)}`);
      client.destroy();
    }
    expect(wrong).toEqual([]);
  });
});

describe.each(['the bare server', 'Rowgate'])('sequences that may hang, with %s', (target) => {
  const open = (): Promise<WireClient> => WireClient.connect({ port: target === 'Rowgate' ? bed().rowgate.port : bed().postgres.port, user: agent() });
  const alive = async (client: WireClient): Promise<boolean> => rowsOf(await client.ask([wire.sync, wire.query('SELECT 7')], 2, 3000)).length > 0;

  test('a Query that no grammar accepts behind a failing extended group', async () => {
    const client = await open();
    client.send(wire.run('SELECT 1/0'), wire.query('SELEKT 1'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await alive(client)).toBe(true);
  });

  test('a Query that no grammar accepts in an open extended group', async () => {
    const client = await open();
    client.send(wire.run('SELECT 1'), wire.query('SELEKT 1'), wire.run('SELECT 2'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await alive(client)).toBe(true);
  });

  test('a metered Query behind a failing extended group', async () => {
    const client = await open();
    client.send(wire.run('SELECT 1/0'), wire.query(`${ALL} LIMIT 1`), wire.run(`${ALL} LIMIT 1`));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await alive(client)).toBe(true);
  });

  test('two COPY FROM STDIN in one Query, their data sent without waiting', async () => {
    const client = await open();
    const data = [wire.copyData('u\tx\n'), wire.copyDone];
    const answer = await client.ask([wire.query(`COPY public.log FROM STDIN; COPY public.log FROM STDIN`), ...data, ...data], 1, 3000);
    expect(state(answer)).toBe('I');
    expect(await alive(client)).toBe(true);
  });

  test('COPY FROM STDIN that fails, its data and Sync on their way', async () => {
    const client = await open();
    const answer = await client.ask([wire.run('COPY public.nothing FROM STDIN'), wire.copyData('a\n'), wire.copyDone, wire.sync], 1, 3000);
    expect(state(answer)).toBe('I');
    expect(await alive(client)).toBe(true);
  });

  test('COPY FROM STDIN behind a cut in a pipeline', async () => {
    const client = await open();
    await client.ask([wire.query(ALL), wire.query('COPY public.log FROM STDIN'), wire.copyData('u\ty\n'), wire.copyDone], 2, 4000);
    expect(await alive(client)).toBe(true);
  });

  test('a thousand portals suspended, then Sync', async () => {
    const client = await open();
    await client.ask([wire.query('BEGIN'), wire.parse('s', 'SELECT generate_series(1, 5)'), ...Array.from({ length: 1000 }, (_, i) => Buffer.concat([wire.bind(`p${i}`, 's'), wire.execute(`p${i}`, 1)])), wire.sync], 2);
    expect(await alive(client)).toBe(true);
  });
});

describe('strain', () => {
  test('20,000 pipelined queries', async () => {
    const client = await open();
    const answer = await client.ask([Buffer.concat(Array.from({ length: 20_000 }, () => wire.query('SELECT 1')))], 20_000, 15_000);
    expect(answer.filter(({ type }) => type === 'Z').length).toBe(20_000);
  });

  test('a Query of 100,000 statements does not hold up another session for long', async () => {
    const [busy, other] = [await open(), await open()];
    busy.send(wire.query('SELECT 1;'.repeat(100_000)));
    const start = Date.now();
    let worst = 0;
    for (let last = start; Date.now() - start < 1500; last = Date.now()) {
      await other.query('SELECT 1');
      worst = Math.max(worst, Date.now() - last);
    }
    busy.destroy();
    expect(worst).toBeLessThan(400);
  });
});

describe('broken messages', () => {
  const junk = (seed: number, length: number): Buffer => {
    const out = Buffer.alloc(length);
    for (let i = 0, x = seed; i < length; i++) {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      out[i] = x >>> 16;
    }
    return out;
  };
  const FRONT = 'QPBEDCSHFXdcfp';

  test('broken client messages end at most their own session', async () => {
    const witness = await open();
    for (let seed = 1; seed <= 120; seed++) {
      const client = await open(`agent_${20 + (seed % 40)}`);
      const type = FRONT[seed % FRONT.length] as string;
      const body = junk(seed, seed % 60);
      const broken = message(type, body);
      if (seed % 3 === 0) broken.writeInt32BE([-1, 0, 3, 0x7fffffff, 5][seed % 5] as number, 1);
      client.send(broken, wire.sync, seed % 2 === 0 ? junk(seed * 7, 300) : wire.query('SELECT 1'));
      await new Promise((resolve) => setTimeout(resolve, 3));
      client.destroy();
    }
    for (let seed = 1; seed <= 40; seed++) {
      const socket = connect(bed().rowgate.port, '127.0.0.1', () => socket.write(junk(seed * 31, 40)));
      socket.on('error', () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 2));
      socket.destroy();
    }
    expect(rowsOf(await witness.query('SELECT 7')).length).toBe(1);
    expect(bed().rowgate.process.exitCode).toBeNull();
  });

  test('broken server messages end at most their own session', async () => {
    const port = await freePort();
    const sockets = new Set<Socket>();
    let seed = 0;
    const BACK = 'TDCEZN1239ntsGHdcSAVWKRvI';
    const server = createServer((socket) => {
      sockets.add(socket);
      const mine = ++seed;
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(Buffer.concat([message('R', Buffer.alloc(4)), message('S', Buffer.from('client_encoding\0UTF8\0')), message('K', Buffer.alloc(8)), message('Z', Buffer.from('I'))]));
        socket.on('data', () => {
          const broken = message(BACK[mine % BACK.length] as string, junk(mine * 13, mine % 40));
          if (mine % 4 === 0) broken.writeInt32BE([-1, 0, 3, 0x7fffffff][mine % 3] as number, 1);
          socket.write(broken);
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const rowgate = await startRowgate({ postgresPort: port }).catch((error: unknown) => error as Error);
    try {
      if (rowgate instanceof Error) return; // It does not start without a catalog; then there is nothing to break.
      for (let i = 0; i < 60; i++) {
        const socket = connect(rowgate.port, '127.0.0.1', () => {
          const parameters = Buffer.from(`user\0agent\0database\0postgres\0\0`);
          const head = Buffer.alloc(8);
          head.writeInt32BE(parameters.length + 8, 0);
          head.writeInt32BE(196608, 4);
          socket.write(Buffer.concat([head, parameters, wire.query('SELECT 1')]));
        });
        socket.on('error', () => undefined);
        await new Promise((resolve) => setTimeout(resolve, 5));
        socket.destroy();
      }
      expect(rowgate.process.exitCode).toBeNull();
      expect((await fetch(`http://127.0.0.1:${rowgate.adminPort}/healthz`)).status).toBe(200);
    } finally {
      if (!(rowgate instanceof Error)) await rowgate.stop('SIGKILL');
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  test('after all that a fresh login gets exactly its quota', async () => {
    const client = await open();
    expect(rowsOf(await client.query(ALL)).length).toBe(QUOTA);
  });
});
