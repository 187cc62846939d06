/** The packets that open a connection: they carry a length and a code but no type byte ("Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest). */

export const SSL_REQUEST_CODE = (1234 << 16) | 5679;
export const GSSENC_REQUEST_CODE = (1234 << 16) | 5680;
export const CANCEL_REQUEST_CODE = (1234 << 16) | 5678;
/** The newest minor version of protocol 3 that Rowgate knows the messages of. */
export const NEWEST_MINOR = 2;

export interface StartupMessage {
  readonly kind: 'startup';
  readonly major: number;
  readonly minor: number;
  /** `user`, `database`, `options`, `replication` and settings, as sent. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
  readonly consumedBytes: number;
}

export type StartupPacket =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'ssl_request'; readonly consumedBytes: number }
  | { readonly kind: 'gssenc_request'; readonly consumedBytes: number }
  /** The whole packet is passed on to the server that gave the key. */
  | { readonly kind: 'cancel_request'; readonly bytes: Buffer }
  | StartupMessage
  /** Without SQLSTATE, the connection is closed and nothing is said, as PostgreSQL does where it cannot tell what the peer speaks (COMMERROR in ProcessStartupPacket). */
  | { readonly kind: 'invalid'; readonly reason: string; readonly sqlstate: string | undefined };

/** CancelRequest's key: 4 bytes up to protocol 3.1, 4 to 256 from 3.2 on; with length, code and process id around it. */
const MIN_CANCEL_BYTES = 16;
const MAX_CANCEL_BYTES = 12 + 256;

/** Reads the first packet of a connection. `maxBytes` bounds what an unauthenticated peer can make us keep. */
export function readStartupPacket(buffer: Buffer, maxBytes: number): StartupPacket {
  if (buffer.length < 4) return { kind: 'incomplete' };
  const length = buffer.readInt32BE(0);
  if (length < 8 || length > maxBytes) return { kind: 'invalid', reason: 'invalid length of startup packet', sqlstate: undefined };
  if (buffer.length < 8) return { kind: 'incomplete' };
  const code = buffer.readInt32BE(4);
  if (code === SSL_REQUEST_CODE || code === GSSENC_REQUEST_CODE) {
    if (length !== 8) return { kind: 'invalid', reason: 'invalid length of startup packet', sqlstate: undefined };
    return { kind: code === SSL_REQUEST_CODE ? 'ssl_request' : 'gssenc_request', consumedBytes: 8 };
  }
  if (buffer.length < length) return { kind: 'incomplete' };
  const bytes = buffer.subarray(0, length);
  if (code === CANCEL_REQUEST_CODE) {
    if (length < MIN_CANCEL_BYTES || length > MAX_CANCEL_BYTES) return { kind: 'invalid', reason: 'invalid length of cancel request', sqlstate: undefined };
    return { kind: 'cancel_request', bytes };
  }
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== 3) return { kind: 'invalid', reason: `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${NEWEST_MINOR}`, sqlstate: '0A000' };
  const parameters = new Map<string, string>();
  let at = 8;
  while (at < length && bytes[at] !== 0) {
    const nameEnd = bytes.indexOf(0, at);
    const valueEnd = nameEnd < 0 ? -1 : bytes.indexOf(0, nameEnd + 1);
    if (valueEnd < 0) return { kind: 'invalid', reason: 'invalid startup packet layout: expected terminator as last byte', sqlstate: '08P01' };
    parameters.set(bytes.toString('utf8', at, nameEnd), bytes.toString('utf8', nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  // ProcessStartupPacket (src/backend/tcop/backend_startup.c): the list ends with a zero byte that is the packet's last.
  if (at !== length - 1) return { kind: 'invalid', reason: 'invalid startup packet layout: expected terminator as last byte', sqlstate: '08P01' };
  return { kind: 'startup', major, minor, parameters, bytes, consumedBytes: length };
}

export function writeStartupMessage(minor: number, parameters: Iterable<readonly [string, string]>): Buffer {
  let text = '';
  for (const [name, value] of parameters) text += `${name}\0${value}\0`;
  const body = Buffer.from(`${text}\0`, 'utf8');
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE((3 << 16) | minor, 4);
  return Buffer.concat([head, body]);
}

export function writeSslRequest(): Buffer {
  const out = Buffer.allocUnsafe(8);
  out.writeInt32BE(8, 0);
  out.writeInt32BE(SSL_REQUEST_CODE, 4);
  return out;
}

/** CancelRequest for the BackendKeyData body (Int32 process id, Byte[n] key) that the server gave. */
export function writeCancelRequest(keyData: Buffer): Buffer {
  const out = Buffer.allocUnsafe(8 + keyData.length);
  out.writeInt32BE(out.length, 0);
  out.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  keyData.copy(out, 8);
  return out;
}
