import { extname } from 'node:path';

/** Each worker writes files of its own: `rowgate.ndjson` becomes `rowgate.w1.ndjson`. */
export function workerFile(path: string, worker: number | undefined): string {
  if (worker === undefined) return path;
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}.w${worker}${extension}`;
}
