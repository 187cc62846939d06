/** Chunks of a stream with room in front of them: the start of a message that a chunk ended in is put there, instead of copying all that came since behind it. */

/** Room for the start of any usual row. */
const ROOM_BYTES = 4096;
/** Memory whose room is free. */
const free = new WeakSet<ArrayBufferLike>();

/** A chunk of memory of its own, which has room in front. */
export function chunkWithRoom(bytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(ROOM_BYTES + bytes);
  free.add(memory.buffer);
  return memory.subarray(ROOM_BYTES);
}

/** `parts`, of `partsBytes` together, and `chunk` behind them. */
export function putInFront(parts: readonly Buffer[], partsBytes: number, chunk: Buffer): Buffer {
  // Once only: behind a chunk that was cut off somewhere else stands what may still be on its way out.
  if (chunk.byteOffset !== ROOM_BYTES || partsBytes > ROOM_BYTES || !free.delete(chunk.buffer)) return Buffer.concat([...parts, chunk], partsBytes + chunk.length);
  const joined = Buffer.from(chunk.buffer, ROOM_BYTES - partsBytes, partsBytes + chunk.length);
  let at = 0;
  for (const part of parts) at += part.copy(joined, at);
  return joined;
}
