/**
 * The audit log: a promise for each record, kept when write(2) has taken it, and fdatasync(2) too with `sync: record`.
 *
 * Group commit: one write is under way at a time; records that come meanwhile (or in the same turn of the event loop) go out together in the next.
 * Under failure the log is `failing`: everything that waits is refused, everything new is refused at once, nothing queues. It tries again by itself
 * with growing pauses; its first record then is an `audit_gap` that tells how many records were refused, since when and why.
 * With `sync: interval` a record survives a crash of Rowgate, not a loss of power within the interval.
 */

import { AuditFile, type AppendResult, type FileNotice } from './audit-file.ts';
import { nodeAuditFileIo } from './audit-file-io.ts';
import { AuditUnavailableError, type AuditLogOptions, type AuditStats, type AuditStatus } from './audit-options.ts';
import type { ChainHead } from './chain.ts';
import type { AuditEvent } from './events.ts';
import { AuditBusyError } from './file-lock.ts';
import { pruneOld } from './prune.ts';
import { RecordWriter } from './record-body.ts';
import { PendingRecords, type Pending, type Written } from './pending-records.ts';
import { defaultAuditLimits } from './redact.ts';
import { pathOfWriter } from './rotation.ts';
import { SerialOperations, withinMs } from './serial-operations.ts';

/** Records that no session waits for: what they tell has happened already. They go out with the next record that somebody waits for, or a little later. */
const unhurried: ReadonlySet<AuditEvent['event']> = new Set(['statement_end', 'session_start', 'session_end', 'login_succeeded', 'login_failed']);

const maxOwed = 16;
const ignore = (): void => undefined;

export class AuditLog {
  readonly stats: AuditStats = { records: 0, writes: 0, syncs: 0, chars: 0, errors: 0, refused: 0 };
  readonly #file: AuditFile;
  readonly #records: RecordWriter;
  readonly #options: AuditLogOptions;
  readonly #now: () => number;
  #status: AuditStatus = { kind: 'healthy' };
  #refusal = new AuditUnavailableError('CLOSED');
  readonly #queue = new PendingRecords();
  #inFlight: readonly Pending[] = [];
  #flushScheduled = false;
  #lingerTimer: NodeJS.Timeout | undefined;
  #placeTimer: NodeJS.Timeout | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #recordsAtCheckpoint = 0;
  /** Refused records that no `audit_gap` has told of yet. */
  #untold = { refused: 0, sinceMs: 0, reason: '' };
  readonly #owed: AuditEvent[] = [];
  #retryPauseMs: number;
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #operations: SerialOperations;
  #closing: Promise<void> | undefined;

