import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AtHeader, AtMessage, MessageStream, ProtocolViolation, PREFIX_BYTES, type MessageHandler } from '../../../src/protocol/message-stream.ts';

function message(letter: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(letter, 0, 'latin1');
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** F forwards, D drops, W is read whole and forwarded, X whole and dropped, I injects in front, P by its prefix, U pauses once, H and V hold once, by their header and whole. */
class Recorder implements MessageHandler<number> {
  out = Buffer.alloc(0);
  readonly whole: string[] = [];
  stream: MessageStream<number> | undefined;
  #pausedAt = false;

  onHeader(type: number): AtHeader {
    switch (String.fromCharCode(type)) {
      case 'F':
        return AtHeader.Forward;
      case 'D':
        return AtHeader.Drop;
      case 'P':
        return AtHeader.Prefix;
      case 'U':
        this.#pausedAt = !this.#pausedAt;
        return this.#pausedAt ? AtHeader.Pause : AtHeader.Forward;
      case 'H':
        this.#pausedAt = !this.#pausedAt;
        return this.#pausedAt ? AtHeader.Hold : AtHeader.Forward;
      default:
        return AtHeader.Whole;
    }
  }

  onMessage(type: number, buffer: Buffer, start: number, end: number): AtMessage {
    const letter = String.fromCharCode(type);
    if (letter === 'V') {
      this.#pausedAt = !this.#pausedAt;
      if (this.#pausedAt) return AtMessage.Hold;
    }
    this.whole.push(buffer.toString('latin1', start, end));
    if (letter === 'I') this.stream?.inject(Buffer.from('<injected>'));
    return letter === 'X' ? AtMessage.Drop : AtMessage.Forward;
  }

  forward(bytes: Buffer): void {
    this.out = Buffer.concat([this.out, bytes]);
  }
}

function run(chunks: readonly Buffer[]): Recorder {
  const recorder = new Recorder();
  const stream = new MessageStream(recorder);
  recorder.stream = stream;
  for (const chunk of chunks) {
    stream.push(chunk);
    while (stream.paused) stream.resume();
  }
  return recorder;
}

const SAMPLE = [message('F', 'forward'), message('D', 'drop'), message('W', 'whole'), message('F', ''), message('X', 'gone'), message('I', 'x'), message('U', 'wait'), message('P', 'p'.repeat(10)), message('F', 'end')];
const EXPECTED = Buffer.concat([SAMPLE[0] as Buffer, SAMPLE[2] as Buffer, SAMPLE[3] as Buffer, Buffer.from('<injected>'), SAMPLE[5] as Buffer, SAMPLE[6] as Buffer, SAMPLE[7] as Buffer, SAMPLE[8] as Buffer]);

describe('a message stream', () => {
  test('gives the same wherever it is split in two', () => {
    const bytes = Buffer.concat(SAMPLE);
    for (let at = 0; at <= bytes.length; at++) {
      const recorder = run([bytes.subarray(0, at), bytes.subarray(at)].filter((chunk) => chunk.length > 0));
      expect(recorder.out.toString('latin1')).toBe(EXPECTED.toString('latin1'));
      expect(recorder.whole).toEqual([SAMPLE[2], SAMPLE[4], SAMPLE[5], SAMPLE[7]].map((each) => (each as Buffer).toString('latin1')));
    }
  });

  test('gives the same byte by byte, and however it is cut', () => {
    const letters = fc.constantFrom('F', 'D', 'W', 'X', 'I', 'U', 'P', 'H', 'V');
    fc.assert(
      fc.property(fc.array(fc.tuple(letters, fc.uint8Array({ maxLength: 40 })), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 }), (list, sizes) => {
        const bytes = Buffer.concat(list.map(([letter, body]) => message(letter, Buffer.from(body))));
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] as number;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(run(chunks).out.equals(run(bytes.length > 0 ? [bytes] : []).out)).toBe(true);
      }),
    );
  });

  test('forwards neighbours as one slice of the chunk, without a copy', () => {
    const slices: Buffer[] = [];
    const stream = new MessageStream<number>({ onHeader: () => AtHeader.Forward, onMessage: () => AtMessage.Forward, forward: (bytes) => slices.push(bytes) });
    const chunk = Buffer.concat([message('F', 'a'), message('F', 'b'), message('F', 'c')]);
    stream.push(chunk);
    expect(slices).toHaveLength(1);
    expect((slices[0] as Buffer).buffer).toBe(chunk.buffer);
  });

  test('a hold lets what came before leave with what comes after, in one piece, and gives it up when asked to', () => {
    const slices: string[] = [];
    let held = true;
    const stream = new MessageStream<number>({
      onHeader: (type) => (type === 72 && held ? AtHeader.Hold : AtHeader.Forward),
      onMessage: () => AtMessage.Forward,
      forward: (bytes) => slices.push(bytes.toString('latin1')),
    });
    const [before, at, after] = [message('F', 'a'), message('H', 'b'), message('F', 'c')].map(String) as [string, string, string];
    stream.push(Buffer.from(before + at));
    stream.push(Buffer.from(after));
    expect(slices).toEqual([]);
    expect(stream.heldBytes).toBe((before + at + after).length);
    held = false;
    stream.resume();
    expect(slices).toEqual([before + at + after]);
    held = true;
    stream.push(Buffer.from(before + at));
    stream.release();
    expect(slices.at(-1)).toBe(before);
  });

  test('whatever is paused or held, nothing is lost, doubled or out of order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('F', 'W', 'U', 'H', 'V', 'P'), fc.uint8Array({ maxLength: 30 })), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), fc.boolean(), (list, sizes, late) => {
        const bytes = Buffer.concat(list.map(([letter, body]) => message(letter, Buffer.from(body))));
        const recorder = new Recorder();
        const stream = new MessageStream(recorder);
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] as number;
          stream.push(bytes.subarray(at, at + size));
          at += size;
          // Chunks may come while the stream is paused.
          if (!late || i % 3 === 0) while (stream.paused) stream.resume();
        }
        while (stream.paused) stream.resume();
        expect(recorder.out.equals(bytes)).toBe(true);
      }),
    );
  });

  test('lets go ahead what there is leave for, and asks about everything else', () => {
    const leaves = fc.record({ messages: fc.integer({ min: 0, max: 4 }), bytes: fc.integer({ min: 0, max: 60 }), largestBodyBytes: fc.integer({ min: 0, max: 25 }) });
    let ahead = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('F', 'F', 'F', 'G', 'D', 'W'), fc.uint8Array({ maxLength: 30 })), { maxLength: 30 }), fc.array(leaves, { minLength: 1 }), fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (list, given, sizes) => {
        const bytes = Buffer.concat(list.map(([letter, body]) => message(letter, Buffer.from(body))));
        const forwarded: string[] = [];
        const asked: number[] = [];
        let leave = given[0] as (typeof given)[number];
        let count = 0;
        let wentBytes = 0;
        const stream = new MessageStream<number>({
          onHeader(type, bodyBytes) {
            if (type === 0x46) asked.push(bodyBytes);
            return type === 0x44 ? AtHeader.Drop : type === 0x57 ? AtHeader.Whole : AtHeader.Forward;
          },
          onMessage: () => AtMessage.Forward,
          forward: (slice) => forwarded.push(slice.toString('latin1')),
          ahead: (type) => (type === 0x46 ? (leave = given[count++ % given.length] as typeof leave) : undefined),
          passed(messages, passedBytes) {
            expect(messages).toBeGreaterThan(0);
            expect(messages).toBeLessThanOrEqual(leave.messages);
            expect(passedBytes).toBeLessThanOrEqual(leave.bytes);
            expect(passedBytes).toBeLessThanOrEqual(messages * leave.largestBodyBytes);
            ahead += messages;
            wentBytes += passedBytes;
          },
        });
        for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length] as number) stream.push(bytes.subarray(at, at + (sizes[i % sizes.length] as number)));
        expect(forwarded.join('')).toBe(list.filter(([letter]) => letter !== 'D').map(([letter, body]) => message(letter, Buffer.from(body)).toString('latin1')).join(''));
        // Each F was asked about or went ahead.
        const total = list.filter(([letter]) => letter === 'F').reduce((sum, [, body]) => sum + body.length, 0);
        expect(asked.reduce((sum, each) => sum + each, 0) + wentBytes).toBe(total);
      }),
    );
    expect(ahead).toBeGreaterThan(5);
  });

  test('streams a large body without gathering it', () => {
    const recorder = new Recorder();
    const stream = new MessageStream(recorder);
    const large = message('P', Buffer.alloc(PREFIX_BYTES * 50, 'x'));
    let mostHeld = 0;
    for (let at = 0; at < large.length; at += 1000) {
      stream.push(large.subarray(at, at + 1000));
      mostHeld = Math.max(mostHeld, stream.heldBytes);
    }
    expect(recorder.out.length).toBe(large.length);
    expect(recorder.whole[0]?.length).toBe(5 + PREFIX_BYTES);
    expect(mostHeld).toBeLessThan(PREFIX_BYTES + 2000);
  });

  test('refuses a length that does not count itself', () => {
    expect(() => run([Buffer.from([0x46, 0, 0, 0, 3])])).toThrow(ProtocolViolation);
    expect(() => run([Buffer.from([0x46, 0xff, 0xff, 0xff, 0xff])])).toThrow(ProtocolViolation);
  });

  test('hands over what was not read', () => {
    const stream = new MessageStream<number>({ onHeader: (type) => (type === 0x46 ? AtHeader.Forward : AtHeader.Pause), onMessage: () => AtMessage.Forward, forward: () => undefined });
    stream.push(Buffer.concat([message('F', 'a'), message('Z', 'I'), message('Q', 'x')]));
    expect(stream.takeUnread().equals(Buffer.concat([message('Z', 'I'), message('Q', 'x')]))).toBe(true);
  });
});
