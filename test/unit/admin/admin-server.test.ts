import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startAdminServer, type AdminServer, type AdminServerOptions } from '../../../src/admin/admin-server.ts';
import type { ReadinessChecks, SessionView } from '../../../src/admin/providers.ts';

const token = 'correct-horse-battery-staple';
const ok = { ok: true } as const;
const allOk: ReadinessChecks = { upstream: () => ok, store: () => Promise.resolve(ok), audit: () => ok, catalog: () => ok };

const session: SessionView = {
  session_id: 's1', principal: 'agent', roles: ['support'], client_address: '10.0.0.1', application_name: 'psql', database: 'crm',
  started_at: '2030-01-01T00:00:00.000Z', state: 'active', statements: 2, rows: 10, units: 12, bytes: 2048,
};

const servers: AdminServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: Partial<AdminServerOptions> = {}): Promise<string> {
  const server = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    token,
    metrics: { contentType: 'text/plain; version=0.0.4; charset=utf-8', render: () => Promise.resolve('rowgate_sessions 1\n') },
    checks: allOk,
    providers: {
      sessions: () => [session],
      endSession: (id) => id === session.session_id,
      usage: ({ principal }) => Promise.resolve([
        { rule_id: 'r', role: 'support', scope: 'principal', principal: principal ?? 'agent', class: 'customers', dimension: 'rows', window: '1h', used: 5, limit: 200 },
      ]),
      forgetBooks: () => Promise.resolve(), reload: () => Promise.resolve({ ok: true, config_sha256: 'abc', warnings: [] }),
    },
    ...options,
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

async function ask(url: string, init: RequestInit = {}): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
}

const authorized = { headers: { authorization: `Bearer ${token}` } };

