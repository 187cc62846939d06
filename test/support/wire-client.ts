/** A client that sends raw protocol messages and keeps every byte that it gets. `pg` logs in; then its socket is taken over. */

import type { Socket } from 'node:net';
import { Client } from 'pg';

export interface WireTarget {
  readonly port: number;
  readonly user: string;
  readonly database?: string;
  readonly options?: string;
  readonly clientEncoding?: string;
}

export interface WireMessage {
  readonly type: string;
  readonly body: Buffer;
}

function cstring(text: string | Buffer): Buffer {
  return Buffer.concat([typeof text === 'string' ? Buffer.from(text, 'utf8') : text, Buffer.from([0])]);
}

export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head[0] = type.charCodeAt(0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function int16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeInt16BE(value);
  return out;
}

function int32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
}

/** Messages of a client. Texts may be given as bytes, for encodings other than UTF-8. */
export const wire = {
  query: (sql: string | Buffer): Buffer => message('Q', cstring(sql)),
  /** `types`: oids of parameters' types, as Parse may declare them. */
  parse: (name: string | Buffer, sql: string | Buffer, types: readonly number[] = []): Buffer => message('P', cstring(name), cstring(sql), int16(types.length), ...types.map(int32)),
  /** `values`: of the parameters, as text. */
  bind: (portal: string | Buffer, statement: string | Buffer, binary = false, values: readonly string[] = []): Buffer =>
    message('B', cstring(portal), cstring(statement), int16(0), int16(values.length), ...values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)]), ...(binary ? [int16(1), int16(1)] : [int16(0)])),
  execute: (portal: string | Buffer, rows = 0): Buffer => message('E', cstring(portal), int32(rows)),
  describe: (kind: 'S' | 'P', name: string | Buffer): Buffer => message('D', Buffer.from(kind), cstring(name)),
  close: (kind: 'S' | 'P', name: string | Buffer): Buffer => message('C', Buffer.from(kind), cstring(name)),
  sync: message('S'),
  flush: message('H'),
  terminate: message('X'),
  copyData: (data: string): Buffer => message('d', Buffer.from(data)),
  copyDone: message('c'),
  /** Parse, Bind and Execute of one text under no name, without Sync. */
  run: (sql: string | Buffer): Buffer => Buffer.concat([wire.parse('', sql), wire.bind('', ''), wire.execute('')]),
};

export class WireClient {
  readonly #socket: Socket;
  readonly pid: number;
  readonly secret: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Unread tail of the message stream. */
  #rest: Buffer = Buffer.alloc(0);
  readonly messages: WireMessage[] = [];
  /** ReadyForQuery messages seen so far. */
  #ready = 0;
  closed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, pid: number, secret: number) {
    this.#socket = socket;
    this.pid = pid;
    this.secret = secret;
    socket.removeAllListeners('data');
    socket.removeAllListeners('error');
    socket.removeAllListeners('close');
    socket.removeAllListeners('end');
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async connect(target: WireTarget): Promise<WireClient> {
    const client = new Client({
      host: '127.0.0.1', port: target.port, user: target.user, password: 'secret', database: target.database ?? 'postgres',
      ...(target.options === undefined ? {} : { options: target.options }),
      ...(target.clientEncoding === undefined ? {} : { client_encoding: target.clientEncoding }),
    });
    client.on('error', () => undefined);
    await client.connect();
    const inner = client as unknown as { readonly connection: { readonly stream: Socket }; readonly processID: number; readonly secretKey: number };
    return new WireClient(inner.connection.stream, inner.processID, inner.secretKey);
  }

  #onData(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (data.length >= 5) {
      const end = 1 + data.readInt32BE(1);
      if (data.length < end) break;
      const type = String.fromCharCode(data[0] as number);
      this.messages.push({ type, body: data.subarray(5, end) });
      if (type === 'Z') this.#ready++;
      data = data.subarray(end);
    }
    this.#rest = data;
    this.#wake();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Everything received since the login. */
  received(): Buffer {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.closed) this.#socket.write(Buffer.concat(parts));
  }

  /** Sends, and waits for `ready` more ReadyForQuery messages, the connection's end, or the time-out. Returns the new messages. */
  async ask(parts: readonly Buffer[], ready = 1, timeoutMs = 8_000): Promise<readonly WireMessage[]> {
    const from = this.messages.length;
    const wanted = this.#ready + ready;
    this.send(...parts);
    await this.#until(() => this.#ready >= wanted, timeoutMs);
    return this.messages.slice(from);
  }

  query(sql: string | Buffer, timeoutMs = 8_000): Promise<readonly WireMessage[]> {
    return this.ask([wire.query(sql)], 1, timeoutMs);
  }

  /** Waits for one more message of the type. */
  async until(type: string, from: number, timeoutMs = 5_000): Promise<boolean> {
    return this.#until(() => this.messages.slice(from).some((each) => each.type === type), timeoutMs);
  }

  async #until(done: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (!done() && !this.closed) {
      const left = deadline - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return done();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async end(): Promise<void> {
    if (this.closed) return;
    this.send(wire.terminate);
    await this.#until(() => false, 200);
    this.#socket.destroy();
  }
}

/** Values of the DataRow messages, NULL as null. */
export function rowsOf(messages: readonly WireMessage[]): readonly (readonly (Buffer | null)[])[] {
  return messages.filter(({ type }) => type === 'D').map(({ body }) => {
    const values: (Buffer | null)[] = [];
    let at = 2;
    for (let i = body.readInt16BE(0); i > 0; i--) {
      const length = body.readInt32BE(at);
      at += 4;
      values.push(length < 0 ? null : body.subarray(at, at + length));
      if (length > 0) at += length;
    }
    return values;
  });
}

/** SQLSTATEs of the ErrorResponse messages. */
export function errorsOf(messages: readonly WireMessage[]): readonly string[] {
  return messages.filter(({ type }) => type === 'E').map(({ body }) => /(?:^|\0)C([^\0]+)\0/.exec(body.toString('latin1'))?.[1] ?? '?');
}
