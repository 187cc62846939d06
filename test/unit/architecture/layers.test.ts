/** The check of the layers catches what it is there for: violations are planted in a copy of the real tree, one at a time. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkLayers } from '../../../scripts/check-layers.mjs';

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'rowgate-layers-'));
  cpSync('src', join(root, 'src'), { recursive: true });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(directory: string): { readonly status: number | null; readonly problems: string; readonly summary: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/check-layers.mjs', directory], { encoding: 'utf8' });
  return { status, problems: stderr, summary: stdout };
}

/** What is found with the file as given; afterwards it is as it was. */
function withFile(file: string, text: string, check: () => void): void {
  const path = join(root, 'src', file);
  const before = readFileSync(path, 'utf8');
  writeFileSync(path, text);
  try {
    check();
  } finally {
    writeFileSync(path, before);
  }
}

describe('the check of the layers', () => {
  it('accepts the tree as it is, and has read it', () => {
    const { status, problems, summary } = run(root);
    expect(problems).toBe('');
    expect(status).toBe(0);
    expect(Number(/(\d+) imports/.exec(summary)?.[1])).toBeGreaterThan(300);
    expect(checkLayers(root).violations).toEqual([]);
  });

  it('fails as a program for what it finds, and says where', () => {
    withFile('protocol/limits.ts', `import '../policy/compile.ts';\n`, () => {
      const { status, problems } = run(root);
      expect(status).toBe(1);
      expect(problems).toContain('src/protocol/limits.ts:1: "protocol" may not import from "policy"');
    });
  });

  it('does not pass having read nothing', () => {
    const empty = mkdtempSync(join(tmpdir(), 'rowgate-layers-'));
    mkdirSync(join(empty, 'src'));
    expect(run(empty).status).toBe(1);
    rmSync(empty, { recursive: true });
  });

  const planted: readonly (readonly [what: string, file: string, code: string, problem: string])[] = [
    ['an import from a later folder', 'protocol/limits.ts', `import { compilePolicy } from '../policy/compile.ts';\nexport const planted = compilePolicy;`, '"protocol" may not import from "policy"'],
    ['a type from a later folder', 'policy/glob.ts', `import type { CounterStore } from '../quota/store.ts';\nexport type Planted = CounterStore;`, '"policy" may not import from "quota"'],
    ['a type named in place', 'policy/glob.ts', `export type Planted = import('../session/gate.ts').Gate;`, '"policy" may not import from "session"'],
    ['a re-export', 'catalog/names.ts', `export * from '../cli/version.ts';`, '"catalog" may not import from "cli"'],
    ['a named re-export', 'quota/store.ts', `export { Metrics } from '../metrics/metrics.ts';`, '"quota" may not import from "metrics"'],
    ['an import for its effects', 'audit/events.ts', `import '../session/session.ts';`, '"audit" may not import from "session"'],
    ['an import at run time', 'metrics/metric-table.ts', `export const planted = () => import('../admin/deadline.ts');`, '"metrics" may not import from "admin"'],
    ['an import at run time inside a template', 'sql/tree.ts', 'export const planted = async () => `${await import(`node:fs`)}`;', '"sql" does no I/O, and this is node:fs'],
    ['an import whose target is put together', 'session/cancel.ts', `export const planted = (name: string) => import(\`../\${name}.ts\`);`, 'the target of an import cannot be told'],
    ['a path that leads out of src', 'cli/version.ts', `import '../../test/support/free-port.ts';`, 'leads out of the folders of src'],
    ['files in protocol', 'protocol/limits.ts', `import { readFileSync } from 'node:fs';\nexport const planted = readFileSync;`, '"protocol" does no I/O, and this is node:fs'],
    ['sockets in policy', 'policy/decide.ts', `import { connect } from 'net';\nexport const planted = connect;`, '"policy" does no I/O, and this is net'],
    ['HTTP in sql', 'sql/walk.ts', `import { get } from 'node:http';\nexport const planted = get;`, '"sql" does no I/O, and this is node:http'],
    ['a folder of fs', 'sql/walk.ts', `import { readFile } from 'node:fs/promises';\nexport const planted = readFile;`, '"sql" does no I/O, and this is node:fs/promises'],
    ['a database driver in policy', 'policy/decide.ts', `import { Client } from 'pg';\nexport const planted = Client;`, '"policy" does no I/O, and this is pg'],
    ['the network by a global', 'policy/decide.ts', `export const planted = () => fetch('http://127.0.0.1/');`, '"policy" does no I/O, and this is fetch'],
    ['a builtin by way of process', 'protocol/limits.ts', `export const planted = process.getBuiltinModule('node:fs');`, '"protocol" does no I/O, and this is process'],
    ['a worker outside the worker files', 'sql/walk.ts', `import { Worker } from 'node:worker_threads';\nexport const planted = Worker;`, '"sql" does no I/O, and this is node:worker_threads'],
    ['files in a worker file', 'sql/worker-client.ts', `import { rmSync } from 'node:fs';\nexport const planted = rmSync;`, '"sql" does no I/O, and this is node:fs'],
  ];

  it.each(planted)('catches %s', (_what, file, code, problem) => {
    withFile(file, `${readFileSync(join(root, 'src', file), 'utf8')}\n${code}\n`, () => {
      const { violations } = checkLayers(root, [file]);
      expect(violations.map((each) => each.file)).toEqual([`src/${file}`]);
      expect(violations[0]?.problem).toContain(problem);
    });
  });

  it('catches a folder without a place in the order', () => {
    mkdirSync(join(root, 'src/helpers'));
    writeFileSync(join(root, 'src/helpers/anything.ts'), 'export const planted = 1;\n');
    expect(checkLayers(root).violations.map(({ problem }) => problem)).toEqual(['"helpers" has no place in the order of layers']);
    rmSync(join(root, 'src/helpers'), { recursive: true });
  });
});
