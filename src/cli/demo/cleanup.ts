/** What was started is stopped in reverse, once, however the demo ends: story told, step failed, or a signal at any moment. */

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const PARENT_CHECK_MS = 250;
type EndSignal = keyof typeof EXIT_CODES;

export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;
  /** Set while nothing is under way but waiting: then a signal is the ordinary end. */
  #waiting = false;

  get started(): boolean {
    return this.#running !== undefined;
  }

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  onSignals(): void {
    for (const signal of Object.keys(EXIT_CODES) as EndSignal[]) {
      process.on(signal, () => this.#end(EXIT_CODES[signal]));
    }
    // `npm run` that gets SIGTERM passes it to the shell between it and this process, and the shell ends without a word.
    if (process.env['npm_lifecycle_event'] === undefined) return;
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && this.#end(EXIT_CODES.SIGTERM), PARENT_CHECK_MS).unref();
  }

  /** Never comes back: a signal ends the process. */
  untilSignal(): Promise<never> {
    this.#waiting = true;
    // A promise alone does not keep the process alive; without Rowgate's and the server's pipes, nothing would.
    setInterval(() => undefined, 60_000);
    return new Promise<never>(() => undefined);
  }

  #end(code: number): void {
    const exitCode = this.#waiting ? 0 : code;
    void this.run().finally(() => process.exit(exitCode));
  }

  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(`rowgate demo: cleaning up: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  }
}
