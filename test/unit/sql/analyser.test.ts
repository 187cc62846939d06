import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Analyser } from '../../../src/sql/analyser.ts';
import type { AnalyserOptions } from '../../../src/sql/analyser.ts';
import type { SqlParser } from '../../../src/sql/dialect.ts';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';
import { compileWorker } from './compiled-worker.ts';

const open: Analyser[] = [];
let worker: ReturnType<typeof compileWorker>;

beforeAll(() => {
  worker = compileWorker();
});

afterAll(async () => {
  await Promise.all(open.map((analyser) => analyser.close()));
  worker.remove();
});

async function create(options: AnalyserOptions = {}): Promise<Analyser> {
  const analyser = await Analyser.create({ workerUrl: worker.url, timeoutMs: 25_000, ...options });
  open.push(analyser);
  return analyser;
}

/** A text that takes the parser far longer than any timeout here: nested comments are quadratic in it. */
const slow = (depth = 100_000): string => `${'/*'.repeat(depth)}${'*/'.repeat(depth)}SELECT 1`;
const large = (sql: string): string => `${sql} -- ${'x'.repeat(10_000)}`;

describe('small texts', () => {
  it('are analysed at once and cached by their exact text', async () => {
    const analyser = await create();
    const first = analyser.analyse('SELECT * FROM a');
    expect(first).toMatchObject({ kind: 'statements', statements: [{ kind: 'select' }] });
    expect(analyser.analyse('SELECT * FROM a')).toBe(first);
    expect(analyser.analyse('SELECT * FROM  a')).not.toBe(first);
    expect(analyser.counters).toMatchObject({ hits: 1, misses: 2, workerRuns: 0, opaque: 0, cacheEntries: 2 });
    expect(analyser.counters.parseNanoseconds).toBeGreaterThan(0);
  });

  it('give a syntax error its message and its place in characters', async () => {
    expect((await create()).analyse("SELECT 'é' FRM t WHERE")).toEqual({ kind: 'syntax_error', message: 'syntax error at or near "t"', position: 16 });
  });

  it.each([['NUL', 'SELECT 1\0 FROM customers'], ['a lone surrogate', 'SELECT * FROM "\ud800"'], ['a lone surrogate at the end', 'SELECT 1 -- \udc00']])('with %s are opaque', async (_what, sql) => {
    expect((await create()).analyse(sql)).toMatchObject({ kind: 'opaque' });
  });

  it('with characters beyond the basic plane are fine', async () => {
    expect((await create()).analyse('SELECT * FROM "😀"')).toMatchObject({ statements: [{ relations: [{ name: '😀' }] }] });
  });

  it('of nothing but nested comments do not block the caller', async () => {
    const analyser = await create();
    for (const work of [analyser.analyse(slow(1_000)), analyser.normalise(slow(1_000))]) {
      expect(work).toBeInstanceOf(Promise);
      await work;
    }
  });

  it('that repeat themselves in the tree do not block the caller', async () => {
    const analyser = await create();
    const sql = `UPDATE t SET (${Array.from({ length: 400 }, () => 'a').join()}) /**/ = (1${'+1'.repeat(800)})`;
    const analysis = analyser.analyse(sql);
    expect(analysis).toBeInstanceOf(Promise);
    await analysis;
  });
});

describe('the cache', () => {
  it('is bounded in bytes and forgets what was not asked for longest', async () => {
    const analyser = await create({ cacheBytes: 20_000 });
    for (let at = 0; at < 100; at += 1) {
      void analyser.analyse('SELECT 0');
      void analyser.analyse(`SELECT ${at + 1}`);
      expect(analyser.counters.cacheBytes).toBeLessThanOrEqual(20_000);
    }
    expect(analyser.counters.cacheEntries).toBeGreaterThan(3);
    expect(analyser.counters.hits).toBe(99);
  });

  it('does not keep texts above 32 KiB', async () => {
    const analyser = await create();
    await analyser.analyse(`SELECT 1 -- ${'x'.repeat(40_000)}`);
    expect(analyser.counters.cacheEntries).toBe(0);
  });
});

