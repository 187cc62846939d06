/** The audit log as the configuration asks for it. */

import { AuditLog } from '../audit/audit-log.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import type { Config } from '../policy/config.ts';
import { auditKey } from './audit-key.ts';

export function openAudit(config: Config, log: OpsLog, worker?: number): Promise<AuditLog> {
  const { audit } = config;
  if (audit.key === undefined) log.warn({ setting: 'audit.key' }, 'the audit chain has no key: whoever can write the file can change it unseen');
  return AuditLog.open({
    path: audit.file,
    writer: writerName(audit.writer, worker),
    key: auditKey(config),
    sync: audit.sync,
    rotation: audit.rotation,
    checkpointMs: audit.checkpointMs,
    onCheckpoint: ({ chain, seq, mac }) => log.info({ chain, seq, mac }, 'audit checkpoint'),
    onStatus: (status) => log[status.kind === 'failing' ? 'error' : 'info']({ audit: status }, `the audit log is ${status.kind}`),
    onNotice: (notice) => log[notice.kind === 'closed' ? 'info' : 'warn']({ notice }, 'something happened to the audit file'),
  });
}

/** Each worker has a file and a chain of its own. */
function writerName(writer: string | undefined, worker: number | undefined): string | undefined {
  if (worker === undefined) return writer;
  return writer === undefined ? `w${worker}` : `${writer}-w${worker}`;
}

/** What of `audit` is read at the start only. Compared, not shown. */
export function auditRestartKey({ audit }: Config): unknown {
  const { file, writer, sync, rotation, checkpointMs } = audit;
  return [file, writer, audit.key?.reveal(), sync, rotation, checkpointMs];
}
