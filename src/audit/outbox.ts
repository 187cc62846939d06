/**
 * A bounded queue in front of a receiver that may be slow or away. Putting something in never waits and never fails: what does not fit pushes out the
 * oldest that is not on its way. One delivery at a time; after a failure the same batch again, with pauses that double.
 * A delivery whose answer was lost is made again, so a receiver may get a thing twice, never in another order.
 */

export interface OutboxOptions<T> {
  /** Rejects if the receiver did not take them; with `RejectedError` if it never will. */
  readonly deliver: (batch: readonly T[], signal: AbortSignal) => Promise<void>;
  readonly bytesOf: (item: T) => number;
  /** Most that waits, what is on its way included. */
  readonly maxBytes: number;
  readonly batchItems: number;
  readonly batchBytes: number;
  /** First and longest pause after a failure. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Told when deliveries begin to fail and when they succeed again. */
  readonly onState?: (state: OutboxState) => void;
}

export type OutboxState = { readonly kind: 'failing'; readonly reason: string } | { readonly kind: 'delivering'; readonly dropped: number };

/** The receiver has refused these for what they are: they would hold up everything behind them for ever. */
export class RejectedError extends Error {
  override readonly name = 'RejectedError';
}

export interface OutboxStats {
  sent: number;
  dropped: number;
  failures: number;
}

export class Outbox<T> {
  readonly stats: OutboxStats = { sent: 0, dropped: 0, failures: 0 };
  readonly #options: OutboxOptions<T>;
  #queue: T[] = [];
  /** Where the queue begins: `shift` of a long array copies it. */
  #from = 0;
  #queuedBytes = 0;
  #inFlight: readonly T[] = [];
  #inFlightBytes = 0;
  #running = false;
  #closing = false;
  #failing = false;
  #droppedBefore = 0;
  #pauseMs: number;
  #wake: (() => void) | undefined;
  #idle: (() => void) | undefined;
  readonly #abort = new AbortController();

  constructor(options: OutboxOptions<T>) {
    this.#options = options;
    this.#pauseMs = options.retryMinMs;
  }

  /** What waits or is on its way. */
  get waiting(): number {
    return this.#queue.length - this.#from + this.#inFlight.length;
  }

  get failing(): boolean {
    return this.#failing;
  }

  put(items: Iterable<T>): void {
    for (const item of items) {
      if (this.#closing) {
        this.stats.dropped += 1;
        continue;
      }
      this.#queue.push(item);
      this.#queuedBytes += this.#options.bytesOf(item);
    }
    while (this.#queuedBytes + this.#inFlightBytes > this.#options.maxBytes && this.#from < this.#queue.length) {
      this.#take();
      this.stats.dropped += 1;
    }
    if (!this.#running && this.#from < this.#queue.length) void this.#run();
  }

  /** Takes nothing more, and waits so long for what is there; what is left then is dropped. */
  async close(withinMs: number): Promise<void> {
    this.#closing = true;
    if (this.#running) {
      const idle = new Promise<void>((resolve) => { this.#idle = resolve; });
      const timer = setTimeout(() => {
        this.#abort.abort();
        this.#wake?.();
      }, withinMs);
      // A receiver that is away is asked once more at once, not after its pause.
      this.#wake?.();
      await idle;
      clearTimeout(timer);
    }
    this.stats.dropped += this.waiting;
    this.#queue = [];
    this.#from = 0;
    this.#inFlight = [];
  }

  #take(): T {
    const item = this.#queue[this.#from] as T;
    this.#from += 1;
    this.#queuedBytes -= this.#options.bytesOf(item);
    if (this.#from > 1024 && this.#from * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#from);
      this.#from = 0;
    }
    return item;
  }

  #nextBatch(): readonly T[] {
    const { batchItems, batchBytes, bytesOf } = this.#options;
    const batch: T[] = [];
    let bytes = 0;
    while (this.#from < this.#queue.length && batch.length < batchItems) {
      const size = bytesOf(this.#queue[this.#from] as T);
      if (batch.length > 0 && bytes + size > batchBytes) break;
      bytes += size;
      batch.push(this.#take());
    }
    this.#inFlightBytes = bytes;
    return batch;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What is put in during the same turn of the event loop goes out together.
    await new Promise<void>((resolve) => { setImmediate(resolve); });
    while (!this.#abort.signal.aborted && (this.#inFlight.length > 0 || this.#from < this.#queue.length)) {
      if (this.#inFlight.length === 0) this.#inFlight = this.#nextBatch();
      await this.#attempt();
    }
    this.#running = false;
    this.#idle?.();
  }

  async #attempt(): Promise<void> {
    const batch = this.#inFlight;
    try {
      await this.#options.deliver(batch, this.#abort.signal);
      this.stats.sent += batch.length;
      this.#done();
      this.#succeeded();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.stats.failures += 1;
      this.#failed(error);
      if (error instanceof RejectedError) {
        this.stats.dropped += batch.length;
        this.#done();
        return;
      }
      await this.#pause();
    }
  }

  #done(): void {
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.#pauseMs = this.#options.retryMinMs;
  }

  #succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#options.onState?.({ kind: 'delivering', dropped: this.stats.dropped - this.#droppedBefore });
  }

  #failed(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#droppedBefore = this.stats.dropped;
    this.#options.onState?.({ kind: 'failing', reason: reasonOf(error) });
  }

  async #pause(): Promise<void> {
    // Several processes that lost the same receiver must not all come back at the same moment.
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, this.#options.retryMaxMs);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

/** Codes and our own words: an error's message may hold the URL, and with it a secret. */
function reasonOf(error: unknown): string {
  if (error instanceof RejectedError || error instanceof DeliveryError) return error.message;
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'failed';
}

/** A failure in words that may be logged. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
}