describe('without a token', () => {
  it('metrics are served with Prometheus\' content type', async () => {
    const { status, body, headers } = await ask(`${await start()}/metrics`);
    expect(status).toBe(200);
    expect(body).toBe('rowgate_sessions 1\n');
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('/healthz is 200 while the process lives, whatever its parts do', async () => {
    const url = await start({ checks: { ...allOk, store: () => { throw new Error('down'); } } });
    expect(await ask(`${url}/healthz`)).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  it.each(['/v1/sessions', '/v1/usage', '/v1/anything', '/', '/metrics/../v1/sessions', '/%2fmetrics', '//metrics'])('%s is refused', async (path) => {
    const answer = await ask(`${await start()}${path}`);
    expect(answer).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each(['', 'Bearer', 'Bearer ', 'Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`, token, `Bearer ${token} ${token}`])(
    'the header "%s" does not open the private endpoints',
    async (authorization) => {
      const url = await start();
      expect((await ask(`${url}/v1/sessions`, { headers: { authorization } })).status).toBe(401);
      expect((await ask(`${url}/v1/reload`, { method: 'POST', headers: { authorization } })).status).toBe(401);
    },
  );

  it('a refused reload does not reload', async () => {
    let reloads = 0;
    const reload = (): Promise<never> => { reloads += 1; return Promise.reject(new Error('reached')); };
    const url = await start({ providers: { sessions: () => [], endSession: () => false, usage: () => Promise.resolve([]), forgetBooks: () => Promise.resolve(), reload } });
    await ask(`${url}/v1/reload`, { method: 'POST' });
    expect(reloads).toBe(0);
  });
});

describe('with no token configured', () => {
  it.each([undefined, ''])('the private endpoints are off (token %j)', async (none) => {
    const url = await start({ token: none });
    for (const authorization of ['', 'Bearer', 'Bearer ', 'Bearer undefined', `Bearer ${token}`]) {
      expect((await ask(`${url}/v1/sessions`, { headers: { authorization } })).status).toBe(404);
      expect((await ask(`${url}/v1/reload`, { method: 'POST', headers: { authorization } })).status).toBe(404);
    }
    expect((await ask(`${url}/metrics`)).status).toBe(200);
  });
});

describe('with the token', () => {
  it('sessions are listed, with the fields that are meant to be seen and no others', async () => {
    const chatty = { ...session, sql: "SELECT 'secret'" };
    const url = await start({ providers: { sessions: () => [chatty], endSession: () => false, usage: () => Promise.resolve([]), forgetBooks: () => Promise.resolve(), reload: () => Promise.resolve({ ok: false, problems: [] }) } });
    expect(await ask(`${url}/v1/sessions`, authorized)).toMatchObject({ status: 200, body: { sessions: [session] } });
    expect(JSON.stringify((await ask(`${url}/v1/sessions`, authorized)).body)).not.toContain('secret');
  });

  it('usage is told, of one principal if asked for', async () => {
    const url = await start();
    expect((await ask(`${url}/v1/usage?principal=ann`, authorized)).body).toEqual({
      usage: [{ rule_id: 'r', role: 'support', scope: 'principal', principal: 'ann', class: 'customers', dimension: 'rows', window: '1h', used: 5, limit: 200 }],
    });
    expect((await ask(`${url}/v1/usage?principal=a&principal=b`, authorized)).status).toBe(400);
  });

  it.each([undefined, '', '{}', 'a=b'])('a reload works with the body %j', async (body) => {
    const init = { method: 'POST', ...authorized, ...(body === undefined ? {} : { body }) };
    expect(await ask(`${await start()}/v1/reload`, init)).toMatchObject({ status: 200, body: { ok: true, config_sha256: 'abc', warnings: [] } });
  });

  it('a reload that finds problems tells them, and a second one at the same time waits its turn', async () => {
    let finish: (() => void) | undefined;
    const reload = (): Promise<{ ok: false; problems: string[] }> => new Promise((resolve) => {
      finish = () => { resolve({ ok: false, problems: ['roles.support: no such class'] }); };
    });
    const url = await start({ providers: { sessions: () => [], endSession: () => false, usage: () => Promise.resolve([]), forgetBooks: () => Promise.resolve(), reload } });
    const first = ask(`${url}/v1/reload`, { method: 'POST', ...authorized });
    while (finish === undefined) await new Promise(setImmediate);
    expect(await ask(`${url}/v1/reload`, { method: 'POST', ...authorized })).toMatchObject({ status: 409, body: { error: 'reload_in_progress' } });
    finish();
    expect(await first).toMatchObject({ status: 422, body: { error: 'invalid_config', problems: ['roles.support: no such class'] } });
  });

  it('GET does not reload, and unknown paths are 404', async () => {
    const url = await start();
    expect((await ask(`${url}/v1/reload`, authorized)).status).toBe(404);
    expect(await ask(`${url}/v1/nothing`, authorized)).toMatchObject({ status: 404, body: { error: 'not_found' } });
  });

  it('a large body is refused', async () => {
    const answer = await ask(`${await start()}/v1/reload`, { method: 'POST', ...authorized, body: 'x'.repeat(5000) });
    expect(answer).toMatchObject({ status: 413, body: { error: 'bad_request' } });
  });
});

describe('faults', () => {
  it('reach the client without message or stack, and the log whole', async () => {
    const faults: unknown[] = [];
    const fault = Object.assign(new Error('relation crm.customers, host 10.1.2.3'), { statusCode: 400 });
    const url = await start({
      onFault: (error) => faults.push(error),
      providers: { sessions: () => { throw fault; }, endSession: () => false, usage: () => Promise.reject(fault), forgetBooks: () => Promise.resolve(), reload: () => Promise.reject(fault) },
    });
    const answers = [await ask(`${url}/v1/sessions`, authorized), await ask(`${url}/v1/usage`, authorized), await ask(`${url}/v1/reload`, { method: 'POST', ...authorized })];
    for (const { status, body } of answers) {
      expect(status).toBe(500);
      expect(body).toEqual({ error: 'internal', message: 'the request could not be served; the log has the reason' });
    }
    expect(faults).toEqual([fault, fault, fault]);
  });

  it('a provider that does not answer costs the client a bounded time', async () => {
    const url = await start({
      providerTimeoutMs: 20,
      providers: { sessions: () => new Promise<never>(() => undefined), endSession: () => false, usage: () => Promise.resolve([]), forgetBooks: () => Promise.resolve(), reload: () => new Promise<never>(() => undefined) },
    });
    expect(await ask(`${url}/v1/sessions`, authorized)).toMatchObject({ status: 503, body: { error: 'unavailable', message: 'no answer within 20 ms' } });
  });

  it('what is not HTTP gets a short answer and a closed connection', async () => {
    const { port } = new URL(await start());
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('\u0000\u0003\u0000\u0000garbage\r\n\r\n'));
      socket.on('data', (bytes) => { text += bytes.toString(); });
      socket.on('close', () => { resolve(text); });
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).not.toMatch(/node_modules|\.ts/);
  });

  it('a port in use is told to the caller', async () => {
    const { port } = new URL(await start());
    await expect(start({ port: Number(port) })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
