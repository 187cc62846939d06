import type { Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { ALPN } from '../auth/client-tls.ts';
import type { UpstreamTls } from '../auth/upstream-tls.ts';
import { writeSslRequest } from '../protocol/startup.ts';
import { connectDirect } from './direct-reads.ts';
import { connectTarget, isSocketDirectory } from './unix-socket.ts';

export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamTls;
}

const YES = 'S'.charCodeAt(0);
const NO = 'N'.charCodeAt(0);

/** Opens a connection to the server, encrypted as configured, or rejects with the reason. */
export function connectUpstream(address: UpstreamAddress, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const raw = connectDirect({ ...connectTarget(address), noDelay: true, keepAlive: true });
    const timer = setTimeout(() => raw.destroy(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      raw.destroy();
      reject(error);
    };
    const done = (socket: Socket): void => {
      clearTimeout(timer);
      raw.off('error', failed);
      raw.off('close', hungUp);
      // Errors of the connection below are told by the encrypted one.
      if (socket !== raw) raw.on('error', () => undefined);
      resolve(socket);
    };
    const hungUp = (): void => failed(new Error('the server closed the connection while encryption was asked for'));
    raw.once('error', failed);
    raw.once('close', hungUp);
    raw.once('connect', () => {
      // As libpq: nobody listens in on a Unix socket, and the server offers no TLS there.
      if (address.tls.mode === 'disable' || isSocketDirectory(address.host)) done(raw);
      else if (address.tls.direct) handshake(raw, address, done, failed);
      else askForTls(raw, address, done, failed);
    });
  });
}

/** SSLRequest is answered with one byte ("SSL Session Encryption"). */
function askForTls(raw: Socket, address: UpstreamAddress, done: (socket: Socket) => void, failed: (error: Error) => void): void {
  raw.once('data', (answer: Buffer) => {
    // What comes behind it in plain text was put there by somebody else (CVE-2021-23222). An error text from an unproven server is not passed on, either.
    if (answer.length === 1 && answer[0] === YES) handshake(raw, address, done, failed);
    else if (answer.length === 1 && answer[0] === NO && address.tls.mode === 'prefer') done(raw);
    else if (answer.length === 1 && answer[0] === NO) failed(new Error(`the server does not take TLS connections, and upstream.tls.mode is ${address.tls.mode}`));
    else failed(new Error('the server gave no proper answer to the request for TLS'));
  });
  raw.write(writeSslRequest());
}

function handshake(raw: Socket, address: UpstreamAddress, done: (socket: Socket) => void, failed: (error: Error) => void): void {
  const socket = connectTls({ ...address.tls.connectOptions(address.host), socket: raw, ALPNProtocols: [ALPN] });
  socket.once('error', failed);
  socket.once('secureConnect', () => {
    socket.off('error', failed);
    if (address.tls.direct && socket.alpnProtocol !== ALPN) {
      // `direct` must reach something that speaks this protocol (CVE class ALPACA).
      socket.destroy();
      failed(new Error('the server does not speak PostgreSQL\'s protocol over TLS (no ALPN)'));
      return;
    }
    socket.setNoDelay(true);
    done(socket);
  });
}

/** The server's certificate in DER, if the connection is encrypted. */
export function serverCertificate(socket: Socket): Buffer | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
}

/** An open connection as `pg` takes it: it calls `connect` on its stream and waits for the event. */
export async function connectForPg(address: UpstreamAddress, timeoutMs: number): Promise<Socket> {
  const socket = await connectUpstream(address, timeoutMs);
  return Object.assign(socket, {
    connect: () => {
      process.nextTick(() => socket.emit('connect'));
      return socket;
    },
  });
}
