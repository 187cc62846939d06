// `npm run attacks [-- OPTIONS]`: test/attacks/command.ts, with the compiled Rowgate. Node 20 does not run TypeScript by itself.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { ensureInstalled, root, runOrExit } from './prepare.mjs';

ensureInstalled();
// Says nothing: the output may be JSON.
runOrExit('npm', ['run', '--silent', 'build']);
// Inside of node_modules: packages that the bundle leaves out are found from there.
const folder = join(root, 'node_modules/.attacks');
mkdirSync(folder, { recursive: true });
const file = join(folder, `command-${process.pid}.mjs`);
const bundle = await rolldown({ input: join(root, 'test/attacks/command.ts'), platform: 'node', external: (id) => !id.startsWith('.') && !id.startsWith('/') });
await bundle.write({ file, format: 'esm', codeSplitting: false });
await bundle.close();
process.once('exit', () => rmSync(file, { force: true }));
process.chdir(root);
await import(pathToFileURL(file).href);
