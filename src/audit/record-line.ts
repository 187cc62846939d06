/** Reads the frame of a sealed line: number, chain and MAC stand at fixed places, so nothing has to be parsed as JSON. */

import { MAC_CHARS, RECORD_VERSION, type ChainHead } from './chain.ts';

export const RECORD_OPENING = `{"v":${RECORD_VERSION},"seq":`;
const CHAIN_OPENING = ',"chain":"';
const CHAIN_CHARS = 12;
const MAC_OPENING = ',"mac":"';
/** `,"mac":"`, the digits and `"}`. */
export const MAC_TAIL_CHARS = MAC_OPENING.length + MAC_CHARS + 2;
/** As many digits as a number holds exactly. */
const MAX_SEQ_DIGITS = 15;

const FRONT = new RegExp(`^\\{"v":${RECORD_VERSION},"seq":([1-9][0-9]{0,${MAX_SEQ_DIGITS - 1}})${CHAIN_OPENING}([0-9a-f]{${CHAIN_CHARS}})",`);
const FRONT_MAX_CHARS = RECORD_OPENING.length + MAX_SEQ_DIGITS + CHAIN_OPENING.length + CHAIN_CHARS + 2;
const BACK = new RegExp(`^${MAC_OPENING}([0-9a-f]{${MAC_CHARS}})"\\}$`);

/** What the frame says; undefined if these bytes (a line without its line feed) are no sealed record. */
export function readFrame(line: Buffer): ChainHead | undefined {
  if (line.length < RECORD_OPENING.length + MAC_TAIL_CHARS) return undefined;
  const front = FRONT.exec(line.toString('latin1', 0, FRONT_MAX_CHARS));
  const back = BACK.exec(line.toString('latin1', line.length - MAC_TAIL_CHARS));
  if (front === null || back === null) return undefined;
  return { seq: Number(front[1]), chain: front[2] as string, mac: back[1] as string };
}
