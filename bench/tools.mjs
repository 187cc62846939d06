// The programs that the benchmark runs, found or installed, and what they call themselves.
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = { pgbench: 'postgresql-contrib', pgbouncer: 'pgbouncer', 'redis-server': 'redis-server', cc: 'gcc libc6-dev', taskset: 'util-linux' };

/** @typedef {Record<keyof typeof PACKAGES, string>} Tools */

/** @param {string} name */
function find(name) {
  // Debian keeps daemons in sbin, which is not on everyone's path.
  for (const directory of [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

function missing() {
  return Object.entries(PACKAGES).flatMap(([name, from]) => (find(name) === undefined ? [{ name, from }] : []));
}

/**
 * @param {boolean} install  fetch what is missing with apt-get (Debian, root)
 * @returns {Tools}
 */
export function findTools(install) {
  let lacking = missing();
  if (lacking.length > 0 && install) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...lacking.flatMap(({ from }) => from.split(' '))], { stdio: 'inherit', env });
    lacking = missing();
  }
  if (lacking.length > 0) {
    const packages = lacking.map(({ from }) => from).join(' ');
    throw new Error(`not found: ${lacking.map(({ name }) => name).join(', ')}. On Debian: apt-get install ${packages} (or run this as root with --install)`);
  }
  return /** @type {Tools} */ (Object.fromEntries(Object.keys(PACKAGES).map((name) => [name, find(name)])));
}

/** @param {string} path @param {RegExp} pattern */
function version(path, pattern) {
  return pattern.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}

/** @param {Tools} tools */
export function toolVersions(tools) {
  return {
    PgBouncer: version(tools.pgbouncer, /PgBouncer ([\d.]+)/),
    pgbench: version(tools.pgbench, /PostgreSQL\) ([\d.]+)/),
    Redis: version(tools['redis-server'], /v=([\d.]+)/),
  };
}

/** @param {string} path */
export function nodeVersion(path) {
  return version(path, /v([\d.]+)/);
}
