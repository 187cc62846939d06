// What CI does before the tests: installs the clients that are quick to get, so that test/clients runs them, and the programs that say whether what is in config/ and deploy/ is right (promtool,
// haproxy). Never fails: what is not there is skipped by its test, which says so.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

const MINUTES = 4;
const PACKAGES = ['postgresql-client', 'postgresql', 'python3', 'python3-psycopg2', 'python3-psycopg', 'python3-asyncpg', 'python3-sqlalchemy', 'python3-pygresql', 'libdbd-pg-perl', 'ruby', 'ruby-pg', 'php-cli', 'php-pgsql', 'prometheus', 'haproxy'];

const runs = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version') || !runs('apt-get', '--version')) {
  console.log('Not root on Debian: the clients that are installed run.');
  process.exit(0);
}
// Java is big: its driver only where it is already.
if (runs('javac', '-version')) PACKAGES.push('libpostgresql-jdbc-java');

// No package starts a server here.
const policy = '/usr/sbin/policy-rc.d';
const ours = !existsSync(policy);
if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
const deadlineMs = Date.now() + MINUTES * 60_000;
// Ended by SIGTERM, apt leaves its lists and packages in order; dpkg is let finish the one at hand.
const apt = (...args) => {
  const timeout = deadlineMs - Date.now();
  return timeout > 0 && spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'], timeout }).status === 0;
};
try {
  apt('update', '-qq');
  // All at once is quickest; one by one where a release lacks some of them.
  if (!apt('install', '-y', '-qq', '--no-install-recommends', ...PACKAGES)) for (const each of PACKAGES) if (!apt('install', '-y', '-qq', '--no-install-recommends', each)) console.log(`${each} could not be installed.`);
} finally {
  if (ours) rmSync(policy, { force: true });
}
