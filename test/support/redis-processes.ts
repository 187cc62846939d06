import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { REDIS_SERVER } from './redis-program.ts';

/** redis-server processes in every form: plain, replicas, Sentinels, a Cluster, TLS. */
export class RedisProcess {
  readonly port: number;
  readonly directory: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, directory: string, args: readonly string[]) {
    this.port = port;
    this.directory = directory;
    this.#args = args;
  }

  static async start(args: (port: number, directory: string) => readonly string[] = plain, highestPort = 65_535): Promise<RedisProcess> {
    let port = await freePort();
    while (port > highestPort) port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), 'rowgate-redis-'));
    const server = new RedisProcess(port, directory, args(port, directory));
    await server.run();
    return server;
  }

  async run(): Promise<void> {
    this.#child = spawn(REDIS_SERVER, this.#args, { stdio: 'ignore' });
    for (let attempt = 0; attempt < 400; attempt += 1) {
      if (await accepts(this.port)) return;
      await sleep(25);
    }
    throw new Error(`${REDIS_SERVER} did not start`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    if (signal === 'SIGKILL') child.kill('SIGCONT');
    await exited;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async command<T>(run: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis({ host: '127.0.0.1', port: this.port, lazyConnect: true });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await run(client);
    } finally {
      client.disconnect();
    }
  }
}

export function plain(port: number, directory: string): string[] {
  return ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory];
}

export function persistent(port: number, directory: string): string[] {
  return [...plain(port, directory), '--appendonly', 'yes', '--appendfsync', 'always'];
}

function emptyFile(path: string): string {
  writeFileSync(path, '');
  return path;
}

/** A primary with replicas that Sentinels watch. */
export interface SentinelSetup {
  readonly servers: readonly RedisProcess[];
  readonly sentinels: readonly RedisProcess[];
  primary(): Promise<RedisProcess>;
  stop(): Promise<void>;
}

export async function startSentinels(downAfterMs = 1000): Promise<SentinelSetup> {
  // Whose replica a server is, Sentinel writes into its file (CONFIG REWRITE): on the command line it would be for ever, and two could wait for each other.
  const fast = (port: number, directory: string): string[] => [emptyFile(join(directory, 'redis.conf')), ...persistent(port, directory), '--repl-diskless-sync-delay', '0'];
  const first = await RedisProcess.start(fast);
  const second = await RedisProcess.start(fast);
  await second.command((client) => client.replicaof('127.0.0.1', first.port));
  const servers = [first, second];
  await untilTrue(() => second.command(async (client) => (await client.info('replication')).includes('master_link_status:up')));
  const sentinels = await Promise.all([1, 2, 3].map(() => RedisProcess.start((port, directory) => {
    const file = join(directory, 'sentinel.conf');
    writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`, `sentinel monitor rowgate 127.0.0.1 ${first.port} 2`, `sentinel down-after-milliseconds rowgate ${downAfterMs}`, 'sentinel failover-timeout rowgate 5000', 'logfile sentinel.log', ''].join('\n'));
    return [file, '--sentinel'];
  })));
  const anyone = sentinels[0] as RedisProcess;
  await untilTrue(() => anyone.command(async (client) => {
    const master = (await client.call('SENTINEL', 'master', 'rowgate')) as string[];
    return master[master.indexOf('num-slaves') + 1] === '1' && master[master.indexOf('num-other-sentinels') + 1] === '2';
  }));
  return {
    servers,
    sentinels,
    async primary() {
      const [, port] = await anyone.command((client) => client.call('SENTINEL', 'get-master-addr-by-name', 'rowgate') as Promise<[string, string]>);
      return servers.find((server) => String(server.port) === port) as RedisProcess;
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
    },
  };
}

/** Three nodes without replicas. */
export async function startCluster(): Promise<readonly RedisProcess[]> {
  const nodes: RedisProcess[] = [];
  // Before Redis 7 the bus is at port + 10000.
  const setsBusPort = !/v=[0-6]\./.test(execFileSync(REDIS_SERVER, ['--version'], { encoding: 'utf8' }));
  for (let i = 0; i < 3; i += 1) {
    const bus = await freePort();
    nodes.push(await RedisProcess.start((port, directory) => [...plain(port, directory), '--cluster-enabled', 'yes', ...(setsBusPort ? ['--cluster-port', String(bus)] : []), '--cluster-node-timeout', '1000', '--cluster-config-file', join(directory, 'nodes.conf')], setsBusPort ? 65_535 : 55_535));
  }
  // redis-cli asks nodes for their bus port, so that it need not be port + 10000.
  execFileSync('redis-cli', ['--cluster', 'create', ...nodes.map(({ port }) => `127.0.0.1:${port}`), '--cluster-yes'], { stdio: 'ignore' });
  await untilTrue(async () => (await Promise.all(nodes.map((node) => node.command((client) => client.cluster('INFO'))))).every((info) => String(info).includes('cluster_state:ok')));
  return nodes;
}

/** A certificate authority and a server's certificate for 127.0.0.1. */
export function makeCertificates(directory: string): { readonly ca: string; readonly cert: string; readonly key: string } {
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('ca.key'), '-out', file('ca.crt'), '-days', '2', '-subj', '/CN=test authority');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('server.key'), '-out', file('server.csr'), '-subj', '/CN=localhost');
  writeFileSync(file('san.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-out', file('server.crt'), '-days', '2', '-extfile', file('san.cnf'));
  return { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') };
}

export async function untilTrue(ready: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    if (await ready().catch(() => false)) return;
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms`);
    await sleep(50);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
