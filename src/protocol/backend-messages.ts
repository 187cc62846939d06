/** Reads the parts of server messages that decisions need, and writes those that Rowgate answers with itself. */

import { HEADER_BYTES, ProtocolViolation } from './message-stream.ts';
import { Backend, type BackendType, type TransactionStatus } from './message-types.ts';

function message(type: BackendType, body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  out[0] = type;
  out.writeInt32BE(body.length + 4, 1);
  body.copy(out, HEADER_BYTES);
  return out;
}

/** Fields of an ErrorResponse or NoticeResponse ("Error and Notice Message Fields"). */
export interface ErrorFields {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** Character offset in the statement, from 1, as the server sent it. */
  readonly position?: string | undefined;
}

function errorBody(fields: ErrorFields): Buffer {
  const parts = [`S${fields.severity}`, `V${fields.severity}`, `C${fields.sqlstate}`, `M${fields.message}`];
  if (fields.detail !== undefined) parts.push(`D${fields.detail}`);
  if (fields.hint !== undefined) parts.push(`H${fields.hint}`);
  if (fields.position !== undefined) parts.push(`P${fields.position}`);
  return Buffer.from(parts.map((part) => `${part.replaceAll('\0', '')}\0`).join('') + '\0', 'utf8');
}

export function writeErrorResponse(fields: ErrorFields): Buffer {
  return message(Backend.ErrorResponse, errorBody(fields));
}

export function writeNoticeResponse(fields: ErrorFields): Buffer {
  return message(Backend.NoticeResponse, errorBody(fields));
}

/** ErrorResponse and NoticeResponse: (Byte1 code, String value)* and a zero byte. */
export function readErrorFields(buffer: Buffer, start: number, end: number): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let at = start + HEADER_BYTES;
  while (at < end && buffer[at] !== 0) {
    const nul = buffer.indexOf(0, at + 1);
    if (nul < 0 || nul >= end) throw new ProtocolViolation('unterminated field in ErrorResponse');
    fields.set(String.fromCharCode(buffer[at] as number), buffer.toString('utf8', at + 1, nul));
    at = nul + 1;
  }
  return fields;
}

/** CommandComplete: String tag, such as `SELECT 5`. */
export function readCommandTag(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('latin1', start + HEADER_BYTES, Math.max(start + HEADER_BYTES, end - 1));
}

/** ReadyForQuery: Byte1. */
export function readTransactionStatus(buffer: Buffer, start: number, end: number): TransactionStatus {
  // The byte behind a message without body is the next one's type, and some of those are statuses as well.
  if (end - start !== HEADER_BYTES + 1) throw new ProtocolViolation('malformed ReadyForQuery');
  const status = String.fromCharCode(buffer[start + HEADER_BYTES] as number);
  if (status !== 'I' && status !== 'T' && status !== 'E') throw new ProtocolViolation('unknown transaction status');
  return status;
}

/** ParameterStatus: String name, String value. */
export function readParameterStatus(buffer: Buffer, start: number, end: number): { readonly name: string; readonly value: string } {
  const nameStart = start + HEADER_BYTES;
  const nameEnd = buffer.indexOf(0, nameStart);
  const valueEnd = nameEnd < 0 ? -1 : buffer.indexOf(0, nameEnd + 1);
  if (nameEnd < 0 || valueEnd < 0 || valueEnd >= end) throw new ProtocolViolation('malformed ParameterStatus');
  return { name: buffer.toString('utf8', nameStart, nameEnd), value: buffer.toString('utf8', nameEnd + 1, valueEnd) };
}

export interface Notification {
  readonly processId: number;
  readonly channel: string;
  readonly payloadBytes: number;
}

/** NotificationResponse: Int32 process id, String channel, String payload. */
export function readNotification(buffer: Buffer, start: number, end: number): Notification {
  const channelStart = start + HEADER_BYTES + 4;
  const channelEnd = buffer.indexOf(0, channelStart);
  if (channelStart > end || channelEnd < 0 || channelEnd >= end - 1 || buffer[end - 1] !== 0) throw new ProtocolViolation('malformed NotificationResponse');
  return { processId: buffer.readInt32BE(start + HEADER_BYTES), channel: buffer.toString('utf8', channelStart, channelEnd), payloadBytes: end - channelEnd - 2 };
}

export function writeNotification(processId: number, channel: string, payload: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeInt32BE(processId, 0);
  return message(Backend.NotificationResponse, Buffer.concat([head, Buffer.from(`${channel}\0${payload}\0`, 'utf8')]));
}

