/**
 * Whole lines into one file, appended with write(2).
 *
 * Why not sonic-boom, pino's own file destination: it has no way to tell *which* records a write carried (a session waits for its own), after an
 * error it keeps the unsent text and writes it again behind whatever the failed write left on the disk (a torn line, continued), its buffer either
 * grows or drops without telling the writer, and it does not notice that the file was deleted under it. So pino formats, and this writes.
 *
 * A line is torn when a write was short or failed, or when the file as found does not end in a newline (a crash). Before anything else is written a
 * newline ends it; the torn record itself is written again, whole. Readers skip empty lines and count lines that are not JSON as torn.
 */

import { dirname } from 'node:path';
import type { AuditFileIo, FileState } from './audit-file-io.ts';

const newline = 0x0a;

/** What happened to the file behind our back, seen after a write. */
export type FileNotice =
  | { readonly kind: 'rotated' }
  /** Deleted: the lines of that write were written again to a new file, but earlier ones went with the old. */
  | { readonly kind: 'deleted' }
  | { readonly kind: 'truncated'; readonly missingBytes: number };

export interface AppendResult {
  /** How many of the lines are in the file, counted from the first. */
  readonly written: number;
  readonly error: Error | undefined;
  readonly notices: readonly FileNotice[];
}

export class AuditFile {
  readonly path: string;
  readonly #io: AuditFileIo;
  #fd: number | undefined;
  #opened: FileState | undefined;
  #torn = false;
  /** The least size that the file can have if nobody cut it. */
  #leastSize = 0;

  constructor(path: string, io: AuditFileIo) {
    this.path = path;
    this.#io = io;
  }

  /** Permission bits of the file when it was opened; undefined if not open or not a regular file. */
  get mode(): number | undefined {
    return this.#opened?.regular === true ? this.#opened.mode : undefined;
  }

  /** Opens anew, then lets go of the old descriptor. Throws if it cannot; the old descriptor is closed all the same. */
  async reopen(): Promise<void> {
    await this.close();
    await this.#io.makeDirectory(dirname(this.path));
    const fd = await this.#io.open(this.path);
    try {
      const state = await this.#io.fstat(fd);
      if (state.regular) this.#torn = state.size > 0 && (await this.#io.lastByte(this.path)) !== newline;
      this.#opened = state;
      this.#leastSize = state.size;
    } catch (error) {
      await this.#io.close(fd);
      throw error;
    }
    this.#fd = fd;
  }

  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#opened = undefined;
    if (fd === undefined) return;
    try {
      await this.#io.close(fd);
    } catch {
      // Nothing to save: every line that was promised was written before.
    }
  }

  /** Each line ends in a newline. Never throws. */
  async append(lines: readonly string[]): Promise<AppendResult> {
    const notices: FileNotice[] = [];
    const progress = { written: 0 };
    try {
      if (this.#fd === undefined) await this.reopen();
      await this.#writeAll(lines, progress);
      let placed = await this.#place();
      if (placed === 'deleted') {
        notices.push({ kind: 'deleted' });
        progress.written = 0;
        await this.reopen();
        await this.#writeAll(lines, progress);
        placed = await this.#place();
        if (placed === 'deleted') {
          progress.written = 0;
          throw new Error('the audit file is deleted again and again');
        }
      }
      if (placed === 'rotated') {
        notices.push({ kind: 'rotated' });
        await this.reopen();
      } else if (placed !== 'same') {
        notices.push(placed);
      }
      return { written: progress.written, error: undefined, notices };
    } catch (error) {
      return { written: progress.written, error: error instanceof Error ? error : new Error(String(error)), notices };
    }
  }

  async #writeAll(lines: readonly string[], progress: { written: number }): Promise<void> {
    let withoutProgress = 0;
    while (progress.written < lines.length) {
      const fd = this.#fd;
      if (fd === undefined) throw new Error('the audit file is not open');
      const rest = progress.written === 0 ? lines : lines.slice(progress.written);
      const lead = this.#torn ? '\n' : '';
      const bytes = Buffer.from(lead + rest.join(''));
      // Until the write says otherwise: a write that fails may have left a part of itself.
      this.#torn = true;
      const count = await this.#io.write(fd, bytes);
      this.#leastSize += count;
      if (count === bytes.length) {
        this.#torn = false;
        progress.written = lines.length;
        return;
      }
      // Short: the disk is all but full, a quota or RLIMIT_FSIZE is reached. The next write tells the reason.
      const whole = wholeLines(rest, count - lead.length);
      progress.written += whole.lines;
      this.#torn = whole.bytes !== count - lead.length;
      withoutProgress = whole.lines === 0 ? withoutProgress + 1 : 0;
      if (withoutProgress > 1) throw Object.assign(new Error('the audit file takes only parts of a record'), { code: 'SHORT_WRITE' });
    }
  }

  /** Is what we write to still what others find under the path? One stat(2) a batch: a write to a deleted file succeeds, and is lost. */
  async #place(): Promise<'same' | 'rotated' | 'deleted' | (FileNotice & { kind: 'truncated' })> {
    const opened = this.#opened;
    const fd = this.#fd;
    if (opened === undefined || fd === undefined) return 'rotated';
    let found: FileState | undefined;
    try {
      found = await this.#io.stat(this.path);
    } catch {
      found = undefined; // A directory that may not be entered: opening it anew gives the reason.
    }
    if (found !== undefined && found.dev === opened.dev && found.ino === opened.ino) {
      const missingBytes = found.regular ? this.#leastSize - found.size : 0;
      this.#leastSize = found.size;
      return missingBytes > 0 ? { kind: 'truncated', missingBytes } : 'same';
    }
    const held = await this.#io.fstat(fd);
    return held.links === 0 ? 'deleted' : 'rotated';
  }
}

/**
 * How many lines lie wholly within the first `bytes` bytes, and how many bytes those are. A line that lacks nothing but its newline is whole: the
 * next write brings the newline, and the record twice would be counted twice.
 */
function wholeLines(lines: readonly string[], bytes: number): { lines: number; bytes: number } {
  let used = 0;
  let count = 0;
  for (const line of lines) {
    const length = Buffer.byteLength(line);
    if (used + length - 1 > bytes) break;
    used += length;
    count += 1;
  }
  return { lines: count, bytes: used };
}
