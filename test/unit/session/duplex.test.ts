import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { AtHeader, AtMessage, type MessageHandler } from '../../../src/protocol/message-stream.ts';
import { connectDirect } from '../../../src/session/direct-reads.ts';
import { Direction } from '../../../src/session/duplex.ts';

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function pair(open: (port: number) => Socket): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server = createServer({ noDelay: true });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = open((server.address() as AddressInfo).port);
  const [far] = await accepted;
  if (near.connecting) await once(near, 'connect');
  sockets.push(near, far);
  return { near, far };
}

class Counting implements MessageHandler<number> {
  readonly forwarded: Buffer[] = [];
  onHeader(): AtHeader {
    return AtHeader.Forward;
  }
  onMessage(): AtMessage {
    return AtMessage.Forward;
  }
  forward(bytes: Buffer): void {
    this.forwarded.push(bytes);
  }
  get bytes(): Buffer {
    return Buffer.concat(this.forwarded);
  }
}

const PIECE = 8192;
const PIECES = 512;

/** One message, as large as a result: its pieces come one by one, with a turn of the event loop between them. */
function largeMessage(): Buffer {
  const bytes = Buffer.alloc(PIECE * PIECES, 'pieces of different content. ');
  bytes.write('D', 0, 'latin1');
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
}

async function sendInPieces(far: Socket, message: Buffer, from = 0, to = PIECES): Promise<void> {
  for (let i = from; i < to; i++) {
    far.write(message.subarray(i * PIECE, (i + 1) * PIECE));
    await turn();
  }
}

const open = (port: number): Socket => connectDirect({ host: '127.0.0.1', port });
const toClient = (): Promise<{ near: Socket; far: Socket }> => pair((port) => connect({ host: '127.0.0.1', port }));

test('a large result is read in larger pieces than it comes in, and arrives as it was sent', async () => {
  const server = await pair(open);
  const client = await toClient();
  const handler = new Counting();
  new Direction(server.near, client.near, handler, { onFault: (error) => expect.unreachable(String(error)) });
  const message = largeMessage();
  await sendInPieces(server.far, message);
  await expect.poll(() => handler.bytes.length).toBe(message.length);
  expect(handler.bytes.equals(message)).toBe(true);
  expect(handler.forwarded.length).toBeLessThan(PIECES / 4);
});

test('nothing is read any more once it is detached, also if it was looking away then, and nothing is lost for the next', async () => {
  const server = await pair(open);
  const client = await toClient();
  const handler = new Counting();
  const direction = new Direction(server.near, client.near, handler, { onFault: (error) => expect.unreachable(String(error)) });
  const message = largeMessage();
  // It looks away behind 256 KiB.
  await sendInPieces(server.far, message, 0, 48);
  await expect.poll(() => handler.bytes.length).toBe(48 * PIECE);
  await sendInPieces(server.far, message, 48, 56);
  direction.detach();
  server.near.pause();
  const seen = handler.bytes.length;
  await sendInPieces(server.far, message, 56);
  await sleep(20);
  expect(handler.bytes.length).toBe(seen);
  const rest: Buffer[] = [];
  server.near.on('data', (chunk: Buffer) => rest.push(chunk));
  server.near.resume();
  await expect.poll(() => seen + Buffer.concat(rest).length).toBe(message.length);
  expect(Buffer.concat([handler.bytes, ...rest]).equals(message)).toBe(true);
});

test('what comes while nobody listens waits for whoever does', async () => {
  const { near, far } = await pair(open);
  far.write('first ');
  await expect.poll(() => near.readableLength).toBe(6);
  const chunks: Buffer[] = [];
  near.on('data', (chunk: Buffer) => chunks.push(chunk));
  await expect.poll(() => Buffer.concat(chunks).toString()).toBe('first ');
  far.write('second');
  await expect.poll(() => Buffer.concat(chunks).toString()).toBe('first second');
});
