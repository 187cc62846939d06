/** `rowgate serve` as a process of its own, as it runs in production. */

import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const STOP_GRACE_MS = 10_000;

export class RowgateProcess {
  #child: ChildProcess | undefined;
  #stopped = false;

  async start(configPath: string, logPath: string): Promise<void> {
    if (this.#stopped) throw new Error('Rowgate is being stopped');
    const main = fileURLToPath(new URL('../main.js', import.meta.url));
    // A process group of its own: Ctrl-C reaches the demo alone, which stops Rowgate before the database.
    const child = spawn(process.execPath, [main, 'serve', '-c', configPath], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        appendFileSync(logPath, chunk);
        if (output.length < 100_000) output += chunk.toString('utf8');
        if (output.includes('rowgate ready')) resolve();
      };
      child.stdout.on('data', onData);
      child.stderr.on('data', onData);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`rowgate serve ended with ${String(code)}: ${output}`)));
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(impatience);
  }
}
