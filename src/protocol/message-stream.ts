/**
 * Cuts a byte stream into messages on the way through. A message is a type byte, a length of four bytes that counts
 * itself, and a body ("Message Formats"). What is forwarded unchanged is never copied: neighbouring messages leave as
 * one slice of the chunk that they came in.
 */

import { putInFront } from './chunk-room.ts';

/** What to do with a message whose header was read. */
export const AtHeader = {
  /** Forward header and body as they come; the body is not looked at. */
  Forward: 0,
  /** Throw the message away as it comes. */
  Drop: 1,
  /** Hand the whole message to `onMessage`. */
  Whole: 2,
  /** Hand the message to `onMessage` with its first `PREFIX_BYTES` at least; the rest then goes the same way as it comes. */
  Prefix: 3,
  /** Stop here; `resume()` asks again for the same message, so `onHeader` may be called twice for it. */
  Pause: 4,
  /** As `Pause`, and what is to be forwarded of this chunk waits as well: for a short wait after which all can leave together. */
  Hold: 5,
} as const;
export type AtHeader = (typeof AtHeader)[keyof typeof AtHeader];

/** What to do with a message that was read whole. */
export const AtMessage = {
  Forward: 0,
  Drop: 1,
  /** Stop; `resume()` hands the same message over again. */
  Pause: 2,
  /** Throw it away (the handler kept what it needs) and stop before the next message. */
  DropThenPause: 3,
  /** As `Pause`, and what is to be forwarded of this chunk waits as well. */
  Hold: 4,
} as const;
export type AtMessage = (typeof AtMessage)[keyof typeof AtMessage];

/** How many messages like the one before may be forwarded without a word about each. */
export interface Ahead {
  readonly messages: number;
  /** Of all their bodies together. */
  readonly bytes: number;
  readonly largestBodyBytes: number;
}

export interface MessageHandler<T extends number> {
  /** `bodyBytes` is the body's length, without type byte and length field. Throws `ProtocolViolation` to end the session. */
  onHeader(type: T, bodyBytes: number): AtHeader;
  /** The message (or its prefix) lies in `buffer` from `start` (its type byte) to `end`; its body begins at `start + 5`. */
  onMessage(type: T, buffer: Buffer, start: number, end: number): AtMessage;
  /** Bytes to pass on, in order. */
  forward(bytes: Buffer): void;
  /** Asked behind a message of `type` that was forwarded by its header. What goes by this leave is told by `passed`. */
  ahead?(type: T): Ahead | undefined;
  passed?(messages: number, bytes: number): void;
  /** Asked behind a message of `type` that was read whole and forwarded, where another begins at `start`: forwards whole messages of `buffer` from there on, and tells where they end. */
  passWhole?(type: T, buffer: Buffer, start: number): number;
}

/** The peer broke the protocol; the session ends. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

export const HEADER_BYTES = 5;
const LENGTH_FIELD_BYTES = 4;
/** Shorter bodies are no rows of anything, or mean something else (the trailer of COPY in binary format): `onHeader` is asked about them. */
const LEAST_AHEAD_BYTES = 3;
/** How much of a message's body `AtHeader.Prefix` waits for: room for names of any honest length. */
export const PREFIX_BYTES = 4096;
const NOTHING = Buffer.alloc(0);

export class MessageStream<T extends number> {
  readonly #handler: MessageHandler<T>;
  /** Unread bytes: from `#position` on. */
  #chunk: Buffer = NOTHING;
  #position = 0;
  /** Start of the bytes of `#chunk` that are to be forwarded and were not yet. */
  #runStart = 0;
  /** Body bytes still to come of a message that is forwarded or dropped as it comes. */
  #bodyLeft = 0;
  #dropping = false;
  /** Parts of a message that is read whole (or in its prefix) and lies across chunks. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #gatherBytes = 0;
  #paused = false;
  /** What lies between `#runStart` and `#position` waits too. */
  #holding = false;
  #working = false;

