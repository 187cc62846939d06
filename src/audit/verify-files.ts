/** Reads the files of a log in the order of their records, however they are named, in bounded memory, and follows every chain in them. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { Readable } from 'node:stream';
import type { ChainHead } from './chain.ts';
import { ChainVerifier, type ChainSummary, type Finding } from './chain-verifier.ts';
import { readFrame } from './record-line.ts';

export interface VerifyOptions {
  readonly files: readonly string[];
  /** By id (`keyId`). */
  readonly keys: ReadonlyMap<string, Buffer>;
  /** What is known from elsewhere of where the log ends. `chain` empty: whichever has it. */
  readonly head?: ChainHead | undefined;
  readonly partial: boolean;
  readonly report: (finding: Finding) => void;
  readonly onBytes?: (bytes: number) => void;
}

export interface VerifyResult {
  readonly chains: readonly ChainSummary[];
  readonly records: number;
  /** A line cut off at the end of the last file: a crash while writing, or somebody who cut it. */
  readonly tornEnd: { readonly file: string; readonly bytes: number } | undefined;
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 1024 * 1024;
/** A longer line is no record, and is read past. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Throws if a file cannot be read. */
export async function verifyFiles(options: VerifyOptions): Promise<VerifyResult> {
  const chains = new Map<string, ChainVerifier>();
  const verifierOf = (chain: string): ChainVerifier => {
    let verifier = chains.get(chain);
    if (verifier === undefined) {
      const { head } = options;
      const expectedHead = head !== undefined && (head.chain === '' || head.chain === chain) ? head : undefined;
      verifier = new ChainVerifier(chain, { keys: options.keys, expectedHead, report: options.report });
      chains.set(chain, verifier);
    }
    return verifier;
  };
  let tornEnd: VerifyResult['tornEnd'];
  for (const file of await inOrder(options)) {
    tornEnd = undefined;
    let current: ChainVerifier | undefined;
    let waiting: Parameters<ChainVerifier['oddLine']>[0] | undefined;
    await eachLine(file, options.onBytes, (line, number, ended) => {
      const place = { file, line: number };
      const frame = readFrame(line);
      if (frame !== undefined) {
        current = verifierOf(frame.chain);
        if (waiting !== undefined) current.oddLine(waiting);
        waiting = undefined;
        current.record(line, frame, place);
      } else if (!ended) tornEnd = { file, bytes: line.length };
      else if (line.length > 0) {
        if (waiting !== undefined) options.report(noRecord(waiting));
        waiting = { ...place, bytes: line.length, sha256: createHash('sha256').update(line).digest('hex') };
      }
    });
    if (waiting !== undefined) options.report(noRecord(waiting));
  }
  const summaries = [...chains.values()].map((verifier) => verifier.finish(options.partial));
  if (options.head !== undefined && options.head.chain !== '' && !chains.has(options.head.chain)) {
    options.report({ kind: 'end_missing', file: options.files[0] ?? '', line: 0, seq: undefined, message: `no record of the chain ${options.head.chain} is in the files` });
  }
  return { chains: summaries, records: summaries.reduce((sum, { records }) => sum + records, 0), tornEnd };
}

function noRecord({ file, line, bytes }: { readonly file: string; readonly line: number; readonly bytes: number }): Finding {
  return { kind: 'no_record', file, line, seq: undefined, message: `${bytes} bytes that are no record: a record made unreadable, or something put in` };
}

/** By chain and the number of the first record; what holds none comes first, and is told of as it is read. */
async function inOrder({ files }: VerifyOptions): Promise<readonly string[]> {
  const starts = await Promise.all([...new Set(files)].map(async (file) => ({ file, head: await firstRecord(file) })));
  return starts
    .toSorted((a, b) => compare(a.head?.chain ?? '', b.head?.chain ?? '') || (a.head?.seq ?? 0) - (b.head?.seq ?? 0) || compare(a.file, b.file))
    .map(({ file }) => file);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function firstRecord(file: string): Promise<ChainHead | undefined> {
  let found: ChainHead | undefined;
  await eachLine(file, undefined, (line) => {
    found = readFrame(line);
    return found !== undefined;
  });
  return found;
}

function open(file: string): Readable {
  const bytes = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  if (!file.endsWith('.gz')) return bytes;
  const plain = createGunzip({ chunkSize: CHUNK_BYTES });
  // `pipe` does not carry errors on.
  bytes.on('error', (error) => plain.destroy(error));
  return bytes.pipe(plain);
}

/** `take` returns true to stop. `ended` is false for what stands behind the last line feed. The line is valid during the call only. */
async function eachLine(file: string, onBytes: ((bytes: number) => void) | undefined, take: (line: Buffer, number: number, ended: boolean) => unknown): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const read of open(file)) {
    const chunk = read as Buffer;
    onBytes?.(chunk.length);
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(LINE_FEED, rest.length); end !== -1; end = bytes.indexOf(LINE_FEED, at)) {
      number += 1;
      if (take(bytes.subarray(at, end), number, true) === true) return;
      at = end + 1;
    }
    rest = bytes.subarray(at);
    if (rest.length > MAX_LINE_BYTES) throw new Error(`${file}:${number + 1}: a line of more than ${MAX_LINE_BYTES} bytes: this is no audit log`);
  }
  if (rest.length > 0) take(rest, number + 1, false);
}
