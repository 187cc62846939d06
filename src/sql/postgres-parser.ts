import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ParseOutcome, ParsedStatement, RawNode, SqlParser, Token } from './dialect.ts';

/**
 * PostgreSQL's own grammar: `libpg-query`, compiled to WASM.
 *
 * The package's index holds one module instance for the life of the process and offers no way to throw it away, which is what has to
 * happen after a trap: the instance's C stack pointer and parser state stay where the trap left them, and it then throws or loops
 * for ever. So this file drives the module factory that lies beside that index, and compiles the code only once.
 */

interface WasmModule {
  readonly HEAPU8: Uint8Array;
  readonly HEAPU32: Uint32Array;
  UTF8ToString(address: number): string;
  _malloc(bytes: number): number;
  _free(address: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
  _wasm_fingerprint(text: number): number;
  _wasm_parse_plpgsql(text: number): number;
  _wasm_scan(text: number): number;
  _wasm_free_string(address: number): void;
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Node has this global; the type library without DOM does not. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { readonly Module: new (code: Uint8Array) => object; readonly Instance: new (module: object, imports: object) => WasmInstance; readonly Memory: new () => WasmMemory };
};

type ModuleFactory = (options: {
  instantiateWasm: (imports: object, done: (instance: WasmInstance) => void) => object;
  print: () => void;
  printErr: () => void;
}) => Promise<WasmModule>;

const require = createRequire(import.meta.url);

/** The C stack is 32 MiB and unguarded; a parse that gets near its end would write over the parser's own tables without a sound. */
const C_STACK_BYTES = 32 * 1024 * 1024;
const CANARY_BYTES = 64 * 1024;
const CANARY_BYTE = 0xa5;
/** Texts below this cannot get anywhere near the end of the C stack. */
const CANARY_FROM_BYTES = 16 * 1024;
/** WASM memory starts with 128 MiB, mostly untouched, and never shrinks: an instance that a statement has blown up is replaced. */
const REPLACE_ABOVE_BYTES = 256 * 1024 * 1024;

let compiled: object | undefined;

/**
 * Makes a fresh instance: about 5 ms, 20 ms for the first in a thread. `maxMemoryBytes` bounds what one text can make of itself: the
 * grammar gives every column of `SET (a, b, ...) = (...)` the same sub-tree and the output repeats it, so 4 KB can become gigabytes.
 */
export async function createPostgresParser(maxMemoryBytes = 512 * 1024 * 1024): Promise<SqlParser> {
  const factory = require('libpg-query/wasm/libpg-query.js') as ModuleFactory;
  compiled ??= new WebAssembly.Module(readFileSync(require.resolve('libpg-query/wasm/libpg-query.wasm')));
  const code = compiled;
  let stackTop = 0;
  const wasm = await factory({
    instantiateWasm: (imports, done) => {
      const instance = new WebAssembly.Instance(code, imports);
      boundMemory(instance, maxMemoryBytes);
      done(instance);
      stackTop = stackTopOf(instance);
      return {};
    },
    print: () => undefined,
    printErr: () => undefined,
  });
  return new PostgresParser(wasm, stackTop - C_STACK_BYTES + CANARY_BYTES);
}

/** Growing beyond the bound fails as if there were no more memory: PostgreSQL's allocator then reports an error. */
function boundMemory(instance: WasmInstance, maxBytes: number): void {
  const memory = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Memory);
  if (memory === undefined) throw new Error('libpg-query: the memory was not found; this version of the library is laid out differently');
  const grow = memory.grow.bind(memory);
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * 65_536 > maxBytes) throw new RangeError('the parser may not take more memory');
    return grow(pages);
  };
}

/** Export names are minified. The stack pointer is the only export without parameters that returns a number: the other one is the constructor. */
function stackTopOf(instance: WasmInstance): number {
  for (const value of Object.values(instance.exports).reverse()) {
    if (typeof value !== 'function' || value.length !== 0) continue;
    const result: unknown = (value as () => unknown)();
    if (typeof result === 'number' && result > C_STACK_BYTES) return result;
  }
  throw new Error('libpg-query: the C stack was not found; this version of the library is laid out differently');
}

class PostgresParser implements SqlParser {
  readonly #wasm: WasmModule;
  readonly #canaryAddress: number;
  #usable = true;

  constructor(wasm: WasmModule, canaryAddress: number) {
    this.#wasm = wasm;
    this.#canaryAddress = canaryAddress;
    wasm.HEAPU8.fill(CANARY_BYTE, canaryAddress, canaryAddress + CANARY_BYTES);
  }

  get usable(): boolean {
    return this.#usable;
  }

