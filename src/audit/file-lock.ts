/**
 * One writer a file. Node has no flock(2), so the lock is a listening Unix socket beside the file, FILE.lock: the kernel closes it with its process
 * however that ends, so a lock is held exactly while somebody answers on it, also across containers that share a volume. A file with a process id in
 * it would tell neither (ids are taken again, and are others' in another container).
 */

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';

export interface FileLock {
  release(): Promise<void>;
}

/** `sun_path` holds 108 bytes on Linux and 104 elsewhere, its NUL included. */
const MAX_SOCKET_PATH_BYTES = 103;
const ATTEMPTS = 5;

export class AuditBusyError extends Error {
  override readonly name = 'AuditBusyError';
  readonly code = 'BUSY';

  constructor(path: string) {
    super(`another process writes the audit file ${path}; give each its own audit.file or audit.writer (it holds the socket ${path}.lock)`);
  }
}

/** Throws `AuditBusyError` if a living process holds the lock. */
export async function lockFile(path: string): Promise<FileLock> {
  const directory = dirname(path);
  // A long path is reached by the descriptor of its directory where the kernel has such names.
  const long = Buffer.byteLength(`${path}.lock.`) + 16 > MAX_SOCKET_PATH_BYTES;
  const handle = long ? await fs.promises.open(directory, 'r') : undefined;
  const base = handle === undefined ? directory : `/proc/self/fd/${handle.fd}`;
  try {
    const server = await acquire(join(base, `${basename(path)}.lock`), path);
    return {
      async release() {
        await new Promise<void>((resolve) => { server.close(() => resolve()); });
        await handle?.close();
      },
    };
  } catch (error) {
    await handle?.close();
    throw error;
  }
}

async function acquire(socketPath: string, path: string): Promise<Server> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const server = await listen(socketPath);
    if (server !== undefined) return server;
    if (await answers(socketPath)) throw new AuditBusyError(path);
    await removeStale(socketPath, path);
  }
  throw new AuditBusyError(path);
}

/** Undefined: the name is taken. */
function listen(socketPath: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(socketPath, () => {
      server.unref();
      resolve(server);
    });
  });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ECONNREFUSED, or gone meanwhile: nobody listens. A refusal for want of rights or of room in the queue is somebody's.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}

/** Takes the dead socket away under another name first: if it is alive after all, a newer process was quicker, and gets it back. */
async function removeStale(socketPath: string, path: string): Promise<void> {
  const aside = `${socketPath}.${randomBytes(4).toString('hex')}`;
  try {
    await fs.promises.rename(socketPath, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (await answers(aside)) {
    await fs.promises.link(aside, socketPath).catch(() => undefined);
    await fs.promises.unlink(aside);
    throw new AuditBusyError(path);
  }
  await fs.promises.unlink(aside);
}
