// `npm test [-- VITEST ARGUMENTS]`: works in a fresh clone. `--unit` leaves out the tests that start servers.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, ensureInstalled, root, runOrExit } from './prepare.mjs';

const given = process.argv.slice(2);
const unitOnly = given.includes('--unit');
const vitestArgs = given.filter((each) => each !== '--unit');

ensureInstalled();
if (!unitOnly) ensurePrograms();
// Integration tests run the compiled command.
build();
// Started by its file, not by npx: the exit code and the signals are vitest's own.
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const result = spawnSync(process.execPath, [vitest, 'run', ...(unitOnly ? ['test/unit'] : []), ...vitestArgs], { cwd: root, stdio: 'inherit' });
process.exit(result.status ?? 1);

function ensurePrograms() {
  const missing = [...(hasRedis() ? [] : ['redis-server']), ...(hasPsql() ? [] : ['postgresql-client'])];
  if (missing.length === 0) return;
  if (!isDebianRoot()) {
    if (!hasPsql()) console.error('psql is not installed: the tests that run it are skipped. Debian and Ubuntu: apt-get install postgresql-client.');
    if (hasRedis()) return;
    console.error('The tests start a redis-server of their own, and none is installed. Debian and Ubuntu: apt-get install redis-server. macOS: brew install redis. Fedora: dnf install valkey-compat-redis or redis.');
    process.exit(1);
  }
  console.log(`Installing ${missing.join(' and ')} ...`);
  withoutServices(() => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    runOrExit('apt-get', ['update', '-qq'], { env });
    runOrExit('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { env });
  });
  if (!hasRedis()) {
    console.error('redis-server was installed, but cannot be started.');
    process.exit(1);
  }
}

function hasRedis() {
  return spawnSync(process.env.ROWGATE_TEST_REDIS ?? 'redis-server', ['--version'], { stdio: 'ignore' }).status === 0;
}

function hasPsql() {
  return spawnSync('psql', ['--version'], { stdio: 'ignore' }).status === 0;
}

function isDebianRoot() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The tests start servers of their own on free ports: Debian's package must not start one, and an answer of 101 from this file says so to its scripts (deb-systemd-invoke, invoke-rc.d). */
function withoutServices(work) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const remove = () => ours && rmSync(policy, { force: true });
  process.once('exit', remove);
  work();
  remove();
}
