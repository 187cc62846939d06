/** A TCP (or Unix) connection that has said nothing yet, for what goes before and around a login. */

import { connect, type NetConnectOpts, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  static open(target: number | NetConnectOpts): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(typeof target === 'number' ? { host: '127.0.0.1', port: target } : target);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get received(): Buffer {
    return this.#received;
  }

  /** Resolves when `done` says so or the connection is closed; rejects after `timeoutMs`. */
  async until(done: (received: Buffer) => boolean, timeoutMs = 15_000): Promise<Buffer> {
    const deadline = Date.now() + timeoutMs;
    while (!done(this.#received) && !this.#closed) {
      if (Date.now() > deadline) throw new Error(`nothing came within ${timeoutMs} ms; so far ${JSON.stringify(this.#received.toString('latin1'))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#received;
  }

  /** Everything up to the end of the connection. */
  untilClosed(timeoutMs?: number): Promise<Buffer> {
    return this.until(() => false, timeoutMs);
  }
}

/** Severity, SQLSTATE and message of an ErrorResponse that begins the bytes. */
export function firstError(bytes: Buffer): { readonly severity: string; readonly sqlstate: string; readonly message: string } | undefined {
  if (bytes[0] !== 'E'.charCodeAt(0)) return undefined;
  const fields = new Map(bytes.toString('utf8', 5, 1 + bytes.readInt32BE(1)).split('\0').map((field) => [field[0] ?? '', field.slice(1)]));
  return { severity: fields.get('V') ?? '', sqlstate: fields.get('C') ?? '', message: fields.get('M') ?? '' };
}
