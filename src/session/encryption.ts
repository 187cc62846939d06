/** How a client's connection becomes encrypted: SSLRequest or TLS from the first byte ("SSL Session Encryption"). */

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { tlsServerEndPoint } from '../auth/channel-binding.ts';
import { ALPN, type ClientTls } from '../auth/client-tls.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';

const YES = Buffer.from('S', 'latin1');
/** ContentType `handshake` of a TLS record: a startup packet never begins with it, its first byte would be a length of 370 MB. */
const TLS_HANDSHAKE = 0x16;

/** Bytes that came before the handshake would be taken for the client's own words behind it (CVE-2021-23214). */
export class StuffedBytesError extends Error {
  override readonly name = 'StuffedBytesError';
  /** PostgreSQL's own words for it (ProcessStartupPacket, backend_startup.c). */
  readonly detail = 'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.';

  constructor() {
    super('received unencrypted data after SSL request');
  }
}

export const NOT_ENCRYPTED: ErrorFields = {
  severity: 'FATAL',
  sqlstate: '28000',
  message: 'this server takes encrypted connections only',
  detail: 'The connection is in plain text, and listen.tls.mode of Rowgate does not allow that.',
  hint: 'Connect with sslmode=require, or better sslmode=verify-full (JDBC: the same; node-postgres: ssl; DBeaver: the tab SSL).',
};

export function isTlsHandshake(bytes: Buffer): boolean {
  return bytes[0] === TLS_HANDSHAKE;
}

/** Cancel requests are exempt, as in PostgreSQL: clients before version 17 send them in plain text only. */
export function mustBeEncrypted(tls: ClientTls | undefined): boolean {
  return tls !== undefined && tls.mode !== 'prefer';
}

/** As PostgreSQL says it (`clientcert`, auth.c). */
export function certificateFault(tls: ClientTls | undefined, client: Socket): { readonly error: ErrorFields; readonly reason: string } | undefined {
  if (tls?.mode !== 'verify-client') return undefined;
  if (client instanceof TLSSocket && client.authorized) return undefined;
  const shown = client instanceof TLSSocket && Object.keys(client.getPeerCertificate()).length > 0;
  const why = shown && client instanceof TLSSocket ? `The certificate was not accepted (${String(client.authorizationError)}).` : 'The client showed none.';
  return {
    error: {
      severity: 'FATAL', sqlstate: '28000', message: 'connection requires a valid client certificate', detail: why,
      hint: 'Give your client a certificate and its key (sslcert and sslkey).',
    },
    reason: `no valid client certificate: ${why}`,
  };
}

/** The hash that SCRAM-SHA-256-PLUS binds to; undefined in plain text, or where the certificate gives none. */
export function channelBindingOf(client: Socket): Buffer | undefined {
  const certificate = ownCertificate(client);
  return certificate === undefined ? undefined : tlsServerEndPoint(certificate);
}

/** What Rowgate showed on this connection, which a renewal may have replaced meanwhile. */
export function ownCertificate(client: Socket): Buffer | undefined {
  return client instanceof TLSSocket ? client.getX509Certificate()?.raw : undefined;
}

/** `first`: what was read behind the SSLRequest, or the beginning of the handshake. The socket must have no reader. */
export async function negotiateTls(tls: ClientTls, socket: Socket, first: Buffer, how: 'requested' | 'direct'): Promise<TLSSocket> {
  if (how === 'requested') {
    if (first.length > 0) throw new StuffedBytesError();
    socket.pause();
    socket.write(YES);
  }
  const encrypted = await tls.secure(socket, first);
  if (how === 'direct' && encrypted.alpnProtocol !== ALPN) {
    encrypted.destroy();
    throw new Error('TLS from the first byte needs ALPN "postgresql" (sslnegotiation=direct)');
  }
  return encrypted;
}
