// npm run bench: the same work through a direct connection, PgBouncer and Rowgate, in turn. bench/README.md explains it.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { memoryPerSession } from './idle-sessions.mjs';
import { cpuSeconds } from './processes.mjs';
import { hottest } from './profile.mjs';
import { summarise, table, TARGETS } from './report.mjs';
import { makeCertificate, startPgbouncer, startPostgres, startRedis, startRowgate } from './servers.mjs';
import { stalls } from './stall.mjs';
import { findTools, toolVersions } from './tools.mjs';
import { fillPgbench, workloads } from './workloads.mjs';

const USAGE = `npm run bench -- [options]
  --smoke          a few seconds in all: proves that the harness works; its figures mean nothing
  --rounds N       rounds of every workload (5)
  --seconds N      length of one pgbench run (4)
  --rows N         rows of the bulk table (1000000)
  --repeats N      times that a bulk statement runs in one round (4)
  --sessions N     idle sessions whose memory is measured (500)
  --only KEY,...   only these workloads: simple-16, prepared-16, simple-1, select, select-people, copy, tls-prepared-16,
                   tls-select, and stall
  --profile        instead of comparing: a CPU profile of Rowgate for each workload
  --rowgate FILE   the compiled main.js to measure (dist/cli/main.js), to compare builds
  --install        fetch missing programs with apt-get (Debian, as root)`;

/** The servers' last writes and the ends of sessions belong to the workload that caused them. */
const SETTLE_MS = 200;
/** Open and closed before memory is measured. */
const WARMING_SESSIONS = 20;

const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string' },
    repeats: { type: 'string' },
    sessions: { type: 'string' },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
    rowgate: { type: 'string', default: fileURLToPath(new URL('../dist/cli/main.js', import.meta.url)) },
    install: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** @param {'rounds' | 'seconds' | 'rows' | 'repeats' | 'sessions'} name @param {number} usual @param {number} inSmoke */
function count(name, usual, inSmoke) {
  const value = Number(options[name] ?? (options.smoke ? inSmoke : usual));
  if (!Number.isInteger(value) || value < (name === 'sessions' ? 0 : 1)) throw new Error(`--${name} wants a whole number`);
  return value;
}

function describeMachine() {
  const system = /^PRETTY_NAME="?([^"\n]+)/m.exec(existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '')?.[1] ?? process.platform;
  return { CPU: cpus()[0]?.model ?? 'unknown', cores: String(availableParallelism()), memory: `${Math.round(totalmem() / 2 ** 30)} GiB`, system };
}

/**
 * Runs a workload once and takes the accounts before and after.
 * @param {import('./workloads.mjs').Workload} workload
 * @param {{ port: number, pid?: number }} target
 * @param {{ postgres: { pid: number }, redis: { pid: number } }} servers
 * @returns {Promise<{ sample: import('./workloads.mjs').Sample, measure: import('./report.mjs').Measure }>}
 */
async function measured(workload, target, { postgres, redis }) {
  const accounts = () => [target.pid === undefined ? 0 : cpuSeconds(target.pid), cpuSeconds(redis.pid), cpuSeconds(postgres.pid)];
  const before = accounts();
  const sample = await workload.run(target.port, target.pid === undefined);
  await sleep(SETTLE_MS);
  const after = accounts();
  const scale = workload.unit === 'query' ? 1e6 : 1;
  const [cpu, redisCpu, databaseCpu] = after.map((seconds, i) => ((seconds - before[i]) * scale) / sample.work);
  const perSecond = workload.unit === 'query' ? sample.work / sample.seconds : (sample.work * 1000) / sample.seconds;
  return { sample, measure: { perSecond, cpu: target.pid === undefined ? null : cpu, redisCpu, databaseCpu, p50us: sample.p50us, p99us: sample.p99us } };
}

/**
 * What Rowgate counted must be what clients got.
 * @param {string} title
 * @param {{ rows: number, units: number }} before
 * @param {{ rows: number, units: number }} after
 * @param {import('./workloads.mjs').Sample} sample
 */
function checkCounts(title, before, after, sample) {
  const rows = after.rows - before.rows;
  const units = after.units - before.units;
  // Each row of these tables is smaller than a unit.
  if (rows !== sample.rows || units !== sample.rows) throw new Error(`${title}: clients got ${sample.rows} rows, Rowgate counted ${rows} rows and ${units} units`);
}

/**
 * @param {readonly import('./workloads.mjs').Workload[]} list
 * @param {{ rounds: number, servers: any, targets: Record<string, { port: number, pid?: number }> }} how
 */
