/** Where a log left off: the last whole record of a file, and what a crash left behind it. */

import { createHash } from 'node:crypto';
import type { AuditFileIo } from './audit-file-io.ts';
import type { ChainHead } from './chain.ts';
import { readFrame } from './record-line.ts';

const LINE_FEED = 0x0a;
const FIRST_READ_BYTES = 64 * 1024;
/** No record is longer; what has no line end within this is no audit log. */
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

/** Bytes behind the last line end that are no whole record. */
export interface TornLine {
  readonly bytes: number;
  readonly sha256: string;
}

export interface FileTail {
  readonly last: ChainHead | undefined;
  /** The line of `last`. */
  readonly line: string | undefined;
  readonly torn: TornLine | undefined;
  /** The file ends in the middle of a line, whole or not. */
  readonly needsLineFeed: boolean;
}

const EMPTY: FileTail = { last: undefined, line: undefined, torn: undefined, needsLineFeed: false };

/** Reads backwards from the end. Other lines behind the last record are passed over: the verifier tells of them. */
export async function readTail(io: AuditFileIo, path: string, size: number): Promise<FileTail> {
  if (size === 0) return EMPTY;
  for (let wanted = FIRST_READ_BYTES; ; wanted *= 8) {
    const length = Math.min(size, wanted, MAX_TAIL_BYTES);
    const tail = tailOf(await io.read(path, size - length, length), length === size);
    if (tail !== undefined) return tail;
    if (length === MAX_TAIL_BYTES) throw Object.assign(new Error('the file is no audit log'), { code: 'NO_AUDIT_LOG' });
  }
}

/** Undefined: more bytes are needed to tell. */
function tailOf(bytes: Buffer, fromStart: boolean): FileTail | undefined {
  const end = bytes.lastIndexOf(LINE_FEED) + 1;
  if (end === 0 && !fromStart) return undefined;
  const rest = bytes.subarray(end);
  const needsLineFeed = rest.length > 0;
  const whole = readFrame(rest);
  if (whole !== undefined) return { last: whole, line: rest.toString('utf8'), torn: undefined, needsLineFeed };
  const torn = needsLineFeed ? { bytes: rest.length, sha256: createHash('sha256').update(rest).digest('hex') } : undefined;
  let lineEnd = end - 1;
  while (lineEnd > 0) {
    const lineStart = bytes.lastIndexOf(LINE_FEED, lineEnd - 1) + 1;
    if (lineStart === 0 && !fromStart) return undefined;
    const line = bytes.subarray(lineStart, lineEnd);
    const last = readFrame(line);
    if (last !== undefined) return { last, line: line.toString('utf8'), torn, needsLineFeed };
    lineEnd = lineStart - 1;
  }
  return fromStart ? { last: undefined, line: undefined, torn, needsLineFeed } : undefined;
}
