import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { readListenTls, readUpstreamTls, TlsFileError } from '../auth/tls-files.ts';
import { readPasswords, readVerifiers, UserFileError } from '../auth/user-file.ts';
import type { Config } from '../policy/config.ts';
import type { LoadedConfig } from '../policy/load-config.ts';
import { formatProblem, loadConfig } from '../policy/load-config.ts';
import { compilePolicy } from '../policy/compile.ts';
import { isGlob } from '../policy/glob.ts';
import { readConfigFile } from './config-file.ts';
import { checkLive } from './live-check.ts';
import { withAbsolutePaths } from './config-file.ts';

/** What the command touches of the world, so that tests can hand in their own. */
export interface CheckIo {
  readonly env: (name: string) => string | undefined;
  readonly readFile: (path: string) => string;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

export interface CheckOptions {
  readonly config: string;
  /** A warning counts as a mistake. */
  readonly strict?: boolean;
}

/** Reads a configuration and tells every mistake in it, one a line. 0: valid, 1: not. */
export function runCheck(options: CheckOptions, io: CheckIo = processIo()): number {
  let text: string;
  try {
    text = io.readFile(options.config);
  } catch (error) {
    io.err(`${options.config}: cannot be read (${codeOf(error)})`);
    return 1;
  }
  const loaded = loadConfigFile(options.config, text, io);
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(formatProblem(problem));
    return 1;
  }
  const fileProblems = problemsOfFiles(withAbsolutePaths(loaded.config, dirname(options.config)), io);
  if (fileProblems.length > 0) {
    for (const problem of fileProblems) io.err(`${options.config}: ${problem}`);
    return 1;
  }
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}`);
  const policy = compilePolicy(loaded.config);
  const quotas = policy.roles.reduce((sum, role) => sum + role.quotas.length, 0);
  io.out(`config is valid: ${count(policy.classes.size, 'class', 'classes')}, ${count(policy.roles.length, 'role')}, ${count(quotas, 'quota')}`);
  return options.strict === true && loaded.warnings.length > 0 ? 1 : 0;
}

/** The same, and then against the server. */
async function runLiveCheck(options: CheckOptions, databases: readonly string[] | true): Promise<number> {
  const io = processIo();
  const code = runCheck(options, io);
  const read = readConfigFile(options.config);
  if (!read.ok) return code;
  const loaded = loadConfigFile(options.config, read.text, io);
  const named = databases === true ? (read.config.upstream.databases ?? []).filter((name) => !isGlob(name)) : databases;
  const { errors, findings, warnings } = await checkLive(read.config, named.length === 0 ? ['postgres'] : named);
  for (const error of errors) io.err(error);
  for (const problem of loaded.ok ? loaded.located(findings) : []) io.err(`warning: ${formatProblem(problem)}`);
  for (const warning of warnings) io.err(`warning: ${warning}`);
  return errors.length > 0 || (options.strict === true && findings.length + warnings.length > 0) ? 1 : code;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('read a configuration: every mistake in it, and what is legal but most likely not meant')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--connect [database...]', 'also ask the server, with the catalog login, whether what the policy names is there (databases: those of upstream.databases, else postgres)')
    .option('--strict', 'fail on warnings too')
    .action(async ({ connect, ...options }: CheckOptions & { connect?: readonly string[] | true }) => {
      process.exitCode = connect === undefined ? runCheck(options) : await runLiveCheck(options, connect);
    });
}

/** Files that the configuration names and the proxy cannot do without. */
function problemsOfFiles(config: Config, io: CheckIo): readonly string[] {
  const { listen, upstream, auth } = config;
  const readFile = (path: string): Buffer => Buffer.from(io.readFile(path));
  const attempts: readonly (() => unknown)[] = [
    () => listen.tls === undefined || readListenTls(listen.tls, readFile),
    () => readUpstreamTls(upstream.tls, readFile),
    () => auth.users === undefined || readVerifiers(auth.users, io.readFile),
    () => auth.upstreamUsers === undefined || readPasswords(auth.upstreamUsers, io.readFile),
  ];
  return attempts.flatMap((attempt) => {
    try {
      attempt();
      return [];
    } catch (error) {
      if (error instanceof TlsFileError || error instanceof UserFileError) return [error.message];
      throw error;
    }
  });
}

/** A secret file is looked for beside the configuration that names it, wherever the command is started. */
function loadConfigFile(fileName: string, text: string, io: CheckIo): LoadedConfig {
  return loadConfig(text, fileName, { env: io.env, readFile: (path) => io.readFile(resolve(dirname(fileName), path)) });
}

function processIo(): CheckIo {
  return {
    env: (name) => process.env[name],
    readFile: (path) => readFileSync(path, 'utf8'),
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
  };
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
