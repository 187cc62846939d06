/** Two ends of a connection in memory, with what a session uses of `net.Socket`. */

import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';

export class MemorySocket extends Duplex {
  readonly #onWritten: (chunk: Buffer) => void;
  /** The session said that it is through with this end. */
  over = false;

  constructor(onWritten: (chunk: Buffer) => void) {
    super({ allowHalfOpen: true });
    this.#onWritten = onWritten;
    this.on('error', () => undefined);
  }

  get socket(): Socket {
    return this as unknown as Socket;
  }

  /** What the other end sends. */
  arrive(chunk: Buffer): void {
    if (!this.over && !this.destroyed) this.push(chunk);
  }

  destroySoon(): void {
    this.over = true;
    this.destroy();
  }

  override _read(): void {
    // Bytes arrive by themselves.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#onWritten(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.over = true;
    done();
  }
}
