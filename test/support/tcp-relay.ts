import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay on the loopback address that can delay, hold, cut and refuse: a network between two real programs. */
export class TcpRelay {
  /** Where new connections go. */
  target: { readonly port: number };
  /** Each direction is held up for so long. */
  delayMs = 0;
  #server: Server | undefined;
  #port = 0;
  #blackholed = false;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  constructor(target: { readonly port: number }) {
    this.target = target;
  }

  get port(): number {
    return this.#port;
  }

  static async start(targetPort: number): Promise<TcpRelay> {
    const relay = new TcpRelay({ port: targetPort });
    await relay.accept();
    return relay;
  }

  accept(): Promise<void> {
    return new Promise((resolve, reject) => {
      const server = createServer((client) => this.#join(client));
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', () => {
        const address = server.address();
        if (typeof address === 'object' && address !== null) this.#port = address.port;
        this.#server = server;
        resolve();
      });
    });
  }

  /** No new connections: they are refused. */
  refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    return new Promise((resolve) => {
      if (server === undefined) resolve();
      else server.close(() => resolve());
      this.cut();
    });
  }

  /** Ends what is connected. */
  cut(): void {
    for (const [a, b] of this.#pairs) {
      a.destroy();
      b.destroy();
    }
  }

  /** Packets vanish; nobody is told. */
  blackhole(on: boolean): void {
    this.#blackholed = on;
    // What was swallowed is missing from the stream: its connections cannot go on.
    if (!on) this.cut();
  }

  async stop(): Promise<void> {
    await this.refuse();
  }

  #join(client: Socket): void {
    client.setNoDelay(true);
    const server = connect({ port: this.target.port, host: '127.0.0.1', noDelay: true });
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.on('error', end);
      from.on('close', end);
      from.on('data', (chunk: Buffer) => {
        if (this.#blackholed) return;
        if (this.delayMs === 0) to.write(chunk);
        else setTimeout(() => to.writable && to.write(chunk), this.delayMs);
      });
    }
  }
}
