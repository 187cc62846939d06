// `npm run drivers -- NODE_POSTGRES_DIR POSTGRES_JS_DIR`: the integration tests of node-postgres (with pg-pool, pg-cursor and pg-query-stream) and of
// postgres.js, from checkouts of their repositories. They run directly, through Rowgate as a role without limits, and through Rowgate as a role with
// quotas whose tables are in no class. What passes directly must pass through Rowgate, or stand in test/regress/expected-failures.mjs with its reason.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { build, ensureInstalled, root, runOrExit } from './prepare.mjs';
import { expectedFailures } from '../test/regress/expected-failures.mjs';

const FILE_TIMEOUT_MS = 120_000;
const MOST_RUNS = 3;
/** What node-postgres' packages need for their tests, beside each other. */
const TEST_PACKAGES = {
  typescript: '5.9.3', '@types/node': '20.19.43', '@types/pg': '8.15.6', '@types/mocha': '10.0.10', '@types/chai': '4.3.20', async: '2.6.4', bluebird: '3.7.2', co: '4.6.0', 'pg-copy-streams': '0.3.0', 'pg-types': '2.2.0',
  pgpass: '1.0.5', mocha: '10.8.2', 'expect.js': '0.3.1', chai: '4.5.0', 'ts-node': '10.9.2', lodash: '4.17.21', 'concat-stream': '1.6.2', JSONStream: '1.3.5', 'stream-spec': '0.3.6',
};

const trees = process.argv.slice(2).map((each) => resolve(each));
const nodePostgres = trees.find((each) => existsSync(join(each, 'packages/pg/test/integration')));
const postgresJs = trees.find((each) => existsSync(join(each, 'tests/bootstrap.js')));
if (nodePostgres === undefined && postgresJs === undefined) {
  console.error('usage: npm run drivers -- NODE_POSTGRES_DIR POSTGRES_JS_DIR (checkouts of github.com/brianc/node-postgres and github.com/porsager/postgres)');
  process.exit(2);
}
ensureInstalled();
build();
const { EmbeddedPostgres } = await import('../dist/cli/demo/embedded-postgres.js');
const work = mkdtempSync('/tmp/rowgate-drivers-');
chmodSync(work, 0o711);
const children = [];
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

const postgres = await startPostgres();
const sides = [
  { name: 'direct', port: postgres.port },
  { name: 'unlimited', port: await startRowgate('unlimited', '[]') },
  { name: 'metered', port: await startRowgate('metered', '[{ class: customers, window: 1h, rows: 100 }]') },
];
let failed = false;
if (nodePostgres !== undefined) await compare('node-postgres', nodePostgresTests(nodePostgres));
if (postgresJs !== undefined) await compare('postgres.js', postgresJsTests(postgresJs));
await postgres.server.stop();
process.exit(failed ? 1 : 0);

/** Runs a suite on every side. `suite` gives a map of test names to whether they passed. */
async function compare(name, suite) {
  const direct = await suite(sides[0]);
  const passedDirect = [...direct].filter(([, passed]) => passed).map(([test]) => test);
  console.log(`${name}: ${passedDirect.length} of ${direct.size} tests pass directly.`);
  for (const side of sides.slice(1)) {
    // Many of these tests measure time: one that fails on a busy machine is given another run.
    const passed = new Set();
    let missing = [];
    let unexpected = [];
    let runs = 0;
    do {
      for (const [test, ok] of await suite(side)) if (ok) passed.add(test);
      missing = passedDirect.filter((test) => !passed.has(test));
      unexpected = missing.filter((test) => !expectedFailures.some((each) => each.side.includes(side.name) && each.test.test(`${name}: ${test}`)));
    } while (++runs < MOST_RUNS && unexpected.length > 0);
    console.log(`${name}, ${side.name}: ${passedDirect.length - missing.length} of these pass through Rowgate${runs > 1 ? ` within ${runs} runs` : ''}, ${missing.length - unexpected.length} fail as listed, ${unexpected.length} fail unexpectedly.`);
    for (const test of unexpected) console.log(`    ${test}`);
    if (unexpected.length > 0) failed = true;
  }
}

// --- the suites ---------------------------------------------------------------------------------------------------------

