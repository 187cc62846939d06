/** A real Rowgate process (the compiled one) in front of a test's PostgreSQL. */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { auditRecordSchema } from '../../src/audit/record-schema.ts';
import { freePort } from './free-port.ts';

export interface RowgateOptions {
  readonly postgresPort: number;
  /** Address and port to listen on; 127.0.0.1 and a free one if left out. */
  readonly host?: string;
  readonly port?: number;
  /** YAML of `store:`; in-process memory if left out. */
  readonly store?: string;
  /** YAML of the support role's quotas; 200 rows an hour if left out. */
  readonly quotas?: string;
  /** More keys of the support role. */
  readonly role?: string;
  /** More top-level YAML. */
  readonly extra?: string;
  readonly audit?: string;
  readonly packedUnitBytes?: number;
  /** YAML of `admin.people`. */
  readonly people?: string;
  /** More keys of `listen` and `upstream`, in flow style: `tls: { ... }`. */
  readonly listen?: string;
  readonly upstream?: string;
  readonly upstreamHost?: string;
  /** Another build's `main.js`. */
  readonly program?: string;
  /** A last change of the configuration's text. */
  readonly edit?: (text: string) => string;
  /** No key `upstream` at all. */
  readonly noUpstream?: boolean;
}

export interface TestRowgate {
  readonly port: number;
  readonly adminPort: number;
  readonly directory: string;
  readonly process: ChildProcess;
  readonly configPath: string;
  log(): readonly Record<string, unknown>[];
  connect(user?: string, options?: ClientConfig): Promise<Client>;
  audit(): readonly Record<string, unknown>[];
  metrics(): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export function configText(options: Omit<RowgateOptions, 'port'> & { readonly port: number; readonly adminPort: number; readonly directory: string }): string {
  return `version: 1
listen: { host: ${options.host ?? '127.0.0.1'}, port: ${options.port}${options.listen === undefined ? '' : `, ${options.listen}`} }
${options.noUpstream === true ? '# upstream: none' : `upstream: { host: ${options.upstreamHost ?? '127.0.0.1'}, port: ${options.postgresPort}${options.upstream === undefined ? '' : `, ${options.upstream}`} }`}
catalog: { user: rowgate, password: secret, refresh: 2s }
store: ${options.store ?? '{ memory: true }'}
audit: ${options.audit ?? `{ file: ${join(options.directory, 'audit.ndjson')} }`}
admin: { host: 127.0.0.1, port: ${options.adminPort}, token: test-token${options.people === undefined ? '' : `, people: ${options.people}`} }
classes:
  customers:
${options.packedUnitBytes === undefined ? '' : `    packed_unit_bytes: ${options.packedUnitBytes}\n`}    relations:
      crm.customers: { subject: id }
      crm.invoices: { subject: customer_id }
roles:
  support:
    members: [agent, "agent_*"]
    contact: data-protection@example.com
    ${options.role ?? ''}
    quotas: ${options.quotas ?? '[{ class: customers, window: 1h, rows: 200, action: block }]'}
  dba:
    members: [dba, postgres]
    quotas: []
${options.extra ?? ''}
`;
}

export async function startRowgate(options: RowgateOptions): Promise<TestRowgate> {
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-'));
  const port = options.port ?? (await freePort());
  const adminPort = await freePort();
  const configPath = join(directory, 'rowgate.yaml');
  const text = configText({ ...options, port, adminPort, directory });
  writeFileSync(configPath, options.edit?.(text) ?? text);
  const child = spawn(process.execPath, [options.program ?? 'dist/cli/main.js', 'serve', '-c', configPath], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString('utf8');
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
      if (out.includes('rowgate ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`rowgate exited with ${code}: ${err}${out}`)));
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    port,
    adminPort,
    directory,
    configPath,
    process: child,
    log: () => parseLines(out),
    audit: () => readAudit(join(directory, 'audit.ndjson')),
    async connect(user = 'agent', config = {}) {
      const client = new Client({ host: '127.0.0.1', port, user, password: 'secret', database: 'postgres', ...config });
      await client.connect();
      return client;
    },
    async metrics() {
      return (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      // A transaction that a test left open would be given time to end; a second signal gives it none.
      const again = setTimeout(() => child.kill(signal), 1_000);
      await exited;
      clearTimeout(again);
      const audit = join(directory, 'audit.ndjson');
      // Another version's records have the format of its time.
      if (options.program === undefined && existsSync(audit)) readAudit(audit);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Every record that a test sees, or that is there when it stops its Rowgate, has the published format. */
function readAudit(path: string): readonly Record<string, unknown>[] {
  // A test may have cut the file, or killed the writer: what is torn is no record.
  const records = parseLines(readFileSync(path, 'utf8').split('\n').filter((line) => line.endsWith('"}')).join('\n'));
  for (const record of records) {
    const { error } = auditRecordSchema.safeParse(record);
    if (error !== undefined) throw new Error(`${JSON.stringify(record)} is no audit record: ${error.message}`);
  }
  return records;
}

function parseLines(text: string): readonly Record<string, unknown>[] {
  return text.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
}
