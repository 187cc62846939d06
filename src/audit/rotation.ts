/** When a file is full or old enough, what its name becomes, and which of the old ones have been kept for long enough. */

import { basename, dirname, join } from 'node:path';

export interface RotationRules {
  /** A file that would grow beyond this is closed before. */
  readonly sizeBytes?: number | undefined;
  /** A file is closed when a multiple of this passes, counted from 1970 in UTC: `24h` at midnight. */
  readonly everyMs?: number | undefined;
  /** How long a closed file stays; undefined: for ever. */
  readonly keepMs?: number | undefined;
}

/** Node's file names, `rowgate.ndjson`: what stands before and behind the last dot. */
function split(path: string): { readonly stem: string; readonly extension: string } {
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? { stem: name, extension: '' } : { stem: name.slice(0, dot), extension: name.slice(dot) };
}

/** `audit/rowgate.ndjson` of the writer `w1`: `audit/rowgate.w1.ndjson`. */
export function pathOfWriter(path: string, writer: string | undefined): string {
  if (writer === undefined) return path;
  const { stem, extension } = split(path);
  return join(dirname(path), `${stem}.${writer}${extension}`);
}

/** `rowgate-20300102T030405Z-000000004711.ndjson`: by time, and by the number of the last record. Names sort as the files follow each other. */
export function rotatedName(path: string, nowMs: number, lastSeq: number): string {
  const { stem, extension } = split(path);
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${stem}-${time}-${String(lastSeq).padStart(12, '0')}${extension}`;
}

const ROTATED = /^-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-\d{12,15}$/;

/** When the file of this name was closed; undefined if it is none of the closed files of `path`. */
export function rotatedAtMs(path: string, name: string): number | undefined {
  const { stem, extension } = split(path);
  if (!name.startsWith(stem) || !name.endsWith(extension)) return undefined;
  const match = ROTATED.exec(name.slice(stem.length, name.length - extension.length));
  if (match === null) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** Whether a file that may have come before `path` under another program's care: `rowgate.ndjson.1`, `rowgate.ndjson-20300102`. */
export function maySucceed(path: string, name: string): boolean {
  if (rotatedAtMs(path, name) !== undefined) return true;
  return name.startsWith(`${basename(path)}.`) || name.startsWith(`${basename(path)}-`);
}

export function rotationDue(rules: RotationRules, file: { readonly bytes: number; readonly comingBytes: number; readonly startedMs: number; readonly nowMs: number }): boolean {
  if (file.bytes === 0) return false;
  if (rules.sizeBytes !== undefined && file.bytes + file.comingBytes > rules.sizeBytes) return true;
  return rules.everyMs !== undefined && Math.floor(file.nowMs / rules.everyMs) > Math.floor(file.startedMs / rules.everyMs);
}
