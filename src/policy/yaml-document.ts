import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, ErrorCode, Node, Pair } from 'yaml';
import type { ConfigPath, Finding } from './config-path.ts';

/** A YAML text as data, together with the place of every key and value in it. */

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface SyntaxProblem extends Place {
  readonly message: string;
  readonly hint: string | undefined;
}

export type YamlText =
  | { readonly kind: 'unreadable'; readonly problems: readonly SyntaxProblem[] }
  | {
      readonly kind: 'readable';
      readonly tree: unknown;
      /** Mistakes that leave the rest of the file meaningful: duplicate keys. */
      readonly problems: readonly SyntaxProblem[];
      readonly placeOf: (path: ConfigPath, at: Finding['at']) => Place;
    };

/** A policy of thousands of relations is some hundred KiB; more is a mistake. */
const MAX_TEXT_LENGTH = 4 * 1024 * 1024;
/** Bounds what aliases of aliases may grow to ("billion laughs"). */
const MAX_ALIAS_COUNT = 100;

export function readYaml(text: string): YamlText {
  if (text.length > MAX_TEXT_LENGTH) return unreadable('the file is longer than 4 MiB', undefined);
  const lines = new LineCounter();
  let document: Document.Parsed;
  let tree: unknown;
  try {
    // prettyErrors quotes the source, and with it a password that is written in the file.
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, version: '1.2' });
    if (document.errors.some((error) => error.code === 'RESOURCE_EXHAUSTION')) return unreadable('the file is nested too deeply', undefined);
    const problems = syntaxProblems(document, lines, text);
    if (problems.some((problem) => problem.fatal)) return { kind: 'unreadable', problems };
    tree = document.toJS({ maxAliasCount: MAX_ALIAS_COUNT });
    if (tree === null) return unreadable('the file is empty', 'start from config/rowgate.yaml');
    return { kind: 'readable', tree, problems, placeOf: (path, at) => placeOf(document, lines, path, at) };
  } catch (error) {
    if (error instanceof RangeError) return unreadable('the file is nested too deeply', undefined);
    if (error instanceof ReferenceError) {
      return error.message.startsWith('Unresolved alias')
        ? unreadable('an alias (*name) stands before its anchor (&name), or has none', 'quote a value that starts with *')
        : unreadable('aliases in the file repeat too much', 'write the values out');
    }
    throw error;
  }
}

function unreadable(message: string, hint: string | undefined): YamlText {
  return { kind: 'unreadable', problems: [{ line: 1, column: 1, message, hint }] };
}

/** Our own words for the parser's codes: its messages may quote the source. */
const SYNTAX_TEXTS: Partial<Record<ErrorCode, readonly [message: string, hint?: string]>> = {
  TAB_AS_INDENT: ['a tab is used for indentation', 'YAML indents with spaces'],
  BAD_INDENT: ['wrong indentation', 'keys of one mapping start at the same column'],
  DUPLICATE_KEY: ['this key is here a second time', 'keep one of them'],
  BLOCK_AS_IMPLICIT_KEY: ['a mapping cannot start here', 'is the line before it indented rightly, and is a value with ": " in it quoted?'],
  MULTILINE_IMPLICIT_KEY: ['a key without its value', 'is there a space behind the colon?'],
  MISSING_CHAR: ['a bracket, quote or colon is missing'],
  BAD_SCALAR_START: ['a value cannot start with this character', 'quote the value'],
  BAD_ALIAS: ['this is read as an alias', 'quote a value that starts with *'],
  BAD_DQ_ESCAPE: ['unknown escape in double quotes', 'use single quotes, or double the backslash'],
  MULTIPLE_DOCS: ['a second document starts here', 'one file holds one configuration; remove the --- line'],
  NON_STRING_KEY: ['a key must be a text', 'quote it'],
  TAG_RESOLVE_FAILED: ['unknown tag (!...)', 'quote a value that starts with !'],
  UNEXPECTED_TOKEN: ['unexpected text'],
};

