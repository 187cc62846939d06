/** Single bytes on a socket, before there is a session. */

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { writeSslRequest, writeStartupMessage } from '../../src/protocol/startup.ts';
import type { WireMessage } from './wire-client.ts';

export class RawConnection {
  readonly socket: Socket;
  #data: Buffer = Buffer.alloc(0);
  ended = false;
  error: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#data = Buffer.concat([this.#data, chunk]);
      this.#wake();
    });
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.ended = true;
        this.#wake();
      });
    }
    socket.on('error', (error) => {
      this.error = error;
      this.ended = true;
      this.#wake();
    });
  }

  get received(): Buffer {
    return this.#data;
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  startup(user: string, database = 'postgres', more: Readonly<Record<string, string>> = {}): void {
    this.send(writeStartupMessage(0, Object.entries({ user, database, ...more })));
  }

  /** Waits until so many bytes are there or the peer has hung up. */
  async bytes(count: number, timeoutMs = 10_000): Promise<Buffer> {
    await this.#until(() => this.#data.length >= count, timeoutMs);
    const taken = this.#data.subarray(0, count);
    this.#data = this.#data.subarray(taken.length);
    return taken;
  }

  /** The next message; undefined if the peer hangs up without one. */
  async message(timeoutMs = 10_000): Promise<WireMessage | undefined> {
    const whole = (): boolean => this.#data.length >= 5 && this.#data.length >= 1 + this.#data.readInt32BE(1);
    await this.#until(whole, timeoutMs);
    if (!whole()) return undefined;
    const end = 1 + this.#data.readInt32BE(1);
    const message = { type: String.fromCharCode(this.#data[0] as number), body: this.#data.subarray(5, end) };
    this.#data = this.#data.subarray(end);
    return message;
  }

  async end(timeoutMs = 10_000): Promise<void> {
    await this.#until(() => false, timeoutMs);
    if (!this.ended) throw new Error('the peer did not hang up');
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #until(done: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!done() && !this.ended) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`nothing came within ${timeoutMs} ms; so far: ${JSON.stringify(this.#data.toString('latin1'))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

export function openRaw(port: number): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new RawConnection(socket));
    });
  });
}

/** TLS on an open socket. */
export function handshake(socket: Socket, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const encrypted = connectTls({ ...options, socket });
    encrypted.once('error', reject);
    encrypted.once('secureConnect', () => {
      encrypted.off('error', reject);
      resolve(encrypted);
    });
  });
}

/** SSLRequest, then TLS. */
export async function openTls(port: number, options: ConnectionOptions): Promise<RawConnection> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connectTcp({ port, host: '127.0.0.1', noDelay: true }, () => resolve(opened));
    opened.once('error', reject);
  });
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject);
  });
  socket.write(writeSslRequest());
  const byte = await answer;
  if (byte.toString('latin1') !== 'S') throw new Error(`SSLRequest was answered with ${byte.toString('latin1')}`);
  return new RawConnection(await handshake(socket, options));
}

/** Fields of an ErrorResponse by their letter. */
export function errorFields(message: WireMessage | undefined): Readonly<Record<string, string>> {
  if (message?.type !== 'E') throw new Error(`expected an ErrorResponse, got ${message === undefined ? 'nothing' : message.type}`);
  return Object.fromEntries(message.body.toString('utf8').split('\0').filter((part) => part !== '').map((part) => [part.charAt(0), part.slice(1)]));
}
