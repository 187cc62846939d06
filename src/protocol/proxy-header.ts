/**
 * The header that a load balancer puts before a connection's bytes, to say for whom it connects ("The PROXY protocol, versions 1
 * & 2", haproxy doc/proxy-protocol.txt).
 */

import { canonicalIpv6, ipv4Of, ipv6Of, isIpv4 } from './ip-text.ts';

export type ProxySource =
  | { readonly kind: 'ip'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix' }
  /** LOCAL (a health check), UNKNOWN or UNSPEC: the connection speaks for the sender itself. */
  | { readonly kind: 'sender' };

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'header'; readonly source: ProxySource; readonly consumedBytes: number };

const V1_START = Buffer.from('PROXY ', 'latin1');
/** Section 2.1: the longest line, with its CRLF. */
const V1_MAX_BYTES = 107;
const V2_START = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_HEAD_BYTES = 16;
/** Addresses and additional values (TLVs; the largest in use is a client's certificate). The field could say 65,535. */
const V2_MAX_REST_BYTES = 16 * 1024;

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };

/** Reads the header at the start of a connection. It never looks at what follows the header. */
export function readProxyHeader(buffer: Buffer): ProxyHeader {
  if (startsLike(buffer, V1_START)) return buffer.length < V1_START.length ? INCOMPLETE : readLine(buffer);
  if (startsLike(buffer, V2_START)) return buffer.length < V2_HEAD_BYTES ? INCOMPLETE : readBinary(buffer);
  return invalid('the connection does not begin with a PROXY header');
}

function startsLike(buffer: Buffer, start: Buffer): boolean {
  const length = Math.min(buffer.length, start.length);
  return buffer.subarray(0, length).equals(start.subarray(0, length));
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}

/** Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 54321 6432\r\n`. */
function readLine(buffer: Buffer): ProxyHeader {
  const line = buffer.subarray(0, V1_MAX_BYTES);
  const end = line.indexOf('\r\n');
  if (end < 0) return buffer.length < V1_MAX_BYTES ? INCOMPLETE : invalid('the PROXY header has no end');
  const consumedBytes = end + 2;
  const [family, ...rest] = line.toString('latin1', V1_START.length, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', source: { kind: 'sender' }, consumedBytes };
  const [source, destination, sourcePort, destinationPort, ...more] = rest;
  const address = addressOf(family, source);
  const port = portOf(sourcePort);
  const known = address !== undefined && addressOf(family, destination) !== undefined && port !== undefined && portOf(destinationPort) !== undefined;
  if (!known || more.length > 0) return invalid('the PROXY header cannot be read');
  return { kind: 'header', source: { kind: 'ip', address, port }, consumedBytes };
}

function addressOf(family: string | undefined, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (family === 'TCP4') return isIpv4(text) ? text : undefined;
  return family === 'TCP6' ? canonicalIpv6(text) : undefined;
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** Version 2: signature, version and command, family and transport, length of what follows, addresses, TLVs. */
function readBinary(buffer: Buffer): ProxyHeader {
  const versionAndCommand = buffer[12] as number;
  const family = buffer[13] as number;
  const restBytes = buffer.readUInt16BE(14);
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) return invalid('the PROXY header is of an unknown version or command');
  if (restBytes > V2_MAX_REST_BYTES) return invalid('the PROXY header is too long');
  const consumedBytes = V2_HEAD_BYTES + restBytes;
  if (buffer.length < consumedBytes) return INCOMPLETE;
  // LOCAL: what family and addresses say is to be ignored.
  if (versionAndCommand === 0x20) return { kind: 'header', source: { kind: 'sender' }, consumedBytes };
  const rest = buffer.subarray(V2_HEAD_BYTES, consumedBytes);
  const source = sourceOf(family, rest);
  return source === undefined ? invalid('the PROXY header cannot be read') : { kind: 'header', source, consumedBytes };
}

function sourceOf(family: number, rest: Buffer): ProxySource | undefined {
  switch (family) {
    case 0x00: // UNSPEC
      return { kind: 'sender' };
    case 0x11: // TCP over IPv4: two addresses of 4 bytes, two ports
      return rest.length < 12 ? undefined : { kind: 'ip', address: ipv4Of(rest.subarray(0, 4)), port: rest.readUInt16BE(8) };
    case 0x21: // TCP over IPv6: two addresses of 16 bytes, two ports
      return rest.length < 36 ? undefined : { kind: 'ip', address: ipv6Of(rest.subarray(0, 16)), port: rest.readUInt16BE(32) };
    case 0x31: // stream over a Unix socket: two paths of 108 bytes
      return rest.length < 216 ? undefined : { kind: 'unix' };
    default:
      return undefined;
  }
}
