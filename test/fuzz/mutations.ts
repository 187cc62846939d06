/** What is done to the messages of either direction: each mutation takes a list of whole messages and gives another list of chunks of bytes. */

import type { Random } from './random.ts';

const LENGTHS = [0, 1, 3, 4, 5, 8, 0x7fff, 0xffff, 0x10000, 0x3fffffff, 0x40000000, 0x7fffffff, -1, -2147483648];
const LETTERS = Buffer.from('BCDEFHPQSXdcfpRKZTtnNAVGIWv123s\0\xffaz', 'latin1');

/** Changes one message. Most changes keep it readable, so that what comes behind it is looked at too. */
export function mutate(message: Buffer, random: Random): Buffer {
  const out = Buffer.from(message);
  const kind = random.below(100);
  if (kind < 30 && out.length > 5) {
    // A byte of the body.
    out[5 + random.below(out.length - 5)] = random.pick([0, 0x27, 0x22, 0x5c, 0x80, 0xff, 0x3b, random.below(256)]);
    return out;
  }
  if (kind < 45 && out.length > 5) {
    // A longer body that its length knows of.
    const at = 5 + random.below(out.length - 5);
    return resized(Buffer.concat([out.subarray(0, at), random.bytes(1 + random.below(40)), out.subarray(at)]));
  }
  if (kind < 60 && out.length > 6) {
    // A shorter one.
    return resized(out.subarray(0, 5 + random.below(out.length - 5)));
  }
  if (kind < 72) {
    // Another type over the same body.
    out[0] = random.chance(0.9) ? (LETTERS[random.below(LETTERS.length)] as number) : random.below(256);
    return out;
  }
  if (kind < 78 && out.length >= 7) {
    // A count or a number in the body at one of its ends.
    out.writeInt16BE(random.pick([0, -1, 1, 0x7fff, -0x8000]), random.chance(0.5) ? 5 : out.length - 2);
    return out;
  }
  if (kind < 82) {
    out.writeInt32BE(random.pick(LENGTHS), 1);
    return out;
  }
  if (kind < 85) return out.subarray(0, 1 + random.below(out.length));
  if (kind < 90) return Buffer.concat([out, out]);
  if (kind < 95) return Buffer.alloc(0);
  const type = LETTERS[random.below(LETTERS.length)] as number;
  return Buffer.concat([resized(Buffer.concat([Buffer.from([type, 0, 0, 0, 0]), random.bytes(random.below(64))])), out]);
}

function resized(message: Buffer): Buffer {
  const out = Buffer.from(message);
  out.writeInt32BE(out.length - 1, 1);
  return out;
}

/** Exchanges two neighbours here and there. */
export function reorder<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = 1; i < out.length; i++) if (random.chance(0.08)) [out[i - 1], out[i]] = [out[i] as T, out[i - 1] as T];
  return out;
}

/** Cuts the bytes where nobody would: one by one, in the middle of headers, or not at all. */
export function chunks(bytes: Buffer, random: Random): readonly Buffer[] {
  const style = random.below(10);
  if (style < 5) return [bytes];
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = style === 5 && bytes.length < 600 ? 1 : 1 + random.below(style < 8 ? 64 : 1_500);
    out.push(bytes.subarray(at, at + size));
    at += size;
  }
  return out;
}
