import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

/** The scripts' first number. */
export const GRANTED = 0;
export const REFUSED = 1;
export const LOST = 2;
export const SETTLING = 3;
export const OTHER_LAYOUT = 4;

export type ScriptName = 'rowgateReserve' | 'rowgateRefund' | 'rowgateUsage' | 'rowgateJoin' | 'rowgateHeartbeat' | 'rowgateAdmit' | 'rowgateDismiss' | 'rowgateReadmit';

const shared = read('counter');

/** ioredis sends a script's text once a connection, then EVALSHA, and the text again on NOSCRIPT (which says that nothing ran). */
export const scripts: Record<string, { lua: string }> = {
  rowgateReserve: { lua: shared + read('reserve') },
  rowgateRefund: { lua: shared + read('refund') },
  rowgateUsage: { lua: shared + read('usage') },
  rowgateJoin: { lua: shared + read('join') },
  rowgateHeartbeat: { lua: shared + read('heartbeat') },
  rowgateAdmit: { lua: shared + read('admit') },
  rowgateDismiss: { lua: shared + read('dismiss') },
  rowgateReadmit: { lua: shared + read('readmit') },
} satisfies Record<ScriptName, { lua: string }>;

function read(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}

/** A whole number of at most 2^52, or keyed hashes of people. */
export type ScriptArgument = number | Buffer;

/** Runs one script. Every element of the answer is a whole number of at most 2^52. */
export async function runScript(client: Redis | Cluster, name: ScriptName, keys: readonly string[], args: readonly ScriptArgument[]): Promise<readonly number[]> {
  const run = (client as unknown as Record<ScriptName, (...args: (string | ScriptArgument)[]) => Promise<unknown>>)[name];
  const answer: unknown = await run.call(client, keys.length, ...keys, ...args);
  if (!Array.isArray(answer) || !answer.every(Number.isSafeInteger)) throw new Error(`${name}: an answer that is not a list of whole numbers`);
  return answer as number[];
}