describe('a parser that traps', () => {
  it('is never used again, and only its statement is opaque', async () => {
    const made: SqlParser[] = [];
    const createParser = async (): Promise<SqlParser> => {
      const real = await createPostgresParser();
      let usable = true;
      const parser: SqlParser = {
        get usable() { return usable; },
        parse: (text) => {
          if (!usable) throw new Error('used after a trap');
          if (!text.includes('trap')) return real.parse(text);
          usable = false;
          return { kind: 'trap', reason: 'memory access out of bounds' };
        },
        scan: (text) => real.scan(text),
        parsePlpgsql: (text) => real.parsePlpgsql(text),
        fingerprint: (text) => real.fingerprint(text),
      };
      made.push(parser);
      return parser;
    };
    const analyser = await create({ createParser });
    expect(await analyser.analyse('trap')).toEqual({ kind: 'opaque', reason: 'memory access out of bounds' });
    const [next, other] = [analyser.analyse('SELECT 1'), analyser.analyse('SELECT 2')];
    expect(await next).toMatchObject({ kind: 'statements' });
    expect(await other).toMatchObject({ kind: 'statements' });
    expect(made).toHaveLength(2);
    expect(analyser.analyse('SELECT 3')).toMatchObject({ kind: 'statements' });
  });

  it('is what the real one becomes when a chain of terms overflows its stack', async () => {
    const parser = await createPostgresParser();
    expect(parser.parse(`SELECT 1${'+1'.repeat(50_000)}`).kind).toBe('trap');
    expect(parser.usable).toBe(false);
    expect(parser.parse('SELECT 1').kind).toBe('trap');
    expect((await createPostgresParser()).parse('SELECT 1').kind).toBe('tree');
  });

  it('does not happen to the largest texts that are parsed at once', async () => {
    const analyser = await create();
    const fill = (head: string, part: string, tail = '', end = ''): string => {
      const count = Math.floor((4096 - head.length - tail.length) / (part.length + end.length));
      return head + part.repeat(count) + tail + end.repeat(count);
    };
    const texts = [
      fill('SELECT 1', '+1'), fill('SELECT a', '^a'), fill('SELECT ', '- ', 'a'), fill('SELECT ', '(', '1', ')'), fill('SELECT ', '(SELECT ', '1', ')'),
      fill('SELECT ', 'f(', '', ')'), fill('TABLE a', ' UNION TABLE a'), fill('SELECT a', '[1]'), fill('', 'BEGIN;'),
    ];
    for (const text of texts) {
      const analysis = analyser.analyse(text);
      expect(analysis).toHaveProperty('kind');
      expect(analysis).not.toMatchObject({ kind: 'opaque' });
    }
  });
});

