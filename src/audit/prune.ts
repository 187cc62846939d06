/** Takes closed files away that were kept for long enough. The log tells of each before it goes, so that a later reader knows where the record begins. */

import { dirname, join } from 'node:path';
import type { AuditFileIo } from './audit-file-io.ts';
import type { AuditPruned } from './events.ts';
import { readTail } from './file-tail.ts';
import { rotatedAtMs } from './rotation.ts';

/** Oldest first. `tell` must have put the record into the log when it resolves. */
export async function pruneOld(io: AuditFileIo, path: string, closedBeforeMs: number, tell: (event: AuditPruned) => Promise<void>): Promise<void> {
  const directory = dirname(path);
  const old = (await io.list(directory)).filter((name) => (rotatedAtMs(path, name) ?? Number.POSITIVE_INFINITY) < closedBeforeMs).toSorted();
  for (const name of old) {
    const file = join(directory, name);
    const state = await io.stat(file);
    if (state?.regular !== true) continue;
    const { last } = await readTail(io, file, state.size);
    // Without a record at its end it is not a file that we closed.
    if (last === undefined) continue;
    await tell({ event: 'audit_pruned', file: name, last_seq: last.seq, last_mac: last.mac });
    await io.remove(file);
  }
}
