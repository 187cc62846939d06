import { Worker } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest, WorkerResult } from './analyse-worker.ts';

export interface WorkerOptions {
  /** Longest that one text may take, from the moment that it is handed over. */
  readonly timeoutMs: number;
  /** Texts that wait or run. More are refused. */
  readonly maxQueued: number;
  /** The compiled worker. */
  readonly url: URL;
}

/** `reason` says why there is no result: the text stays opaque. */
export type WorkerAnswer =
  | { readonly kind: 'done'; readonly result: WorkerResult; readonly nanoseconds: number }
  | { readonly kind: 'failed'; readonly reason: string };

interface Job {
  readonly request: WorkerRequest;
  readonly finish: (answer: WorkerAnswer) => void;
}

/** Stack for about 600,000 nested terms; the parser's own C stack is watched by a canary (`postgres-parser.ts`). */
const STACK_MIB = 64;
/** The JSON of a 1 MiB chain of terms and the tree made from it. */
const HEAP_MIB = 768;

/** One worker thread behind one bounded queue. It is started by the first job and replaced after a timeout or a crash. */
export class WorkerClient {
  readonly #options: WorkerOptions;
  readonly #queue: Job[] = [];
  #worker: Worker | undefined;
  #running: Job | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  run(task: WorkerRequest['task'], text: string): Promise<WorkerAnswer> {
    if (this.#closed) return Promise.resolve({ kind: 'failed', reason: 'the analyser is closed' });
    if (this.#queue.length + (this.#running === undefined ? 0 : 1) >= this.#options.maxQueued) {
      return Promise.resolve({ kind: 'failed', reason: 'too many large statements are waiting to be analysed' });
    }
    return new Promise((finish) => {
      this.#queue.push({ request: { id: this.#nextId, task, text }, finish });
      this.#nextId += 1;
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    for (const job of this.#queue.splice(0)) job.finish({ kind: 'failed', reason: 'the analyser is closed' });
    this.#fail('the analyser is closed');
    await worker?.terminate();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) {
      // An idle thread must not keep the process alive; a working one must.
      this.#worker?.unref();
      return;
    }
    this.#running = job;
    this.#watchdog = setTimeout(() => this.#fail('the analysis took too long'), this.#options.timeoutMs);
    try {
      this.#worker ??= this.#start();
      this.#worker.ref();
      this.#worker.postMessage(job.request);
    } catch (error) {
      this.#fail(`the analysis thread cannot be used: ${message(error)}`);
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#options.url, {
      // Without this the flags of the process (a test runner's loaders) reach the thread.
      execArgv: [],
      resourceLimits: { stackSizeMb: STACK_MIB, maxOldGenerationSizeMb: HEAP_MIB },
    });
    worker.on('message', (reply: WorkerReply) => {
      if (this.#worker === worker) this.#finish(reply);
    });
    for (const event of ['error', 'messageerror', 'exit'] as const) {
      worker.on(event, (cause: unknown) => {
        if (this.#worker === worker) this.#fail(`the analysis thread failed: ${message(cause)}`);
      });
    }
    return worker;
  }

  #finish(reply: WorkerReply): void {
    const job = this.#running;
    if (job === undefined || job.request.id !== reply.id) return;
    clearTimeout(this.#watchdog);
    this.#running = undefined;
    job.finish({ kind: 'done', result: reply.result, nanoseconds: reply.nanoseconds });
    this.#next();
  }

  /** Throws the thread away, whatever it is doing, and answers for it. */
  #fail(reason: string): void {
    clearTimeout(this.#watchdog);
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.unref();
    void worker?.terminate();
    const job = this.#running;
    this.#running = undefined;
    job?.finish({ kind: 'failed', reason });
    this.#next();
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : `it ended with ${String(cause)}`;
}
