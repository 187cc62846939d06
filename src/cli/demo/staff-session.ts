/** A login's session, as `psql` would have it. Rows are looked at one by one as they arrive: what is counted here has left the database for good. */

import { Client, DatabaseError, Query } from 'pg';

export interface Refused {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

export interface Outcome {
  readonly columns: readonly string[];
  /** Rows and lines of COPY that arrived, also before an error. */
  readonly rows: number;
  readonly bytes: number;
  readonly first: readonly (readonly (string | null)[])[];
  readonly refused: Refused | undefined;
  readonly seconds: number;
}

export type OnRow = (row: readonly (string | null)[]) => void;

const KEPT_ROWS = 5;

/** Values as the server sends them, so that they are shown as they arrived. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

export class StaffSession {
  readonly name: string;
  readonly #client: Client;

  private constructor(name: string, client: Client) {
    this.name = name;
    this.#client = client;
  }

  static async open(name: string, port: number, password: string): Promise<StaffSession> {
    const client = new Client({ host: '127.0.0.1', port, user: name, password, database: 'postgres', application_name: 'demo' });
    // Rowgate ends sessions when it stops; a statement that is under way reports that by itself.
    client.on('error', () => undefined);
    await client.connect();
    return new StaffSession(name, client);
  }

  /** An error of the server is an outcome, too; a lost connection is thrown. */
  async run(sql: string, onRow: OnRow = () => undefined): Promise<Outcome> {
    const startedMs = performance.now();
    const first: (readonly (string | null)[])[] = [];
    let columns: readonly string[] = [];
    let rows = 0;
    let bytes = 0;
    const take = (row: readonly (string | null)[], size: number): void => {
      rows += 1;
      bytes += size;
      if (first.length < KEPT_ROWS) first.push(row);
      onRow(row);
    };
    const onCopyData = ({ chunk }: { readonly chunk: Buffer }): void => take(chunk.toString('utf8').trimEnd().split('\t'), chunk.length);
    const connection = (this.#client as unknown as { readonly connection: NodeJS.EventEmitter }).connection;
    connection.on('copyData', onCopyData);
    try {
      const refused = await new Promise<Refused | undefined>((resolve, reject) => {
        const config = { text: sql, rowMode: 'array', types: AS_TEXT };
        // Without a callback, pg keeps no row that it has handed to a listener.
        const query = this.#client.query(new Query(config));
        query.on('row', (row: (string | null)[], result) => {
          columns = result?.fields.map((field) => field.name) ?? columns;
          take(row, row.reduce((sum, cell) => sum + (cell === null ? 0 : Buffer.byteLength(cell)), 0));
        });
        query.on('end', () => resolve(undefined));
        query.on('error', (error) => (error instanceof DatabaseError ? resolve(refusedOf(error)) : reject(error)));
      });
      return { columns, rows, bytes, first, refused, seconds: (performance.now() - startedMs) / 1000 };
    } finally {
      connection.off('copyData', onCopyData);
    }
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

function refusedOf(error: DatabaseError): Refused {
  return { severity: error.severity ?? 'ERROR', sqlstate: error.code ?? '', message: error.message, detail: error.detail, hint: error.hint };
}
