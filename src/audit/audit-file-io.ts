/** The few file operations that the audit log needs, so that tests can put failures between them. */

import * as fs from 'node:fs';
import { promisify } from 'node:util';

export interface FileState {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
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
  /** Undefined: nothing there. */
  readonly stat: (path: string) => Promise<FileState | undefined>;
  readonly fstat: (fd: number) => Promise<FileState>;
  /** The last byte of a file that is not empty; undefined if it may not be read. */
  readonly lastByte: (path: string) => Promise<number | undefined>;
  readonly close: (fd: number) => Promise<void>;
}

const open = promisify(fs.open);
const close = promisify(fs.close);
const stat = promisify(fs.stat);
const fstat = promisify(fs.fstat);

function stateOf(stats: fs.Stats): FileState {
  return { dev: stats.dev, ino: stats.ino, size: stats.size, links: stats.nlink, mode: stats.mode & 0o7777, regular: stats.isFile() };
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
  async lastByte(path) {
    let handle: fs.promises.FileHandle | undefined;
    try {
      handle = await fs.promises.open(path, 'r');
      const { size } = await handle.stat();
      if (size === 0) return undefined;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
      return bytesRead === 1 ? buffer[0] : undefined;
    } catch {
      return undefined;
    } finally {
      await handle?.close();
    }
  },
  close(fd) {
    return close(fd);
  },
};
