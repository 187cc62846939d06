/** What the audit log is made with, and what it says of itself. */

import type { FileNotice } from './audit-file.ts';
import type { AuditFileIo } from './audit-file-io.ts';
import type { ChainHead } from './chain.ts';
import type { AuditLimits } from './redact.ts';
import type { RotationRules } from './rotation.ts';

/** The record was not written, or nobody knows whether it was. */
export class AuditUnavailableError extends Error {
  override readonly name = 'AuditUnavailableError';
  /** `ENOSPC`, `EACCES`, ... or `STALLED`, `BUFFER_FULL`, `CLOSED`, `SHORT_WRITE`. Without names or paths: may be shown to an employee. */
  readonly reason: string;

  constructor(reason: string, options?: ErrorOptions) {
    super(`the audit log cannot take records (${reason})`, options);
    this.reason = reason;
  }
}

export type AuditStatus =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'failing'; readonly reason: string; readonly sinceMs: number }
  | { readonly kind: 'closed' };

export interface AuditLogOptions {
  readonly path: string;
  /** Name of this process among several that write to one directory: stands in the file's name and in each record. */
  readonly writer?: string | undefined;
  /** Of the HMAC chain; undefined: a plain SHA-256 chain, which finds accidents, not forgers. */
  readonly key?: Buffer | undefined;
  /** `record`: fdatasync(2) before a record counts as written. Otherwise every so many milliseconds. Default 1 s. */
  readonly sync?: 'record' | { readonly everyMs: number } | undefined;
  readonly rotation?: RotationRules;
  /** How often a checkpoint is written if there is anything new. Default 1 min. */
  readonly checkpointMs?: number;
  /** Most time between a write and a look at whether the file is still there. Default 100 ms. */
  readonly placeCheckMs?: number;
  /** How long a record that nobody waits for may wait for others to share its write. Default 10 ms. */
  readonly lingerMs?: number;
  readonly limits?: Partial<AuditLimits>;
  /** Most characters of records that wait while a write is under way. Default 8 Mi. */
  readonly maxBufferedChars?: number;
  /** Most characters in one write, if it holds more than one record. Default 1 Mi. */
  readonly maxBatchChars?: number;
  /** First and longest pause between attempts while failing. Default 100 ms and 5 s. */
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** An operation of the file system that takes longer makes the log failing. Default 5 s. */
  readonly stallTimeoutMs?: number;
  readonly now?: () => number;
  readonly io?: AuditFileIo;
  /** Told of each change between healthy and failing, after it. */
  readonly onStatus?: (status: AuditStatus) => void;
  /** Told of every line that is in the file now, in order. */
  readonly onLines?: ((lines: readonly string[]) => void) | undefined;
  readonly onCheckpoint?: ((head: ChainHead) => void) | undefined;
  /** Told what happened to the file behind our back; `loose_permissions` when the file was found readable or writable by everyone. */
  readonly onNotice?: (notice: FileNotice | { readonly kind: 'loose_permissions'; readonly mode: number }) => void;
}

/** Plain numbers since the start of the process, for metrics. */
export interface AuditStats {
  records: number;
  writes: number;
  syncs: number;
  chars: number;
  errors: number;
  refused: number;
}
