/** The client programs of test/clients/programs: what each needs, how it is started, and what it cannot do under a mode. */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mode } from './modes.ts';

export interface ClientProgram {
  readonly name: string;
  /** Debian packages that bring it; empty if it comes from npm or is always there. */
  readonly debian: readonly string[];
  /** The modes in which it is part of `npm test` where it is present; with `npm run clients` it runs in all (some are slow to install, to compile or to connect). */
  readonly everyRun: readonly Mode['name'][];
  /** Why it cannot run here; undefined if it can. */
  missing(): string | undefined;
  /** The command line. Compiles first where that is needed, into `directory`. */
  command(directory: string): readonly [string, ...string[]];
  /** Modes that it cannot be told to use. */
  readonly notIn?: Readonly<Record<string, string>>;
}

const BOTH: readonly Mode['name'][] = ['plain', 'tls'];
const PROGRAMS = join(import.meta.dirname, 'programs');
const program = (file: string): string => join(PROGRAMS, file);

function runs(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function npm(name: string, file: string): ClientProgram {
  return { name, debian: [], everyRun: BOTH, missing: () => undefined, command: () => [process.execPath, program(file)] };
}

/** Debian's Python, whose packages these are; another one in the path does not see them. */
const PYTHON = '/usr/bin/python3';

function python(name: string, module: string, file: string, debian: readonly string[], more: Partial<ClientProgram> = {}): ClientProgram {
  return { name, debian: ['python3', ...debian], everyRun: BOTH, missing: () => (runs(PYTHON, '-c', `import ${module}`) ? undefined : `no Python module ${module}`), command: () => [PYTHON, program(file)], ...more };
}

const JDBC_JAR = '/usr/share/java/postgresql.jar';
const GO_SOURCES = '/usr/share/gocode';
const CRATES = '/usr/share/cargo/registry';

function go(name: string, folder: string, source: string, debian: readonly string[]): ClientProgram {
  return {
    name, debian: ['golang-go', ...debian], everyRun: [],
    missing: () => (runs('go', 'version') ? (existsSync(join(GO_SOURCES, 'src', source)) ? undefined : `no ${source} in ${GO_SOURCES}`) : 'no go'),
    command(directory) {
      const out = join(directory, folder);
      execFileSync('go', ['build', '-o', out, program(`${folder}/main.go`)], { env: { ...process.env, GO111MODULE: 'off', GOPATH: GO_SOURCES, GOCACHE: join(directory, 'go-cache'), GOFLAGS: '' }, stdio: 'pipe' });
      return [out];
    },
  };
}

export const CLIENTS: readonly ClientProgram[] = [
  { name: 'psql', debian: ['postgresql-client'], everyRun: BOTH, missing: () => (runs('psql', '--version') ? undefined : 'no psql'), command: () => ['sh', program('psql-client.sh')] },
  npm('node-postgres', 'node-postgres.mjs'),
  npm('postgres.js', 'postgres-js.mjs'),
  npm('knex', 'knex.mjs'),
  npm('kysely', 'kysely.mjs'),
  npm('drizzle', 'drizzle.mjs'),
  npm('typeorm', 'typeorm.mjs'),
  npm('sequelize', 'sequelize.mjs'),
  python('psycopg2', 'psycopg2', 'psycopg2_client.py', ['python3-psycopg2']),
  python('psycopg3', 'psycopg', 'psycopg3_client.py', ['python3-psycopg']),
  python('asyncpg', 'asyncpg', 'asyncpg_client.py', ['python3-asyncpg']),
  python('sqlalchemy', 'sqlalchemy, psycopg2', 'sqlalchemy_client.py', ['python3-sqlalchemy', 'python3-psycopg2']),
  python('pygresql', 'pg', 'pygresql_client.py', ['python3-pygresql']),
  python('django', 'django, psycopg2', 'django_client.py', ['python3-django', 'python3-psycopg2']),
  python('odbc', 'pyodbc', 'pyodbc_client.py', ['python3-pyodbc', 'odbc-postgresql', 'unixodbc']),
  { name: 'DBD::Pg', debian: ['libdbd-pg-perl'], everyRun: ['plain'], missing: () => (runs('perl', '-MDBD::Pg', '-e', '1') ? undefined : 'no DBD::Pg'), command: () => ['perl', program('dbd-pg.pl')] },
  { name: 'ruby-pg', debian: ['ruby-pg'], everyRun: BOTH, missing: () => (runs('ruby', '-e', "require 'pg'; require 'json'") ? undefined : 'no ruby-pg'), command: () => ['ruby', program('ruby-pg.rb')] },
  { name: 'php-pgsql', debian: ['php-cli', 'php-pgsql'], everyRun: BOTH, missing: () => (runs('php', '-r', "exit(extension_loaded('pgsql') && extension_loaded('pdo_pgsql') ? 0 : 1);") ? undefined : 'no php with pgsql'), command: () => ['php', program('php-client.php')] },
  {
    name: 'libpqxx', debian: ['g++', 'libpqxx-dev'], everyRun: [],
    missing: () => (runs('g++', '--version') ? (existsSync('/usr/include/pqxx/pqxx') ? undefined : 'no pqxx/pqxx') : 'no g++'),
    command(directory) {
      const out = join(directory, 'pqxx-client');
      execFileSync('g++', ['-std=c++17', '-w', '-o', out, program('pqxx_client.cc'), '-lpqxx', '-lpq'], { stdio: 'pipe' });
      return [out];
    },
  },
  {
    name: 'pgjdbc', debian: ['default-jdk-headless', 'libpostgresql-jdbc-java'], everyRun: ['tls'],
    missing: () => (runs('javac', '-version') ? (existsSync(JDBC_JAR) ? undefined : `no ${JDBC_JAR}`) : 'no javac'),
    command(directory) {
      const jars = ['postgresql', 'scram-client', 'scram-common', 'saslprep', 'stringprep'].map((each) => `/usr/share/java/${each}.jar`).filter((each) => existsSync(each)).join(':');
      execFileSync('javac', ['-cp', jars, '-d', directory, program('JdbcClient.java')], { stdio: 'pipe' });
      return ['java', '-XX:TieredStopAtLevel=1', '-cp', `${directory}:${jars}`, 'JdbcClient'];
    },
  },
  go('lib/pq', 'libpq-go', 'github.com/lib/pq', ['golang-github-lib-pq-dev']),
  go('pgx', 'pgx-go', 'github.com/jackc/pgx/v4', ['golang-github-jackc-pgx-v4-dev']),
  {
    name: 'tokio-postgres', debian: ['cargo', 'librust-tokio-postgres-dev', 'librust-tokio+macros-dev', 'librust-tokio+rt-dev'], everyRun: [],
    missing: () => (existsSync('/usr/bin/cargo') ? (existsSync(CRATES) && readdirSync(CRATES).some((each) => each.startsWith('tokio-postgres-')) ? undefined : `no tokio-postgres in ${CRATES}`) : 'no cargo of Debian\'s (/usr/bin/cargo)'),
    command(directory) {
      const source = join(directory, 'tokio-postgres');
      cpSync(program('tokio-postgres'), source, { recursive: true });
      mkdirSync(join(source, '.cargo'), { recursive: true });
      execFileSync('/usr/bin/cargo', ['build', '--quiet', '--offline', '--config', `source.crates-io.replace-with="debian"`, '--config', `source.debian.directory="${CRATES}"`], { cwd: source, env: { PATH: '/usr/bin:/bin', HOME: directory, CARGO_HOME: join(directory, 'cargo') }, stdio: 'pipe' });
      return [join(source, 'target/debug/tokio-postgres-client')];
    },
    notIn: { tls: 'Debian brings no TLS connector for tokio-postgres' },
  },
];
