import { nodeAuditFileIo, type AuditFileIo } from '../../../src/audit/audit-file-io.ts';

/** The real file system with failures put between. */
export class FaultyFileIo implements AuditFileIo {
  /** What was asked of write(2), one text a call. */
  readonly writes: string[] = [];
  /** For the next writes, one entry each: take so many bytes only, fail after so many bytes, or go on when the promise does. */
  readonly script: ({ take: number } | { take: number; fail: string } | { wait: Promise<void> } | undefined)[] = [];
  /** While set, every write fails with this code. */
  failing: string | undefined;

  readonly makeDirectory = nodeAuditFileIo.makeDirectory;
  readonly open = nodeAuditFileIo.open;
  readonly stat = nodeAuditFileIo.stat;
  readonly fstat = nodeAuditFileIo.fstat;
  readonly read = nodeAuditFileIo.read;
  readonly close = nodeAuditFileIo.close;
  readonly syncDirectory = nodeAuditFileIo.syncDirectory;
  readonly rename = nodeAuditFileIo.rename;
  readonly remove = nodeAuditFileIo.remove;
  readonly list = nodeAuditFileIo.list;
  readonly lock = nodeAuditFileIo.lock;
  /** Of fdatasync(2). */
  syncs = 0;
  /** While set, every fdatasync fails with this code. */
  syncFailing: string | undefined;

  readonly datasync = async (fd: number): Promise<void> => {
    this.syncs += 1;
    if (this.syncFailing !== undefined) throw errno(this.syncFailing);
    await nodeAuditFileIo.datasync(fd);
  };

  readonly write = async (fd: number, bytes: Buffer): Promise<number> => {
    this.writes.push(bytes.toString());
    if (this.failing !== undefined) throw errno(this.failing);
    const step = this.script.shift();
    if (step === undefined) return nodeAuditFileIo.write(fd, bytes);
    if ('wait' in step) {
      await step.wait;
      return nodeAuditFileIo.write(fd, bytes);
    }
    const taken = step.take === 0 ? 0 : await nodeAuditFileIo.write(fd, bytes.subarray(0, step.take));
    if ('fail' in step) throw errno(step.fail);
    return taken;
  };
}

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: made up`), { code });
}
