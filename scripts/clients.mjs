// `npm run clients`: installs every client that Debian has (as root), and runs each directly and through Rowgate. What is missing fails.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build, ensureInstalled, root, runOrExit } from './prepare.mjs';

const PACKAGES = [
  'postgresql-client', 'postgresql', 'python3', 'python3-psycopg2', 'python3-psycopg', 'python3-asyncpg', 'python3-sqlalchemy', 'python3-pygresql', 'python3-django', 'python3-pyodbc', 'odbc-postgresql', 'unixodbc', 'libdbd-pg-perl',
  'ruby', 'ruby-pg', 'php-cli', 'php-pgsql', 'g++', 'libpqxx-dev', 'default-jdk-headless', 'libpostgresql-jdbc-java', 'golang-go', 'golang-github-lib-pq-dev', 'golang-github-jackc-pgx-v4-dev',
  'cargo', 'librust-tokio-postgres-dev', 'librust-tokio+macros-dev', 'librust-tokio+rt-dev', 'librust-futures-util-dev',
];

ensureInstalled();
if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  runOrExit('apt-get', ['update', '-qq'], { env });
  runOrExit('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES], { env });
} else console.log(`Not root on Debian: only the clients that are installed can run. The packages are ${PACKAGES.join(' ')}.`);
build();
const result = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/clients', '--reporter=verbose', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit', env: { ...process.env, ROWGATE_CLIENTS: 'all' } });
process.exit(result.status ?? 1);
