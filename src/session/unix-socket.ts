/** Unix sockets under the names that PostgreSQL and libpq give them (`UNIXSOCK_PATH`, src/include/libpq/pqcomm.h). */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';

export function socketPath(directory: string, port: number): string {
  return `${directory.replace(/\/+$/, '')}/.s.PGSQL.${port}`;
}

/** libpq's convention: a host that begins with `/` is the directory of a Unix socket. */
export function isSocketDirectory(host: string): boolean {
  return host.startsWith('/');
}

/** For `net.connect`. */
export function connectTarget(address: { readonly host: string; readonly port: number }): { readonly path: string } | { readonly host: string; readonly port: number } {
  return isSocketDirectory(address.host) ? { path: socketPath(address.host, address.port) } : { host: address.host, port: address.port };
}

/** Listens on the path. A socket that a killed process left there is removed; one that somebody listens on, or anything else, is an error. */
export async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The file comes into being with nobody let in, and gets its permissions once it is there.
    const before = process.umask(0o777);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
  chmodSync(path, mode);
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Error(`${path} is there and is no socket`);
  if (await answers(path)) throw new Error(`${path} is in use by another process`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Nobody listens any more. Any other error leaves open whether somebody does.
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}
