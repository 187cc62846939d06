// `npm run regress -- DIR [--bin BINDIR] [--keep OUT] [FILE...]`: PostgreSQL's own regression SQL (DIR is its source tree), run with psql directly
// and through Rowgate as a role without limits; the outputs must be the same. Each file runs on two bare servers as well, which tells
// what differs from run to run by itself. Nothing of the tree is copied into the repository.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build, ensureInstalled, root } from './prepare.mjs';
import { expectedDifferences } from '../test/regress/expected-differences.mjs';

/** The longest that one file may take. */
const FILE_TIMEOUT_MS = 240_000;

const { tree, binaries, keep, only } = readArguments(process.argv.slice(2));
ensureInstalled();
build();
const work = mkdtempSync(join(existsSync('/tmp') ? '/tmp' : tmpdir(), 'rowgate-regress-'));
chmodSync(work, 0o755);
const owner = serverOwner();
const started = [];
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

const input = join(tree, 'src/test/regress');
const library = join(work, 'lib');
makeLibrary();
const out = keep ?? join(work, 'out');
mkdirSync(out, { recursive: true });
const files = filesInOrder();

const bare = await startCluster('bare');
const again = await startCluster('again');
const behind = await startCluster('behind');
const rowgatePort = await startRowgate(behind);
const sides = [{ name: 'direct', port: bare }, { name: 'again', port: again }, { name: 'through', port: rowgatePort }];

const startedMs = Date.now();
const counts = { same: 0, unstable: 0, expected: 0, different: 0 };
const differing = [];
for (const file of files) {
  const outputs = [];
  for (const { name, port } of sides) outputs.push(await runFile(file, name, port));
  const [direct, second, through] = outputs;
  if (direct === through) {
    counts.same++;
    continue;
  }
  const here = differences(direct, through);
  const unstable = new Set(differences(direct, second));
  const expected = expectedDifferences[file] ?? [];
  // A line that differs between two bare servers says nothing about Rowgate.
  const left = here.filter((line) => !unstable.has(line) && !expected.some(({ pattern }) => pattern.test(line)));
  if (left.length > 0 && direct !== second && sameButForUnstable(direct, second, through)) {
    counts.unstable++;
  } else if (left.length === 0) {
    if (here.some((line) => !unstable.has(line))) counts.expected++;
    else counts.unstable++;
  } else {
    counts.different++;
    differing.push(file);
    console.log(`different: ${file}`);
    for (const line of left.slice(0, 12)) console.log(`    ${line}`);
    if (left.length > 12) console.log(`    and ${left.length - 12} lines more`);
  }
}
console.log(`PostgreSQL's regression SQL: ${files.length} files in ${Math.round((Date.now() - startedMs) / 1000)} s (three runs of each). ${counts.same} the same byte for byte, ${counts.unstable} that differ between two bare servers too and nowhere else, ${counts.expected} with differences that are listed in test/regress/expected-differences.mjs, ${counts.different} different${differing.length > 0 ? `: ${differing.join(', ')}` : ''}.`);
process.exit(counts.different === 0 ? 0 : 1);

function readArguments(args) {
  const rest = [];
  let bin;
  let keepIn;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--bin') bin = args[++i];
    else if (args[i] === '--keep') keepIn = resolve(args[++i]);
    else rest.push(args[i]);
  }
  if (rest.length === 0 || !existsSync(join(rest[0], 'src/test/regress/parallel_schedule'))) {
    console.error('usage: npm run regress -- DIR [--bin BINDIR] [--keep OUT] [FILE...]\nDIR is a PostgreSQL source tree ("apt-get source postgresql-15"); BINDIR holds initdb and postgres of the same major version.');
    process.exit(2);
  }
  const major = /PACKAGE_VERSION='(\d+)/.exec(readFileSync(join(rest[0], 'configure'), 'utf8'))?.[1];
  bin ??= `/usr/lib/postgresql/${major}/bin`;
  if (!existsSync(join(bin, 'initdb'))) {
    console.error(`No initdb in ${bin}: give the directory with --bin.`);
    process.exit(2);
  }
  return { tree: resolve(rest[0]), binaries: bin, keep: keepIn, only: rest.slice(1) };
}

function filesInOrder() {
  const schedule = readFileSync(join(input, 'parallel_schedule'), 'utf8');
  const all = [...schedule.matchAll(/^test: (.*)$/gm)].flatMap(([, names]) => names.trim().split(/\s+/));
  return only.length === 0 ? all : all.filter((name) => name === 'test_setup' || only.includes(name));
}

/** The C functions that the files load. Without PostgreSQL's headers those that need them give the same errors on both sides. */
function makeLibrary() {
  mkdirSync(library);
  chmodSync(library, 0o755);
  const config = join(binaries, 'pg_config');
  if (existsSync(config)) {
    const of = (flag) => execFileSync(config, [flag], { encoding: 'utf8' }).trim();
    const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-w', `-I${of('--includedir-server')}`, '-o', join(library, 'regress.so'), join(input, 'regress.c')], { encoding: 'utf8' });
    if (compiled.status !== 0) console.log(`regress.so cannot be compiled here, and functions in C fail on both sides: ${compiled.stderr ?? ''}`.slice(0, 500));
    for (const name of ['refint.so', 'autoinc.so']) if (existsSync(join(of('--pkglibdir'), name))) symlinkSync(join(of('--pkglibdir'), name), join(library, name));
  }
}

