/**
 * The shape of a text: the text with a mark in the place of each literal. Texts of one shape have one parse tree but for the values of its
 * constants, provided that the literals begin and end where the server's lexer has them begin and end. So the scanner here knows only what no setting
 * can move (src/backend/parser/scan.l): plain integers that fit an int4 and plain strings without quotes and backslashes. At anything else
 * (comments, dollar quotes, prefixed or continued strings, other numbers, anything that is not ASCII) it gives up, and the text is parsed.
 *
 * A shape alone shares nothing: `literal-places.ts` says whether the facts of a statement can depend on its constants.
 */

export interface LiteralShape {
  readonly key: string;
  /** Where the literals begin, in order. */
  readonly starts: readonly number[];
}

/** Longer texts are seldom look-ups, and parsing them is not what they spend their time on. */
const LONGEST = 2048;
/** Nine digits are always an int4: no value changes which operator is meant. */
const MAX_DIGITS = 9;
const INTEGER_MARK = '\u0001';
const STRING_MARK = '\u0002';

const OTHER = 0;
const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;
const QUOTE = 4;
const NAME_QUOTE = 5;
const PLAIN = 6;

const KINDS = new Uint8Array(128);
for (const code of [0x20, 0x09, 0x0a, 0x0d]) KINDS[code] = SPACE;
for (let code = 0; code < 128; code++) {
  const sign = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(sign)) KINDS[code] = LETTER;
  else if (/[0-9]/.test(sign)) KINDS[code] = DIGIT;
  else if ('(),.;=<>+-*/%^|~!@#&?:[]'.includes(sign)) KINDS[code] = PLAIN;
}
KINDS[0x27] = QUOTE;
KINDS[0x22] = NAME_QUOTE;

const DOT = 0x2e;
const MINUS = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const AMPERSAND = 0x26;
const DOLLAR = 0x24;

/** Undefined if the text has no literal, or one whose bounds are not certain. */
export function literalShape(text: string): LiteralShape | undefined {
  const { length } = text;
  if (length > LONGEST) return undefined;
  const starts: number[] = [];
  let key = '';
  let copied = 0;
  let at = 0;
  while (at < length) {
    const code = text.charCodeAt(at);
    const kind = code < 128 ? KINDS[code] : OTHER;
    switch (kind) {
      case SPACE:
        at++;
        break;
      case LETTER:
        at = endOfWord(text, at);
        // `E'...'`, `date'...'`, `U&"..."`, and names with a dollar in them.
        if (isAny(text.charCodeAt(at), 0x27, 0x22, AMPERSAND, DOLLAR)) return undefined;
        break;
      case DIGIT: {
        const end = endOfDigits(text, at);
        const next = text.charCodeAt(end);
        if (end - at > MAX_DIGITS || next === DOT || next === DOLLAR || next >= 128 || KINDS[next] === LETTER || KINDS[next] === QUOTE || KINDS[next] === NAME_QUOTE) return undefined;
        if (at > 0 && text.charCodeAt(at - 1) === DOT) return undefined;
        starts.push(at);
        key += text.slice(copied, at) + INTEGER_MARK;
        copied = at = end;
        break;
      }
      case QUOTE: {
        const end = endOfString(text, at);
        if (end === undefined) return undefined;
        starts.push(at);
        key += text.slice(copied, at) + STRING_MARK;
        copied = at = end;
        break;
      }
      case NAME_QUOTE: {
        const end = endOfName(text, at);
        if (end === undefined) return undefined;
        at = end;
        break;
      }
      case PLAIN: {
        const next = text.charCodeAt(at + 1);
        if ((code === MINUS && next === MINUS) || (code === SLASH && next === STAR) || (code === AMPERSAND && isAny(next, 0x27, 0x22))) return undefined;
        at++;
        break;
      }
      default:
        return undefined;
    }
  }
  return starts.length === 0 ? undefined : { key: key + text.slice(copied), starts };
}

function isAny(code: number, ...codes: readonly number[]): boolean {
  return codes.includes(code) || code >= 128;
}

function endOfWord(text: string, from: number): number {
  let at = from + 1;
  for (; at < text.length; at++) {
    const kind = KINDS[text.charCodeAt(at)];
    if (kind !== LETTER && kind !== DIGIT) break;
  }
  return at;
}

function endOfDigits(text: string, from: number): number {
  let at = from + 1;
  while (KINDS[text.charCodeAt(at)] === DIGIT) at++;
  return at;
}

/** Behind the closing quote, or undefined if the string holds more than plain signs or may go on behind it ('a' and a new line and 'b' are one string). */
function endOfString(text: string, from: number): number | undefined {
  let at = from + 1;
  for (; ; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x27) break;
    // NaN, at the end, is not above 0x1f either.
    if (!(code >= 0x20 && code < 0x7f) || code === 0x5c) return undefined;
  }
  at++;
  let next = at;
  while (KINDS[text.charCodeAt(next)] === SPACE) next++;
  const behind = text.charCodeAt(next);
  if (behind === 0x27 || KINDS[text.charCodeAt(at)] === LETTER || KINDS[text.charCodeAt(at)] === DIGIT || text.charCodeAt(at) === 0x22) return undefined;
  return at;
}

/** A quoted name stands in the shape as it is. */
function endOfName(text: string, from: number): number | undefined {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return KINDS[text.charCodeAt(at + 1)] === PLAIN || KINDS[text.charCodeAt(at + 1)] === SPACE || at + 1 === text.length ? at + 1 : undefined;
    if (!(code >= 0x20 && code < 0x7f) || code === 0x5c) return undefined;
  }
  return undefined;
}
