/**
 * Reads of connections to servers, past the stream that Node.js puts on a socket: into one buffer of the process, and copied from it at once. So a read
 * takes what has come in one system call, and a connection that is paused is not read from at all.
 */

import { chunkWithRoom } from '../protocol/chunk-room.ts';
import { connect, type Socket, type TcpSocketConnectOpts, type IpcSocketConnectOpts } from 'node:net';

/** What one system call may bring. */
const READ_BYTES = 256 * 1024;
/** A server sends a large result in pieces of 8 KiB. What is much shorter is an answer of its own, and seldom ends within a row. */
const PIECE_BYTES = 4096;
/** Nothing stays in it: what was read is copied out before anything else runs. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const unhurried = new WeakSet<Socket>();

/** As `net.connect`; what comes in is emitted as `data` as ever. */
export function connectDirect(options: TcpSocketConnectOpts | IpcSocketConnectOpts): Socket {
  const callback = (bytes: number): boolean => {
    // Memory of its own: what a session keeps of a chunk must not hold on to the pool that all share.
    const chunk = bytes < PIECE_BYTES ? Buffer.allocUnsafeSlow(bytes) : chunkWithRoom(bytes);
    shared.copy(chunk, 0, 0, bytes);
    // Between two of those who listen there may be nobody.
    if (socket.listenerCount('data') > 0 && socket.readableLength === 0) socket.emit('data', chunk);
    else socket.push(chunk);
    return true;
  };
  const socket = connect({ ...options, onread: { buffer: shared, callback } });
  // TCP's buffers grow with what is read at a time. A Unix socket's hold 208 KiB, and its server would stand still.
  if (!('path' in options)) unhurried.add(socket);
  return socket;
}

/** What comes during a short pause waits in the kernel for one read, and the server goes on. */
export function mayLookAway(socket: Socket): boolean {
  return unhurried.has(socket);
}