export interface ColumnOrigin {
  /** OID of the table that the column was taken from; 0 if it is an expression. */
  readonly tableOid: number;
  /** Attribute number in that table; 0 if it is an expression. */
  readonly attributeNumber: number;
}

/** What RowDescription tells of a column. */
export interface ColumnShape extends ColumnOrigin {
  /** OID of its type; a domain's base type. */
  readonly type: number;
  /** 0 text, 1 binary; undefined: a statement was described, and formats come with Bind. */
  readonly format: number | undefined;
}

/**
 * RowDescription: Int16 count, then for each column String name, Int32 table OID, Int16 attribute number,
 * Int32 type OID, Int16 type size, Int32 type modifier, Int16 format.
 */
export function readColumns(buffer: Buffer, start: number, end: number): readonly ColumnShape[] {
  let at = start + HEADER_BYTES;
  if (at + 2 > end) throw new ProtocolViolation('malformed RowDescription');
  const count = buffer.readInt16BE(at);
  at += 2;
  const columns: ColumnShape[] = [];
  for (let i = 0; i < count; i++) {
    const nul = buffer.indexOf(0, at);
    if (nul < 0 || nul + 19 > end) throw new ProtocolViolation('malformed RowDescription');
    columns.push({ tableOid: buffer.readUInt32BE(nul + 1), attributeNumber: buffer.readInt16BE(nul + 5), type: buffer.readUInt32BE(nul + 7), format: buffer.readInt16BE(nul + 17) });
    at = nul + 19;
  }
  return columns;
}

/** Bytes of a DataRow's columns that `counts` picks, their length fields included (Int16 count, then Int32 length and value each). */
export function rowBytesWhere(buffer: Buffer, start: number, end: number, counts: (column: number) => boolean): number {
  let at = start + HEADER_BYTES;
  if (at + 2 > end) throw new ProtocolViolation('malformed DataRow');
  const count = buffer.readInt16BE(at);
  at += 2;
  let bytes = 0;
  for (let column = 0; column < count; column++) {
    if (at + 4 > end) throw new ProtocolViolation('malformed DataRow');
    const length = Math.max(0, buffer.readInt32BE(at));
    if (length > end - at - 4) throw new ProtocolViolation('malformed DataRow');
    if (counts(column)) bytes += 4 + length;
    at += 4 + length;
  }
  return bytes;
}

/** The values of one DataRow in text format; null for NULL. For Rowgate's own small queries only. */
export function readTextRow(buffer: Buffer, start: number, end: number): readonly (string | null)[] {
  let at = start + HEADER_BYTES;
  if (at + 2 > end) throw new ProtocolViolation('malformed DataRow');
  const count = buffer.readInt16BE(at);
  at += 2;
  const values: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) throw new ProtocolViolation('insufficient data left in DataRow');
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length > end - at) throw new ProtocolViolation('malformed DataRow');
    values.push(length < 0 ? null : buffer.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

/** BackendKeyData: Int32 process id, then the key: 4 bytes up to protocol 3.1, up to 256 from 3.2 on. The body is a copy. */
export function readKeyData(buffer: Buffer, start: number, end: number): Buffer {
  const body = Buffer.from(buffer.subarray(start + HEADER_BYTES, end));
  if (body.length < 8 || body.length > 4 + 256) throw new ProtocolViolation('malformed BackendKeyData');
  return body;
}

export function writeReadyForQuery(status: TransactionStatus): Buffer {
  return message(Backend.ReadyForQuery, Buffer.from(status, 'latin1'));
}

/** NegotiateProtocolVersion: Int32 newest minor version, Int32 count, String option names that are not known. */
export function writeNegotiateProtocolVersion(newestMinor: number, options: readonly string[]): Buffer {
  const head = Buffer.alloc(8);
  // Since PostgreSQL 18 documents "newest protocol version", servers send the full code (3 << 16 | minor); libpq reads both.
  head.writeInt32BE((3 << 16) | newestMinor, 0);
  head.writeInt32BE(options.length, 4);
  return message(Backend.NegotiateProtocolVersion, Buffer.concat([head, Buffer.from(options.map((o) => `${o}\0`).join(''), 'utf8')]));
}

export function readNegotiateProtocolVersion(buffer: Buffer, start: number, end: number): { readonly newestMinor: number } {
  if (end - start < HEADER_BYTES + 8) throw new ProtocolViolation('malformed NegotiateProtocolVersion');
  return { newestMinor: buffer.readInt32BE(start + HEADER_BYTES) & 0xffff };
}
