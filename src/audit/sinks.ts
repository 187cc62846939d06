/** Copies of the audit log to other receivers, after the file has the record. None of them can hold up the log: what waits is bounded. */

import { hostname } from 'node:os';
import { HttpPoster } from './http-post.ts';
import type { AuditRecord } from './events.ts';
import { toOcsf } from './ocsf.ts';
import { Outbox, type OutboxState, type OutboxStats } from './outbox.ts';
import { openSyslog, type SyslogTarget } from './syslog-connection.ts';
import { syslogMessage, type SyslogFacility } from './syslog-message.ts';

export interface SinkOptions {
  readonly name: string;
  readonly url: string;
  readonly format: 'json' | 'ocsf';
  readonly facility: SyslogFacility;
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string | undefined;
  readonly bufferBytes: number;
  readonly timeoutMs: number;
  /** Of Rowgate, for records that name their product. */
  readonly version: string;
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  readonly onState?: (state: OutboxState) => void;
}

const BATCH_RECORDS = 500;
const BATCH_BYTES = 512 * 1024;

/** What a line costs in memory beside its characters, about. */
const LINE_OVERHEAD_BYTES = 64;

export class AuditSink {
  readonly name: string;
  readonly #outbox: Outbox<string>;
  readonly #close: () => void;

  /** Throws if the file of certificates cannot be read. */
  constructor(options: SinkOptions) {
    this.name = options.name;
    const receiver = receiverOf(options);
    this.#close = receiver.close;
    this.#outbox = new Outbox({
      deliver: receiver.deliver,
      // Lines are nearly all Latin-1, which V8 keeps in a byte a character.
      bytesOf: (line) => line.length + LINE_OVERHEAD_BYTES,
      maxBytes: options.bufferBytes,
      batchItems: receiver.batchRecords,
      batchBytes: BATCH_BYTES,
      retryMinMs: options.retryMinMs ?? 500,
      retryMaxMs: options.retryMaxMs ?? 60_000,
      ...(options.onState === undefined ? {} : { onState: options.onState }),
    });
  }

  get stats(): Readonly<OutboxStats> {
    return this.#outbox.stats;
  }

  get waiting(): number {
    return this.#outbox.waiting;
  }

  put(lines: readonly string[]): void {
    this.#outbox.put(lines);
  }

  async close(withinMs: number): Promise<void> {
    await this.#outbox.close(withinMs);
    this.#close();
  }
}

interface Receiver {
  readonly batchRecords: number;
  readonly deliver: (lines: readonly string[], signal: AbortSignal) => Promise<void>;
  readonly close: () => void;
}

function receiverOf(options: SinkOptions): Receiver {
  const textOf = options.format === 'json' ? (line: string): string => line : (line: string): string => JSON.stringify(toOcsf(JSON.parse(line) as AuditRecord, { version: options.version }));
  const { url, headers, ca, timeoutMs } = options;
  if (!url.startsWith('syslog+')) {
    const poster = new HttpPoster({ url, contentType: 'application/x-ndjson', headers, ca, timeoutMs });
    return {
      batchRecords: BATCH_RECORDS,
      deliver: (lines, signal) => poster.post(`${lines.map(textOf).join('\n')}\n`, signal),
      close: () => void poster.close(),
    };
  }
  const target = syslogTarget(url, ca, timeoutMs);
  const connection = openSyslog(target);
  const origin = { facility: options.facility, hostname: hostname(), pid: process.pid };
  return {
    // A datagram that is too large must not take others with it.
    batchRecords: target.transport === 'udp' ? 1 : BATCH_RECORDS,
    deliver: (lines, signal) => connection.send(lines.map((line) => syslogMessage(origin, line, textOf(line))), signal),
    close: () => connection.close(),
  };
}

const SYSLOG_URL = /^syslog\+(tls|tcp|udp):\/\/(.+):(\d+)\/?$/;

function syslogTarget(url: string, ca: string | undefined, timeoutMs: number): SyslogTarget {
  const match = SYSLOG_URL.exec(url);
  if (match === null) throw new Error('not the URL of a syslog receiver');
  const [, transport, host = '', port] = match;
  return { transport: transport as SyslogTarget['transport'], host: host.replace(/^\[(.*)\]$/u, '$1'), port: Number(port), ca, timeoutMs };
}
