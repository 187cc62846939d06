import { randomInt } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Counted, CountedKey } from './grant-history.ts';
import type { GrantJournal, JournalPast } from './grant-journal.ts';
import { JournalState, journalLine, type JournalEntry } from './journal-state.ts';

export interface JournalFileOptions {
  readonly path: string;
  /** `always`: a grant is used after it is on the disk. `1s`: within a second. `never`: when the system likes. */
  readonly sync: 'always' | '1s' | 'never';
  /** The file is written anew when it is twice as large as what still counts, and at least this large. Default 1 MiB. */
  readonly compactBytes?: number;
  readonly onError?: (error: Error) => void;
}

const SYNC_MS = 1000;
const DEFAULT_COMPACT_BYTES = 1024 * 1024;
/** After a failure the file is tried again, whole, this often. */
const RETRY_MS = 5000;
/** What waits for the disk at most; beyond it the journal is failing. */
const MAX_BUFFERED_LINES = 100_000;

/** The journal of one process in a file of its own: appended to, and written anew from what still counts when it has grown. */
export class JournalFile implements GrantJournal {
  readonly member: number;
  readonly #options: JournalFileOptions;
  readonly #state: JournalState;
  #file: FileHandle | undefined;
  #bytes = 0;
  #compactAt: number;
  #lines: string[] = [];
  #writing: Promise<void> | undefined;
  #unsynced = false;
  #failing = false;
  #retryAtMs = 0;
  readonly #timer: NodeJS.Timeout;

  private constructor(options: JournalFileOptions, state: JournalState) {
    this.#options = options;
    this.#state = state;
    this.member = state.member;
    this.#compactAt = options.compactBytes ?? DEFAULT_COMPACT_BYTES;
    this.#timer = setInterval(() => void this.#tick(), SYNC_MS);
    this.#timer.unref();
  }

  /** Reads what is there. Throws if another process uses the file, or if it is no journal. */
  static async open(options: JournalFileOptions): Promise<JournalFile> {
    lock(options.path);
    const state = new JournalState(randomInt(1, 2 ** 47));
    try {
      state.load(readFileSync(options.path, 'utf8'));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        unlock(options.path);
        throw error;
      }
    }
    const journal = new JournalFile(options, state);
    await journal.#rewrite();
    return journal;
  }

  past(domain: string): JournalPast | undefined {
    return this.#state.past(domain);
  }

  granted(domain: string, sequence: number, atMs: number, counted: readonly Counted[]): Promise<void> | undefined {
    // At least with the operating system before anything is delivered on it: a process that is killed has told all that it used.
    return this.#append(['g', domain, sequence, atMs, wire(counted)]);
  }

  refunded(domain: string, atMs: number, counted: readonly Counted[]): void {
    void this.#append(['r', domain, atMs, wire(counted)]);
  }

  owed(domain: string, counted: readonly Counted[], sign: 1 | -1): void {
    void this.#append(['d', domain, sign, wire(counted)]);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#flush();
    await this.#file?.close().catch(() => undefined);
    unlock(this.#options.path);
  }

  #append(entry: JournalEntry): Promise<void> {
    this.#state.apply(entry);
    if (this.#failing) return Promise.resolve();
    this.#lines.push(journalLine(entry));
    if (this.#lines.length > MAX_BUFFERED_LINES) {
      this.#fail(new Error('the disk under the journal does not keep up'));
      return Promise.resolve();
    }
    this.#writing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#flush()).finally(() => {
      this.#writing = undefined;
    });
    // Lines that come while a write is under way go with the next one.
    return this.#options.sync === 'always' ? this.#writing.then(() => (this.#lines.length > 0 ? this.#flush() : undefined)) : this.#writing;
  }

  async #flush(): Promise<void> {
    while (this.#lines.length > 0 && !this.#failing) {
      const text = this.#lines.join('');
      this.#lines = [];
      try {
        await this.#file?.appendFile(text);
        this.#bytes += Buffer.byteLength(text);
        this.#unsynced = true;
        if (this.#options.sync === 'always') await this.#sync();
        if (this.#bytes > this.#compactAt) await this.#rewrite();
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  async #sync(): Promise<void> {
    this.#unsynced = false;
    await this.#file?.datasync();
  }

  async #tick(): Promise<void> {
    try {
      if (this.#failing) {
        if (performance.now() >= this.#retryAtMs) await this.#rewrite();
      } else if (this.#unsynced && this.#options.sync === '1s') {
        await this.#sync();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Puts a file with what still counts in place of the old one. */
  async #rewrite(): Promise<void> {
    const { path, sync } = this.#options;
    this.#lines = [];
    const text = this.#state.snapshot();
    const next = `${path}.new`;
    const fd = openSync(next, 'w', 0o600);
    try {
      writeSync(fd, text);
      if (sync !== 'never') fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(next, path);
    const old = this.#file;
    this.#file = await open(path, 'a', 0o600);
    await old?.close().catch(() => undefined);
    this.#bytes = statSync(path).size;
    this.#compactAt = Math.max(this.#options.compactBytes ?? DEFAULT_COMPACT_BYTES, 2 * this.#bytes);
    this.#failing = false;
  }

  /** Grants go on: the journal is a third copy. Whoever wants it back is told. */
  #fail(error: unknown): void {
    this.#lines = [];
    this.#retryAtMs = performance.now() + RETRY_MS;
    if (!this.#failing) this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
    this.#failing = true;
  }
}

function wire(counted: readonly Counted[]): [number, string, number][] {
  return counted.map(({ counter, units }: { counter: CountedKey; units: number }) => [counter.windowMs, counter.key, units]);
}

/** Two processes with one journal would take each other for themselves. */
function lock(path: string): void {
  const file = `${path}.lock`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx', mode: 0o600 });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const owner = Number(readFileSync(file, 'utf8'));
      if (owner !== process.pid && isRowgate(owner)) throw new Error(`the journal ${path} is in use by process ${owner}: each process needs one of its own`, { cause: error });
      rmSync(file, { force: true });
    }
  }
}

function unlock(path: string): void {
  rmSync(`${path}.lock`, { force: true });
}

/** After a crash the number may belong to another program. */
function isRowgate(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('node');
  } catch {
    return true;
  }
}