  constructor(handler: MessageHandler<T>) {
    this.#handler = handler;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Bytes held back: unread ones after a pause, and parts of an unfinished message. */
  get heldBytes(): number {
    return this.#chunk.length - (this.#holding ? this.#runStart : this.#position) + this.#partsBytes;
  }

  /** A message was forwarded in part: nothing else may be put in its middle. */
  get forwardingBody(): boolean {
    return this.#bodyLeft > 0 && !this.#dropping;
  }

  /** What came last ended within a message, so that more is certain to come. */
  get amidMessage(): boolean {
    return this.#bodyLeft > 0 || this.#gatherBytes > 0 || this.#position < this.#chunk.length;
  }

  push(chunk: Buffer): void {
    if (this.#position < this.#chunk.length) {
      // A header that was cut by the chunk's end, or what came in before a pause took effect.
      const from = this.#holding ? this.#runStart : this.#position;
      this.#chunk = Buffer.concat([this.#chunk.subarray(from), chunk]);
      this.#position -= from;
    } else {
      this.#chunk = chunk;
      this.#position = 0;
    }
    this.#runStart = 0;
    if (!this.#paused) this.#work();
  }

  /** Goes on after a pause. Safe to call from within the handler: the loop that runs goes on by itself. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#holding = false;
    if (!this.#working) this.#work();
  }

  /** Lets go of what `Hold` keeps back, without going on. */
  release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#flush(this.#position);
  }

  /** Hands over what was not read yet, for another stream to go on with. Only between messages. */
  takeUnread(): Buffer {
    const rest = this.#chunk.subarray(this.#position);
    this.#chunk = NOTHING;
    this.#position = 0;
    this.#runStart = 0;
    return rest;
  }

  /** Passes `bytes` on in front of the message that the handler is being asked about. */
  inject(bytes: Buffer): void {
    this.#flush(this.#position);
    this.#handler.forward(bytes);
  }

  #flush(end: number): void {
    if (end > this.#runStart) this.#handler.forward(this.#chunk.subarray(this.#runStart, end));
    this.#runStart = end;
  }

  #work(): void {
    this.#working = true;
    try {
      while (!this.#paused && this.#position < this.#chunk.length) {
        if (this.#bodyLeft > 0) this.#passBody();
        else if (this.#gatherBytes > 0) {
          if (!this.#gather()) break;
        } else if (!this.#nextMessage()) break;
      }
      if (!this.#holding) this.#flush(this.#position);
      if (this.#position === this.#chunk.length) {
        this.#chunk = NOTHING; // lets go of the read buffer
        this.#position = 0;
        this.#runStart = 0;
      }
    } finally {
      this.#working = false;
    }
  }

  #passBody(): void {
    const take = Math.min(this.#bodyLeft, this.#chunk.length - this.#position);
    if (this.#dropping) this.#flush(this.#position);
    this.#position += take;
    if (this.#dropping) this.#runStart = this.#position;
    this.#bodyLeft -= take;
  }

  /** Returns false if the chunk ends within the header. */
  #nextMessage(): boolean {
    const chunk = this.#chunk;
    const start = this.#position;
    if (chunk.length - start < HEADER_BYTES) return false;
    const type = chunk[start] as T;
    const length = chunk.readInt32BE(start + 1);
    if (length < LENGTH_FIELD_BYTES) throw new ProtocolViolation(`invalid message length ${length}`);
    const bodyBytes = length - LENGTH_FIELD_BYTES;
    const at = this.#handler.onHeader(type, bodyBytes);
    switch (at) {
      case AtHeader.Forward:
        this.#dropping = false;
        this.#position = start + HEADER_BYTES;
        this.#bodyLeft = bodyBytes;
        if (chunk[this.#position + bodyBytes] === type) this.#goAhead(type, this.#position + bodyBytes);
        return true;
      case AtHeader.Drop:
        this.#flush(start);
        this.#dropping = true;
        this.#position = start + HEADER_BYTES;
        this.#runStart = this.#position;
        this.#bodyLeft = bodyBytes;
        return true;
      case AtHeader.Hold:
        this.#holding = true;
        this.#paused = true;
        return true;
      case AtHeader.Pause:
        this.#paused = true;
        return true;
      case AtHeader.Whole:
      case AtHeader.Prefix: {
        const wanted = at === AtHeader.Whole ? bodyBytes : Math.min(bodyBytes, PREFIX_BYTES);
        const end = start + HEADER_BYTES + wanted;
        if (end <= chunk.length) {
          this.#deliver(type, start, end, bodyBytes - wanted);
        } else {
          // What is gathered is read again from its header, so that one path serves both cases, a pause included.
          this.#flush(start);
          this.#gatherBytes = HEADER_BYTES + wanted;
        }
        return true;
      }
    }
  }

  /** Passes whole messages from `at` on as far as the handler gave leave: a loop over headers, since a result is mostly rows of one kind. */
  #goAhead(type: T, at: number): void {
    const chunk = this.#chunk;
    const ahead = this.#handler.ahead?.(type);
    if (ahead === undefined) return;
    let { messages, bytes } = ahead;
    const largest = ahead.largestBodyBytes;
    while (messages > 0 && chunk.length - at >= HEADER_BYTES && chunk[at] === type) {
      const bodyBytes = (((chunk[at + 1] as number) << 24) | ((chunk[at + 2] as number) << 16) | ((chunk[at + 3] as number) << 8) | (chunk[at + 4] as number)) - LENGTH_FIELD_BYTES;
      const end = at + HEADER_BYTES + bodyBytes;
      if (bodyBytes < LEAST_AHEAD_BYTES || bodyBytes > largest || bodyBytes > bytes || end > chunk.length) break;
      at = end;
      messages--;
      bytes -= bodyBytes;
    }
    if (messages === ahead.messages) return;
    this.#position = at;
    this.#bodyLeft = 0;
    this.#handler.passed?.(ahead.messages - messages, ahead.bytes - bytes);
  }

  #deliver(type: T, start: number, end: number, bodyLeft: number): void {
    const at = this.#handler.onMessage(type, this.#chunk, start, end);
    switch (at) {
      case AtMessage.Forward:
        this.#position = end;
        this.#bodyLeft = bodyLeft;
        this.#dropping = false;
        if (bodyLeft === 0 && this.#chunk[end] === type) this.#position = this.#handler.passWhole?.(type, this.#chunk, end) ?? end;
        return;
      case AtMessage.Drop:
      case AtMessage.DropThenPause:
        this.#flush(start);
        this.#position = end;
        this.#runStart = end;
        this.#bodyLeft = bodyLeft;
        this.#dropping = true;
        if (at === AtMessage.DropThenPause) this.#paused = true;
        return;
      case AtMessage.Hold:
        this.#holding = true;
        this.#paused = true;
        return;
      case AtMessage.Pause:
        this.#paused = true;
        return;
    }
  }

  /** Gathers a message that lies across chunks. Returns false if more must come. */
  #gather(): boolean {
    const take = Math.min(this.#gatherBytes - this.#partsBytes, this.#chunk.length - this.#position);
    if (this.#partsBytes + take < this.#gatherBytes) {
      this.#parts.push(this.#chunk.subarray(this.#position, this.#position + take));
      this.#partsBytes += take;
      this.#position += take;
      this.#runStart = this.#position;
      return false;
    }
    this.#chunk = putInFront(this.#parts, this.#partsBytes, this.#chunk.subarray(this.#position));
    this.#position = 0;
    this.#runStart = 0;
    this.#parts = [];
    this.#partsBytes = 0;
    this.#gatherBytes = 0;
    return this.#nextMessage();
  }
}
