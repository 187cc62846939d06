import { analyseText } from './analyse-text.ts';
import type { SqlParser, SqlParserFactory } from './dialect.ts';
import { analysisBytes, FactsCache } from './facts-cache.ts';
import type { Analysis, RoutineBody } from './facts.ts';
import { literalsAreOnlyCompared } from './literal-places.ts';
import { literalShape, type LiteralShape } from './literal-shape.ts';
import { normalise } from './normalise.ts';
import type { NormalisedSql } from './normalise.ts';
import { createPostgresParser } from './postgres-parser.ts';
import { routineBody, unread } from './routine-body.ts';
import { WorkerClient } from './worker-client.ts';

export interface AnalyserOptions {
  /** Memory for cached facts. Default 16 MiB. */
  readonly cacheBytes?: number;
  /** Texts up to this size are parsed at once on the calling thread. Default 4 KiB: a third of the length from which a chain of terms overflows the stack there, and a few milliseconds for the slowest text. */
  readonly inlineBytes?: number;
  /** Larger texts are not analysed at all. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Longest time in the worker thread. Default 5 s. */
  readonly timeoutMs?: number;
  /** Characters of large texts that may wait at once. Default 64 Mi. */
  readonly maxQueuedChars?: number;
  /** Longest that a large text waits for its turn. Default 10 s. */
  readonly maxWaitMs?: number;
  /** The compiled worker thread, for tests. */
  readonly workerUrl?: URL;
  /** For tests. */
  readonly createParser?: SqlParserFactory;
}

/** Only ever grow, but for the cache's size. */
export interface AnalyserCounters {
  readonly hits: number;
  /** Of the hits: texts that differ from an earlier one in literals only. */
  readonly shapeHits: number;
  readonly misses: number;
  /** Spent on parsing and walking, on both threads. */
  readonly parseNanoseconds: number;
  readonly workerRuns: number;
  /** Texts that came out opaque. */
  readonly opaque: number;
  readonly cacheBytes: number;
  readonly cacheEntries: number;
}

const DEFAULT_CACHE_BYTES = 16 * 1024 * 1024;
const DEFAULT_INLINE_BYTES = 4 * 1024;
const DEFAULT_MAX_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_QUEUED_CHARS = 64 * 1024 * 1024;
const DEFAULT_MAX_WAIT_MS = 10_000;

/** The largest tree of a text of 4 KiB stays far below; the instance starts with 128 MiB. */
const INLINE_MEMORY_BYTES = 192 * 1024 * 1024;

/** Each expression of a body is parsed by itself, so a body takes several times as long as a statement of its size. */
const INLINE_ROUTINE_CHARACTERS = 1024;

/** Below this no text costs more than a few milliseconds. */
const SHORT_BYTES = 128;

function createInlineParser(): Promise<SqlParser> {
  return createPostgresParser(INLINE_MEMORY_BYTES);
}

/** The parser's time for nested comments is quadratic in their number. */
const MANY_COMMENTS = 100;

/**
 * Small texts that cost much more than their size. `SET (a, b, c ...) = (...)` repeats the right side in the tree for each column: 64 ms
 * for 512 bytes, gigabytes for 4 KiB. Anything that could be one goes to the thread; a comment may stand before the `=`. Nested
 * comments of 4 KiB take 15 ms, and three times that to normalise.
 */
function needsThread(text: string): boolean {
  if (/\bset\b/i.test(text) && /\)\s*(?:=|--|\/\*)/.test(text)) return true;
  let comments = 0;
  for (let at = text.indexOf('/*'); at >= 0; at = text.indexOf('/*', at + 2)) {
    comments += 1;
    if (comments > MANY_COMMENTS) return true;
  }
  return false;
}

/** Text to facts: cached, at once where that is cheap, in a watched thread where it is not. */
export class Analyser {
  readonly #inlineBytes: number;
  readonly #maxBytes: number;
  readonly #createParser: SqlParserFactory;
  readonly #cache: FactsCache<Analysis>;
  /** Facts by shape; `undefined` in the place of facts: they may depend on the literals, so each text is parsed. */
  readonly #shapes: FactsCache<{ readonly analysis: Analysis | undefined }>;
  readonly #normalised: FactsCache<NormalisedSql>;
  readonly #worker: WorkerClient;
  #parser: SqlParser;
  #replacement: Promise<SqlParser> | undefined;
  #hits = 0;
  #shapeHits = 0;
  #misses = 0;
  #nanoseconds = 0;
  #workerRuns = 0;
  #opaque = 0;