  parse(text: string): ParseOutcome {
    if (!this.#usable) return { kind: 'trap', reason: 'the parser instance was used after a trap' };
    try {
      const bytes = Buffer.from(text, 'utf8');
      const result = this.#parseBytes(bytes);
      if (bytes.length >= CANARY_FROM_BYTES && !this.#canaryAlive()) {
        this.#usable = false;
        return { kind: 'trap', reason: 'the statement nests too deep for the parser' };
      }
      if (this.#wasm.HEAPU8.length > REPLACE_ABOVE_BYTES) this.#usable = false;
      return result;
    } catch (error) {
      // PostgreSQL's allocator gives up with a longjmp, which arrives here as an object without a message.
      this.#usable = false;
      return { kind: 'trap', reason: `the parser failed: ${error instanceof Error ? error.message : 'out of memory'}` };
    }
  }

  scan(text: string): readonly Token[] | undefined {
    const json = this.#stringOf(text, (address) => this.#wasm._wasm_scan(address));
    if (json === undefined || !json.startsWith('{')) return undefined;
    try {
      const { tokens = [] } = JSON.parse(json) as { tokens?: readonly { start?: number; end: number; tokenName: string }[] };
      return tokens.map((token) => ({ name: token.tokenName, start: token.start ?? 0, end: token.end }));
    } catch {
      return undefined;
    }
  }

  parsePlpgsql(text: string): unknown {
    const json = this.#stringOf(text, (address) => this.#wasm._wasm_parse_plpgsql(address));
    if (json === undefined || !json.startsWith('{')) return undefined;
    if (Buffer.byteLength(text) >= CANARY_FROM_BYTES && !this.#canaryAlive()) {
      this.#usable = false;
      return undefined;
    }
    try {
      return JSON.parse(json) as unknown;
    } catch {
      return undefined;
    }
  }

  fingerprint(text: string): string | undefined {
    const value = this.#stringOf(text, (address) => this.#wasm._wasm_fingerprint(address));
    return value !== undefined && /^[0-9a-f]{16}$/.test(value) ? value : undefined;
  }

  #stringOf(text: string, call: (address: number) => number): string | undefined {
    if (!this.#usable) return undefined;
    try {
      return this.#withText(Buffer.from(text, 'utf8'), (address) => {
        const result = call(address);
        if (result === 0) return undefined;
        const value = this.#wasm.UTF8ToString(result);
        this.#wasm._wasm_free_string(result);
        return value;
      });
    } catch {
      this.#usable = false;
      return undefined;
    }
  }

  /** No `finally`: after a trap the instance must not be entered again, not even to free memory. */
  #withText<T>(bytes: Buffer, use: (address: number) => T): T {
    const wasm = this.#wasm;
    const address = wasm._malloc(bytes.length + 1);
    if (address === 0) throw new Error('out of memory');
    wasm.HEAPU8.set(bytes, address);
    wasm.HEAPU8[address + bytes.length] = 0;
    const result = use(address);
    wasm._free(address);
    return result;
  }

  #parseBytes(bytes: Buffer): ParseOutcome {
    const wasm = this.#wasm;
    return this.#withText(bytes, (address): ParseOutcome => {
      const result = wasm._wasm_parse_query_raw(address);
      if (result === 0) throw new Error('out of memory');
      // PgQueryParseResult { char *parse_tree; char *stderr_buffer; PgQueryError *error } (pg_query.h)
      const treeAddress = this.#word(result);
      const errorAddress = this.#word(result + 8);
      const outcome = errorAddress === 0
        ? treeOutcome(wasm.UTF8ToString(treeAddress), bytes.length)
        : this.#syntaxError(errorAddress);
      wasm._wasm_free_parse_result(result);
      return outcome;
    });
  }

  /** PgQueryError { char *message, *funcname, *filename; int lineno, cursorpos; char *context } (pg_query.h) */
  #syntaxError(address: number): ParseOutcome {
    const message = this.#word(address);
    const cursor = this.#word(address + 16);
    const text = message === 0 ? 'syntax error' : this.#wasm.UTF8ToString(message);
    // Not a verdict of the grammar. (`memory exhausted`, without `out of`, is: the server's parser has the same limit on nesting.)
    if (text.startsWith('out of memory')) throw new Error(text);
    return {
      kind: 'syntax_error',
      message: text,
      position: cursor > 0 ? cursor : undefined,
    };
  }

  #word(address: number): number {
    return this.#wasm.HEAPU32[address >>> 2] ?? 0;
  }

  #canaryAlive(): boolean {
    const heap = this.#wasm.HEAPU8;
    for (let address = this.#canaryAddress; address < this.#canaryAddress + CANARY_BYTES; address += 1) {
      if (heap[address] !== CANARY_BYTE) return false;
    }
    return true;
  }
}

interface RawParseResult {
  readonly stmts?: readonly { readonly stmt?: RawNode; readonly stmt_location?: number; readonly stmt_len?: number }[];
}

function treeOutcome(json: string, textBytes: number): ParseOutcome {
  const { stmts = [] } = JSON.parse(json) as RawParseResult;
  const statements: ParsedStatement[] = [];
  for (const { stmt, stmt_location: offset = 0, stmt_len: length = 0 } of stmts) {
    if (stmt === undefined) throw new Error('a statement without a tree');
    // Protocol buffers leave zeros out; a length of zero means "up to the end of the text" (RawStmt in parsenodes.h).
    statements.push({ tree: stmt, offset, length: length === 0 ? textBytes - offset : length });
  }
  return { kind: 'tree', statements };
}
