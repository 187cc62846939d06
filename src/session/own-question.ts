/**
 * Statements that Rowgate answers itself, so that an employee can ask from any client what is left and for more. They never
 * reach the server: it is sent the empty query in their place, and what it says to that is replaced.
 */

import { HEADER_BYTES } from '../protocol/message-stream.ts';
import { Backend } from '../protocol/message-types.ts';

export type OwnQuestion =
  /** `most`: rows that a client's LIMIT leaves. */
  | { readonly kind: 'usage'; readonly most?: number | undefined }
  /** Without a reason: it is the parameter, which Bind brings. */
  | { readonly kind: 'request'; readonly reason: string | undefined };

/** All columns are text, whose binary form is the same bytes, so that no format code matters. */
export interface OwnAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export const OWN_COLUMNS: Readonly<Record<OwnQuestion['kind'], readonly string[]>> = {
  usage: ['class', 'counts', 'window', 'used', 'limit', 'left', 'next_free', 'scope', 'rule'],
  request: ['request'],
};

/** White space and comments: many clients put one of theirs before or behind what was typed. */
const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)`;
const END = `${GAP}*(?:;${GAP}*)*$`;
const USAGE = new RegExp(`^${GAP}*(?:select${GAP}*\\*${GAP}*from|table)${GAP}+(?:rowgate|"rowgate")\\.(?:usage|"usage")(?:${GAP}+limit${GAP}+(\\d{1,9}))?${END}`, 'i');
/** A plain literal without backslashes, which means the same under every setting of the lexer; E'...', as psycopg2 writes one with them; or a parameter. */
const REASON = String.raw`(?:'((?:[^'\\]|'')*)'|e'((?:[^'\\]|''|\\['\\])*)'|\$1(?:\s*::\s*(?:text|varchar))?)`;
const REQUEST = new RegExp(`^${GAP}*select${GAP}+(?:rowgate|"rowgate")\\.(?:request|"request")\\s*\\(\\s*${REASON}\\s*\\)${END}`, 'i');

/** Undefined for all but the two texts. Cheap for the rest, which is every other statement. */
export function ownQuestion(text: string): OwnQuestion | undefined {
  if (text.length > 1000 || !/rowgate"?\./i.test(text)) return undefined;
  const usage = USAGE.exec(text);
  if (usage !== null) return { kind: 'usage', most: usage[1] === undefined ? undefined : Number(usage[1]) };
  const request = REQUEST.exec(text);
  if (request === null) return undefined;
  const [, plain, escaped] = request;
  return { kind: 'request', reason: plain?.replaceAll("''", "'") ?? escaped?.replaceAll(/''|\\(['\\])/g, (_, character: string | undefined) => character ?? "'") };
}

const TEXT_OID = 25;

export function writeRowDescription(columns: readonly string[]): Buffer {
  const fields = columns.map((name) => {
    const field = Buffer.alloc(Buffer.byteLength(name) + 1 + 18);
    const at = field.write(name) + 1;
    // Table oid and attribute number are 0: a computed column.
    field.writeInt32BE(TEXT_OID, at + 6);
    field.writeInt16BE(-1, at + 10);
    field.writeInt32BE(-1, at + 12);
    return field;
  });
  return message(Backend.RowDescription, [int16(columns.length), ...fields]);
}

/** Of a request whose reason is a parameter. */
export const ONE_TEXT_PARAMETER: Buffer = message(Backend.ParameterDescription, [int16(1), int32(TEXT_OID)]);

/** DataRow for each row, and CommandComplete. */
export function writeRows(answer: OwnAnswer, ascii: boolean): Buffer {
  const rows = answer.rows.map((values) =>
    message(Backend.DataRow, [
      int16(values.length),
      ...values.flatMap((value) => {
        if (value === null) return [int32(-1)];
        // Names of classes and rules may be in any script; a client in another encoding gets them with question marks.
        const bytes = Buffer.from(ascii ? value.replaceAll(/[^\x20-\x7e]/gu, '?') : value);
        return [int32(bytes.length), bytes];
      }),
    ]),
  );
  return Buffer.concat([...rows, message(Backend.CommandComplete, [Buffer.from(`SELECT ${answer.rows.length}\0`)])]);
}

function message(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(HEADER_BYTES);
  head[0] = type;
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
