/** The audit log as the configuration asks for it. */

import type { Alerts } from '../audit/alerts/alerts.ts';
import { AuditLog } from '../audit/audit-log.ts';
import type { AuditLogOptions } from '../audit/audit-options.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import { AuditSink } from '../audit/sinks.ts';
import type { Config } from '../policy/config.ts';
import { auditKey } from './audit-key.ts';
import { revealed } from './open-alerts.ts';
import { VERSION } from './version.ts';

export interface OpenedAudit {
  readonly audit: AuditLog;
  readonly sinks: readonly AuditSink[];
}

export interface OpenAuditOptions {
  readonly config: Config;
  readonly log: OpsLog;
  readonly alerts: Alerts;
  readonly worker?: number | undefined;
}

export async function openAudit({ config, log, alerts, worker }: OpenAuditOptions): Promise<OpenedAudit> {
  const { audit } = config;
  const sinks = audit.sinks.map((sink) => openSink(sink, log));
  if (audit.key === undefined) log.warn({ setting: 'audit.key' }, 'the audit chain has no key: whoever can write the file can change it unseen');
  const opened = await AuditLog.open({
    path: audit.file,
    writer: writerName(audit.writer, worker),
    key: auditKey(config),
    sync: audit.sync,
    rotation: audit.rotation,
    checkpointMs: audit.checkpointMs,
    onCheckpoint: ({ chain, seq, mac }) => log.info({ chain, seq, mac }, 'audit checkpoint'),
    onLines: sinks.length === 0 ? undefined : (lines) => { for (const sink of sinks) sink.put(lines); },
    onStatus: (status) => {
      log[status.kind === 'failing' ? 'error' : 'info']({ audit: status }, `the audit log is ${status.kind}`);
      if (status.kind === 'closed') return;
      const failing = status.kind === 'failing';
      const summary = failing ? 'the audit log cannot take records' : 'the audit log takes records again';
      alerts.raise({ key: JSON.stringify(['audit', status.kind]), alert: { event: 'audit', summary, reason: failing ? status.reason : undefined } });
    },
    onNotice: (notice) => {
      const { level, text } = inWords(notice);
      log[level === 'info' ? 'info' : 'warn']({ notice }, text);
      if (level === 'alert') alerts.raise({ key: JSON.stringify(['audit', notice.kind]), alert: { event: 'audit', summary: text } });
    },
  });
  return { audit: opened, sinks };
}

function openSink(sink: Config['audit']['sinks'][number], log: OpsLog): AuditSink {
  const { name, url, format, facility, headers, ca, bufferBytes, timeoutMs } = sink;
  return new AuditSink({
    name,
    url: url.reveal(),
    format,
    facility,
    headers: revealed(headers),
    ca,
    bufferBytes,
    timeoutMs,
    version: VERSION,
    onState: (state) => {
      if (state.kind === 'failing') log.warn({ sink: name, reason: state.reason }, 'an audit sink takes nothing; the file has every record');
      else log.info({ sink: name, dropped: state.dropped }, 'the audit sink takes records again');
    },
  });
}

function inWords(notice: Parameters<NonNullable<AuditLogOptions['onNotice']>>[0]): { readonly level: 'info' | 'warn' | 'alert'; readonly text: string } {
  switch (notice.kind) {
    case 'closed':
      return { level: 'info', text: `an audit file is closed as ${notice.file}, and the next one begun` };
    case 'rotated':
      return { level: 'info', text: 'another program moved the audit file; a new one is begun' };
    case 'unlocked':
      return { level: 'warn', text: `the file system of the audit file has no locks (${notice.reason}): a second process that writes it would not be noticed` };
    case 'rotation_failed':
      return { level: 'alert', text: `the audit file could not be closed and renamed (${notice.reason})` };
    case 'deleted':
      return { level: 'alert', text: 'the audit file was deleted' };
    case 'truncated':
      return { level: 'alert', text: `the audit file was cut by ${notice.missingBytes} bytes` };
    case 'foreign_bytes':
      return { level: 'alert', text: `somebody else wrote ${notice.bytes} bytes to the audit file` };
    case 'loose_permissions':
      return { level: 'alert', text: `others may read or write the audit file (mode ${notice.mode.toString(8)})` };
  }
}

/** Each worker has a file and a chain of its own. */
function writerName(writer: string | undefined, worker: number | undefined): string | undefined {
  if (worker === undefined) return writer;
  return writer === undefined ? `w${worker}` : `${writer}-w${worker}`;
}

/** What of `audit` is read at the start only. Compared, not shown. */
export function auditRestartKey({ audit }: Config): unknown {
  const { file, writer, sync, rotation, checkpointMs } = audit;
  const sinks = audit.sinks.map((sink) => ({ ...sink, url: sink.url.reveal(), headers: revealed(sink.headers) }));
  return [file, writer, audit.key?.reveal(), sync, rotation, checkpointMs, sinks];
}
