/** The records of many audit files as one stream in the order of their time, with bounded memory. */

import { createReadStream, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { globSync } from 'tinyglobby';
import { readDeed, type Deed } from './deed.ts';

export interface ReadProgress {
  /** Bytes read of the files as they lie on the disk. */
  bytes: number;
  lines: number;
  /** Lines that are no JSON: a log that was cut off, or no audit log at all. */
  unreadable: number;
}

export interface AuditFiles {
  readonly paths: readonly string[];
  readonly totalBytes: number;
}

/** The files that the patterns name. Throws an `Error` with a sentence for people if there are none. */
export function findAuditFiles(patterns: readonly string[]): AuditFiles {
  const paths = [...new Set(globSync([...patterns], { absolute: true, onlyFiles: true, dot: true, expandDirectories: false }))].toSorted();
  if (paths.length === 0) throw new Error(`no file matches ${patterns.map((each) => JSON.stringify(each)).join(', ')}`);
  return { paths, totalBytes: paths.reduce((sum, path) => sum + statSync(path).size, 0) };
}

/** Records are in order within a file; files may overlap (several writers), so they are merged. One block a file is held. */
export async function* readDeeds(files: AuditFiles, progress: ReadProgress): AsyncGenerator<readonly Deed[]> {
  const heads: Head[] = [];
  // A file is opened when its turn comes: a month has more files than a process may hold open.
  const waiting: { readonly path: string; readonly firstMs: number }[] = [];
  for (const path of files.paths) {
    const seen: ReadProgress = { bytes: 0, lines: 0, unreadable: 0 };
    const firstMs = await firstTimeMs(path, seen);
    if (firstMs !== undefined) waiting.push({ path, firstMs });
    else {
      // Nothing of interest in it; whether it is an audit log at all is worth telling.
      progress.bytes += statSync(path).size;
      progress.lines += seen.lines;
      progress.unreadable += seen.unreadable;
    }
  }
  waiting.sort((a, b) => a.firstMs - b.firstMs);
  while (waiting.length > 0 || heads.length > 0) {
    const earliest = heads.reduce((least, head) => Math.min(least, head.nextMs), Infinity);
    const next = waiting[0];
    if (next !== undefined && next.firstMs <= earliest) {
      waiting.shift();
      const head = new Head(deedsOf(next.path, progress));
      if (await head.fill()) heads.push(head);
      continue;
    }
    heads.sort((a, b) => a.nextMs - b.nextMs);
    const [head, second] = heads;
    if (head === undefined) continue;
    const until = Math.min(second?.nextMs ?? Infinity, waiting[0]?.firstMs ?? Infinity);
    yield head.take(until);
    if (head.empty && !(await head.fill())) heads.shift();
  }
}

/** One file's next block of deeds. */
class Head {
  readonly #blocks: AsyncGenerator<readonly Deed[]>;
  #block: readonly Deed[] = [];
  #at = 0;

  constructor(blocks: AsyncGenerator<readonly Deed[]>) {
    this.#blocks = blocks;
  }

  get empty(): boolean {
    return this.#at >= this.#block.length;
  }

  get nextMs(): number {
    return this.#block[this.#at]?.timeMs ?? Infinity;
  }

  /** False at the end of the file. */
  async fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#blocks.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#block = next.value;
      this.#at = 0;
      return true;
    }
  }

  /** The first deed and those after it that are not later than `untilMs`. */
  take(untilMs: number): readonly Deed[] {
    const from = this.#at;
    do this.#at++; while (this.#at < this.#block.length && this.nextMs <= untilMs);
    return from === 0 && this.#at === this.#block.length ? this.#block : this.#block.slice(from, this.#at);
  }
}

async function firstTimeMs(path: string, seen: ReadProgress): Promise<number | undefined> {
  for await (const block of deedsOf(path, seen)) {
    const [first] = block;
    if (first !== undefined) return first.timeMs;
  }
  return undefined;
}

const BLOCK_BYTES = 1024 * 1024;
/** A longer line is no record, and nothing to hold in memory. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NO_RECORD = Buffer.from('(no record)');
const NEWLINE = 10;
const OPENING_BRACE = 123;

async function* deedsOf(path: string, progress: ReadProgress): AsyncGenerator<readonly Deed[]> {
  const file = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  let seen = 0;
  const source = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: BLOCK_BYTES })) : file;
  // pipe() does not hand an error on, and nobody would hear of it.
  if (source !== file) file.on('error', (error) => source.destroy(error));
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source as AsyncIterable<Buffer>) {
    progress.bytes += file.bytesRead - seen;
    seen = file.bytesRead;
    const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = block.lastIndexOf(NEWLINE) + 1;
    rest = block.subarray(end);
    if (rest.length > MAX_LINE_BYTES) rest = NO_RECORD;
    if (end > 0) yield parse(block.toString('utf8', 0, end), progress);
  }
  if (rest.length > 0) yield parse(rest.toString('utf8'), progress);
}

/** null: no JSON. */
function tryDeed(line: string): Deed | undefined | null {
  try {
    return readDeed(line);
  } catch {
    return null;
  }
}

function parse(text: string, progress: ReadProgress): Deed[] {
  const deeds: Deed[] = [];
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    if (end > start) {
      progress.lines++;
      const deed = text.charCodeAt(start) === OPENING_BRACE ? tryDeed(text.slice(start, end)) : null;
      if (deed === null) progress.unreadable++;
      else if (deed !== undefined) deeds.push(deed);
    }
    start = end + 1;
  }
  return deeds;
}
