/**
 * One direction of a connection: bytes from a socket through a message stream. It reads only while the other side takes
 * what it is given and the stream is not paused, so a slow reader keeps one read buffer and one write buffer, not more.
 *
 * A server writes a large result in pieces of 8 KiB, and reading each as it comes costs two system calls and a turn of the event loop apiece. In the middle
 * of such a result Direction looks away for a moment, and then takes with one read what has come.
 */

import type { Socket } from 'node:net';
import { mayLookAway } from './direct-reads.ts';
import { MessageStream, type MessageHandler } from '../protocol/message-stream.ts';

/** A result is large from here on. Before it, nobody waits for anything. */
const LARGE_BYTES = 256 * 1024;
/** What a read brings at least where looking away would gain nothing, or hold up a server that writes faster than it is read. */
const FULL_READ_BYTES = 128 * 1024;
/** The least that a timer can do. */
const PAUSE_MS = 1;

export class Direction<T extends number> {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #onFault: (error: unknown) => void;
  readonly #beforeChunk: () => void;
  #stream: MessageStream<T>;
  #reading = true;
  #mayLookAway: boolean;
  /** Bytes since a chunk last ended with a message. */
  #streamed = 0;
  #lookingAway: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, handler: MessageHandler<T>, hooks: { onFault(error: unknown): void; beforeChunk?(): void }) {
    this.#from = from;
    this.#to = to;
    this.#stream = new MessageStream(handler);
    this.#mayLookAway = mayLookAway(from);
    this.#onFault = hooks.onFault;
    this.#beforeChunk = hooks.beforeChunk ?? (() => undefined);
    from.on('data', this.#onData);
    to.on('drain', this.#onDrain);
  }

  get stream(): MessageStream<T> {
    return this.#stream;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#work(() => {
      this.#beforeChunk();
      this.#stream.push(chunk);
    });
    if (this.#mayLookAway) this.#lookAway(chunk.length);
  };

  #lookAway(bytes: number): void {
    this.#streamed = this.#stream.amidMessage ? this.#streamed + bytes : 0;
    if (this.#streamed < LARGE_BYTES || bytes >= FULL_READ_BYTES || this.#lookingAway !== undefined) return;
    this.#lookingAway = setTimeout(this.#lookBack, PAUSE_MS);
    this.#adjust();
  }

  readonly #lookBack = (): void => {
    this.#lookingAway = undefined;
    this.#adjust();
  };

  readonly #onDrain = (): void => {
    this.#adjust();
  };

  /** Feeds bytes that came before this direction was set up. */
  push(chunk: Buffer): void {
    this.#onData(chunk);
  }

  /** Goes on after a pause of the stream. */
  wake(): void {
    if (!this.#stream.paused) return;
    this.#work(() => {
      this.#beforeChunk();
      this.#stream.resume();
    });
  }

  detach(): void {
    this.#from.off('data', this.#onData);
    this.#to.off('drain', this.#onDrain);
    this.#mayLookAway = false;
    clearTimeout(this.#lookingAway);
  }

  #work(run: () => void): void {
    // One write for all that a chunk brings, in either direction.
    this.#to.cork();
    this.#from.cork();
    try {
      run();
    } catch (error) {
      this.#onFault(error);
    } finally {
      this.#to.uncork();
      this.#from.uncork();
    }
    this.#adjust();
  }

  #adjust(): void {
    const read = !this.#stream.paused && this.#lookingAway === undefined && !this.#to.writableNeedDrain;
    if (read === this.#reading) return;
    this.#reading = read;
    if (read) this.#from.resume();
    else this.#from.pause();
  }
}
