import { createServer, type Server, type Socket } from 'node:net';
import { ClientConnection } from './connection.ts';
import { beginDraining, SHUTTING_DOWN } from './drain.ts';
import { IdleWatch } from './idle-watch.ts';
import type { ServiceGate } from './service-gate.ts';

/** Accepts clients, looks after those that are idle, and sees them off at the end. */
export class Listener {
  readonly #gate: ServiceGate;
  readonly #server: Server;
  readonly #connections = new Set<ClientConnection>();
  readonly #idleWatch: IdleWatch;
  #noSessions: () => void = () => undefined;

  constructor(gate: ServiceGate) {
    this.#gate = gate;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#idleWatch = new IdleWatch(() => gate.config.limits.idleTimeoutMs, () => this.#sessions());
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
        this.#idleWatch.start();
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /**
   * No new sessions; resolves when the last one has ended, or after `limitMs`, or when `hurry` is called. Connections are still
   * accepted: for an answer that tells why, and for cancel requests.
   */
  async drain(limitMs: number): Promise<void> {
    this.#gate.draining = true;
    beginDraining(this.#connections);
    if (this.#sessionCount() === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#noSessions = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Whoever waits in `drain` waits no more. */
  hurry(): void {
    this.#noSessions();
  }

  /** No new clients; those that are there get a last message. */
  close(): Promise<void> {
    this.#idleWatch.stop();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.shutdown(SHUTTING_DOWN);
    return closed;
  }

  #accept(socket: Socket): void {
    socket.setKeepAlive(true, this.#gate.config.limits.tcpKeepaliveMs);
    const connection = new ClientConnection(socket, this.#gate, { onClosed: (each) => this.#closed(each) });
    this.#connections.add(connection);
    this.#gate.admission.arrive(connection);
  }

  #closed(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#gate.draining && this.#sessionCount() === 0) this.#noSessions();
  }

  *#sessions(): Generator<ClientConnection> {
    for (const connection of this.#connections) if (connection.session !== undefined) yield connection;
  }

  #sessionCount(): number {
    return [...this.#sessions()].length;
  }
}
