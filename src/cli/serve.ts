import { watch } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { createOpsLog, type OpsLog } from '../audit/ops-log.ts';
import type { Config } from '../policy/config.ts';
import { readConfigFile } from './config-file.ts';
import { Service } from './service.ts';
import { VERSION } from './version.ts';
import { Primary } from './workers/primary.ts';
import { runWorker, workerNumber } from './workers/worker.ts';

/** Editors write a file in several steps; it is read once they are through. */
const CHANGE_SETTLES_MS = 200;

/**
 * How far the heap may grow until all of it is looked through. V8 counts the bytes that sockets brought among it, and of itself leaves a small heap of old objects room for few of them: each 30 MB of a
 * large result then had the whole heap marked, which cost more than all else that is done about the rows (docs/adr/0009-short-cuts.md, "The heap").
 */
const HEAP_GROWTH = '--heap-growing-percent=200';

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the proxy')
    .requiredOption('-c, --config <file>', 'configuration file')
    .action(async (options: { config: string }) => {
      setFlagsFromString(HEAP_GROWTH);
      const worker = workerNumber();
      if (worker !== undefined) {
        runWorker(worker, options.config);
        return;
      }
      const read = readConfigFile(options.config);
      if (!read.ok) {
        for (const problem of read.problems) process.stderr.write(`${problem}\n`);
        process.exitCode = 1;
        return;
      }
      const log = createOpsLog(read.config.log.level);
      const workers = workerCount(read.config);
      let running: Running;
      try {
        running =
          workers > 1
            ? await Primary.start({ config: read.config, text: read.text, path: options.config, workers, log })
            : await Service.start({ config: read.config, configSha256: read.sha256, version: VERSION, log, reread: () => readConfigFile(options.config) });
      } catch (error) {
        log.fatal({ err: error }, 'Rowgate cannot start');
        process.exitCode = 1;
        return;
      }
      const { listen, admin } = read.config;
      // Before it says that it is ready: whoever waits for that may send a signal at once.
      superviseReload(running, options.config, log);
      superviseStop(running, log);
      log.info({ host: listen.host, port: running.port, admin_host: admin.host, admin_port: running.adminPort, version: VERSION, workers }, `rowgate ready on ${listen.host}:${running.port}`);
    });
}

/** One process, or several behind a primary. */
type Running = Pick<Service, 'adminPort' | 'hurry' | 'reload' | 'stop'> & { readonly port: number | undefined };

function workerCount({ workers }: Config): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

function superviseReload(service: Running, path: string, log: OpsLog): void {
  process.on('SIGHUP', () => void service.reload());
  let timer: NodeJS.Timeout | undefined;
  // The directory is watched, not the file: editors and configuration mounts put a new file in its place.
  const watcher = watch(dirname(path) || '.', (_event, name) => {
    if (name !== null && name !== basename(path) && !name.startsWith('..data')) return;
    clearTimeout(timer);
    timer = setTimeout(() => void reloadIfChanged(), CHANGE_SETTLES_MS);
  });
  watcher.on('error', (error) => log.warn({ err: error }, 'the configuration file is not watched any more; SIGHUP reloads it'));
  watcher.unref();
  let seen = '';
  const reloadIfChanged = async (): Promise<void> => {
    const read = readConfigFile(path);
    const state = read.ok ? read.sha256 : read.problems.join('\n');
    if (state === seen) return;
    seen = state;
    await service.reload();
  };
  const first = readConfigFile(path);
  seen = first.ok ? first.sha256 : '';
}

function superviseStop(service: Running, log: OpsLog): void {
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      log.warn({ signal }, 'a second signal: the sessions that are left end now');
      service.hurry();
      return;
    }
    stopping = true;
    log.info({ signal }, 'stopping');
    service.stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}
