/** Reads the parts of client messages that decisions need, and writes the few messages that Rowgate itself sends to a server. */

import { HEADER_BYTES, ProtocolViolation } from './message-stream.ts';
import { NAME_BYTES } from './limits.ts';
import { Frontend, type FrontendType } from './message-types.ts';

/**
 * A name of a statement or portal as the server compares it: converted from `client_encoding` to the database's encoding, the first 63 bytes
 * of it, as latin1 so that bytes map one to one.
 */
export type WireName = string;

/** Brings a name's bytes as the client sent them to what the server compares. Throws if it cannot tell. */
export type NameOf = (bytes: Buffer) => WireName;

function stringEnd(buffer: Buffer, start: number, end: number): number {
  const nul = buffer.indexOf(0, start);
  if (nul < 0 || nul >= end) throw new ProtocolViolation('invalid string in message');
  return nul;
}

/** The wire name of an SQL identifier (already folded and truncated by the grammar). */
export function wireNameOf(identifier: string): WireName {
  return Buffer.from(identifier, 'utf8').toString('latin1', 0, NAME_BYTES);
}

/** Query: String. The text's bytes, without the NUL that ends it. */
export function readQuery(buffer: Buffer, start: number, end: number): Buffer {
  const body = start + HEADER_BYTES;
  const nul = stringEnd(buffer, body, end);
  if (nul !== end - 1) throw new ProtocolViolation('invalid message format');
  return buffer.subarray(body, nul);
}

export interface ParseMessage {
  readonly name: WireName;
  readonly text: Buffer;
  /** Where the types of parameters begin. */
  readonly typesStart: number;
}

/** Parse: String name, String query, Int16 count, Int32[count] parameter type OIDs. */
export function readParse(buffer: Buffer, start: number, end: number, nameOf: NameOf): ParseMessage {
  const nameStart = start + HEADER_BYTES;
  const nameEnd = stringEnd(buffer, nameStart, end);
  const textEnd = stringEnd(buffer, nameEnd + 1, end);
  return { name: nameOf(buffer.subarray(nameStart, nameEnd)), text: buffer.subarray(nameEnd + 1, textEnd), typesStart: textEnd + 1 };
}

const NO_TYPES: readonly number[] = [];

/** The types that Parse gives its parameters, by oid; 0 for one that the server is to find. */
export function readParameterTypes(buffer: Buffer, { typesStart }: ParseMessage, end: number): readonly number[] {
  const count = typesStart + 2 > end ? 0 : Math.min(buffer.readUInt16BE(typesStart), (end - typesStart - 2) >> 2);
  return count === 0 ? NO_TYPES : Array.from({ length: count }, (_, i) => buffer.readUInt32BE(typesStart + 2 + 4 * i));
}

export interface BindMessage {
  readonly portal: WireName;
  readonly statement: WireName;
}

/** Bind: String portal, String statement, then formats and parameter values, which are not looked at. */
export function readBind(buffer: Buffer, start: number, end: number, nameOf: NameOf): BindMessage {
  const portalStart = start + HEADER_BYTES;
  const portalEnd = stringEnd(buffer, portalStart, end);
  const statementEnd = stringEnd(buffer, portalEnd + 1, end);
  return { portal: nameOf(buffer.subarray(portalStart, portalEnd)), statement: nameOf(buffer.subarray(portalEnd + 1, statementEnd)) };
}

/** The value of the first parameter; undefined for NULL, and if there is none. */
export function readFirstParameter(buffer: Buffer, start: number, end: number): Buffer | undefined {
  let at = namesEnd(buffer, start, end);
  if (at + 2 > end) return undefined;
  at += 2 + 2 * Math.max(0, buffer.readInt16BE(at));
  if (at + 6 > end || buffer.readUInt16BE(at) === 0) return undefined;
  const length = buffer.readInt32BE(at + 2);
  return length < 0 || at + 6 + length > end ? undefined : buffer.subarray(at + 6, at + 6 + length);
}

/** The same Bind without parameters and formats. */
export function withoutParameters(buffer: Buffer, start: number, end: number): Buffer {
  return message(Frontend.Bind, Buffer.concat([buffer.subarray(start + HEADER_BYTES, namesEnd(buffer, start, end)), Buffer.alloc(6)]));
}

