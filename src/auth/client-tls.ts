/** TLS towards clients. One `tls.Server` that never listens does the handshakes, so that certificate checks and reloads are Node's own. */

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TlsOptions, type TLSSocket } from 'node:tls';
import type { ListenTlsConfig } from '../policy/config.ts';
import { readListenTls, type TlsMaterial } from './tls-files.ts';

/** The name of PostgreSQL's protocol in ALPN (`PG_ALPN_PROTOCOL`, src/include/libpq/pqcomm.h). */
export const ALPN = 'postgresql';

export class ClientTls {
  readonly #config: ListenTlsConfig;
  readonly #server: Server;
  readonly #waiting = new Map<string, { resolve(socket: TLSSocket): void; reject(error: Error): void }>();
  #material: TlsMaterial;

  /** Throws `TlsFileError` if a file cannot be used. */
  constructor(config: ListenTlsConfig) {
    this.#config = config;
    this.#material = readListenTls(config);
    this.#server = createServer(serverOptions(config, this.#material));
    this.#server.on('secureConnection', (socket: TLSSocket) => this.#settle(socket, undefined));
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => this.#settle(socket, error));
  }

  get mode(): ListenTlsConfig['mode'] {
    return this.#config.mode;
  }

  /** High-entropy and the same in every process that serves under this name. */
  get privateKey(): Buffer {
    return this.#material.key as Buffer;
  }

  /** Reads the files again. True if new ones are in use from now on; throws `TlsFileError` and keeps the old ones if they cannot be used. */
  reload(): boolean {
    const material = readListenTls(this.#config);
    if (material.sha256 === this.#material.sha256) return false;
    this.#server.setSecureContext(serverOptions(this.#config, material));
    this.#material = material;
    return true;
  }

  /** Does the handshake on a connection from which nothing is read any more; `first` are bytes of it that were read already. */
  secure(raw: Socket, first: Buffer): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const key = endpoints(raw);
      if (key === undefined) {
        reject(new Error('the client has hung up'));
        return;
      }
      const gone = (): void => this.#take(key)?.reject(new Error('the client hung up during the TLS handshake'));
      raw.once('close', gone);
      this.#waiting.set(key, {
        resolve: (socket) => {
          raw.off('close', gone);
          resolve(socket);
        },
        reject,
      });
      raw.pause();
      if (first.length > 0) raw.unshift(first);
      // "This event can also be explicitly emitted by users to inject connections into the TLS server" (Node.js, tls.Server).
      this.#server.emit('connection', raw);
    });
  }

  #settle(socket: TLSSocket, error: Error | undefined): void {
    const key = endpoints(socket);
    const waiting = key === undefined ? undefined : this.#take(key);
    if (error !== undefined) {
      socket.destroy();
      waiting?.reject(error);
    } else if (waiting === undefined) socket.destroy();
    else waiting.resolve(socket);
  }

  #take(key: string): { resolve(socket: TLSSocket): void; reject(error: Error): void } | undefined {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    return waiting;
  }
}

/** Two connections that are open at a time differ in one of these. */
function endpoints(socket: Socket): string | undefined {
  if (socket.remoteAddress === undefined) return undefined;
  return `${socket.remoteAddress} ${socket.remotePort ?? 0} ${socket.localAddress ?? ''} ${socket.localPort ?? 0}`;
}

function serverOptions(config: ListenTlsConfig, material: TlsMaterial): TlsOptions {
  const verify = config.mode === 'verify-client';
  return {
    cert: material.cert,
    key: material.key,
    ...(verify ? { ca: material.ca } : {}),
    requestCert: verify,
    // A client without a valid certificate is told so in words, once it has said whom it wants to be (`authorized` is looked at there).
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ALPNProtocols: [ALPN],
    // As PostgreSQL does (be_tls_init, be-secure-openssl.c): no renegotiation, no session tickets.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
    sessionIdContext: 'rowgate',
  };
}
