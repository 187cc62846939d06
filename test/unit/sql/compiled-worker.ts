import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '../../..');

/** Node 20 runs no TypeScript in a thread, so the tests compile the worker they test: never a stale build. The folder lies in node_modules so that imports resolve. */
export function compileWorker(): { readonly url: URL; readonly analyser: URL; readonly remove: () => void } {
  const folder = join(root, `node_modules/.cache/rowgate-sql-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { noEmit: false, outDir: 'out', rootDir: join(root, 'src'), typeRoots: [join(root, 'node_modules/@types')] },
    include: [join(root, 'src/sql')],
  }));
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { cwd: root, stdio: 'pipe' });
  return {
    url: pathToFileURL(join(folder, 'out/sql/analyse-worker.js')),
    analyser: pathToFileURL(join(folder, 'out/sql/analyser.js')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
