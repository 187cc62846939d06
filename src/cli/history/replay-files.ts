/** Reads audit files with a progress bar on a terminal. */

import { Presets, SingleBar } from 'cli-progress';
import type { Deed } from './deed.ts';
import { readDeeds, type AuditFiles, type ReadProgress } from './audit-files.ts';

const REFRESH_MS = 200;

/** Hands every deed to `take`, in the order of time. The bar is drawn on stderr, and only if that is a terminal. */
export async function replayFiles(files: AuditFiles, label: string, take: (deed: Deed) => void): Promise<ReadProgress> {
  const progress: ReadProgress = { bytes: 0, lines: 0, unreadable: 0 };
  const bar = new SingleBar(
    { stream: process.stderr, format: `${label} {bar} {percentage} %  {lines} records  {eta_formatted} left`, hideCursor: true, clearOnComplete: true, noTTYOutput: false },
    Presets.shades_classic,
  );
  bar.start(Math.max(1, files.totalBytes), 0, { lines: 0 });
  let drawnMs = Date.now();
  try {
    for await (const deeds of readDeeds(files, progress)) {
      for (const deed of deeds) take(deed);
      if (Date.now() - drawnMs < REFRESH_MS) continue;
      drawnMs = Date.now();
      bar.update(progress.bytes, { lines: progress.lines });
    }
  } finally {
    bar.stop();
  }
  return progress;
}
