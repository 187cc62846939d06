// What `npm run demo` and `npm test` do first, so that both work in a fresh clone: install and build what is missing. Nothing but Node's own modules here.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Ends this process with the command's exit code if it fails. */
export function runOrExit(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (result.error) console.error(`${command} cannot be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

export function ensureInstalled() {
  if (isInstalled()) return;
  console.log('Installing dependencies (npm ci) ...');
  runOrExit('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
}

export function ensureBuilt() {
  const built = join(root, 'dist/cli/main.js');
  const sources = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'].map((path) => newestMs(join(root, path)));
  if (!existsSync(built) || statSync(built).mtimeMs < Math.max(...sources)) build();
}

export function build() {
  console.log('Building ...');
  runOrExit('npm', ['run', '--silent', 'build']);
}

/** By content, not by time: a checkout gives every file a new time, and a tree without development dependencies is no older than the lock file. */
function isInstalled() {
  const marker = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(marker)) return false;
  const installed = JSON.parse(readFileSync(marker, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(locked).every(([path, { version, optional }]) => {
    if (path === '') return true;
    // An optional package of another platform is not there, and should not be.
    return path in installed ? installed[path].version === version : optional === true;
  });
}

function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}