async function compare(list, { rounds, servers, targets }) {
  /** @type {import('./report.mjs').Measures} */
  const measures = Object.fromEntries(list.map(({ key }) => [key, Object.fromEntries(TARGETS.map((target) => [target, []]))]));
  // Round 0 warms caches and compilers up and is not counted.
  for (let round = options.smoke ? 1 : 0; round <= rounds; round++) {
    for (const workload of list) {
      for (const target of TARGETS) {
        const before = await servers.rowgate.counted();
        const { sample, measure } = await measured(workload, targets[target], servers);
        if (target === 'rowgate') checkCounts(workload.title, before, await servers.rowgate.counted(), sample);
        if (round > 0) measures[workload.key][target].push(measure);
        console.error(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${workload.key} ${target}: ${Math.round(measure.perSecond)} ${workload.unit === 'query' ? 'queries' : 'MB'}/s`);
      }
    }
  }
  return measures;
}

/**
 * In fresh processes: one that has worked hard keeps free memory that new sessions are then put in.
 * @template {string} T
 * @param {number} sessions
 * @param {Record<T, () => Promise<import('./servers.mjs').Server>>} starts
 * @returns {Promise<Record<T, number>>} bytes a session
 */
async function compareMemory(sessions, starts) {
  const found = /** @type {Record<T, number>} */ ({});
  for (const name of /** @type {T[]} */ (Object.keys(starts))) {
    const server = await starts[name]();
    try {
      await memoryPerSession(server, WARMING_SESSIONS);
      found[name] = await memoryPerSession(server, sessions);
    } finally {
      await server.stop();
    }
  }
  return found;
}

async function main() {
  if (options.help) {
    console.log(USAGE);
    return;
  }
  const main = resolve(options.rowgate);
  if (!existsSync(main)) throw new Error('Rowgate is not built: npm run build');
  const tools = findTools(options.install);
  const rounds = count('rounds', 5, 1);
  const seconds = count('seconds', 4, 1);
  const bulkRows = count('rows', 1_000_000, 20_000);
  const repeats = count('repeats', 4, 1);
  const sessions = count('sessions', 500, 20);
  const scale = options.smoke ? 1 : 10;
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-bench-'));
  // Servers that run as another user must reach their files.
  chmodSync(directory, 0o755);
  const results = fileURLToPath(new URL('./results/', import.meta.url));
  mkdirSync(results, { recursive: true });
  /** @type {{ stop(): Promise<void> }[]} */
  const running = [];
  /** @template {{ stop(): Promise<void> }} T @param {T} server */
  const keep = (server) => (running.push(server), server);
  try {
    const postgres = keep(await startPostgres({ directory, bulkRows }));
    await fillPgbench(tools.pgbench, postgres.port, scale);
    const redis = keep(await startRedis({ command: tools['redis-server'], directory }));
    const all = workloads({ pgbench: tools.pgbench, directory, seconds, bulkRows, repeats });
    const wanted = options.only?.split(',');
    const list = all.filter(({ key }) => wanted === undefined || wanted.includes(key));
    const wantsStalls = wanted === undefined || wanted.includes('stall');
    if (list.length === 0 && !wantsStalls) throw new Error(`--only knows ${all.map(({ key }) => key).join(', ')}, stall`);
    const tls = makeCertificate(directory);
    const rowgateOptions = { main, directory, postgresPort: postgres.port, redisPort: redis.port, tls };
    if (options.profile) {
      for (const workload of list) {
        const profiles = join(results, `profile-${workload.key}`);
        rmSync(profiles, { recursive: true, force: true });
        const startedMs = performance.now();
        const rowgate = await startRowgate({ ...rowgateOptions, nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${profiles}`] });
        try {
          await workload.run(rowgate.port);
          const warmMs = performance.now() - startedMs;
          await workload.run(rowgate.port);
          await rowgate.stop();
          console.log(`\n${workload.title}: Rowgate's busiest thread after warm-up, ${hottest(profiles, warmMs)}`);
        } finally {
          await rowgate.stop();
        }
      }
      return;
    }
    const startBouncer = () => startPgbouncer({ command: tools.pgbouncer, directory, postgresPort: postgres.port, tls });
    const pgbouncer = keep(await startBouncer());
    const rowgate = keep(await startRowgate(rowgateOptions));
    const targets = { direct: { port: postgres.port }, pgbouncer, rowgate };
    const measures = await compare(list, { rounds, servers: { postgres, redis, rowgate }, targets });
    const stalled = wantsStalls ? { direct: await stalls(postgres.port), pgbouncer: await stalls(pgbouncer.port), rowgate: await stalls(rowgate.port) } : undefined;
    await rowgate.stop();
    await pgbouncer.stop();
    const memory = sessions === 0 ? undefined : { sessions, ...(await compareMemory(sessions, { pgbouncer: startBouncer, rowgate: () => startRowgate(rowgateOptions) })) };
    const { node, ...versions } = toolVersions(tools);
    const result = {
      machine: { ...describeMachine(), Node: node, PostgreSQL: postgres.version, PgBouncer: versions.pgbouncer, pgbench: versions.pgbench, Redis: versions.redis },
      settings: { rounds, 'pgbench seconds': seconds, 'pgbench scale': scale, 'bulk rows': bulkRows, 'bulk repeats': repeats },
      summary: summarise(list, measures),
      stalled,
      memory,
      measures,
    };
    writeFileSync(join(results, `${new Date().toISOString().replaceAll(':', '').slice(0, 15)}${options.smoke ? '-smoke' : ''}.json`), `${JSON.stringify(result, null, 2)}\n`);
    console.log(table(result));
    console.log('Rowgate counted every row that clients got, and no other.');
  } finally {
    for (const server of running.reverse()) await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().then(
  // The embedded server leaves timers behind.
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