function nodePostgresTests(tree) {
  const copy = join(work, 'node-postgres');
  cpSync(join(tree, 'packages'), join(copy, 'packages'), { recursive: true, filter: (path) => !path.includes('node_modules') });
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ name: 'suites', private: true, devDependencies: TEST_PACKAGES }));
  runOrExit('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', '--loglevel=error'], { cwd: copy });
  for (const name of ['pg', 'pg-pool', 'pg-protocol', 'pg-connection-string', 'pg-cursor', 'pg-query-stream', 'pg-cloudflare']) {
    rmSync(join(copy, 'node_modules', name), { recursive: true, force: true });
    symlinkSync(join('../packages', name), join(copy, 'node_modules', name));
  }
  const tsc = join(copy, 'node_modules/typescript/bin/tsc');
  for (const name of ['pg-protocol', 'pg-query-stream']) spawnSync(process.execPath, [tsc, '-p', '.'], { cwd: join(copy, 'packages', name), stdio: 'ignore' });
  const pg = join(copy, 'packages/pg');
  const files = testFiles(join(pg, 'test/integration'), /-tests\.js$/);
  return async ({ name, port }) => {
    const env = environment(port, { PGDATABASE: 'driver_tests', PGTESTNOSSL: 'true', SCRAM_TEST_PGUSER: 'scram_test', SCRAM_TEST_PGPASSWORD: 'test4scram', SCRAM_TEST_PGUSER_UNICODE: 'scram_unicode_test', SCRAM_TEST_PGPASSWORD_UNICODE: 'IX-\u2168' });
    const tests = new Map();
    for (const file of files) {
      const title = relative(join(pg, 'test/integration'), file);
      const { code, output } = await run(process.execPath, [file], { cwd: pg, env }, `${name}-${title.replaceAll('/', '_')}`);
      // Tests without a name count with their file.
      tests.set(title, code === 0);
      for (const line of output.split('\n')) {
        const done = /^ {2}(.+?) *✔/.exec(line);
        if (done !== null) tests.set(`${title}: ${done[1]}`, true);
      }
    }
    for (const packageName of ['pg-pool', 'pg-cursor', 'pg-query-stream']) {
      const cwd = join(copy, 'packages', packageName);
      const report = join(work, `${name}-${packageName}.json`);
      const typescript = packageName === 'pg-query-stream';
      const ids = typescript ? testFiles(join(cwd, 'test'), /\.ts$/) : testFiles(join(cwd, 'test'), /\.js$/);
      await run(process.execPath, [
        join(copy, 'node_modules/mocha/bin/mocha.js'), '--exit', '--timeout', '20000', '--reporter', 'json', '--reporter-option', `output=${report}`, ...(typescript ? ['-r', 'ts-node/register/transpile-only'] : []), ...ids,
      ], { cwd, env: { ...env, PGDATABASE: 'driver_tests' } }, `${name}-${packageName}`);
      const { passes, failures } = JSON.parse(readFileSync(report, 'utf8'));
      for (const { fullTitle } of passes) tests.set(`${packageName}: ${fullTitle}`, true);
      for (const { fullTitle } of failures) tests.set(`${packageName}: ${fullTitle}`, false);
    }
    return tests;
  };
}

function postgresJsTests(tree) {
  return async ({ name, port }) => {
    const copy = join(work, `postgres-js-${name}`);
    rmSync(copy, { recursive: true, force: true });
    cpSync(tree, copy, { recursive: true });
    // A port of our own in the place of the usual one; each test goes on after one that failed, and says how it went.
    const index = join(copy, 'tests/index.js');
    writeFileSync(index, readFileSync(index, 'utf8').replaceAll(':5432', `:${port}`).replaceAll('connect(5432)', `connect(${port})`));
    const runner = join(copy, 'tests/test.js');
    writeFileSync(runner, readFileSync(runner, 'utf8')
      .replace(/failed\s*\? \(ignored\+\+, ignore\)\s*: fn\(\)/, 'fn()')
      .replace("process.stdout.write('✅')", "process.stdout.write('\\nPASS ' + name + ' (' + line + ')\\n')")
      .replace('tests[line].failed = failed = true', "(process.stdout.write('\\nFAIL ' + name + ' (' + line + ') ' + util.inspect(err).slice(0, 800).replaceAll('\\n', ' | ') + '\\n'), tests[line].failed = failed = true)"));
    // The databases and logins of these tests are made on the server, and the tests run where they are told.
    const bootstrap = join(copy, 'tests/bootstrap.js');
    writeFileSync(bootstrap, readFileSync(bootstrap, 'utf8').replace("encoding: 'utf8' })", `encoding: 'utf8', env: { ...process.env, PGPORT: '${postgres.port}' } })`));
    const { output } = await run(process.execPath, [index], { cwd: copy, env: environment(port, { PGUSER: 'postgres', PGDATABASE: undefined }) }, `${name}-postgres.js`);
    const tests = new Map();
    for (const [, verdict, test] of output.matchAll(/^(PASS|FAIL) (.*? \(\d+\))/gm)) tests.set(test, verdict === 'PASS');
    return tests;
  };
}

