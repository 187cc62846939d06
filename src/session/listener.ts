import { createServer, type Server, type Socket } from 'node:net';
import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import { ClientConnection } from './connection.ts';
import type { ServiceGate } from './service-gate.ts';

/** Accepts clients, up to the configured number. */
export class Listener {
  readonly #gate: ServiceGate;
  readonly #server: Server;
  readonly #connections = new Set<ClientConnection>();

  constructor(gate: ServiceGate) {
    this.#gate = gate;
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
  }

  get connections(): ReadonlySet<ClientConnection> {
    return this.#connections;
  }

  /** Resolves with the port that is listened on. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.#gate.fault(error));
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** No new clients; those that are there get a last message. */
  close(message: ErrorFields): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.shutdown(message);
    return closed;
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#gate.config.limits.maxSessions) {
      socket.on('error', () => undefined);
      socket.end(writeErrorResponse({ severity: 'FATAL', sqlstate: '53300', message: 'sorry, too many clients already' }));
      socket.destroySoon();
      return;
    }
    this.#connections.add(
      new ClientConnection(socket, this.#gate, { onClosed: (connection) => this.#connections.delete(connection) }),
    );
  }
}
