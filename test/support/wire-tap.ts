/** Every byte that a server sends for each statement, over a connection of `pg` whose socket is listened to. */

import { Client } from 'pg';

export class WireTap {
  readonly #port: number;
  readonly #user: string;

  constructor(port: number, user: string) {
    this.#port = port;
    this.#user = user;
  }

  /** Bytes that came back for each statement, one after the other in one session. Process ids and keys are not among them. */
  async runAll(statements: readonly string[]): Promise<Buffer[]> {
    const client = new Client({ host: '127.0.0.1', port: this.#port, user: this.#user, password: 'secret', database: 'postgres', application_name: 'tap' });
    await client.connect();
    const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection;
    let chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const answers: Buffer[] = [];
    for (const [i, text] of statements.entries()) {
      chunks = [];
      // Simple and extended protocol in turn.
      await client.query(i % 2 === 0 ? text : { text, queryMode: 'extended' } as never).catch(() => undefined);
      // pg answers at the error; ReadyForQuery may come in a read of its own.
      while (!endsReady(Buffer.concat(chunks))) await new Promise((resolve) => stream.once('data', resolve));
      answers.push(Buffer.concat(chunks));
    }
    await client.end();
    return answers;
  }
}

/** ReadyForQuery: 'Z', length 5, one status byte. */
function endsReady(bytes: Buffer): boolean {
  return bytes.length >= 6 && bytes.subarray(-6, -1).equals(Buffer.from([0x5a, 0, 0, 0, 5]));
}
