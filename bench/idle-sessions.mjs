// What an idle session costs in memory: sessions that logged in, ran one statement and wait.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryBytes } from './processes.mjs';
import { DATABASE, HOST, LOGIN } from './servers.mjs';
import { HeaderCounter, query, startup } from './wire.mjs';

const SETTLE_MS = 1500;
const AT_ONCE = 20;

/** @param {number} port @returns {Promise<import('node:net').Socket>} */
function openSession(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: HOST, port }).on('error', reject);
    let ready = 0;
    const messages = new HeaderCounter({
      failed: (text) => reject(new Error(text)),
      ready: () => {
        if (++ready === 1) socket.write(query('SELECT abalance FROM pgbench_accounts WHERE aid = 1'));
        else resolve(socket);
      },
    });
    socket.on('data', (chunk) => messages.push(chunk));
    socket.write(startup(LOGIN, DATABASE));
  });
}

/**
 * @param {{ port: number, pid: number }} target
 * @param {number} sessions
 * @returns {Promise<number>} bytes per session
 */
export async function memoryPerSession({ port, pid }, sessions) {
  await sleep(SETTLE_MS);
  const before = memoryBytes(pid);
  /** @type {import('node:net').Socket[]} */
  const sockets = [];
  while (sockets.length < sessions) {
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, sessions - sockets.length) }, () => openSession(port)))));
  }
  await sleep(SETTLE_MS);
  const after = memoryBytes(pid);
  for (const socket of sockets) socket.destroy();
  await sleep(SETTLE_MS);
  return (after - before) / sessions;
}
