import { createServer, type Server, type Socket } from 'node:net';
import type { Config } from '../policy/config.ts';
import { ClientConnection } from './connection.ts';
import { beginDraining, SHUTTING_DOWN } from './drain.ts';
import { IdleWatch } from './idle-watch.ts';
import { AddressRanges, peerOf, type Peer } from './peer.ts';
import { ProxiedClient } from './proxied-client.ts';
import type { ServiceGate } from './service-gate.ts';
import { listenOnSocket, socketPath } from './unix-socket.ts';

/** Accepts clients, looks after those that are idle, and sees them off at the end. */
export class Listener {
  readonly #gate: ServiceGate;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<ClientConnection>();
  readonly #idleWatch: IdleWatch;
  /** Their PROXY header has not come. */
  readonly #proxied = new Set<ProxiedClient>();
  readonly #speakForOthers: AddressRanges;
  #noSessions: () => void = () => undefined;

  constructor(gate: ServiceGate) {
    this.#gate = gate;
    this.#idleWatch = new IdleWatch(() => gate.config.limits.idleTimeoutMs, () => this.#sessions());
    this.#speakForOthers = new AddressRanges(gate.config.listen.proxyFrom);
  }

  get connections(): ReadonlySet<ClientConnection> {
    return this.#connections;
  }

  /** Resolves with the TCP port that is listened on. */
  async listen({ host, port, socket }: Config['listen']): Promise<number> {
    const server = this.#server();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address();
    const actual = typeof address === 'object' && address !== null ? address.port : port;
    if (socket !== undefined) await listenOnSocket(this.#server(), socketPath(socket.directory, actual), socket.mode);
    for (const each of this.#servers) each.on('error', (error) => this.#gate.connections.fault(error));
    this.#idleWatch.start();
    return actual;
  }

  #server(): Server {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#servers.push(server);
    return server;
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
  async close(): Promise<void> {
    this.#idleWatch.stop();
    // A Unix socket's file goes with its server.
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const each of this.#proxied) each.turnAway(SHUTTING_DOWN);
    for (const connection of this.#connections) connection.shutdown(SHUTTING_DOWN);
    await Promise.all(closed);
  }

  #accept(socket: Socket): void {
    const { limits } = this.#gate.config;
    if (socket.remoteAddress !== undefined) socket.setKeepAlive(true, limits.tcpKeepaliveMs);
    if (!this.#speakForOthers.has(socket)) {
      this.#connected(socket, peerOf(socket));
      return;
    }
    const left = (): void => {
      this.#proxied.delete(proxied);
      this.#gate.admission.leave(proxied);
    };
    const proxied = new ProxiedClient(socket, limits.authTimeoutMs, {
      onPeer: (peer) => {
        left();
        this.#connected(socket, peer);
      },
      onRefused: (reason) => {
        left();
        this.#gate.connections.proxyHeaderRefused(reason, proxied.address);
      },
      onGone: left,
    });
    this.#proxied.add(proxied);
    this.#gate.admission.arrive(proxied);
  }

  #connected(socket: Socket, peer: Peer): void {
    const connection = new ClientConnection(socket, peer, this.#gate, { onClosed: (each) => this.#closed(each) });
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