function namesEnd(buffer: Buffer, start: number, end: number): number {
  return stringEnd(buffer, stringEnd(buffer, start + HEADER_BYTES, end) + 1, end) + 1;
}

/**
 * Bind's result formats: none (all text), one for all columns, or one each. They stand behind the parameters: Int16 count, Int16 formats; Int16 count, then
 * Int32 length and value each; Int16 count, Int16 formats. Undefined if the message is not all there.
 */
export function readResultFormats(buffer: Buffer, start: number, end: number): readonly number[] | undefined {
  const statementStart = stringEnd(buffer, start + HEADER_BYTES, end) + 1;
  let at = stringEnd(buffer, statementStart, end) + 1;
  if (at + 2 > end) return undefined;
  at += 2 + 2 * Math.max(0, buffer.readInt16BE(at));
  if (at + 2 > end) return undefined;
  const values = buffer.readUInt16BE(at);
  at += 2;
  for (let i = 0; i < values; i++) {
    if (at + 4 > end) return undefined;
    at += 4 + Math.max(0, buffer.readInt32BE(at));
  }
  if (at + 2 > end) return undefined;
  const count = buffer.readUInt16BE(at);
  if (at + 2 + 2 * count > end) return undefined;
  return Array.from({ length: count }, (_, i) => buffer.readInt16BE(at + 2 + 2 * i));
}

export interface TargetMessage {
  readonly kind: 'statement' | 'portal';
  readonly name: WireName;
}

/** Describe and Close: Byte1 ('S' statement, 'P' portal), String name. */
export function readTarget(buffer: Buffer, start: number, end: number, nameOf: NameOf): TargetMessage {
  const body = start + HEADER_BYTES;
  if (body >= end) throw new ProtocolViolation('invalid message format');
  const letter = buffer[body];
  if (letter !== 0x53 && letter !== 0x50) throw new ProtocolViolation('invalid target of Describe or Close');
  const nul = stringEnd(buffer, body + 1, end);
  return { kind: letter === 0x53 ? 'statement' : 'portal', name: nameOf(buffer.subarray(body + 1, nul)) };
}

/** Execute: String portal, Int32 maximum number of rows (0: no limit). */
export function readExecute(buffer: Buffer, start: number, end: number, nameOf: NameOf): { readonly portal: WireName; readonly maxRows: number } {
  const body = start + HEADER_BYTES;
  const nul = stringEnd(buffer, body, end);
  if (nul + 5 !== end) throw new ProtocolViolation('invalid message format');
  return { portal: nameOf(buffer.subarray(body, nul)), maxRows: Math.max(0, buffer.readInt32BE(nul + 1)) };
}

function message(type: FrontendType, body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  out[0] = type;
  out.writeInt32BE(body.length + 4, 1);
  body.copy(out, HEADER_BYTES);
  return out;
}

export function writeQuery(text: string): Buffer {
  return message(Frontend.Query, Buffer.from(`${text}\0`, 'utf8'));
}

/** Parse without parameter types. `name` and `text` hold no NUL. */
export function writeParse(name: string, text: string | Buffer): Buffer {
  const head = Buffer.from(`${name}\0`, 'utf8');
  const sql = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  return message(Frontend.Parse, Buffer.concat([head, sql, Buffer.from([0, 0, 0])]));
}

/** Bind without parameters; all result columns in text format. */
export function writeBind(portal: string, statement: string): Buffer {
  return message(Frontend.Bind, Buffer.concat([Buffer.from(`${portal}\0${statement}\0`, 'utf8'), Buffer.alloc(6)]));
}

export function writeExecute(portal: string): Buffer {
  return message(Frontend.Execute, Buffer.concat([Buffer.from(`${portal}\0`, 'utf8'), Buffer.alloc(4)]));
}

export function writeCloseStatement(name: string): Buffer {
  return message(Frontend.Close, Buffer.from(`S${name}\0`, 'utf8'));
}

export const FLUSH: Buffer = message(Frontend.Flush, Buffer.alloc(0));
export const SYNC: Buffer = message(Frontend.Sync, Buffer.alloc(0));
export const TERMINATE: Buffer = message(Frontend.Terminate, Buffer.alloc(0));
