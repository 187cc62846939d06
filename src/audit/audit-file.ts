/**
 * Whole, chained lines into one file, appended with write(2).
 *
 * Why not sonic-boom, pino's own file destination: it has no way to tell *which* records a write carried (a session waits for its own), after an
 * error it keeps the unsent text and writes it again behind whatever the failed write left on the disk (a torn line, continued), its buffer either
 * grows or drops without telling the writer, and it does not notice that the file was deleted under it.
 *
 * The chain follows the file: a record belongs to it once it stands there whole. After a failure, and at the start, the file's end is read; what is
 * whole is continued, a torn line is ended by a line feed, stays where it is, and the next record (`audit_open`) tells its length and digest.
 */

import { basename, dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { AuditFileIo, FileState } from './audit-file-io.ts';
import { keyId, newChain, type ChainHead } from './chain.ts';
import type { AuditEvent } from './events.ts';
import type { FileLock } from './file-lock.ts';
import { readTail, type FileTail } from './file-tail.ts';
import { findPredecessor, startOfFile } from './predecessor.ts';
import { rotatedName, rotationDue, type RotationRules } from './rotation.ts';
import { Sealer, type SealedLines } from './sealer.ts';

/** What happened to the file, seen after a write. */
export type FileNotice =
  /** By another program: moved, or replaced. */
  | { readonly kind: 'rotated' }
  /** By us, by size or time. */
  | { readonly kind: 'closed'; readonly file: string }
  | { readonly kind: 'rotation_failed'; readonly reason: string }
  /** Deleted: the lines of the last moments were written again to a new file, but earlier ones went with the old. */
  | { readonly kind: 'deleted' }
  | { readonly kind: 'truncated'; readonly missingBytes: number }
  /** Somebody else wrote to it. */
  | { readonly kind: 'foreign_bytes'; readonly bytes: number }
  /** The file system has no sockets: a second writer would not be noticed before it writes. */
  | { readonly kind: 'unlocked'; readonly reason: string };

export interface AppendResult {
  /** How many of the records are in the file, counted from the first. */
  readonly written: number;
  readonly error: Error | undefined;
  readonly notices: readonly FileNotice[];
  /** All lines that were written, those of the file's own records included; only if asked for. */
  readonly lines: readonly string[];
}

export interface AuditFileOptions {
  readonly path: string;
  readonly io: AuditFileIo;
  readonly key: Buffer | undefined;
  readonly writer: string | undefined;
  readonly rotation: RotationRules;
  /** Most time and text between two looks at what stands under the path. */
  readonly placeCheckMs: number;
  readonly wantLines: boolean;
  readonly nowMs: () => number;
  readonly body: (event: AuditEvent) => string;
}

const MAX_UNPLACED_CHARS = 1024 * 1024;
/** A rotation that could not be made is tried again after this. */
const ROTATION_RETRY_MS = 60_000;
/** What a line has beyond its body, about. */
const FRAME_CHARS = 150;
/** `listen` on a socket where the file system knows none. */
const NO_SOCKETS = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL']);

export class AuditFile {
  readonly path: string;
  readonly #options: AuditFileOptions;
  readonly #io: AuditFileIo;
  readonly #sealer: Sealer;
  #lock: FileLock | undefined;
  #fd: number | undefined;
  #opened: FileState | undefined;
  /** The least size that the file can have if nobody cut it. */
  #size = 0;
  #startedMs = 0;
  #head: ChainHead | undefined;
  /** Lines of a write that failed: they may be in the file all the same. */
  #attempted: readonly ChainHead[] = [];
  /** The record that the next ones stand behind. */
  #opening: AuditEvent | undefined;
  #needsLineFeed = false;
  #dirty = false;
  /** What was written since the path was looked at. */
  #unplaced: string[] = [];
  #unplacedChars = 0;
  #placedAtMs = Number.NEGATIVE_INFINITY;
  #rotateNotBeforeMs = 0;
  #notices: FileNotice[] = [];

  constructor(options: AuditFileOptions) {
    this.path = options.path;
    this.#options = options;
    this.#io = options.io;
    this.#sealer = new Sealer(options.key);
  }

  /** Permission bits of the file when it was opened; undefined if not open or not a regular file. */
  get mode(): number | undefined {
    return this.#opened?.regular === true ? this.#opened.mode : undefined;
  }

  /** The last record that is known to be in the file. */
  get head(): ChainHead | undefined {
    return this.#head;
  }

  /** The path was not looked at since the last write. */
  get unplaced(): boolean {
    return this.#unplaced.length > 0;
  }

  /** Opens anew, then lets go of the old descriptor. Throws if it cannot; the old descriptor is closed all the same. */
  async reopen(): Promise<void> {
    await this.letGo();
    await this.#open();
  }

  /** Gives up the file, and the right to write it. */
  async close(): Promise<void> {
    await this.letGo();
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  /** Never throws. */
  async append(bodies: readonly string[], sync: boolean): Promise<AppendResult> {
    const progress: Progress = { written: 0, lines: [] };
    let error: Error | undefined;
    try {
      if (this.#fd === undefined) await this.#open();
      await this.#rotateIfDue(bodies);
      await this.#write(bodies, progress);
      // A failed fdatasync leaves the records in the file, and nobody knows whether on the disk: their callers are told no.
      if (sync) await unless(progress, this.#sync());
      await this.#place(progress);
    } catch (cause) {
      error = cause instanceof Error ? cause : new Error(String(cause));
      // What the write left behind is read from the file when it is opened again.
      await this.letGo();
    }
    const notices = this.#notices;
    this.#notices = [];
    return { written: progress.written, error, notices, lines: progress.lines };
  }

  /**
   * As `append` without sync, on the calling thread: what a write into the page cache takes is less than what handing it to another thread does. Undefined
   * where there is more to do than to write (a file to open, to rotate, to look for): then `append` is to be asked. Never throws.
   */
  appendNow(bodies: readonly string[]): AppendResult | undefined {
    const { writeNow } = this.#io;
    if (writeNow === undefined || this.#fd === undefined || this.#opened?.regular !== true || this.#opening !== undefined || this.#needsLineFeed) return undefined;
    if (this.#placeIsDue(performance.now()) || this.#rotationIsDue(bodies)) return undefined;
    const progress: Progress = { written: 0, lines: [] };
    const sealed = this.#sealer.seal(this.#head as ChainHead, bodies);
    let done = 0;
    let error: Error | undefined;
    this.#dirty = true;
    try {
      while (done < sealed.bytes.length) {
        const count = writeNow(this.#fd, done === 0 ? sealed.bytes : sealed.bytes.subarray(done));
        if (count === 0) throw shortWrite();
        done += count;
        this.#size += count;
      }
    } catch (cause) {
      error = cause instanceof Error ? cause : new Error(String(cause));
    }
    this.#account(sealed, done, bodies, 0, progress);
    return { written: progress.written, error, notices: [], lines: progress.lines };
  }

  /** For `sync: interval`. Throws. */
  async syncIfDirty(): Promise<void> {
    if (this.#dirty && this.#fd !== undefined) await this.#sync();
  }

  /** Looks at the path now, if something was written since the last time. */
  checkPlace(): Promise<AppendResult> {
    this.#placedAtMs = Number.NEGATIVE_INFINITY;
    return this.append([], false);
  }

  // --- opening --------------------------------------------------------------------------------------------------------

  /** Closes the file and keeps the right to write it: the next record opens it anew. */
  async letGo(): Promise<void> {
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

  async #open(): Promise<void> {
    const { path } = this;
    await this.#io.makeDirectory(dirname(path));
    const found = await this.#io.stat(path);
    if (found === undefined || found.regular) await this.#takeLock();
    const fd = await this.#io.open(path);
    try {
      const state = await this.#io.fstat(fd);
      this.#opened = state;
      this.#size = state.size;
      this.#needsLineFeed = false;
      if (state.regular) await this.#continueFrom(state);
      else if (this.#head === undefined) this.#begin(newChain(), 'new');
    } catch (error) {
      this.#opened = undefined;
      await this.#io.close(fd);
      throw error;
    }
    this.#fd = fd;
  }

  async #takeLock(): Promise<void> {
    if (this.#lock !== undefined) return;
    try {
      this.#lock = await this.#io.lock(this.path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (!NO_SOCKETS.has(code)) throw error;
      this.#lock = { release: () => Promise.resolve() };
      this.#notices.push({ kind: 'unlocked', reason: code });
    }
  }

  async #continueFrom(state: FileState): Promise<void> {
    const { io, nowMs, writer } = this.#options;
    if (state.size === 0) {
      this.#startedMs = nowMs();
      if (this.#head !== undefined) this.#begin(this.#head, this.#opening?.event === 'audit_open' ? this.#opening.reason : 'moved');
      else {
        const before = await findPredecessor(io, this.path, writer);
        this.#begin(before?.head ?? newChain(), before === undefined ? 'new' : 'continued', before?.file);
      }
      return;
    }
    this.#startedMs = (await startOfFile(io, this.path)) ?? nowMs();
    const tail = await readTail(io, this.path, state.size);
    this.#needsLineFeed = tail.needsLineFeed;
    const head = this.#head;
    if (head === undefined) this.#begin(tail.last ?? newChain(), tail.last === undefined ? 'new' : 'continued', undefined, tail);
    else {
      // Records of a write that failed half-way are in the chain if they are in the file.
      const kept = this.#attempted.find((each) => each.mac === tail.last?.mac);
      this.#head = kept ?? head;
      if (tail.torn !== undefined || tail.last?.mac !== this.#head.mac) this.#begin(this.#head, 'recovered', undefined, tail);
    }
    this.#attempted = [];
  }

  #begin(head: ChainHead, reason: 'new' | 'continued' | 'rotated' | 'moved' | 'recovered', previousFile?: string, tail?: FileTail): void {
    this.#head = head;
    this.#opening = {
      event: 'audit_open',
      reason,
      key_id: keyId(this.#options.key),
      pid: process.pid,
      previous_seq: head.seq,
      previous_mac: head.mac,
      previous_file: previousFile ?? (this.#opening?.event === 'audit_open' ? this.#opening.previous_file : undefined),
      torn_bytes: tail?.torn?.bytes,
      torn_sha256: tail?.torn?.sha256,
    };
  }

  // --- writing --------------------------------------------------------------------------------------------------------

  async #write(bodies: readonly string[], progress: Progress): Promise<void> {
    const opening = this.#opening === undefined ? [] : [this.#options.body(this.#opening)];
    const all = opening.length === 0 ? bodies : [...opening, ...bodies];
    if (bodies.length === 0) return;
    const lead = this.#needsLineFeed ? '\n' : '';
    const sealed = this.#sealer.seal(this.#head as ChainHead, all, lead);
    let done = 0;
    try {
      done = await this.#writeAll(sealed.bytes, (bytes) => { done = bytes; });
    } finally {
      this.#account(sealed, done, bodies, opening.length, progress, lead.length);
    }
  }

  /** `done` bytes of what was sealed are in the file. */
  #account(sealed: SealedLines, done: number, bodies: readonly string[], openings: number, progress: Progress, leadBytes = 0): void {
    const whole = wholeLines(sealed, done);
    if (whole > 0) {
      this.#head = sealed.heads[whole - 1];
      this.#opening = undefined;
      this.#needsLineFeed = false;
    }
    this.#attempted = whole === sealed.heads.length ? [] : sealed.heads.slice(whole);
    progress.written = Math.max(0, whole - openings);
    if (this.#options.wantLines) progress.lines.push(...textOf(sealed, whole, leadBytes));
    for (const body of bodies) this.#unplacedChars += body.length;
    for (let i = 0; i < progress.written; i++) this.#unplaced.push(bodies[i] as string);
  }

  async #writeAll(bytes: Buffer, told: (done: number) => void): Promise<number> {
    let done = 0;
    let withoutProgress = 0;
    this.#dirty = true;
    while (done < bytes.length) {
      // Short: a signal, or the disk is all but full, a quota or RLIMIT_FSIZE is reached. The next write goes on, or tells the reason.
      const count = await this.#io.write(this.#fd as number, done === 0 ? bytes : bytes.subarray(done));
      done += count;
      this.#size += count;
      told(done);
      withoutProgress = count === 0 ? withoutProgress + 1 : 0;
      if (withoutProgress > 1) throw shortWrite();
    }
    return done;
  }

  async #sync(): Promise<void> {
    if (this.#opened?.regular === true) await this.#io.datasync(this.#fd as number);
    this.#dirty = false;
  }

  // --- place and rotation ---------------------------------------------------------------------------------------------

  /**
   * Is what we write to still what others find under the path? A write to a deleted file succeeds, and is lost; so what was written since the last
   * look is kept, and written again. A look costs a stat(2): as much as writing many records.
   */
  async #place(progress: Progress): Promise<void> {
    for (let attempt = 0; this.unplaced; attempt++) {
      const nowMs = performance.now();
      if (!this.#placeIsDue(nowMs)) return;
      const again = this.#unplaced;
      const notice = await this.#look();
      this.#placedAtMs = performance.now();
      this.#unplaced = [];
      this.#unplacedChars = 0;
      if (notice === undefined) return;
      this.#notices.push(notice);
      if (notice.kind === 'truncated') return;
      if (notice.kind !== 'deleted') return this.reopen();
      if (attempt > 0) {
        progress.written = 0;
        throw Object.assign(new Error('the audit file is deleted again and again'), { code: 'DELETED' });
      }
      this.#placedAtMs = Number.NEGATIVE_INFINITY;
      await unless(progress, this.reopen().then(() => this.#write(again, { written: 0, lines: progress.lines })));
    }
    return undefined;
  }

  #placeIsDue(nowMs: number): boolean {
    return nowMs - this.#placedAtMs >= this.#options.placeCheckMs || this.#unplacedChars >= MAX_UNPLACED_CHARS;
  }

  async #look(): Promise<FileNotice | undefined> {
    const opened = this.#opened as FileState;
    let found: FileState | undefined;
    try {
      found = await this.#io.stat(this.path);
    } catch {
      found = undefined; // A directory that may not be entered: opening it anew gives the reason.
    }
    if (found === undefined || found.dev !== opened.dev || found.ino !== opened.ino) {
      const held = await this.#io.fstat(this.#fd as number);
      return held.links === 0 ? { kind: 'deleted' } : { kind: 'rotated' };
    }
    if (!found.regular || found.size === this.#size) return undefined;
    const missingBytes = this.#size - found.size;
    this.#size = found.size;
    return missingBytes > 0 ? { kind: 'truncated', missingBytes } : { kind: 'foreign_bytes', bytes: -missingBytes };
  }

  #rotationIsDue(bodies: readonly string[]): boolean {
    const { rotation, nowMs } = this.#options;
    if (this.#opened?.regular !== true || bodies.length === 0) return false;
    let comingBytes = 0;
    if (rotation.sizeBytes !== undefined) for (const body of bodies) comingBytes += body.length + FRAME_CHARS;
    const now = nowMs();
    return now >= this.#rotateNotBeforeMs && rotationDue(rotation, { bytes: this.#size, comingBytes, startedMs: this.#startedMs, nowMs: now });
  }

  async #rotateIfDue(bodies: readonly string[]): Promise<void> {
    const { nowMs } = this.#options;
    if (!this.#rotationIsDue(bodies)) return;
    const head = this.#head as ChainHead;
    const name = rotatedName(this.path, nowMs(), head.seq);
    const target = join(dirname(this.path), name);
    try {
      await this.#sync();
      if ((await this.#io.stat(target)) !== undefined) throw Object.assign(new Error('the name is taken'), { code: 'EEXIST' });
      await this.#io.rename(this.path, target);
    } catch (error) {
      this.#rotateNotBeforeMs = nowMs() + ROTATION_RETRY_MS;
      this.#notices.push({ kind: 'rotation_failed', reason: (error as NodeJS.ErrnoException).code ?? 'UNKNOWN' });
      return;
    }
    this.#begin(head, 'rotated', basename(target));
    this.#unplaced = [];
    this.#unplacedChars = 0;
    await this.reopen();
    await this.#io.syncDirectory(dirname(this.path));
    this.#notices.push({ kind: 'closed', file: target });
  }
}

/** What an append has reached. */
interface Progress {
  written: number;
  readonly lines: string[];
}

/** If `step` fails, nothing counts as written. */
async function unless(progress: Progress, step: Promise<void>): Promise<void> {
  const { written } = progress;
  progress.written = 0;
  await step;
  progress.written = written;
}

function shortWrite(): Error {
  return Object.assign(new Error('the audit file takes nothing'), { code: 'SHORT_WRITE', syscall: 'write' });
}

/** How many lines lie wholly within the first `bytes` bytes. A line that lacks nothing but its line feed is whole: the next write brings it. */
function wholeLines({ ends }: SealedLines, bytes: number): number {
  let count = 0;
  while (count < ends.length && (ends[count] as number) - 1 <= bytes) count += 1;
  return count;
}

function textOf({ bytes, ends }: SealedLines, count: number, start: number): string[] {
  const lines: string[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const end = ends[i] as number;
    lines.push(bytes.toString('utf8', at, end - 1));
    at = end;
  }
  return lines;
}
