import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { createOpsLog, type OpsLog } from '../audit/ops-log.ts';
import { readConfigFile } from './config-file.ts';
import { Service } from './service.ts';
import { VERSION } from './version.ts';

/** Editors write a file in several steps; it is read once they are through. */
const CHANGE_SETTLES_MS = 200;

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the proxy')
    .requiredOption('-c, --config <file>', 'configuration file')
    .action(async (options: { config: string }) => {
      const read = readConfigFile(options.config);
      if (!read.ok) {
        for (const problem of read.problems) process.stderr.write(`${problem}\n`);
        process.exitCode = 1;
        return;
      }
      const log = createOpsLog(read.config.log.level);
      let service: Service;
      try {
        service = await Service.start({ config: read.config, configSha256: read.sha256, version: VERSION, log, reread: () => readConfigFile(options.config) });
      } catch (error) {
        log.fatal({ err: error }, 'Rowgate cannot start');
        process.exitCode = 1;
        return;
      }
      const { listen, admin } = read.config;
      // Before it says that it is ready: whoever waits for that may send a signal at once.
      superviseReload(service, options.config, log);
      superviseStop(service, log);
      log.info({ host: listen.host, port: service.port, admin_host: admin.host, admin_port: service.adminPort, version: VERSION }, `rowgate ready on ${listen.host}:${service.port}`);
    });
}

function superviseReload(service: Service, path: string, log: OpsLog): void {
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

function superviseStop(service: Service, log: OpsLog): void {
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      log.warn({ signal }, 'a second signal: the sessions that are left end now');
      service.hurry();
      return;
    }
    stopping = true;
    log.info({ signal, sessions: service.gate.sessions.size }, 'stopping');
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
