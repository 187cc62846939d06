import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { childrenOf } from '../support/children.ts';

/** One Rowgate that can be killed and started again with the same files, as an orchestrator does. */
export class RowgateProcess {
  readonly name: string;
  readonly adminPort: number;
  readonly directory: string;
  #child: ChildProcess | undefined;
  /** Ends that nobody asked for. */
  crashes = 0;
  #asked = false;

  constructor(name: string, adminPort: number, directory: string) {
    this.name = name;
    this.adminPort = adminPort;
    this.directory = directory;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ['dist/cli/main.js', 'serve', '-c', join(this.directory, 'rowgate.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#asked = false;
    const log = createWriteStream(join(this.directory, 'rowgate.log'), { flags: 'a' });
    let out = '';
    child.stderr.on('data', (chunk: Buffer) => log.write(chunk));
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        log.write(chunk);
        if (out.length < 100_000) out += chunk.toString('utf8');
        if (out.includes('rowgate ready')) resolve();
      });
      child.once('exit', (code, signal) => {
        if (!this.#asked) this.crashes += 1;
        reject(new Error(`${this.name} ended with ${code ?? signal}: ${out.slice(-2000)}`));
      });
    });
  }

  /** SIGKILL, or what is given. Resolves when the process is gone. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#asked = true;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exited;
  }

  /** Processes of several workers. */
  workers(): readonly number[] {
    const { pid } = this.#child ?? {};
    if (pid === undefined) return [];
    return childrenOf(pid);
  }

  async ready(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.adminPort}/readyz`, { signal: AbortSignal.timeout(3000) })).ok;
  }

  /** Units that are counted now, by rule. */
  async used(principal: string): Promise<ReadonlyMap<string, number>> {
    const answer = await fetch(`http://127.0.0.1:${this.adminPort}/v1/usage?principal=${principal}`, { headers: { authorization: 'Bearer chaos' }, signal: AbortSignal.timeout(5000) });
    const { usage } = (await answer.json()) as { usage: { rule_id: string; used: number }[] };
    return new Map(usage.map(({ rule_id: rule, used }) => [rule, used]));
  }
}
