import type { SqlParser } from './dialect.ts';

export interface Word {
  /** As the server compares it: lower case unless it is quoted. Punctuation and constants as they stand. */
  readonly text: string;
  readonly name: string;
  /** In characters of the text, not bytes. */
  readonly start: number;
  readonly end: number;
}

/** The tokens of a text without its comments; undefined if they cannot be told. */
export function wordsOf(text: string, parser: SqlParser): readonly Word[] | undefined {
  const tokens = parser.scan(text);
  if (tokens === undefined) return undefined;
  const bytes = Buffer.from(text, 'utf8');
  const words: Word[] = [];
  // Tokens count bytes; slices of the text are wanted. For ASCII, which bodies mostly are, that is the same.
  const ascii = bytes.length === text.length;
  for (const { name, start, end } of tokens) {
    if (name === 'SQL_COMMENT' || name === 'C_COMMENT') continue;
    const word = bytes.toString('utf8', start, end);
    const from = ascii ? start : bytes.toString('utf8', 0, start).length;
    words.push({ name, text: nameIn(word), start: from, end: from + word.length });
  }
  return words;
}

function nameIn(word: string): string {
  if (word.startsWith('"')) return word.slice(1, -1).replaceAll('""', '"');
  return word.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export interface MentionedNames {
  readonly words: ReadonlySet<string>;
  /** `$1` and the like. */
  readonly parameters: boolean;
}

/** Every word that can be a name. A constant is none; keywords can be. */
export function mentionedNames(text: string, parser: SqlParser): MentionedNames | undefined {
  const words = wordsOf(text, parser);
  // U&"..." spells a name in a way that is not followed here.
  if (words === undefined || words.some((word) => word.text.startsWith('u&'))) return undefined;
  const names = words.filter((word) => word.name !== 'SCONST').map((word) => word.text);
  return { words: new Set(names), parameters: words.some((word) => word.name === 'PARAM') };
}
