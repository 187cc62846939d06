import { Worker } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest, WorkerResult } from './analyse-worker.ts';

export interface WorkerOptions {
  /** Longest that one text may take, from the moment that it is handed over. */
  readonly timeoutMs: number;
  /** Characters of the texts that wait. More are refused. */
  readonly maxQueuedChars: number;
  /** Longest that a text waits for its turn. */
  readonly maxWaitMs: number;
  /** The compiled worker. */
  readonly url: URL;
}

/** `reason` says why there is no result: the text stays opaque. */
export type WorkerAnswer =
  | { readonly kind: 'done'; readonly result: WorkerResult; readonly nanoseconds: number }
  | { readonly kind: 'failed'; readonly reason: string };

interface Job {
  readonly request: WorkerRequest;
  readonly sinceMs: number;
  readonly finish: (answer: WorkerAnswer) => void;
}

const TOO_MANY = 'too many large statements are waiting to be analysed';
/** Stack for about 600,000 nested terms; the parser's own C stack is watched by a canary (`postgres-parser.ts`). */
const STACK_MIB = 64;
/** The JSON of a 1 MiB chain of terms and the tree made from it. */
const HEAP_MIB = 768;

/**
 * One worker thread behind one queue, which is bounded by size and time. The shortest text is next: many of some KiB, as programs that start together send them, do not wait for one
 * of a MiB, and who sends many of these waits himself. The thread is started by the first job and replaced after a timeout or a crash.
 */
export class WorkerClient {
  readonly #options: WorkerOptions;
  readonly #queue: Job[] = [];
  #queuedChars = 0;
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
    // A text that finds nobody waiting has its turn, however large.
    if (this.#queue.length > 0 && this.#queuedChars + text.length > this.#options.maxQueuedChars) return Promise.resolve({ kind: 'failed', reason: TOO_MANY });
    return new Promise((finish) => {
      this.#queue.push({ request: { id: this.#nextId, task, text }, sinceMs: performance.now(), finish });
      this.#queuedChars += text.length;
      this.#nextId += 1;
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    for (const job of this.#queue.splice(0)) job.finish({ kind: 'failed', reason: 'the analyser is closed' });
    this.#queuedChars = 0;
    this.#fail('the analyser is closed');
    await worker?.terminate();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#takeNext();
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

  /** The shortest text, of several the one that came first. Those that have waited for too long are answered. */
  #takeNext(): Job | undefined {
    const tooOldMs = performance.now() - this.#options.maxWaitMs;
    for (const job of this.#queue.filter(({ sinceMs }) => sinceMs < tooOldMs)) {
      this.#leave(job);
      job.finish({ kind: 'failed', reason: TOO_MANY });
    }
    let next: Job | undefined;
    for (const job of this.#queue) if (next === undefined || job.request.text.length < next.request.text.length) next = job;
    if (next !== undefined) this.#leave(next);
    return next;
  }

  #leave(job: Job): void {
    this.#queue.splice(this.#queue.indexOf(job), 1);
    this.#queuedChars -= job.request.text.length;
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
