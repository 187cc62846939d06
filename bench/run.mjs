// npm run bench: the same work through a direct connection, PgBouncer and Rowgate, in turn. bench/README.md explains it.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compare, compareMemory, compareStalls } from './compare.mjs';
import { allowedCores } from './cores.mjs';
import { choose, readOptions, USAGE } from './options.mjs';
import { watchOthers } from './processes.mjs';
import { hottest } from './profile.mjs';
import { summarise, summariseWorkers } from './report.mjs';
import { startScripted } from './scripted.mjs';
import { makeCertificate, startPgbouncer, startPostgres, startRedis, startRowgate } from './servers.mjs';
import { nodesReport, replaceSection, report } from './tables.mjs';
import { findTools, nodeVersion, toolVersions } from './tools.mjs';
import { compareWorkers } from './workers.mjs';
import { fillPgbench, workloads } from './workloads.mjs';

const PAGE = fileURLToPath(new URL('./README.md', import.meta.url));

function describeMachine() {
  const system = /^PRETTY_NAME="?([^"\n]+)/m.exec(existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '')?.[1] ?? process.platform;
  return { CPU: cpus()[0]?.model ?? 'unknown', cores: String(availableParallelism()), memory: `${Math.round(totalmem() / 2 ** 30)} GiB`, system };
}

/** @param {{ others: number, stolen: number }} parts */
function busyOthers({ others, stolen }) {
  const percent = (/** @type {number} */ part) => `${Math.round(part * 100)} %`;
  return { 'cores taken by other programs': percent(others), 'by the host': percent(stolen) };
}

async function main() {
  const options = readOptions();
  if (options.help) {
    console.log(USAGE);
    return;
  }
  const { rounds, seconds, bulkRows, repeats, sessions, scale, nodes } = options;
  if (!existsSync(options.main)) throw new Error('Rowgate is not built: npm run build');
  const tools = findTools(options.install);
  const directory = mkdtempSync(join(tmpdir(), 'rowgate-bench-'));
  // Servers that run as another user must reach their files.
  chmodSync(directory, 0o755);
  const others = watchOthers();
  const results = fileURLToPath(new URL('./results/', import.meta.url));
  mkdirSync(results, { recursive: true });
  /** @type {{ stop(): Promise<void> }[]} */
  const running = [];
  /** @template {{ stop(): Promise<void> }} T @param {T} server */
  const keep = (server) => (running.push(server), server);
  const end = async () => {
    for (const server of running.splice(0).reverse()) await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => void end().finally(() => process.exit(1)));
  /** @param {string} kind @param {object} result @param {string} text */
  const tell = (kind, result, text) => {
    writeFileSync(join(results, `${new Date().toISOString().replaceAll(':', '').slice(0, 15)}-${options.smoke ? 'smoke' : kind}.json`), `${JSON.stringify(result, null, 2)}\n`);
    console.log(text);
    if (options.write && !options.smoke) writeFileSync(PAGE, replaceSection(readFileSync(PAGE, 'utf8'), kind, `\`${['npm run bench --', ...process.argv.slice(2)].join(' ')}\`\n\n${text}`));
  };
  try {
    const all = workloads({ pgbench: tools.pgbench, directory, seconds, bulkRows, repeats });
    const { list, wantsStalls, wantsWorkers, wantsMemory } = choose(options.wanted, all);
    const postgres = keep(await startPostgres({ directory, bulkRows }));
    await fillPgbench(tools.pgbench, postgres.port, scale);
    const redis = keep(await startRedis({ command: tools['redis-server'], directory }));
    const tls = makeCertificate(directory);
    const rowgateOptions = { main: options.main, directory, postgresPort: postgres.port, redisPort: redis.port, tls, node: nodes[0] };
    const versions = { PostgreSQL: postgres.version, ...toolVersions(tools) };
    const settings = { rounds, 'pgbench seconds': seconds, 'pgbench scale': scale, 'bulk rows': bulkRows, 'bulk repeats': repeats };

    if (options.profile) {
      for (const workload of list) {
        const profiles = join(results, `profile-${workload.key}`);
        rmSync(profiles, { recursive: true, force: true });
        const startedMs = performance.now();
        const rowgate = keep(await startRowgate({ ...rowgateOptions, nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${profiles}`] }));
        try {
          await workload.run(rowgate.port);
          const warmMs = performance.now() - startedMs;
          await workload.run(rowgate.port);
          await rowgate.stop();
          const title = `${workload.title}: Rowgate's busiest thread after warm-up`;
          console.log(`\n${title}, ${hottest(profiles, warmMs, title)}\n${join(profiles, 'flames.svg')}`);
        } finally {
          await rowgate.stop();
        }
      }
      return;
    }

    if (nodes.length > 1) {
      /** @type {Record<string, import('./servers.mjs').RowgateServer>} */
      const targets = {};
      for (const [i, node] of nodes.entries()) targets[nodeVersion(node)] = keep(await startRowgate({ ...rowgateOptions, node, name: `rowgate-${i}` }));
      const measures = await compare(list, { rounds, warmUp: !options.smoke, servers: { postgres, redis }, targets });
      const result = { machine: { ...describeMachine(), ...versions, ...busyOthers(others()) }, settings, measures };
      tell('nodes', result, nodesReport({ ...result, list, names: Object.keys(targets) }));
      return;
    }

    const startBouncer = (port = postgres.port) => startPgbouncer({ command: tools.pgbouncer, directory, postgresPort: port, tls });
    const pgbouncer = keep(await startBouncer());
    const rowgate = keep(await startRowgate(rowgateOptions));
    const targets = { direct: { port: postgres.port }, pgbouncer, rowgate };
    const measures = await compare(list, { rounds, warmUp: !options.smoke, servers: { postgres, redis }, targets });
    const stalled = wantsStalls ? await compareStalls(rounds, targets) : undefined;
    await rowgate.stop();
    await pgbouncer.stop();

    const scripted = wantsWorkers || wantsMemory ? keep(await startScripted({ cc: tools.cc, directory, postgresPort: postgres.port })) : postgres;
    const behindScripted = { ...rowgateOptions, postgresPort: scripted.port };
    const memory = wantsMemory ? { sessions, ...(await compareMemory(sessions, { pgbouncer: async () => keep(await startBouncer(scripted.port)), rowgate: async () => keep(await startRowgate(behindScripted)) })) } : undefined;
    const cores = allowedCores();
    const worked = wantsWorkers && cores.length > 1
      ? await compareWorkers({
          pgbench: tools.pgbench, directory, seconds, rounds, cores: cores.slice(0, 2), warmUp: !options.smoke, behind: [scripted, redis],
          one: keep(await startRowgate({ ...behindScripted, name: 'rowgate-one', workers: 1 })),
          two: keep(await startRowgate({ ...behindScripted, name: 'rowgate-two', workers: 2 })),
        })
      : undefined;

    const result = {
      machine: { ...describeMachine(), 'Node.js': nodeVersion(nodes[0] ?? process.execPath), ...versions, ...busyOthers(others()) },
      settings,
      summary: summarise(list, measures),
      stalled,
      memory,
      workers: worked && summariseWorkers(worked),
      measures,
    };
    tell('figures', result, `${options.smoke ? 'Of a smoke run: these figures mean nothing.\n\n' : ''}${report(result)}\nRowgate counted every row that clients got, and no other.\n`);
  } finally {
    await end();
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
