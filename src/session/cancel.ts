/** CancelRequest towards the server: a connection of its own that carries one packet ("Canceling Requests in Progress"). */

import type { Socket } from 'node:net';
import { connectUpstream, type UpstreamAddress } from './upstream.ts';

/**
 * Sends the packet and resolves when the server closed the connection, by which time it has signalled the backend
 * (`ProcessCancelRequestPacket` signals before the connection is dropped). Resolves also on failure or after
 * `timeoutMs`: a cancel is best effort, and whoever waits goes on by draining.
 */
export async function sendCancelRequest(address: UpstreamAddress, packet: Buffer, timeoutMs: number): Promise<void> {
  let socket: Socket;
  try {
    // Encrypted as the session is: who can read the key can cancel.
    socket = await connectUpstream(address, timeoutMs);
  } catch {
    return;
  }
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    socket.on('data', () => undefined); // the server answers nothing; reading lets 'end' come
    socket.on('end', done);
    socket.on('close', done);
    socket.on('error', done);
    socket.write(packet);
  });
}