const SELF_CONTAINED: ReadonlySet<ErrorCode> = new Set(['TAB_AS_INDENT', 'BAD_ALIAS', 'BAD_SCALAR_START', 'BAD_DQ_ESCAPE', 'TAG_RESOLVE_FAILED']);

function syntaxProblems(document: Document.Parsed, lines: LineCounter, text: string): (SyntaxProblem & { fatal: boolean })[] {
  const problems: (SyntaxProblem & { fatal: boolean })[] = [];
  for (const error of [...document.errors, ...document.warnings]) {
    // A line that continues an unclosed { or [ is told as badly indented: what is wrong is where the bracket stands.
    const opened = error.code === 'BAD_INDENT' ? openedBefore(text, error.pos[0]) : undefined;
    const shifted = error.code === 'BLOCK_AS_IMPLICIT_KEY' ? shiftedAt(document, error.pos[0], text) : undefined;
    const { line, col } = lines.linePos(opened ?? shifted ?? error.pos[0]);
    // One slip makes the parser stumble on; the first stumble says where. Only what cannot follow from it is told as well.
    if (problems.some((problem) => problem.fatal && (problem.line === line || !SELF_CONTAINED.has(error.code)))) continue;
    const [message, hint] = opened !== undefined ? ([`this ${text[opened]} is not closed`, undefined] as const)
      : shifted !== undefined && text[shifted] === '-' ? SHIFTED_ITEM
      : SYNTAX_TEXTS[shifted === undefined ? error.code : 'BAD_INDENT'] ?? ['this is not YAML'];
    const sourceLine = text.split('\n', line)[line - 1] ?? '';
    const unquoted = error.code === 'UNEXPECTED_TOKEN' && sourceLine.includes('${');
    problems.push({
      line,
      column: col,
      message,
      hint: unquoted ? 'quote a value with ${...} in it, e.g. "${VAR}"' : hint,
      fatal: error.code !== 'DUPLICATE_KEY',
    });
  }
  return problems;
}

const SHIFTED_ITEM = ['wrong indentation', 'items of one list start at the same column'] as const;

/**
 * A line that is indented further than its neighbours is read as the end of the value before it, or a list's item as a key; either is told
 * of where that reading began. This is where the line itself begins.
 */
function shiftedAt(document: Document.Parsed, offset: number, text: string): number | undefined {
  const begin = offset + (/^ */.exec(text.slice(offset))?.[0].length ?? 0);
  if (/^-\s/.test(text.slice(begin, begin + 2)) && text.slice(text.lastIndexOf('\n', begin - 1) + 1, begin).trim() === '') return begin;
  const key = document.errors.find((error) => error.code === 'MULTILINE_IMPLICIT_KEY' && error.pos[0] === offset);
  const line = key === undefined ? -1 : text.slice(offset, key.pos[1]).lastIndexOf('\n');
  return line === -1 ? undefined : offset + line + 1;
}

/** Where the last line that is not empty before an offset opens a bracket that it does not close; quotes and comments are looked past. */
function openedBefore(text: string, offset: number): number | undefined {
  const before = text.slice(0, offset).trimEnd();
  const from = before.lastIndexOf('\n') + 1;
  const open: number[] = [];
  for (const match of before.slice(from).matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|(?<=^|\s)#.*|[[{\]}]/g)) {
    if ('[{'.includes(match[0])) open.push(from + match.index);
    else if (']}'.includes(match[0])) open.pop();
  }
  return open.at(-1);
}

function placeOf(document: Document.Parsed, lines: LineCounter, path: ConfigPath, at: Finding['at']): Place {
  let node: unknown = document.contents;
  let place = offsetOf(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      // Something that is missing is reported at the key that it is missing from.
      if (pair === undefined) break;
      const isEmpty = pair.value === null || (isScalar(pair.value) && pair.value.value === null);
      const valueAt = last && at === 'value' && !isEmpty ? offsetOf(pair.value) : undefined;
      place = valueAt ?? offsetOf(pair.key) ?? place;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      place = offsetOf(node) ?? place;
    } else {
      break;
    }
  }
  const { line, col } = lines.linePos(place);
  return { line, column: col };
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
