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

const CODES = [196_608, 196_610, 0x0002_0000, 0x0003_270f, 0x0004_0000, 80_877_102, 80_877_103, 80_877_104, 0, -1];
const PARAMETERS = ['_pq_.x\0y\0', 'replication\0true\0', 'replication\0database\0', 'options\0-c x=y\0', 'user\0postgres\0', 'user\0\0', '\0', 'database\0no\0', 'client_encoding\0SJIS\0', '\xff\xfe\0\xff\0', 'x\0', `${'x'.repeat(500)}\0y\0`];

/** Changes what a connection begins with: a request for encryption, a startup packet or a header, which have a length in front and no type. */
export function mutateOpening(packet: Buffer, random: Random): Buffer {
  const out = Buffer.from(packet);
  const withLength = (bytes: Buffer): Buffer => {
    if (bytes.length >= 4) bytes.writeInt32BE(bytes.length, 0);
    return bytes;
  };
  switch (random.below(10)) {
    case 0:
      out[random.below(out.length)] = random.below(256);
      return out;
    case 1:
      out.writeInt32BE(random.pick(LENGTHS), 0);
      return out;
    case 2:
      if (out.length >= 8) out.writeInt32BE(random.pick(CODES), 4);
      return out;
    case 3:
      return out.subarray(0, random.below(out.length));
    case 4:
      return withLength(Buffer.from(out.subarray(0, 4 + random.below(out.length - 4))));
    case 5:
      return Buffer.concat([out, random.bytes(1 + random.below(60))]);
    case 6:
      return withLength(Buffer.concat([out, random.bytes(1 + random.below(60))]));
    case 7:
      return withLength(Buffer.concat([out.subarray(0, -1), Buffer.from(random.pick(PARAMETERS), 'latin1'), Buffer.from([0])]));
    case 8:
      return Buffer.concat([out, out]);
    default:
      return withLength(Buffer.concat([out, Buffer.alloc(random.pick([1, 9_000, 9_990, 10_001, 20_000]), 0x61)]));
  }
}
