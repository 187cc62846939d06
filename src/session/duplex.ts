/**
 * One direction of a connection: bytes from a socket through a message stream. It reads only while the other side takes
 * what it is given and the stream is not paused, so a slow reader keeps one read buffer and one write buffer, not more.
 */

import type { Socket } from 'node:net';
import { MessageStream, type MessageHandler } from '../protocol/message-stream.ts';

export class Direction<T extends number> {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #onFault: (error: unknown) => void;
  readonly #beforeChunk: () => void;
  #stream: MessageStream<T>;
  #reading = true;

  constructor(from: Socket, to: Socket, handler: MessageHandler<T>, hooks: { onFault(error: unknown): void; beforeChunk?(): void }) {
    this.#from = from;
    this.#to = to;
    this.#stream = new MessageStream(handler);
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
    const read = !this.#stream.paused && !this.#to.writableNeedDrain;
    if (read === this.#reading) return;
    this.#reading = read;
    if (read) this.#from.resume();
    else this.#from.pause();
  }
}