  private constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#records = new RecordWriter({ ...defaultAuditLimits, ...options.limits }, this.#now, options.writer);
    this.#file = new AuditFile({
      path: pathOfWriter(options.path, options.writer),
      io: options.io ?? nodeAuditFileIo,
      key: options.key,
      writer: options.writer,
      rotation: options.rotation ?? {},
      placeCheckMs: options.placeCheckMs ?? 100,
      wantLines: options.onLines !== undefined,
      nowMs: this.#now,
      body: (event) => this.#records.body(event),
    });
    this.#operations = new SerialOperations(this.#stallTimeoutMs, () => this.#fail(Object.assign(new Error('the file system does not answer'), { code: 'STALLED' })));
    this.#retryPauseMs = this.#retryMinMs;
    if (options.sync !== 'record') this.#every(options.sync?.everyMs ?? 1000, () => this.#file.syncIfDirty());
    this.#every(options.checkpointMs ?? 60_000, () => this.#checkpoint());
  }

  /**
   * Resolves when the file was opened, or could not be: then the log is failing, and goes on trying. Rejects with `AuditBusyError` if another
   * process writes the file.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const log = new AuditLog(options);
    await withinMs(log.#stallTimeoutMs, log.reopen().catch(ignore));
    if (log.#refusal.cause instanceof AuditBusyError) {
      await log.close();
      throw log.#refusal.cause;
    }
    return log;
  }

  /** The last record in the file: what a copy of it kept elsewhere proves the end of the file with. */
  get head(): ChainHead | undefined {
    return this.#file.head;
  }

  get path(): string {
    return this.#file.path;
  }

  /** Undefined for the only one. */
  get writer(): string | undefined {
    return this.#options.writer;
  }

  get healthy(): boolean {
    return this.#status.kind === 'healthy';
  }

  get status(): AuditStatus {
    return this.#status;
  }

  /**
   * Resolves when the operating system has taken the record; rejects with `AuditUnavailableError`. After a rejection the record may still be in the
   * file (a write that failed half-way, or came to its end after the stall time-out). A caller that need not know may drop the promise.
   */
  write(event: AuditEvent): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      const done: Written = (error) => (error === undefined ? resolve() : reject(error));
      if (this.#status.kind === 'healthy') this.#submit(event.event, this.#records.body(event), done);
      else this.#refuse(this.#refusal, done);
    });
    promise.catch(ignore);
    return promise;
  }

  /** As `write`, of a record whose members are text already (`part`), and without a promise: statements have two records each. */
  writeText(event: AuditEvent['event'], members: string, done: Written): void {
    if (this.#status.kind === 'healthy') this.#submit(event, this.#records.bodyOf(event, members), done);
    else this.#refuse(this.#refusal, done);
  }

  /** Members of a record as text, bounded as in a whole one: for those that many records share. */
  part(members: object): string {
    return this.#records.part(members);
  }

  /** For logrotate: let go of the file and open what is under the path now. */
  reopen(): Promise<void> {
    if (this.#status.kind === 'closed') return Promise.reject(this.#refusal);
    const done = this.#operations.run(async () => {
      try {
        await this.#operations.watch(() => this.#file.reopen());
      } catch (error) {
        this.#fail(error);
        throw this.#refusal;
      }
      this.#noticePermissions();
    });
    done.catch(ignore);
    return done;
  }

  /** Writes what waits, then closes. Later records are refused. Does not wait longer than the stall time-out. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #submit(event: AuditEvent['event'], body: string, done: Written): void {
    if (this.#queue.chars + body.length > this.#maxBufferedChars) {
      this.#refuse(new AuditUnavailableError('BUFFER_FULL'), done);
      return;
    }
    if (this.#untold.refused > 0) this.#tellGap();
    this.#enqueue({ body, done }, unhurried.has(event));
  }

  #refuse(error: AuditUnavailableError, done: Written): void {
    this.#countRefused(1, error.reason);
    done(error);
  }

  #countRefused(records: number, reason: string): void {
    this.stats.refused += records;
    if (this.#untold.refused === 0) this.#untold = { refused: 0, sinceMs: this.#now(), reason };
    this.#untold.refused += records;
  }

  /** After an overflow: the log was healthy all the time, so the gap is told with the next record that finds room. */
  #tellGap(): void {
    const body = this.#records.body(this.#gap());
    this.#untold.refused = 0;
    this.#enqueue({ body, done: ignore }, false);
  }

  #gap(): AuditEvent {
    const { refused, sinceMs, reason } = this.#untold;
    return { event: 'audit_gap', refused, since: new Date(sinceMs).toISOString(), reason };
  }

  #enqueue(pending: Pending, mayLinger: boolean): void {
    this.#queue.push(pending);
    if (this.#flushScheduled) return;
    if (mayLinger && this.#queue.chars < this.#maxBatchChars) this.#lingerTimer ??= setTimeout(() => this.#scheduleFlush(), this.#options.lingerMs ?? 10);
    else this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    clearTimeout(this.#lingerTimer);
    this.#lingerTimer = undefined;
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // After all sockets that are readable now have had their turn: their records share the write.
    setImmediate(() => {
      if (!this.#flushNow()) void this.#operations.run(() => this.#flush());
    });
  }

  /**
   * On this thread, while the disk is known to keep up: no operation is under way (an fdatasync above all, which a slow disk shows itself by), and none must follow.
   * False if another way must be gone for what still waits.
   */
  #flushNow(): boolean {
    if (this.#syncsEach || !this.#operations.idle || this.#status.kind !== 'healthy') return false;
    while (this.#queue.length > 0) {
      const bodies = this.#queue.bodies(this.#maxBatchChars);
      const result = this.#file.appendNow(bodies);
      if (result === undefined) return false;
      this.#settle(this.#queue.take(bodies.length), result);
    }
    this.#flushScheduled = false;
    return true;
  }

  /** One write, and then the way at once is tried again: where records never stop coming, this one would never be left. */
  async #flush(): Promise<void> {
    if (this.#queue.length > 0) await this.#writeBatch();
    this.#flushScheduled = false;
    if (this.#queue.length > 0) this.#scheduleFlush();
  }

  async #writeBatch(): Promise<void> {
    const bodies = this.#queue.bodies(this.#maxBatchChars);
    const batch = this.#queue.take(bodies.length);
    this.#inFlight = batch;
    const result = await this.#operations.watch(() => this.#file.append(bodies, this.#syncsEach));
    this.#inFlight = [];
    this.#settle(batch, result);
  }

  #settle(batch: readonly Pending[], result: AppendResult): void {
    const taken = batch.slice(0, result.written);
    this.stats.writes += 1;
    if (this.#syncsEach) this.stats.syncs += 1;
    this.stats.records += taken.length;
    for (const pending of taken) {
      this.stats.chars += pending.body.length;
      pending.done(undefined);
    }
    if (result.error !== undefined) this.#fail(result.error, batch.slice(result.written));
    this.#after(result);
  }

  /** What an append leaves to do besides telling its callers. */
  #after(result: AppendResult): void {
    if (result.lines.length > 0) this.#options.onLines?.(result.lines);
    this.#hand(result.notices);
    if (!this.#file.unplaced || this.#placeTimer !== undefined || !this.healthy) return;
    this.#placeTimer = setTimeout(() => {
      this.#placeTimer = undefined;
      void this.#operations.run(async () => {
        if (!this.healthy || !this.#file.unplaced) return;
        const looked = await this.#operations.watch(() => this.#file.checkPlace());
        if (looked.error !== undefined) this.#fail(looked.error, []);
        this.#after(looked);
      });
    }, this.#options.placeCheckMs ?? 100).unref();
  }

  /** Regular work on the file; a failure of it is a failure of the log. */
  #every(periodMs: number, work: () => Promise<void>): void {
    const timer = setInterval(() => {
      if (!this.healthy) return;
      void this.#operations.run(async () => {
        if (!this.healthy) return;
        try {
          await this.#operations.watch(work);
        } catch (error) {
          this.#fail(error, []);
        }
      });
    }, periodMs).unref();
    this.#timers.push(timer);
  }

  async #checkpoint(): Promise<void> {
    const head = this.#file.head;
    const records = this.stats.records - this.#recordsAtCheckpoint;
    if (head === undefined || records === 0) return;
    const body = this.#records.body({ event: 'audit_checkpoint', records, last_seq: head.seq, last_mac: head.mac });
    const result = await this.#file.append([body], true);
    if (result.error !== undefined) throw result.error;
    this.stats.records += 1;
    this.#recordsAtCheckpoint = this.stats.records;
    this.#after(result);
    const sealed = this.#file.head;
    if (sealed !== undefined) this.#options.onCheckpoint?.(sealed);
  }

  async #prune(): Promise<void> {
    const { keepMs } = this.#options.rotation ?? {};
    if (keepMs === undefined) return;
    await pruneOld(this.#options.io ?? nodeAuditFileIo, this.#file.path, this.#now() - keepMs, async (event) => {
      const result = await this.#file.append([this.#records.body(event)], true);
      if (result.error !== undefined) throw result.error;
      this.stats.records += 1;
      this.#after(result);
    });
  }

  #hand(notices: readonly FileNotice[]): void {
    for (const notice of notices) {
      this.#notify(notice);
      if (notice.kind === 'truncated') this.#owe({ event: 'audit_tampered', reason: `the file was cut by ${notice.missingBytes} bytes` });
      if (notice.kind === 'deleted') this.#owe({ event: 'audit_tampered', reason: 'the file was deleted' });
      if (notice.kind === 'foreign_bytes') this.#owe({ event: 'audit_tampered', reason: `somebody else wrote ${notice.bytes} bytes to the file` });
      if (notice.kind === 'closed') void this.#operations.run(() => this.#prune().catch((error: unknown) => this.#fail(error, [])));
    }
  }

  /** For what must not be missing from the log because the log was failing when it was seen. */
  #owe(event: AuditEvent): void {
    if (this.healthy) void this.write(event);
    else if (this.#owed.length < maxOwed) this.#owed.push(event);
  }

  /** Refuses all that waits. Records whose write stalled are refused too, whatever becomes of it. */
  #fail(cause: unknown, unwritten: readonly Pending[] = this.#inFlight): void {
    if (this.#status.kind === 'closed') {
      for (const pending of unwritten) pending.done(this.#refusal);
      return;
    }
    this.stats.errors += 1;
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    const reason = typeof code === 'string' ? code : 'UNKNOWN';
    this.#refusal = new AuditUnavailableError(reason, { cause });
    const refused = [...unwritten, ...this.#queue.take(this.#queue.length)];
    if (refused.length > 0) this.#countRefused(refused.length, reason);
    if (this.#untold.refused === 0) this.#untold = { refused: 0, sinceMs: this.#now(), reason };
    this.#untold.reason = reason;
    if (this.#status.kind === 'failing') this.#status = { ...this.#status, reason };
    else this.#setStatus({ kind: 'failing', reason, sinceMs: this.#now() });
    this.#scheduleRetry();
    for (const pending of refused) pending.done(this.#refusal);
  }

  #scheduleRetry(): void {
    if (this.#retryTimer !== undefined) return;
    const pauseMs = this.#retryPauseMs;
    this.#retryPauseMs = Math.min(pauseMs * 2, this.#retryMaxMs);
    this.#retryTimer = setTimeout(() => {
      void this.#operations.run(() => this.#retry());
    }, pauseMs).unref();
  }

  /** A file that opens need not take bytes (a full disk), so the attempt is a record. */
  async #retry(): Promise<void> {
    this.#retryTimer = undefined;
    if (this.#status.kind !== 'failing') return;
    await this.#operations.watch(() => this.#file.letGo());
    const told = this.#untold.refused;
    const body = this.#records.body(this.#gap());
    const result = await this.#operations.watch(() => this.#file.append([body], this.#syncsEach));
    this.stats.writes += 1;
    if (result.error !== undefined) {
      this.#fail(result.error, []);
    } else if (this.#stillFailing()) {
      this.stats.records += 1;
      this.stats.chars += body.length;
      this.#untold = { refused: this.#untold.refused - told, sinceMs: this.#now(), reason: this.#untold.reason };
      this.#retryPauseMs = this.#retryMinMs;
      clearTimeout(this.#retryTimer);
      this.#retryTimer = undefined;
      this.#noticePermissions();
      this.#setStatus({ kind: 'healthy' });
      for (const event of this.#owed.splice(0)) void this.write(event);
    }
    this.#after(result);
  }

  /** Asked again after an await: `close` may have come between. */
  #stillFailing(): boolean {
    return this.#status.kind === 'failing';
  }

  #noticePermissions(): void {
    const mode = this.#file.mode;
    if (mode !== undefined && (mode & 0o007) !== 0) this.#notify({ kind: 'loose_permissions', mode });
  }

  // Listeners run on their own: one that throws must not leave the log half-way.
  #notify(notice: Parameters<NonNullable<AuditLogOptions['onNotice']>>[0]): void {
    queueMicrotask(() => this.#options.onNotice?.(notice));
  }

  async #close(): Promise<void> {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#lingerTimer);
    clearTimeout(this.#placeTimer);
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#status.kind === 'healthy') {
      if (this.#untold.refused > 0) this.#tellGap();
      this.#refusal = new AuditUnavailableError('CLOSED');
    }
    this.#setStatus({ kind: 'closed' });
    const flushed = this.#operations.run(async () => {
      while (this.#queue.length > 0) await this.#writeBatch();
      await this.#file.syncIfDirty().catch(ignore);
      await this.#file.close();
    });
    await withinMs(this.#stallTimeoutMs, flushed);
    for (const pending of [...this.#inFlight, ...this.#queue.take(this.#queue.length)]) pending.done(this.#refusal);
  }

  #setStatus(status: AuditStatus): void {
    this.#status = status;
    queueMicrotask(() => this.#options.onStatus?.(status));
  }

  get #syncsEach(): boolean { return this.#options.sync === 'record'; }
  get #maxBufferedChars(): number { return this.#options.maxBufferedChars ?? 8 * 1024 * 1024; }
  get #maxBatchChars(): number { return this.#options.maxBatchChars ?? 1024 * 1024; }
  get #retryMinMs(): number { return this.#options.retryMinMs ?? 100; }
  get #retryMaxMs(): number { return this.#options.retryMaxMs ?? 5000; }
  get #stallTimeoutMs(): number { return this.#options.stallTimeoutMs ?? 5000; }
}
