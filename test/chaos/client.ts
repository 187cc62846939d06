/** A session that sends raw messages and hands every protected row to the observer as it arrives, also of statements that never end. */

import type { Socket } from 'node:net';
import { Client } from 'pg';
import type { Observer } from './observer.ts';

export interface Step {
  readonly bytes: Buffer;
  /** ReadyForQuery messages that answer it. */
  readonly ready: number;
}

export interface WireError {
  readonly severity: string;
  readonly code: string;
  readonly text: string;
}

export interface StepResult {
  readonly errors: readonly WireError[];
  readonly rows: number;
  /** The connection ended before the answer did. */
  readonly lost: boolean;
}

const DATA_ROW = 0x44;
const COPY_DATA = 0x64;
const ERROR = 0x45;
const READY = 0x5a;

export class ChaosClient {
  readonly #socket: Socket;
  readonly #principal: string;
  readonly #port: number;
  readonly #observer: Observer;
  #rest: Buffer = Buffer.alloc(0);
  #protected = false;
  #readyLeft = 0;
  #rows = 0;
  #errors: WireError[] = [];
  #closed = false;
  #done: () => void = () => undefined;
  /** Close the connection when so many rows of a statement have come: a client that runs away in the middle. */
  leaveAfterRows = Infinity;

  private constructor(socket: Socket, port: number, principal: string, observer: Observer) {
    this.#socket = socket;
    this.#port = port;
    this.#principal = principal;
    this.#observer = observer;
    for (const event of ['data', 'error', 'close', 'end']) socket.removeAllListeners(event);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#done();
    });
  }

  static async connect(port: number, principal: string, observer: Observer): Promise<ChaosClient> {
    const client = new Client({ host: '127.0.0.1', port, user: principal, password: 'secret', database: 'postgres', connectionTimeoutMillis: 10_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
    const { connection } = client as unknown as { readonly connection: { readonly stream: Socket } };
    return new ChaosClient(connection.stream, port, principal, observer);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** `isProtected`: rows that come are about people. */
  async run({ bytes, ready }: Step, isProtected: boolean, timeoutMs: number): Promise<StepResult> {
    this.#protected = isProtected;
    this.#readyLeft = ready;
    this.#rows = 0;
    this.#errors = [];
    if (!this.#closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => this.#socket.destroy(), timeoutMs);
        this.#done = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#socket.write(bytes);
      });
    }
    return { errors: this.#errors, rows: this.#rows, lost: this.#closed };
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const nowMs = performance.now();
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (data.length - at >= 5) {
      const end = at + 1 + data.readInt32BE(at + 1);
      if (end > data.length) break;
      this.#onMessage(data[at] as number, data.subarray(at + 5, end), nowMs);
      at = end;
    }
    this.#rest = data.subarray(at);
  }

  #onMessage(type: number, body: Buffer, nowMs: number): void {
    if ((type === DATA_ROW || type === COPY_DATA) && this.#protected) {
      this.#rows += 1;
      // The first column is the customer's number, in each statement of the run.
      const first = type === DATA_ROW ? body.toString('latin1', 6, 6 + body.readInt32BE(2)) : (/^\d+/u.exec(body.toString('latin1', 0, 16))?.[0] ?? '');
      this.#observer.row(this.#principal, Number(first), this.#port, nowMs);
      if (this.#rows >= this.leaveAfterRows) this.#socket.destroy();
    } else if (type === ERROR) {
      const fields = new Map(body.toString('utf8').split('\0').map((field) => [field[0] ?? '', field.slice(1)]));
      this.#errors.push({ severity: fields.get('V') ?? '', code: fields.get('C') ?? '', text: fields.get('M') ?? '' });
    } else if (type === READY) {
      this.#readyLeft -= 1;
      if (this.#readyLeft === 0) this.#done();
    }
  }
}
