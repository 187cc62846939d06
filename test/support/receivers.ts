/** Real receivers of alerts and audit records on the loopback: HTTP, and syslog over TCP, TLS and UDP. */

import { createSocket } from 'node:dgram';
import { createServer as createHttp, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { once } from 'node:events';

export interface Posted {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpReceiver {
  readonly url: string;
  readonly port: number;
  readonly posted: readonly Posted[];
  /** The status of each answer from now on; `hang` answers nothing. */
  answer: number | 'hang';
  stop(): Promise<void>;
}

export async function startHttpReceiver(options: { readonly port?: number; readonly tls?: { readonly cert: string; readonly key: string } } = {}): Promise<HttpReceiver> {
  const posted: Posted[] = [];
  const receiver = { answer: 200 as number | 'hang' };
  const handle = (request: NodeJS.ReadableStream & { url?: string | undefined; headers: IncomingHttpHeaders }, response: ServerResponse): void => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => { body += chunk; });
    request.on('end', () => {
      if (receiver.answer === 'hang') return;
      if (receiver.answer < 300) posted.push({ path: request.url ?? '', headers: request.headers, body });
      response.writeHead(receiver.answer, receiver.answer >= 300 && receiver.answer < 400 ? { location: '/elsewhere' } : {}).end('ok');
    });
  };
  const server = options.tls === undefined ? createHttp(handle) : createHttps(options.tls, handle);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return Object.assign(receiver, {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    posted,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
    },
  });
}

export interface SyslogReceiver {
  readonly port: number;
  readonly messages: readonly string[];
  /** Cuts the connections that are open; new ones are taken. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startSyslogReceiver(options: { readonly tls?: { readonly cert: string; readonly key: string }; readonly port?: number } = {}): Promise<SyslogReceiver> {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  const take = (socket: Socket): void => {
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      // RFC 6587, 3.4.1: MSG-LEN SP SYSLOG-MSG, with the length in octets.
      for (;;) {
        const space = rest.indexOf(0x20);
        if (space === -1) return;
        const length = Number(rest.toString('latin1', 0, space));
        if (!Number.isInteger(length) || length <= 0) throw new Error(`not octet counting: ${rest.toString('latin1', 0, 40)}`);
        if (rest.length < space + 1 + length) return;
        messages.push(rest.toString('utf8', space + 1, space + 1 + length));
        rest = rest.subarray(space + 1 + length);
      }
    });
  };
  const server: Server = options.tls === undefined ? createTcp(take) : createTls(options.tls, take);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => { for (const socket of sockets) socket.destroy(); };
  return {
    port: (server.address() as { port: number }).port,
    messages,
    cut,
    async stop() {
      cut();
      await new Promise((resolve) => { server.close(resolve); });
    },
  };
}

export async function startUdpReceiver(): Promise<SyslogReceiver> {
  const messages: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message) => messages.push(message.toString('utf8')));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    messages,
    cut: () => undefined,
    async stop() {
      await new Promise<void>((resolve) => { socket.close(() => resolve()); });
    },
  };
}