function serverOwner() {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function startCluster(name) {
  const directory = join(work, name);
  mkdirSync(directory, { mode: 0o700 });
  const results = join(work, `results-${name}`);
  mkdirSync(join(results, 'results'), { recursive: true });
  // Files that COPY and \\copy write, by the server's user and by this one.
  for (const each of [results, join(results, 'results')]) chmodSync(each, 0o777);
  if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
  execFileSync(join(binaries, 'initdb'), ['-D', directory, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'], { ...owner, cwd: work, env, stdio: 'ignore' });
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'max_prepared_transactions=2', 'log_min_messages=fatal', 'autovacuum=off', 'max_connections=60', 'jit=off'];
  // The port is part of no output, but each cluster needs one of its own.
  const log = openSync(join(work, `${name}.log`), 'a');
  const child = spawn(join(binaries, 'postgres'), ['-D', directory, '-p', String(port), ...settings.flatMap((each) => ['-c', each])], { ...owner, cwd: work, env, stdio: ['ignore', log, log] });
  closeSync(log);
  started.push(child);
  for (let i = 0; !psqlOnce(port, 'postgres', 'SELECT 1'); i++) {
    if (i > 100) throw new Error(`the server did not start: ${readFileSync(join(work, `${name}.log`), 'utf8')}`);
    await new Promise((done) => setTimeout(done, 200));
  }
  // As create_database of pg_regress.c.
  const ok = psqlOnce(port, 'postgres', `CREATE DATABASE regression TEMPLATE template0`)
    && psqlOnce(port, 'postgres', ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'].map((each) => `ALTER DATABASE regression SET ${each} TO 'C';`).join('') + `ALTER DATABASE regression SET bytea_output TO 'hex'; ALTER DATABASE regression SET timezone_abbreviations TO 'Default'; CREATE ROLE rowgate LOGIN;`);
  if (!ok) throw new Error('the regression database cannot be made');
  return port;
}

function psqlOnce(port, database, sql) {
  return spawnSync('psql', ['-X', '-q', '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-d', database, '-c', sql], { stdio: 'ignore' }).status === 0;
}

async function startRowgate(upstream) {
  const port = await freePort();
  const admin = await freePort();
  const path = join(work, 'rowgate.yaml');
  writeFileSync(path, `version: 1
listen: { host: 127.0.0.1, port: ${port} }
upstream: { host: 127.0.0.1, port: ${upstream} }
catalog: { user: rowgate }
store: { memory: true }
audit: { file: ${join(work, 'audit.ndjson')} }
admin: { host: 127.0.0.1, port: ${admin} }
log: { level: error }
classes:
  data:
    relations:
      public.onek: { subject: unique1 }
      public.tenk1: { subject: unique1 }
roles:
  unlimited:
    members: ["*"]
    quotas: []
`);
  const log = openSync(join(out, 'rowgate.log'), 'w');
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'serve', '-c', path], { cwd: root, stdio: ['ignore', log, log] });
  started.push(child);
  for (let i = 0; !psqlOnce(port, 'regression', 'SELECT 1'); i++) {
    if (i > 100 || child.exitCode !== null) throw new Error(`Rowgate did not start: ${readFileSync(join(out, 'rowgate.log'), 'utf8')}`);
    await new Promise((done) => setTimeout(done, 200));
  }
  child.once('exit', () => {
    console.error(`Rowgate ended: ${readFileSync(join(out, 'rowgate.log'), 'utf8').slice(-2000)}`);
    process.exit(1);
  });
  return port;
}

function runFile(file, side, port) {
  const path = join(out, `${file}.${side}`);
  const results = join(work, `results-${{ direct: 'bare', again: 'again', through: 'behind' }[side]}`);
  const to = openSync(path, 'w');
  const from = openSync(join(input, 'sql', `${file}.sql`), 'r');
  const env = {
    PATH: process.env.PATH, LC_MESSAGES: 'C', PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'postgres', PGTZ: 'America/Los_Angeles', PGDATESTYLE: 'Postgres, MDY',
    PGOPTIONS: '-c intervalstyle=postgres_verbose', PGAPPNAME: `pg_regress/${file}`, PG_ABS_SRCDIR: input, PG_ABS_BUILDDIR: results, PG_LIBDIR: library, PG_DLSUFFIX: '.so',
  };
  const child = spawn('psql', ['-X', '-a', '-q', '-d', 'regression', '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'], { cwd: results, env, stdio: [from, to, to] });
  closeSync(to);
  closeSync(from);
  return new Promise((done) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, FILE_TIMEOUT_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      // What names the side and not the server's doing: its port and its directory.
      const text = readFileSync(path, 'latin1').replaceAll(String(port), 'PORT').replaceAll(results, 'RESULTS');
      done(`${text}${late ? `\nno end within ${FILE_TIMEOUT_MS} ms` : ''}\npsql ended with ${code}\n`);
    });
  });
}

/** Lines that stand on one side only, with the side in front. */
function differences(left, right) {
  const count = new Map();
  for (const line of left.split('\n')) count.set(line, (count.get(line) ?? 0) + 1);
  for (const line of right.split('\n')) count.set(line, (count.get(line) ?? 0) - 1);
  return [...count].flatMap(([line, n]) => (n > 0 ? [`- ${line}`] : n < 0 ? [`+ ${line}`] : []));
}

/** Wherever the third output leaves the first, the second does too (on the same line), so the line is one that is never the same. */
function sameButForUnstable(direct, second, through) {
  const [a, b, c] = [direct, second, through].map((text) => text.split('\n'));
  if (a.length !== c.length || a.length !== b.length) return false;
  return c.every((line, i) => line === a[i] || a[i] !== b[i]);
}

function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
