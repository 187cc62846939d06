import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections (32,768 on Linux): one of those could take the port before a server listens on it. */
const FIRST = 11_000;
const LAST = 32_000;

/** Test files run in processes of their own: each begins somewhere else. */
let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

/** A port of the loopback address that nobody listened on a moment ago, and that this process gives once in twenty thousand times. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = port + 1 < LAST ? port + 1 : FIRST;
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
      .once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(false) : reject(error)))
      .listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
