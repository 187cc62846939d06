// How long a session that asks for nothing much is kept waiting while others send large and deep statements.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE, HOST, LOGIN } from './servers.mjs';
import { HeaderCounter, query, startup } from './wire.mjs';

const CALM_MS = 500;
const AT_ONCE = 100;

/** @typedef {{ calmMs: number, largeMs: number, deepMs: number, manyMs: number }} Stalls  the longest answer to `SELECT 1` in each time */

/** @typedef {{ run: (sql: string) => Promise<void>, end: () => void }} Session  runs one statement after another, whatever comes of it */

/** @param {number} port @returns {Promise<Session>} */
function session(port) {
  return new Promise((resolve, reject) => {
    /** @type {(() => void) | undefined} */
    let done;
    const socket = connect({ host: HOST, port }).on('error', reject);
    socket.setNoDelay(true);
    const run = (/** @type {string} */ sql) => new Promise((/** @type {(value: void) => void} */ answered) => {
      done = answered;
      socket.write(query(sql));
    });
    let logged = false;
    const messages = new HeaderCounter({
      failed: () => undefined,
      ready: () => {
        if (logged) done?.();
        else resolve({ run, end: () => socket.destroy() });
        logged = true;
      },
    });
    socket.on('data', (chunk) => messages.push(chunk));
    socket.on('close', () => {
      done?.();
      reject(new Error(`a session at port ${port} was closed before it began`));
    });
    socket.write(startup(LOGIN, DATABASE));
    socket.unref();
  });
}

const LARGE = `SELECT 1 WHERE 1 IN (${Array.from({ length: 150_000 }, (_, i) => 1_000 + (i % 9_000)).join(', ')})`;
const deep = (/** @type {number} */ n) => `SELECT ${'('.repeat(5_000)}${n}${')'.repeat(5_000)}`;

/** @param {number} port @returns {Promise<Stalls>} */
export async function stalls(port) {
  const calm = await session(port);
  const others = await Promise.all(Array.from({ length: AT_ONCE }, () => session(port)));
  /** @param {() => Promise<unknown>} work */
  const longest = async (work) => {
    let over = false;
    let most = 0;
    const ended = work().then(() => (over = true));
    while (!over) {
      const startedMs = performance.now();
      await calm.run('SELECT 1');
      most = Math.max(most, performance.now() - startedMs);
    }
    await ended;
    return most;
  };
  const [first = calm] = others;
  // Compilers and caches warm up.
  await longest(() => sleep(CALM_MS));
  const calmMs = await longest(() => sleep(CALM_MS));
  const largeMs = await longest(() => first.run(LARGE));
  const deepMs = await longest(() => first.run(deep(1)));
  const manyMs = await longest(() => Promise.all(others.map(({ run }, i) => run(deep(i + 2)))));
  for (const { end } of [calm, ...others]) end();
  return { calmMs, largeMs, deepMs, manyMs };
}
