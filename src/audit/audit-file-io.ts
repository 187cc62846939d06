/** The few file operations that the audit log needs, so that tests can put failures between them. */

import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { lockFile, type FileLock } from './file-lock.ts';

export interface FileState {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly modifiedMs: number;
  /** 0: deleted; what is written to it is lost with the descriptor. */
  readonly links: number;
  readonly mode: number;
  readonly regular: boolean;
}

export interface AuditFileIo {
  /** Creates missing directories (0700). */
  readonly makeDirectory: (directory: string) => Promise<void>;
  /** Opens for appending; creates with mode 0600. */
  readonly open: (path: string) => Promise<number>;
  /** One write(2): may write less than asked for. */
  readonly write: (fd: number, bytes: Buffer) => Promise<number>;
  /** The same on the calling thread; undefined: not to be had. */
  readonly writeNow?: (fd: number, bytes: Buffer) => number;
  /** fdatasync(2). */
  readonly datasync: (fd: number) => Promise<void>;
  /** Makes a new or changed name last. */
  readonly syncDirectory: (directory: string) => Promise<void>;
  /** Undefined: nothing there. */
  readonly stat: (path: string) => Promise<FileState | undefined>;
  readonly fstat: (fd: number) => Promise<FileState>;
  /** Up to `length` bytes from `offset` on. */
  readonly read: (path: string, offset: number, length: number) => Promise<Buffer>;
  readonly close: (fd: number) => Promise<void>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly remove: (path: string) => Promise<void>;
  readonly list: (directory: string) => Promise<readonly string[]>;
  /** Throws with code `BUSY` if another process holds it. */
  readonly lock: (path: string) => Promise<FileLock>;
}

const open = promisify(fs.open);
const close = promisify(fs.close);
const stat = promisify(fs.stat);
const fstat = promisify(fs.fstat);
const fdatasync = promisify(fs.fdatasync);

function stateOf(stats: fs.Stats): FileState {
  const { dev, ino, size, mtimeMs, nlink, mode } = stats;
  return { dev, ino, size, modifiedMs: mtimeMs, links: nlink, mode: mode & 0o7777, regular: stats.isFile() };
}

export const nodeAuditFileIo: AuditFileIo = {
  async makeDirectory(directory) {
    await fs.promises.mkdir(directory, { recursive: true, mode: 0o700 });
  },
  open(path) {
    return open(path, fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT, 0o600);
  },
  write(fd, bytes) {
    return new Promise((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, null, (error, written) => {
        if (error) reject(error);
        else resolve(written);
      });
    });
  },
  writeNow(fd, bytes) {
    return fs.writeSync(fd, bytes, 0, bytes.length, null);
  },
  datasync(fd) {
    return fdatasync(fd);
  },
  async syncDirectory(directory) {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async stat(path) {
    try {
      return stateOf(await stat(path));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  },
  async fstat(fd) {
    return stateOf(await fstat(fd));
  },
  async read(path, offset, length) {
    const handle = await fs.promises.open(path, 'r');
    try {
      const buffer = Buffer.alloc(length);
      let read = 0;
      while (read < length) {
        const { bytesRead } = await handle.read(buffer, read, length - read, offset + read);
        if (bytesRead === 0) break;
        read += bytesRead;
      }
      return buffer.subarray(0, read);
    } finally {
      await handle.close();
    }
  },
  close(fd) {
    return close(fd);
  },
  rename(from, to) {
    return fs.promises.rename(from, to);
  },
  remove(path) {
    return fs.promises.unlink(path);
  },
  list(directory) {
    return fs.promises.readdir(directory);
  },
  lock(path) {
    return lockFile(path);
  },
};
