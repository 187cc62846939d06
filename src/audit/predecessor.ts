/** Which file a new one continues, when the one under the path was moved away while nobody wrote. */

import { dirname, join } from 'node:path';
import type { AuditFileIo } from './audit-file-io.ts';
import type { ChainHead } from './chain.ts';
import { readTail } from './file-tail.ts';
import { maySucceed } from './rotation.ts';

export interface Predecessor {
  readonly head: ChainHead;
  /** Name without its directory. */
  readonly file: string;
}

/** Newest files whose ends are read; a directory may hold years of them. */
const MAX_CANDIDATES = 8;

/** The last record among the closed files of `path` that `writer` wrote; compressed ones are not looked into. */
export async function findPredecessor(io: AuditFileIo, path: string, writer: string | undefined): Promise<Predecessor | undefined> {
  const directory = dirname(path);
  const names = (await io.list(directory)).filter((name) => maySucceed(path, name) && !name.endsWith('.gz') && !name.includes('.lock'));
  const states = await Promise.all(names.map(async (name) => ({ name, state: await io.stat(join(directory, name)) })));
  const newest = states
    .flatMap(({ name, state }) => (state?.regular === true && state.size > 0 ? [{ name, state }] : []))
    .toSorted((a, b) => b.state.modifiedMs - a.state.modifiedMs || (a.name < b.name ? 1 : -1))
    .slice(0, MAX_CANDIDATES);
  for (const { name, state } of newest) {
    try {
      const { last, line } = await readTail(io, join(directory, name), state.size);
      if (last !== undefined && writerOf(line ?? '') === writer) return { head: last, file: name };
    } catch {
      // Not an audit log, or not to be read: not what we continue.
    }
  }
  return undefined;
}

function writerOf(line: string): unknown {
  try {
    return (JSON.parse(line) as { writer?: unknown }).writer;
  } catch {
    return Symbol('none');
  }
}

const HEAD_BYTES = 4096;

/** The time of the first record that tells one. */
export async function startOfFile(io: AuditFileIo, path: string): Promise<number | undefined> {
  const match = /"time":"([0-9TZ:.-]{20,30})"/.exec((await io.read(path, 0, HEAD_BYTES)).toString('latin1'));
  const ms = Date.parse(match?.[1] ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
