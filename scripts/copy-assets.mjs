// tsc copies no files but those that it compiles: the Lua scripts go along, and the command gets its execute bit.
import { chmodSync, cpSync, existsSync } from 'node:fs';

cpSync('src', 'dist', { recursive: true, filter: (source) => !/\.[^/.]+$/.test(source) || source.endsWith('.lua') });
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755);
