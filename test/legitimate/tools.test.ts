/**
 * Real programs that draw trees, complete names and reflect models, directly and through Rowgate, as a login with quotas: the same answers, and
 * not one unit, over protected tables too: names are no rows.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openOffice, type Office } from './office.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');
const PYTHON = '/usr/bin/python3';
const JARS = ['postgresql', 'scram-client', 'scram-common', 'saslprep', 'stringprep'].map((each) => `/usr/share/java/${each}.jar`).filter((each) => existsSync(each)).join(':');
const runs = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

let office: Office;
const directory = mkdtempSync(join(tmpdir(), 'rowgate-tools-'));
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => {
  await office?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const PSQL = [
  '\\d', '\\d crm.customers', '\\d+ crm.customers', '\\d+ crm.invoices', '\\d+ crm.active', '\\d+ shop.events', '\\d+ shop.tickets', '\\d+ shop.*', '\\dt+ *.*', '\\dv+ *.*', '\\dm+ shop.*', '\\ds+ shop.*', '\\di+ *.*', '\\dE+',
  '\\dP+', '\\dS+', '\\dn+', '\\df+ shop.*', '\\dfS lower', '\\da shop.*', '\\dx+', '\\du', '\\dg', '\\db', '\\dp *.*', '\\z crm.*', '\\ddp', '\\drds', '\\dT+ shop.*', '\\dD+ shop.*', '\\dO+', '\\dc', '\\dC', '\\do', '\\dA+', '\\dAc', '\\dAf',
  '\\dAo', '\\dAp', '\\dL+', '\\dF+', '\\dFd+', '\\dFp+', '\\dFt+', '\\dew+', '\\des+', '\\deu+', '\\det+', '\\dRp+', '\\dRs', '\\dX', '\\dy', '\\dd', '\\dl', '\\dconfig work_mem', '\\sf shop.price_of', '\\sf+ shop.gross', '\\sv crm.active', '\\sv+ shop.dear', '\\encoding',
  '\\d nothing', 'SELECT 1; SELECT 2', '\\errverbose',
];

interface Tool {
  readonly name: string;
  readonly missing: () => string | undefined;
  /** Compiles first where that is needed. */
  readonly command: () => readonly [string, ...string[]];
  /** Rows of the class that it reads. */
  readonly units?: number;
}

const TOOLS: readonly Tool[] = [
  { name: `psql's backslash commands`, missing: () => (runs('psql', '--version') ? undefined : 'no psql'), command: () => ['psql', '-X', ...PSQL.flatMap((each) => ['-c', each])] },
  { name: `psql's lists of databases and settings, and what it asks about results`, missing: () => (runs('psql', '--version') ? undefined : 'no psql'), command: () => ['sh', join(PROGRAMS, 'psql-more.sh')] },
  { name: `psql's tab completion`, missing: () => (runs('psql', '--version') && runs(PYTHON, '-c', 'import pty') ? undefined : 'no psql or no Python'), command: () => [PYTHON, join(PROGRAMS, 'tab-completion.py')] },
  {
    name: 'SQLAlchemy and Django', missing: () => (runs(PYTHON, '-c', 'import sqlalchemy, django, psycopg2') ? undefined : 'no sqlalchemy, django and psycopg2 (Debian: python3-sqlalchemy python3-django python3-psycopg2)'),
    command: () => [PYTHON, join(PROGRAMS, 'reflection.py')],
    // inspectdb reads a row of each relation: two tables and a view of the class.
    units: 3,
  },
  { name: 'kysely, knex, sequelize and typeorm', missing: () => undefined, command: () => [process.execPath, join(PROGRAMS, 'introspection.mjs')] },
  {
    name: `pgjdbc's DatabaseMetaData`, missing: () => (runs('javac', '-version') && existsSync('/usr/share/java/postgresql.jar') ? undefined : 'no javac or no pgjdbc (Debian: default-jdk-headless libpostgresql-jdbc-java)'),
    command() {
      execFileSync('javac', ['-cp', JARS, '-d', directory, join(PROGRAMS, 'Metadata.java')], { stdio: 'pipe' });
      return ['java', '-XX:TieredStopAtLevel=1', '-cp', `${directory}:${JARS}`, 'Metadata'];
    },
  },
];

function run([command, ...args]: readonly [string, ...string[]], port: number): Promise<{ readonly code: number | null; readonly text: string }> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TZ: 'UTC', PGDATABASE: 'postgres', PGUSER: 'agent', PGPASSWORD: 'secret', PGHOST: '127.0.0.1', PGPORT: String(port), PGSSLMODE: 'disable', PGGSSENCMODE: 'disable', PGCONNECT_TIMEOUT: '30', NODE_OPTIONS: '--no-deprecation' };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => void (text += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => void (said += chunk.toString('utf8')));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text: `${text}${said}`.replaceAll(String(port), 'PORT') }));
  });
}

describe.each(TOOLS)('$name', ({ missing, command, units }) => {
  const reason = missing();
  test.skipIf(reason !== undefined)(reason === undefined ? 'asks the same, gets the same, and pays for no names' : `skipped: ${reason}`, async () => {
    const line = command();
    const before = await office.used();
    const direct = await run(line, office.postgres.port);
    const through = await run(line, office.rowgate.port);
    expect(through).toEqual(direct);
    expect(direct.text).not.toContain('Traceback');
    expect(direct.text.length).toBeGreaterThan(4);
    expect((await office.used()) - before, 'units').toBe(units ?? 0);
    expect(office.rowgate.audit().filter((record) => record['decision'] === 'block')).toEqual([]);
  }, 180_000);
});
