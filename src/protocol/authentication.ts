/** Messages of the login: what a server asks, what a client answers ("Message Formats": Authentication*, PasswordMessage, SASL*). */

import { HEADER_BYTES, ProtocolViolation } from './message-stream.ts';
import { Backend, Frontend } from './message-types.ts';

export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl_continue'; readonly data: Buffer }
  | { readonly kind: 'sasl_final'; readonly data: Buffer }
  /** GSSAPI, SSPI and what later versions may bring. */
  | { readonly kind: 'other'; readonly code: number };

const CODE = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;
const MD5_SALT_BYTES = 4;

/** An Authentication message: Int32 kind, then what belongs to it. The data are slices of `buffer`. */
export function readAuthentication(buffer: Buffer, start: number, end: number): AuthenticationRequest {
  const body = start + HEADER_BYTES;
  if (end - body < 4) throw new ProtocolViolation('malformed authentication request');
  const code = buffer.readInt32BE(body);
  const data = buffer.subarray(body + 4, end);
  switch (code) {
    case CODE.ok:
      return { kind: 'ok' };
    case CODE.cleartext:
      return { kind: 'cleartext' };
    case CODE.md5:
      if (data.length !== MD5_SALT_BYTES) throw new ProtocolViolation('malformed authentication request');
      return { kind: 'md5', salt: data };
    case CODE.sasl:
      return { kind: 'sasl', mechanisms: data.toString('latin1').split('\0').filter((name) => name !== '') };
    case CODE.saslContinue:
      return { kind: 'sasl_continue', data };
    case CODE.saslFinal:
      return { kind: 'sasl_final', data };
    default:
      return { kind: 'other', code };
  }
}

function authentication(code: number, data: Buffer): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + 4 + data.length);
  out[0] = Backend.Authentication;
  out.writeInt32BE(8 + data.length, 1);
  out.writeInt32BE(code, HEADER_BYTES);
  data.copy(out, HEADER_BYTES + 4);
  return out;
}

/** AuthenticationSASL: String mechanism*, and an empty one. */
export function writeSasl(mechanisms: readonly string[]): Buffer {
  return authentication(CODE.sasl, Buffer.from(mechanisms.map((name) => `${name}\0`).join('') + '\0', 'latin1'));
}

export function writeSaslContinue(data: Buffer): Buffer {
  return authentication(CODE.saslContinue, data);
}

export function writeSaslFinal(data: Buffer): Buffer {
  return authentication(CODE.saslFinal, data);
}

export function writeCleartextRequest(): Buffer {
  return authentication(CODE.cleartext, Buffer.alloc(0));
}

/** The four messages that begin with `p`; which one it is follows from what was asked. */
function password(body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  out[0] = Frontend.Password;
  out.writeInt32BE(4 + body.length, 1);
  body.copy(out, HEADER_BYTES);
  return out;
}

export interface SaslInitialResponse {
  readonly mechanism: string;
  /** Undefined: the client wants to be asked first (length -1). */
  readonly data: Buffer | undefined;
}

/** SASLInitialResponse: String mechanism, Int32 length (-1: none), Byte[n]. */
export function readSaslInitialResponse(body: Buffer): SaslInitialResponse {
  const nul = body.indexOf(0);
  if (nul < 0 || body.length < nul + 5) throw new ProtocolViolation('invalid SASL response');
  const length = body.readInt32BE(nul + 1);
  const rest = body.subarray(nul + 5);
  if (length === -1 ? rest.length !== 0 : length !== rest.length) throw new ProtocolViolation('invalid SASL response');
  return { mechanism: body.toString('latin1', 0, nul), data: length === -1 ? undefined : rest };
}

export function writeSaslInitialResponse(mechanism: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(data.length, 0);
  return password(Buffer.concat([Buffer.from(`${mechanism}\0`, 'latin1'), length, data]));
}

export function writeSaslResponse(data: Buffer): Buffer {
  return password(data);
}

export function writePasswordMessage(text: string): Buffer {
  return password(Buffer.from(`${text}\0`, 'utf8'));
}

/** PasswordMessage: String. */
export function readPasswordMessage(body: Buffer): string {
  // recv_password_packet (auth.c): the only NUL is the last byte.
  if (body.indexOf(0) !== body.length - 1) throw new ProtocolViolation('invalid password packet size');
  return body.toString('utf8', 0, body.length - 1);
}
