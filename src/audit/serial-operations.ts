/** Operations on one file, one after the other, each watched for hanging. */

const ignore = (): void => undefined;

export class SerialOperations {
  readonly #stallTimeoutMs: number;
  readonly #onStall: () => void;
  /** The end of the chain: they never overlap. */
  #last: Promise<void> = Promise.resolve();
  #underWay = 0;

  /** `onStall`: an operation takes longer than `stallTimeoutMs`; it goes on all the same, and the next one waits behind it. */
  constructor(stallTimeoutMs: number, onStall: () => void) {
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#onStall = onStall;
  }

  /** None is under way or waits. */
  get idle(): boolean {
    return this.#underWay === 0;
  }

  /** Runs it behind those that came before. Rejects as it does. */
  run(operation: () => Promise<void>): Promise<void> {
    this.#underWay += 1;
    const done = this.#last.then(operation).finally(() => { this.#underWay -= 1; });
    this.#last = done.catch(ignore);
    return done;
  }

  async watch<T>(operation: () => Promise<T>): Promise<T> {
    const stalled = setTimeout(this.#onStall, this.#stallTimeoutMs);
    try {
      return await operation();
    } finally {
      clearTimeout(stalled);
    }
  }
}

/** Resolves with `operation`, or after `ms` without it. */
export async function withinMs(ms: number, operation: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => { timer = setTimeout(resolve, ms); });
  await Promise.race([operation, timeout]);
  clearTimeout(timer);
}
