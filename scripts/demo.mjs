// `npm run demo`: works in a fresh clone. The demo runs in this process, so that Ctrl-C and other signals reach it without a go-between.
import { ensureBuilt, ensureInstalled, root } from './prepare.mjs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

ensureInstalled();
ensureBuilt();
const main = join(root, 'dist/cli/main.js');
process.argv = [process.execPath, main, 'demo', ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
