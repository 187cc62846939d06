/** pg_dump, pg_restore and pgbench, directly and through Rowgate. They want a server of their own version, so this starts Debian's where it is installed. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLAIN, TLS, type Setting, type Side } from './modes.ts';

const binaries = findBinaries();

/** The newest version that has the server and its tools. */
function findBinaries(): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').toSorted((a, b) => Number(b) - Number(a)) : [];
  return versions.map((each) => `/usr/lib/postgresql/${each}/bin`).find((bin) => ['initdb', 'postgres', 'pg_dump', 'pg_restore', 'pgbench'].every((name) => existsSync(join(bin, name))));
}

const TABLES = `
  CREATE SCHEMA lab;
  CREATE TYPE lab.mood AS ENUM ('good', 'bad');
  CREATE TABLE lab.t (id serial PRIMARY KEY, v text NOT NULL CHECK (v <> ''), m lab.mood, at timestamptz DEFAULT '2030-01-01');
  CREATE TABLE lab.p (id int, day date) PARTITION BY RANGE (day);
  CREATE TABLE lab.p1 PARTITION OF lab.p FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
  CREATE TABLE lab.child (id int REFERENCES lab.t);
  CREATE INDEX ON lab.t (v);
  CREATE VIEW lab.w AS SELECT id, v FROM lab.t WHERE m = 'good';
  CREATE MATERIALIZED VIEW lab.mv AS SELECT count(*) AS n FROM lab.t;
  COMMENT ON TABLE lab.t IS 'a table, with a "quote" and a '' in its comment';
  INSERT INTO lab.t (v, m) SELECT 'v' || g || E'\\t\\n\\\\', 'good' FROM generate_series(1, 3000) g;
  INSERT INTO lab.p SELECT g, '2030-06-01' FROM generate_series(1, 100) g;
  INSERT INTO lab.child SELECT g FROM generate_series(1, 50) g;
  REFRESH MATERIALIZED VIEW lab.mv;
`;

/** `npm run clients` sets it. */
const ALL = process.env['ROWGATE_CLIENTS'] === 'all';

describe.skipIf(binaries === undefined && !ALL).each([
  { mode: PLAIN, user: 'agent' },
  { mode: TLS, user: 'dba' },
  ...(ALL ? [{ mode: PLAIN, user: 'dba' }] : []),
])('$mode.name, as $user', ({ mode, user }) => {
  let setting: Setting;
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-tools-'));
  beforeAll(async () => {
    setting = await mode.start(binaries);
    expect(run('directly', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', TABLES)).toMatchObject({ code: 0 });
  }, 120_000);
  afterAll(async () => {
    await setting.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  interface Result {
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  }

  function run(way: 'directly' | 'through', program: string, ...args: readonly string[]): Result {
    const side: Side = way === 'directly' ? setting.direct : setting.through;
    const { status, stdout, stderr } = spawnSync(join(binaries as string, program), args, { encoding: 'utf8', env: { ...side.environment, PGUSER: user }, maxBuffer: 64 * 1024 * 1024, timeout: 100_000 });
    return { code: status, out: stdout, err: stderr };
  }

  /** A dump begins and ends with a word of its own each time. */
  const dumped = (result: Result): Result => ({ ...result, out: result.out.replaceAll(/^\\(un)?restrict .*$/gm, '\\$1restrict') });

  test('pg_dump gives the same text', () => {
    const schemas = user === 'dba' ? [] : ['-n', 'lab', '-t', 'crm.customers', '-t', 'public.tariffs'];
    for (const more of [[], ['--inserts', '--rows-per-insert=100'], ['--schema-only', '--clean', '--if-exists'], ['--data-only']]) {
      const direct = dumped(run('directly', 'pg_dump', ...schemas, ...more));
      expect(direct.code, direct.err).toBe(0);
      expect(direct.out.length).toBeGreaterThan(1_000);
      expect(dumped(run('through', 'pg_dump', ...schemas, ...more))).toEqual(direct);
    }
  }, 120_000);

  test('what pg_dump took through Rowgate, by two connections with one snapshot, pg_restore puts back through it', () => {
    const archive = join(directory, 'archive');
    const before = dumped(run('directly', 'pg_dump', '-n', 'lab'));
    expect(run('through', 'pg_dump', '-Fd', '-j', '2', '-n', 'lab', '-f', archive)).toEqual({ code: 0, out: '', err: '' });
    expect(run('through', 'pg_restore', '-l', archive).out.split('\n').length).toBeGreaterThan(20);
    // In one transaction, what stands behind a new view is opaque to a role with quotas (docs/clients.md, Known limits).
    for (const how of [['-j', '2'], ...(user === 'dba' ? [['--single-transaction']] : []), ['--clean', '--if-exists']]) {
      if (how[0] !== '--clean') expect(run('through', 'psql', '-Xq', '-c', 'SET client_min_messages = error; DROP SCHEMA lab CASCADE')).toEqual({ code: 0, out: '', err: '' });
      expect(run('through', 'pg_restore', '-d', 'postgres', '--exit-on-error', ...how, archive), how.join(' ')).toEqual({ code: 0, out: '', err: '' });
      expect(dumped(run('directly', 'pg_dump', '-n', 'lab'))).toEqual(before);
    }
  }, 120_000);

  test('pgbench makes its tables and runs every transaction, in each protocol and in pipelines', () => {
    const figures = ({ code, out }: Result): unknown => ({ code, done: /actually processed: (.*)/.exec(out)?.[1], failed: /failed transactions: (\d+)/.exec(out)?.[1] });
    const pipeline = join(directory, 'pipeline.sql');
    writeFileSync(pipeline, '\\set aid random(1, 100000)\n\\startpipeline\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\nSELECT 1;\n\\endpipeline\n');
    for (const way of ['directly', 'through'] as const) {
      expect(run(way, 'pgbench', '-i', '-q', '-s', '1')).toMatchObject({ code: 0 });
      for (const protocol of ['simple', 'extended', 'prepared']) expect(figures(run(way, 'pgbench', '-n', '-c', '4', '-t', '20', '-M', protocol)), `${way}, ${protocol}`).toEqual({ code: 0, done: '80/80', failed: '0' });
      expect(figures(run(way, 'pgbench', '-n', '-c', '4', '-t', '20', '-M', 'prepared', '-f', pipeline)), way).toEqual({ code: 0, done: '80/80', failed: '0' });
      expect(run(way, 'psql', '-XAtc', 'SELECT (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history), (SELECT count(*) FROM pgbench_history)').out).toBe('t|240\n');
      expect(run(way, 'pgbench', '-i', '-I', 'd')).toMatchObject({ code: 0 });
    }
  }, 240_000);
});
