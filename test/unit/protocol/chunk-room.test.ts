import fc from 'fast-check';
import { expect, it } from 'vitest';
import { chunkWithRoom, putInFront } from '../../../src/protocol/chunk-room.ts';

function chunkOf(bytes: Uint8Array): Buffer {
  const chunk = chunkWithRoom(bytes.length);
  chunk.set(bytes);
  return chunk;
}

it('joins parts and a chunk, whether there is room in front or not, and leaves all of them as they were', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 3 });
  fc.assert(
    fc.property(parts, fc.uint8Array({ maxLength: 200 }), fc.nat(50), fc.boolean(), (before, bytes, from, roomy) => {
      const chunk = (roomy ? chunkOf(bytes) : Buffer.from(bytes)).subarray(from);
      const all = Buffer.concat([...before, bytes.subarray(from)]);
      const buffers = before.map((each) => Buffer.from(each));
      expect(putInFront(buffers, all.length - chunk.length, chunk).equals(all)).toBe(true);
      expect(Buffer.concat([...buffers, chunk]).equals(all)).toBe(true);
    }),
  );
});

it('gives the room away once: what was put there may still be on its way out', () => {
  const chunk = chunkOf(Buffer.from('chunk'));
  const first = putInFront([Buffer.from('first ')], 6, chunk);
  const second = putInFront([Buffer.from('second ')], 7, chunk);
  expect([first.toString(), second.toString()]).toEqual(['first chunk', 'second chunk']);
});
