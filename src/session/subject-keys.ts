/**
 * Reads who a row is about. The same person gives the same key whatever column, type width or format the value comes in; two people never
 * give one key. A value that this cannot be said of has no key, and its row counts as somebody new.
 */

import type { SubjectKey } from '../catalog/class-members.ts';
import type { ColumnShape } from '../protocol/backend-messages.ts';

const TEXT = 0;

/** Type OIDs of pg_type.dat. RowDescription tells a domain's base type. */
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const TEXT_LIKE: ReadonlySet<number> = new Set([25, 1043, 19]); // text, varchar, name
const BPCHAR = 1042;
const BYTEA = 17;
const DATE = 1082;
const NUMERIC = 1700;
const UUID = 2950;

/** A longer value is nobody's key. */
export const MAX_KEY_BYTES = 1024;
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);

/** True if the key of such values is their bytes, where these are plain ASCII and no more than `MAX_KEY_BYTES`. */
export function keyIsText(type: number, format: number): boolean {
  return TEXT_LIKE.has(type) || (format === TEXT && (type === INT2 || type === INT4 || type === INT8 || type === OID || type === UUID));
}

/** The key of one value, or undefined if it has none. `encoding`: the session's client_encoding. */
export function readKey(type: number, format: number, buffer: Buffer, start: number, end: number, encoding: string): string | undefined {
  const length = end - start;
  if (length > MAX_KEY_BYTES) return undefined;
  switch (type) {
    case INT2:
    case INT4:
    case INT8:
    case OID:
      return format === TEXT ? buffer.toString('latin1', start, end) : binaryInteger(type, buffer, start, length);
    case NUMERIC:
      return withoutZeros(format === TEXT ? buffer.toString('latin1', start, end) : binaryNumeric(buffer, start, end));
    case UUID:
      if (format === TEXT) return buffer.toString('latin1', start, end);
      return length === 16 ? buffer.toString('hex', start, end).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : undefined;
    case BYTEA:
      // bytea_output = escape writes other text; such a row counts as somebody new.
      if (format !== TEXT) return `\\x${buffer.toString('hex', start, end)}`;
      return length >= 2 && buffer[start] === 0x5c && buffer[start + 1] === 0x78 ? buffer.toString('latin1', start, end) : undefined;
    case DATE:
      return format === TEXT ? isoDate(buffer.toString('latin1', start, end)) : binaryDate(buffer, start, length);
    case BPCHAR:
      return words(buffer.toString('latin1', start, end).replace(/ +$/, ''), encoding);
    default:
      // Other types have texts that settings change (extra_float_digits, DateStyle), so that two people could have one.
      return TEXT_LIKE.has(type) ? words(buffer.toString('latin1', start, end), encoding) : undefined;
  }
}

/** Bytes above ASCII mean other letters in another encoding. */
function words(bytes: string, encoding: string): string {
  for (let i = 0; i < bytes.length; i++) if (bytes.charCodeAt(i) > 127) return `${encoding}:${bytes}`;
  return bytes;
}

function binaryInteger(type: number, buffer: Buffer, start: number, length: number): string | undefined {
  if (type === INT2 && length === 2) return String(buffer.readInt16BE(start));
  if (type === INT4 && length === 4) return String(buffer.readInt32BE(start));
  if (type === OID && length === 4) return String(buffer.readUInt32BE(start));
  if (type === INT8 && length === 8) return String(buffer.readBigInt64BE(start));
  return undefined;
}

/** Int16 number of digits (base 10,000), Int16 weight of the first, Int16 sign, Int16 scale, the digits (numeric_send, utils/adt/numeric.c). */
function binaryNumeric(buffer: Buffer, start: number, end: number): string | undefined {
  if (end - start < 8) return undefined;
  const count = buffer.readInt16BE(start);
  const weight = buffer.readInt16BE(start + 2);
  const sign = buffer.readUInt16BE(start + 4);
  if ((sign !== 0 && sign !== 0x4000) || count < 0 || end - start !== 8 + 2 * count || Math.abs(weight) > 200) return undefined;
  const digit = (i: number): string => (i >= 0 && i < count ? String(buffer.readInt16BE(start + 8 + 2 * i)) : '0').padStart(4, '0');
  let whole = '';
  for (let i = 0; i <= weight; i++) whole += digit(i);
  let fraction = '';
  for (let i = weight + 1; i < count; i++) fraction += digit(i);
  whole = whole.replace(/^0+(?=\d)/, '');
  return `${sign === 0 ? '' : '-'}${whole === '' ? '0' : whole}.${fraction}`;
}

/** `5.00` is `5`. */
function withoutZeros(number: string | undefined): string | undefined {
  if (number === undefined || !/^-?\d+(\.\d*)?$/.test(number)) return undefined;
  const short = number.includes('.') ? number.replace(/\.?0*$/, '') : number;
  return short === '-0' ? '0' : short;
}

function isoDate(text: string): string | undefined {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? text : undefined;
}

function binaryDate(buffer: Buffer, start: number, length: number): string | undefined {
  if (length !== 4) return undefined;
  const date = new Date(POSTGRES_EPOCH_MS + buffer.readInt32BE(start) * 86_400_000);
  return Number.isNaN(date.getTime()) ? undefined : isoDate(date.toISOString().replace(/T.*/, ''));
}

/**
 * Which columns of a result hold keys of a class: each entry the columns of one key. `oids`: the relations that the statement reads; what a description
 * says of others is of another time.
 */
export function keyColumns(columns: readonly ColumnShape[], className: string, width: number, oids: ReadonlySet<number>, keysOf: (oid: number) => readonly SubjectKey[]): readonly (readonly number[])[] {
  const found: (readonly number[])[] = [];
  const composite = new Set<SubjectKey>();
  for (const [i, { tableOid, attributeNumber, format }] of columns.entries()) {
    if (tableOid === 0 || format === undefined || !oids.has(tableOid)) continue;
    for (const key of keysOf(tableOid)) {
      if (key.className !== className || !key.attnums.includes(attributeNumber)) continue;
      if (key.attnums.length === 1) found.push([i]);
      // Of several references, one's part of a key must not be taken together with another's.
      else if (width === 1 && !composite.has(key)) {
        composite.add(key);
        const all = key.attnums.map((attnum) => columns.findIndex((column) => column.tableOid === tableOid && column.attributeNumber === attnum && column.format !== undefined));
        if (!all.includes(-1)) found.push(all);
      }
    }
  }
  return found;
}
