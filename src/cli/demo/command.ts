import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Command } from 'commander';
import { Client } from 'pg';
import { Cleanup } from './cleanup.ts';
import { demoConfig } from './config-text.ts';
import { CUSTOMER_COUNT, SCHEMA_SQL, STAFF_PASSWORD } from './customer-base.ts';
import { EmbeddedPostgres, reachableTmpdir } from './embedded-postgres.ts';
import { showOpsView } from './ops-view.ts';
import { RowgateProcess } from './rowgate-process.ts';
import { grouped, Story } from './story.ts';
import { createTerminal, type Terminal } from './terminal.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('a made customer base, Rowgate in front of it, and five ways to take it that do not work')
    .option('--exit', 'end after the story; without it, everything stays up to be tried by hand')
    .action(async (options: { exit?: boolean }) => {
      const cleanup = new Cleanup();
      cleanup.onSignals();
      try {
        process.exitCode = await runDemo(cleanup, options.exit === true);
      } catch (error) {
        // After a signal, what was under way fails since its servers are gone.
        if (!cleanup.started) process.stderr.write(`rowgate demo: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = 1;
      } finally {
        await cleanup.run();
      }
    });
}

async function runDemo(cleanup: Cleanup, exitAfterStory: boolean): Promise<number> {
  // Settings for psql in the caller's environment are not meant for these connections.
  for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name];
  const terminal = createTerminal();
  terminal.title('Rowgate: how far does somebody get who may read every customer?');

  const directory = mkdtempSync(join(reachableTmpdir(), 'rowgate-demo-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  // As root, PostgreSQL runs as another user, who must come through here but see nothing.
  chmodSync(directory, 0o711);
  const postgresDirectory = join(directory, 'postgres');
  const rowgateDirectory = join(directory, 'rowgate');
  const postgresPort = await freePort();
  const superuserPassword = randomBytes(18).toString('hex');
  const postgres = await startPostgres(cleanup, postgresDirectory, postgresPort, superuserPassword);
  const superuser = new Client({ host: '127.0.0.1', port: postgresPort, user: 'postgres', password: superuserPassword, database: 'postgres' });
  superuser.on('error', () => undefined);
  await superuser.connect();
  cleanup.add(() => superuser.end());
  terminal.say(`PostgreSQL is up after ${postgres.seconds.toFixed(1)} s. Making ${grouped(CUSTOMER_COUNT)} customers …`);
  const madeIn = await timed(() => superuser.query(SCHEMA_SQL));
  const { rows: [size] } = await superuser.query<{ size: string }>(`SELECT pg_size_pretty(pg_total_relation_size('crm.customers')) AS size`);
  terminal.say(`Made in ${madeIn.toFixed(1)} s (${size?.size ?? ''}). Nobody in it exists.`);

  mkdirSync(rowgateDirectory, { mode: 0o700 });
  const configPath = join(rowgateDirectory, 'rowgate.yaml');
  const auditFile = join(rowgateDirectory, 'audit.ndjson');
  const ports = { postgres: postgresPort, rowgate: await freePort(), admin: await freePort() };
  writeFileSync(configPath, demoConfig(ports, auditFile), { mode: 0o600 });
  const rowgate = new RowgateProcess();
  cleanup.add(() => rowgate.stop());
  await rowgate.start(configPath, join(rowgateDirectory, 'rowgate.log'));
  terminal.say(`Rowgate is up on port ${ports.rowgate}, with this configuration:`);
  terminal.command(configPath);

  const story = new Story({
    terminal,
    postgresPort,
    rowgatePort: ports.rowgate,
    password: STAFF_PASSWORD,
    ask: async (sql) => (await superuser.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows,
  });
  const result = await story.tell();
  const failures = [...result.failures, ...(await showOpsView(terminal, ports.admin, auditFile))];

  terminal.title('Summary');
  terminal.say(`customers in the base                     ${grouped(CUSTOMER_COUNT).padStart(9)}`);
  terminal.say(`taken without Rowgate, in ${result.directSeconds.toFixed(1).padStart(4)} s          ${grouped(result.directRows).padStart(9)}`);
  terminal.say(`taken through Rowgate, in five ways       ${grouped(result.taken).padStart(9)}`);
  if (failures.length > 0) {
    terminal.outcome(false, `${failures.length} of the steps above did not happen as told.`);
    return 1;
  }
  if (exitAfterStory) return 0;
  invite(terminal, ports, configPath);
  return cleanup.untilSignal();
}

async function startPostgres(cleanup: Cleanup, postgresDirectory: string, port: number, password: string): Promise<{ readonly seconds: number }> {
  mkdirSync(postgresDirectory);
  const postgres = new EmbeddedPostgres({
    directory: postgresDirectory,
    port,
    superuser: 'postgres',
    password,
    // Small enough for a container's /dev/shm, and no log for a base that is thrown away.
    settings: {
      shared_buffers: '256MB', work_mem: '32MB', maintenance_work_mem: '256MB', dynamic_shared_memory_type: 'mmap',
      wal_level: 'minimal', max_wal_senders: '0', max_wal_size: '4GB', autovacuum: 'off',
      // Else a second scan begins where the first is, and the rows that the story shows differ from run to run.
      synchronize_seqscans: 'off',
    },
  });
  cleanup.add(() => postgres.stop());
  return { seconds: await timed(() => postgres.start()) };
}

function invite(terminal: Terminal, ports: { readonly postgres: number; readonly rowgate: number; readonly admin: number }, configPath: string): void {
  const psql = (user: string, port: number): void => terminal.command(`psql "postgresql://${user}:${STAFF_PASSWORD}@127.0.0.1:${port}/postgres"`);
  terminal.title('Your turn: everything stays up until Ctrl-C');
  terminal.say('Through Rowgate, a colleague in support whose hour is fresh:');
  psql('agent_2', ports.rowgate);
  terminal.say('The one who is stopped, marketing, and the administrator:');
  for (const user of ['agent', 'analyst', 'dba']) psql(user, ports.rowgate);
  terminal.say('Past Rowgate, as it was before:');
  psql('agent', ports.postgres);
  terminal.say('Metrics:');
  terminal.command(`curl http://127.0.0.1:${ports.admin}/metrics`);
  terminal.say('Limits; a change takes effect at once, also for who is connected:');
  terminal.command(`$EDITOR ${configPath}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/** A port of the loopback address that nobody listened on a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