describe('large texts', () => {
  it('give the same facts from the thread', async () => {
    const analyser = await create();
    const inThread = analyser.analyse(large('SELECT * FROM a'));
    expect(inThread).toBeInstanceOf(Promise);
    const atOnce = (await create({ inlineBytes: 100_000 })).analyse(large('SELECT * FROM a'));
    expect(await inThread).toEqual(atOnce);
    expect(analyser.counters).toMatchObject({ workerRuns: 1, misses: 1 });
    expect(analyser.analyse(large('SELECT * FROM a'))).toEqual(atOnce);
  });

  it('may nest deep there', async () => {
    expect(await (await create()).analyse(`SELECT 1${'+1'.repeat(100_000)}`)).toMatchObject({ kind: 'statements' });
  });

  it('that overflow even that stack are opaque, and the thread goes on', async () => {
    const analyser = await create();
    for (const terms of [233_000, 400_000]) expect(await analyser.analyse(`SELECT 1${'+1'.repeat(terms)}`)).toMatchObject({ kind: 'opaque' });
    expect(await analyser.analyse(large('SELECT 1'))).toMatchObject({ kind: 'statements' });
  });

  it('that take too long are opaque, and those behind them are not', async () => {
    const analyser = await create({ timeoutMs: 1_000 });
    const [first, second] = [analyser.analyse(slow()), analyser.analyse(large('SELECT 1'))];
    expect(await first).toEqual({ kind: 'opaque', reason: 'the analysis took too long' });
    expect(await second).toMatchObject({ kind: 'statements' });
    expect(analyser.counters.opaque).toBe(1);
  });

  it('wait for their turn, many at once too', async () => {
    const analyser = await create();
    const answers = await Promise.all(Array.from({ length: 500 }, async (_, at) => analyser.analyse(large(`SELECT ${at}`))));
    expect(answers.filter(({ kind }) => kind !== 'statements')).toEqual([]);
  });

  it('are refused when too much text waits', async () => {
    const analyser = await create({ maxQueuedChars: 2.5 * large('SELECT 1').length });
    const answers = await Promise.all([1, 2, 3, 4].map(async (at) => analyser.analyse(large(`SELECT ${at}`))));
    // The first does not wait: it is being analysed.
    expect(answers.map((answer) => answer.kind)).toEqual(['statements', 'statements', 'statements', 'opaque']);
  });

  it('are refused after they have waited for too long', async () => {
    const analyser = await create({ timeoutMs: 1_000, maxWaitMs: 500 });
    const answers = await Promise.all([slow(), large('SELECT 1')].map(async (sql) => analyser.analyse(sql)));
    expect(answers).toEqual([{ kind: 'opaque', reason: 'the analysis took too long' }, { kind: 'opaque', reason: 'too many large statements are waiting to be analysed' }]);
    expect(await analyser.analyse(large('SELECT 2'))).toMatchObject({ kind: 'statements' });
  });

  it('go before longer ones', async () => {
    const analyser = await create();
    const done: string[] = [];
    const run = async (name: string, sql: string): Promise<void> => {
      await analyser.analyse(sql);
      done.push(name);
    };
    await Promise.all([run('at work', large('SELECT 1')), run('long', `SELECT 1${'+1'.repeat(50_000)}`), run('short', large('SELECT 2'))]);
    expect(done).toEqual(['at work', 'short', 'long']);
  });

  it('beyond the size limit are refused without a look, counted in bytes', async () => {
    const analyser = await create({ maxBytes: 20_000 });
    expect(analyser.analyse('é'.repeat(10_001))).toMatchObject({ kind: 'opaque', reason: 'the text is larger than 20000 bytes' });
    expect(analyser.counters.workerRuns).toBe(0);
  });

  it('of very many statements are opaque', async () => {
    expect(await (await create()).analyse('BEGIN;'.repeat(10_001))).toMatchObject({ kind: 'opaque' });
  });

  it('are opaque where the thread cannot start', async () => {
    const analyser = await create({ workerUrl: new URL('file:///nonexistent/worker.js') });
    expect(await analyser.analyse(large('SELECT 1'))).toMatchObject({ kind: 'opaque' });
    expect(await analyser.analyse(large('SELECT 2'))).toMatchObject({ kind: 'opaque' });
  });

  it('become opaque when the analyser is closed', async () => {
    const analyser = await create();
    const waiting = [slow(), large('SELECT 1')].map(async (sql) => analyser.analyse(sql));
    await analyser.close();
    expect((await Promise.all(waiting)).map((answer) => answer.kind)).toEqual(['opaque', 'opaque']);
    expect(await analyser.analyse(large('SELECT 1'))).toMatchObject({ kind: 'opaque' });
  });
});

it('compiled, finds its thread by itself, waits for it while it works and lets the process end when it is idle', () => {
  const script = `const { Analyser } = await import(${JSON.stringify(worker.analyser.href)});
    const analyser = await Analyser.create();
    console.log((await analyser.analyse('SELECT 1 -- ' + 'x'.repeat(9000))).kind);`;
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 20_000 })).toBe('statements\n');
});

describe('normalising', () => {
  it('is cached, and done in the thread for large texts', async () => {
    const analyser = await create();
    const small = analyser.normalise("SELECT 'secret'");
    expect(small).toMatchObject({ sql: 'SELECT $1' });
    expect(analyser.normalise("SELECT 'secret'")).toBe(small);
    const later = analyser.normalise(large("SELECT 'secret'"));
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toMatchObject({ sql: 'SELECT $1' });
    expect(await (await create({ maxBytes: 10_000 })).normalise(large('SELECT 1'))).toEqual({ sql: '<unparsed, 10012 bytes>', fingerprint: undefined });
  });
});
