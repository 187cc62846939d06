import type { Client } from 'pg';
import { startPostgres } from '../../support/postgres.ts';

export interface TestServer {
  readonly port: number;
  connect(user?: string, database?: string): Promise<Client>;
  stop(): Promise<void>;
}

/** A real PostgreSQL in a directory of its own, with an ordinary login `catalog` besides the superuser. */
export async function startServer(): Promise<TestServer> {
  const server = await startPostgres();
  const admin = await server.connect();
  await admin.query(`CREATE ROLE catalog LOGIN PASSWORD 'secret'`);
  await admin.end();
  return server;
}
