// What the command line says, and what it leaves to us.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const USAGE = `npm run bench -- [options]
  --smoke          a few seconds in all: proves that the harness works; its figures mean nothing
  --rounds N       rounds of every workload (5)
  --seconds N      length of one pgbench run (3)
  --rows N         rows of the bulk table (1000000)
  --repeats N      times that a bulk statement runs in one round (2)
  --sessions N     idle sessions whose memory is measured (5000)
  --only KEY,...   only this work: simple-16, prepared-16, simple-1, select, select-people, copy, tls-prepared-16, tls-select,
                   stall, workers, memory
  --profile        instead of comparing: a CPU profile of Rowgate for each workload
  --node FILE      the Node.js that runs Rowgate (this one). Given several times: instead of comparing with PgBouncer, Rowgate under each
                   of them in turn, by default with simple-16, prepared-16, select and copy
  --write          puts what was found into bench/README.md as well
  --rowgate FILE   the compiled main.js to measure (dist/cli/main.js), to compare builds
  --install        fetch missing programs with apt-get (Debian, as root)`;

const OF_NODES = ['simple-16', 'prepared-16', 'select', 'copy'];
/** Beside the workloads. */
const PARTS = /** @type {const} */ (['stall', 'workers', 'memory']);
/** Each session is two sockets of a proxy; it has files of its own. */
const FILES_A_SESSION = 2;
const OTHER_FILES = 200;

/** Node raises its own limit to the hard one, and those that it starts inherit that. */
function mostSessions() {
  const limit = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === undefined ? Infinity : Math.floor((Number(limit) - OTHER_FILES) / FILES_A_SESSION);
}

export function readOptions() {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      rows: { type: 'string' },
      repeats: { type: 'string' },
      sessions: { type: 'string' },
      only: { type: 'string' },
      profile: { type: 'boolean', default: false },
      node: { type: 'string', multiple: true, default: [] },
      rowgate: { type: 'string', default: fileURLToPath(new URL('../dist/cli/main.js', import.meta.url)) },
      write: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  /** @param {'rounds' | 'seconds' | 'rows' | 'repeats' | 'sessions'} name @param {number} usual @param {number} inSmoke */
  const count = (name, usual, inSmoke) => {
    const value = Number(values[name] ?? (values.smoke ? inSmoke : usual));
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} wants a whole number`);
    return value;
  };
  const asked = count('sessions', 5000, 50);
  const sessions = Math.min(asked, mostSessions());
  if (sessions < asked) console.error(`the limit on open files (ulimit -Hn) allows ${sessions} idle sessions, not ${asked}`);
  const nodes = values.node.map((path) => resolve(path));
  return {
    ...values,
    rounds: count('rounds', 5, 1),
    seconds: count('seconds', 3, 1),
    bulkRows: count('rows', 1_000_000, 20_000),
    repeats: count('repeats', 2, 1),
    sessions,
    scale: values.smoke ? 1 : 10,
    main: resolve(values.rowgate),
    nodes,
    wanted: values.only?.split(',') ?? (nodes.length > 1 ? OF_NODES : undefined),
  };
}

/**
 * @template {{ key: string }} T
 * @param {readonly string[] | undefined} wanted  undefined: everything
 * @param {readonly T[]} all
 */
export function choose(wanted, all) {
  const known = [...all.map(({ key }) => key), ...PARTS];
  const unknown = wanted?.find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Error(`--only knows no ${unknown}, but ${known.join(', ')}`);
  const has = (/** @type {string} */ key) => wanted === undefined || wanted.includes(key);
  return { list: all.filter(({ key }) => has(key)), wantsStalls: has('stall'), wantsWorkers: has('workers'), wantsMemory: has('memory') };
}