function testFiles(directory, pattern) {
  return readdirSync(directory, { recursive: true }).map(String).filter((each) => pattern.test(each)).sort().map((each) => join(directory, each));
}

function environment(port, more) {
  const env = { PATH: process.env.PATH, HOME: work, LC_ALL: 'C.UTF-8', PGHOST: 'localhost', PGPORT: String(port), PGUSER: 'postgres', PGPASSWORD: 'postgres', NODE_ENV: 'test', ...more };
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

function run(command, args, options, title) {
  const keep = process.env.ROWGATE_DRIVERS_KEEP;
  return new Promise((done) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk.toString('utf8');
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (keep !== undefined) {
        mkdirSync(keep, { recursive: true });
        writeFileSync(join(keep, `${title}.txt`), `${output}\nexit ${code}\n`);
      }
      done({ code, output });
    });
  });
}

// --- servers --------------------------------------------------------------------------------------------------------------

async function startPostgres() {
  const port = await freePort();
  const directory = join(work, 'postgres');
  mkdirSync(directory, { mode: 0o711 });
  const server = new EmbeddedPostgres({ directory, port, superuser: 'postgres', password: 'postgres', settings: { wal_level: 'logical', max_prepared_transactions: '100', max_connections: '200', listen_addresses: 'localhost' } });
  await server.start();
  const data = join(directory, 'data');
  const files = ['server.key', 'server.crt'].map((each) => join(data, each));
  const made = spawnSync('openssl', ['req', '-new', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', files[0], '-out', files[1]], { stdio: 'ignore' });
  if (made.status === 0 && process.getuid?.() === 0) for (const file of files) chownSync(file, Number(execFileSync('id', ['-u', 'nobody'])), Number(execFileSync('id', ['-g', 'nobody'])));
  writeFileSync(join(data, 'pg_hba.conf'), `host all postgres_js_test_md5 samehost md5
host all postgres_js_test_scram samehost scram-sha-256
host all postgres_js_test samehost trust
host all rowgate samehost trust
host all all samehost scram-sha-256
`);
  const sql = (text) => execFileSync('psql', ['-X', '-q', '-h', 'localhost', '-p', String(port), '-U', 'postgres', '-d', 'postgres', '-c', text], { env: { PATH: process.env.PATH, PGPASSWORD: 'postgres' }, stdio: ['ignore', 'ignore', 'inherit'] });
  sql("CREATE ROLE scram_test LOGIN PASSWORD 'test4scram'; CREATE ROLE rowgate LOGIN;");
  sql("CREATE ROLE scram_unicode_test LOGIN PASSWORD U&'IX-\\2168'");
  sql('CREATE SCHEMA crm; CREATE TABLE crm.customers (id int);');
  sql('CREATE DATABASE driver_tests');
  sql('SELECT pg_reload_conf()');
  return { server, port };
}

async function startRowgate(name, quotas) {
  const port = await freePort();
  const admin = await freePort();
  const path = join(work, `${name}.yaml`);
  writeFileSync(path, `version: 1
listen: { host: localhost, port: ${port} }
upstream: { host: localhost, port: ${postgres.port}, databases: ["*"] }
catalog: { user: rowgate }
store: { memory: true }
audit: { file: ${join(work, `${name}.ndjson`)} }
admin: { host: 127.0.0.1, port: ${admin} }
log: { level: warn }
# What a large object holds cannot be told, so that its functions want to be allowed by name.
trusted_functions: ["pg_catalog.lo*"]
classes:
  customers:
    relations:
      crm.customers: { subject: id }
roles:
  ${name}:
    members: ["*"]
    quotas: ${quotas}
    replication: true
`);
  const keep = process.env.ROWGATE_DRIVERS_KEEP ?? work;
  mkdirSync(keep, { recursive: true });
  const log = openSync(join(keep, `${name}.log`), 'w');
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'serve', '-c', path], { cwd: root, stdio: ['ignore', log, log] });
  closeSync(log);
  children.push(child);
  for (let i = 0; spawnSync('psql', ['-X', '-q', '-h', 'localhost', '-p', String(port), '-U', 'postgres', '-d', 'postgres', '-c', 'SELECT 1'], { env: { PATH: process.env.PATH, PGPASSWORD: 'postgres' }, stdio: 'ignore' }).status !== 0; i++) {
    if (i > 100 || child.exitCode !== null) throw new Error(`Rowgate did not start: ${readFileSync(join(keep, `${name}.log`), 'utf8')}`);
    await new Promise((done) => setTimeout(done, 200));
  }
  return port;
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