  /** Use `Analyser.create`. */
  private constructor(parser: SqlParser, options: AnalyserOptions) {
    this.#parser = parser;
    this.#createParser = options.createParser ?? createInlineParser;
    this.#inlineBytes = options.inlineBytes ?? DEFAULT_INLINE_BYTES;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    const cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
    this.#cache = new FactsCache(cacheBytes, analysisBytes);
    this.#shapes = new FactsCache(cacheBytes / 4, ({ analysis }) => (analysis === undefined ? 0 : analysisBytes(analysis)));
    this.#normalised = new FactsCache(cacheBytes / 4, (value) => value.sql.length * 2 + 200);
    this.#worker = new WorkerClient({
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      maxQueuedChars: options.maxQueuedChars ?? DEFAULT_MAX_QUEUED_CHARS,
      maxWaitMs: options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS,
      url: options.workerUrl ?? compiledWorker(),
    });
  }

  static async create(options: AnalyserOptions = {}): Promise<Analyser> {
    return new Analyser(await (options.createParser ?? createInlineParser)(), options);
  }

  get counters(): AnalyserCounters {
    return {
      hits: this.#hits,
      shapeHits: this.#shapeHits,
      misses: this.#misses,
      parseNanoseconds: this.#nanoseconds,
      workerRuns: this.#workerRuns,
      opaque: this.#opaque,
      cacheBytes: this.#cache.bytes,
      cacheEntries: this.#cache.size,
    };
  }

  /** Never throws and never rejects: whatever goes wrong is an opaque analysis. */
  analyse(text: string): Analysis | Promise<Analysis> {
    const known = this.#cache.get(text);
    if (known !== undefined) {
      this.#hits += 1;
      return known;
    }
    const shape = literalShape(text);
    const shaped = shape === undefined ? undefined : this.#shapes.get(shape.key);
    if (shaped?.analysis !== undefined) {
      this.#hits += 1;
      this.#shapeHits += 1;
      return shaped.analysis;
    }
    this.#misses += 1;
    const size = this.#sizeOf(text);
    if (size === 'too large') return this.#finish(text, { kind: 'opaque', reason: `the text is larger than ${this.#maxBytes} bytes` });
    if (size === 'large') return this.#analyseInWorker(text);
    const parser = this.#usableParser();
    return parser instanceof Promise
      ? parser.then((fresh) => this.#analyseInline(text, fresh, shape), (error: unknown) => this.#finish(text, noParser(error)))
      : this.#analyseInline(text, parser, shaped === undefined ? shape : undefined);
  }

  /** The text without literals and comments, for the audit log. Only for texts that are audited: it costs another parse the first time. */
  normalise(text: string): NormalisedSql | Promise<NormalisedSql> {
    const known = this.#normalised.get(text);
    if (known !== undefined) return known;
    const size = this.#sizeOf(text);
    if (size === 'too large') return unparsed(text);
    if (size === 'large') return this.#normaliseInWorker(text);
    const parser = this.#usableParser();
    return parser instanceof Promise
      ? parser.then((fresh) => this.#remember(text, normalise(text, fresh)), () => unparsed(text))
      : this.#remember(text, normalise(text, parser));
  }

  /** What the body of a routine does, by its CREATE FUNCTION. Never throws and never rejects. The caller keeps the answer. */
  readRoutine(definition: string): RoutineBody | Promise<RoutineBody> {
    if (definition.length > INLINE_ROUTINE_CHARACTERS || this.#sizeOf(definition) !== 'small') return this.#readRoutineInWorker(definition);
    const parser = this.#usableParser();
    const read = (using: SqlParser): RoutineBody => {
      try {
        const body = routineBody(definition, using);
        // What a failing parser left out must not count as understood.
        return using.usable ? body : unread('made the parser fail');
      } catch {
        return unread('could not be read');
      }
    };
    return parser instanceof Promise ? parser.then(read, () => unread('could not be read')) : read(parser);
  }

  async #readRoutineInWorker(definition: string): Promise<RoutineBody> {
    this.#workerRuns += 1;
    const answer = await this.#worker.run('routine', definition);
    return answer.kind === 'done' && answer.result.task === 'routine' ? answer.result.body : unread('could not be read in time');
  }

  /** Ends the thread; what still waits becomes opaque. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  #sizeOf(text: string): 'small' | 'large' | 'too large' {
    if (text.length > this.#maxBytes) return 'too large';
    const bytes = Buffer.byteLength(text, 'utf8');
    if (bytes > this.#maxBytes) return 'too large';
    return bytes > this.#inlineBytes || (bytes > SHORT_BYTES && needsThread(text)) ? 'large' : 'small';
  }

  /** A trapped instance may loop for ever when it is used again, so the next text waits the few milliseconds that a fresh one takes. */
  #usableParser(): SqlParser | Promise<SqlParser> {
    if (this.#parser.usable) return this.#parser;
    this.#replacement ??= this.#createParser().then((fresh) => {
      this.#parser = fresh;
      return fresh;
    }).finally(() => {
      this.#replacement = undefined;
    });
    return this.#replacement;
  }

  /** `shape`: of which it is not known yet whether its texts have the same facts. */
  #analyseInline(text: string, parser: SqlParser, shape: LiteralShape | undefined): Analysis {
    const start = process.hrtime.bigint();
    let shared = false;
    const analysis = guarded(() => analyseText(text, parser, (statements) => {
      shared = shape !== undefined && literalsAreOnlyCompared(statements, shape.starts);
    }));
    this.#nanoseconds += Number(process.hrtime.bigint() - start);
    if (shape !== undefined) {
      if (shared && analysis.kind === 'statements') {
        const template = ofWholeText(analysis);
        this.#shapes.set(shape.key, { analysis: template });
        return template;
      }
      this.#shapes.set(shape.key, { analysis: undefined });
    }
    return this.#finish(text, analysis);
  }

  async #analyseInWorker(text: string): Promise<Analysis> {
    this.#workerRuns += 1;
    const answer = await this.#worker.run('analyse', text);
    if (answer.kind === 'failed') return this.#finish(text, { kind: 'opaque', reason: answer.reason });
    this.#nanoseconds += answer.nanoseconds;
    return this.#finish(text, answer.result.task === 'analyse' ? answer.result.analysis : { kind: 'opaque', reason: 'wrong answer' });
  }

  async #normaliseInWorker(text: string): Promise<NormalisedSql> {
    this.#workerRuns += 1;
    const answer = await this.#worker.run('normalise', text);
    if (answer.kind === 'failed' || answer.result.task !== 'normalise') return unparsed(text);
    return this.#remember(text, answer.result.normalised);
  }

  /** Opaque texts are not cached: the next try may find the thread less busy. */
  #finish(text: string, analysis: Analysis): Analysis {
    if (analysis.kind === 'opaque') this.#opaque += 1;
    else this.#cache.set(text, analysis);
    return analysis;
  }

  #remember(text: string, normalised: NormalisedSql): NormalisedSql {
    if (normalised.fingerprint !== undefined) this.#normalised.set(text, normalised);
    return normalised;
  }
}

/** A length of zero: up to the end of whichever text has these facts. */
function ofWholeText({ statements }: Extract<Analysis, { kind: 'statements' }>): Analysis {
  return { kind: 'statements', statements: statements.map((facts) => ({ ...facts, offset: 0, length: 0 })) };
}

function guarded(analyse: () => Analysis): Analysis {
  try {
    return analyse();
  } catch (error) {
    return { kind: 'opaque', reason: `the analysis failed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function noParser(error: unknown): Analysis {
  return { kind: 'opaque', reason: `no parser: ${error instanceof Error ? error.message : String(error)}` };
}

function unparsed(text: string): NormalisedSql {
  return { sql: `<unparsed, ${Buffer.byteLength(text, 'utf8')} bytes>`, fingerprint: undefined };
}

/** Node 20 cannot run TypeScript in a thread, so from the sources (under vitest) the compiled worker is used. */
function compiledWorker(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../dist/sql/analyse-worker.js', import.meta.url)
    : new URL('./analyse-worker.js', import.meta.url);
}
