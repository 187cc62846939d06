// Reads what `node --cpu-prof` wrote: which functions the time is spent in, by their place in src/.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addStack, flameGraph, frame } from './flame.mjs';

const LINES = 30;
/** What the process waited for. */
const IDLE = new Set(['(idle)', '(root)']);
/** @type {Map<string, SourceMap | undefined>} */
const maps = new Map();

/** @param {{ url: string, lineNumber: number, columnNumber: number }} frame */
function place({ url, lineNumber, columnNumber }) {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  if (!maps.has(path)) maps.set(path, existsSync(`${path}.map`) ? new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8'))) : undefined);
  const entry = maps.get(path)?.findEntry(lineNumber, columnNumber);
  if (entry !== undefined && 'originalSource' in entry) {
    const source = join(dirname(path), entry.originalSource);
    return `${source.slice(source.lastIndexOf('/src/') + 1)}:${entry.originalLine + 1}`;
  }
  const library = path.lastIndexOf('/node_modules/');
  return `${library === -1 ? relative(process.cwd(), path) : path.slice(library + 14)}:${lineNumber + 1}`;
}

/** @param {string} path @param {number} skipMs @returns {{ busyUs: number, own: Map<string, number>, total: Map<string, number>, flames: import('./flame.mjs').Frame }} */
function read(path, skipMs) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(path, 'utf8'));
  /** @type {Map<number, any>} */
  const byId = new Map(nodes.map((/** @type {any} */ node) => [node.id, node]));
  /** @type {Map<number, number>} */
  const parents = new Map();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  /** @type {Map<number, string>} */
  const names = new Map(nodes.map((/** @type {any} */ node) => [node.id, `${node.callFrame.functionName || '(anonymous)'} ${place(node.callFrame)}`.trim()]));
  const own = new Map();
  const total = new Map();
  const flames = frame('');
  let busyUs = 0;
  let atUs = 0;
  for (const [i, id] of samples.entries()) {
    const us = timeDeltas[i];
    atUs += us;
    if (atUs < skipMs * 1000 || IDLE.has(byId.get(id).callFrame.functionName)) continue;
    busyUs += us;
    own.set(names.get(id), (own.get(names.get(id)) ?? 0) + us);
    /** @type {string[]} */
    const stack = [];
    for (let at = id; parents.has(at); at = parents.get(at)) stack.push(names.get(at));
    addStack(flames, stack.toReversed(), us);
    for (const name of new Set(stack)) total.set(name, (total.get(name) ?? 0) + us);
  }
  return { busyUs, own, total, flames };
}

/**
 * The functions with most own time of the busiest thread, then those of src/ with most time in all they call. Its flame graph goes to `flames.svg`.
 * @param {string} directory  where the .cpuprofile files are, one a thread
 * @param {number} skipMs  of start and warm-up, left out
 * @param {string} title
 */
export function hottest(directory, skipMs, title) {
  const threads = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile')).map((name) => ({ name: basename(name), ...read(join(directory, name), skipMs) }));
  const busiest = threads.sort((a, b) => b.busyUs - a.busyUs)[0];
  if (busiest === undefined) return 'no profile was written';
  writeFileSync(join(directory, 'flames.svg'), flameGraph(busiest.flames, title));
  const list = (/** @type {Map<string, number>} */ times, /** @type {(name: string) => boolean} */ keep) =>
    [...times].filter(([name]) => keep(name)).sort((a, b) => b[1] - a[1]).slice(0, LINES).map(([name, us]) => `${((us / busiest.busyUs) * 100).toFixed(1).padStart(6)} %  ${name}`).join('\n');
  return `busy  ${(busiest.busyUs / 1e6).toFixed(2)} s\nown time\n${list(busiest.own, () => true)}\nwith all that they call\n${list(busiest.total, (name) => name.includes(' src/') || name.startsWith('(garbage'))}\n`;
}
