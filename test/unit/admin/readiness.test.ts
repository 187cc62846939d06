import { describe, expect, it } from 'vitest';
import type { ReadinessChecks } from '../../../src/admin/providers.ts';
import { Readiness } from '../../../src/admin/readiness.ts';
import { startAdminServer } from '../../../src/admin/admin-server.ts';

const ok = { ok: true } as const;
const allOk: ReadinessChecks = { upstream: () => ok, store: () => ok, audit: () => ok, catalog: () => ok };
const never = (): Promise<never> => new Promise(() => undefined);

describe('readiness', () => {
  it('names each part that is not ready, and why', async () => {
    const refused = Object.assign(new Error('connect to db.internal:5432 as rowgate refused'), { code: 'ECONNREFUSED' });
    const readiness = new Readiness(
      {
        upstream: () => Promise.reject(refused),
        store: never,
        audit: () => ({ ok: false, reason: 'ENOSPC' }),
        catalog: () => { throw new TypeError('x is not a function'); },
      },
      { timeoutMs: 20 },
    );
    expect(await readiness.report()).toEqual({
      ready: false,
      checks: {
        upstream: { ok: false, reason: 'ECONNREFUSED' },
        store: { ok: false, reason: 'no answer within 20 ms' },
        audit: { ok: false, reason: 'ENOSPC' },
        catalog: { ok: false, reason: 'TypeError' },
      },
    });
  });

  it('runs the checks once for all who ask at the same time and shortly after', async () => {
    let runs = 0;
    const readiness = new Readiness({ ...allOk, store: () => { runs += 1; return ok; } });
    await Promise.all([readiness.report(), readiness.report()]);
    await readiness.report();
    expect(runs).toBe(1);
  });

  it('asks again when the last report is old', async () => {
    let isUp = true;
    const readiness = new Readiness({ ...allOk, store: () => (isUp ? ok : { ok: false, reason: 'down' }) }, { reuseMs: 0 });
    expect((await readiness.report()).ready).toBe(true);
    isUp = false;
    expect((await readiness.report()).ready).toBe(false);
  });

  it('does not start a check again while it hangs', async () => {
    let runs = 0;
    const readiness = new Readiness({ ...allOk, upstream: () => { runs += 1; return never(); } }, { timeoutMs: 5, reuseMs: 0 });
    for (let i = 0; i < 5; i += 1) expect((await readiness.report()).ready).toBe(false);
    expect(runs).toBe(1);
  });

  it.each([[allOk, 200], [{ ...allOk, audit: () => ({ ok: false as const, reason: 'ENOSPC' }) }, 503]])('is told over HTTP by status and body', async (checks, status) => {
    const server = await startAdminServer({
      host: '127.0.0.1', port: 0, token: undefined, checks,
      metrics: { contentType: 'text/plain', render: () => Promise.resolve('') },
      providers: { sessions: () => [], endSession: () => false, usage: () => Promise.resolve([]), forgetBooks: () => Promise.resolve(), reload: never },
    });
    const response = await fetch(`http://127.0.0.1:${server.port}/readyz`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ ready: status === 200, checks: { upstream: { ok: true }, audit: { ok: status === 200 } } });
    await server.close();
  });
});
