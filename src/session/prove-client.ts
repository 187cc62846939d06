/** What Rowgate itself checks of a client before it connects to the server, and how the server is then answered. */

import { isIP, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Logins } from '../auth/logins.ts';
import type { ScramSecret } from '../auth/scram-client.ts';
import { UpstreamLogin } from '../auth/upstream-login.ts';
import { VerifierSourceError } from '../auth/verifiers.ts';
import type { ClientTls } from '../auth/client-tls.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';
import { isServerFull, TOO_MANY_CLIENTS } from './admission.ts';
import { authenticateClient } from './client-login.ts';
import { certificateFault, channelBindingOf, ownCertificate } from './encryption.ts';
import { AuthenticationRelay, OwnLogin, type ServerAuthentication } from './server-authentication.ts';
import { upstreamId } from './routes.ts';
import { connectForPg, serverCertificate, type UpstreamAddress } from './upstream.ts';

const LOOKUP_CONNECT_MS = 5_000;

export interface ProvenClient {
  readonly kind: 'proven';
  /** For the audit record. */
  readonly method: string;
  /** Bytes that the client sent behind its login. */
  readonly unread: Buffer;
  /** Who answers the server's requests on this connection. */
  towards(server: Socket): ServerAuthentication;
}

export type ClientProof =
  | ProvenClient
  | { readonly kind: 'refused'; readonly error: ErrorFields; readonly reason: string; readonly wrongPassword: boolean }
  /** The client said goodbye. */
  | { readonly kind: 'gone' };

export interface ClientToProve {
  readonly gate: {
    readonly logins: Logins;
    readonly clientTls: ClientTls | undefined;
    connections: { verifiersFailed(error: unknown): void };
  };
  /** The server that the client wants to. */
  readonly upstream: UpstreamAddress;
  readonly client: Socket;
  readonly user: string;
  readonly pending: Buffer;
}

export async function proveClient({ gate, upstream, client, user, pending }: ClientToProve): Promise<ClientProof> {
  const { logins } = gate;
  const refused = checkCertificate(logins, gate.clientTls, client, user);
  if (refused !== undefined) return refused;
  const encrypted = client instanceof TLSSocket;
  switch (logins.method) {
    case 'passthrough':
      return {
        kind: 'proven', method: 'passthrough', unread: pending,
        towards: (server) =>
          new AuthenticationRelay({
            clientSees: ownCertificate(client),
            serverShows: serverCertificate(server),
            cleartextAllowed: encrypted && isPrivate(server, upstream) && logins.namedForCleartext(user),
          }),
      };
    case 'certificate': {
      const password = await logins.upstreamPassword(user);
      return { kind: 'proven', method: 'certificate', unread: pending, towards: ownLogin(upstream, user, password === undefined ? undefined : { kind: 'password', password }) };
    }
    case 'scram': {
      const cleartext = encrypted && logins.namedForCleartext(user);
      let result: Awaited<ReturnType<typeof authenticateClient>>;
      try {
        result = await authenticateClient(client, pending, logins.authenticator(user, channelBindingOf(client), cleartext, { id: upstreamId(upstream), connect: () => connectForPg(upstream, LOOKUP_CONNECT_MS) }), cleartext);
      } catch (error) {
        if (!(error instanceof VerifierSourceError)) throw error;
        gate.connections.verifiersFailed(error);
        return {
          kind: 'refused', wrongPassword: false, reason: 'the verifiers cannot be read',
          error: isServerFull(error) ? TOO_MANY_CLIENTS : { severity: 'FATAL', sqlstate: '57P03', message: 'logins cannot be checked at present', hint: 'Try again in a moment; the people who run Rowgate know more.' },
        };
      }
      if (result.step === undefined) return { kind: 'gone' };
      if (result.step.kind === 'refused') return result.step;
      return { kind: 'proven', method: result.step.method, unread: result.unread, towards: ownLogin(upstream, user, result.step.secret) };
    }
  }
}

function checkCertificate(logins: Logins, tls: ClientTls | undefined, client: Socket, user: string): Extract<ClientProof, { kind: 'refused' }> | undefined {
  const fault = certificateFault(tls, client);
  if (fault !== undefined) return { kind: 'refused', ...fault, wrongPassword: false };
  if (tls?.mode !== 'verify-client' || !(client instanceof TLSSocket) || logins.certificateAllows(user, client.getPeerCertificate())) return undefined;
  return {
    kind: 'refused',
    // In PostgreSQL's words (check_usermap and auth_failed, for the method cert).
    error: { severity: 'FATAL', sqlstate: '28000', message: `certificate authentication failed for user "${user}"` },
    reason: 'no rule of auth.certificates gives this certificate the login',
    wrongPassword: true,
  };
}

function ownLogin(upstream: UpstreamAddress, user: string, secret: ScramSecret | undefined): (server: Socket) => ServerAuthentication {
  return (server) => new OwnLogin(new UpstreamLogin({ user, secret, certificate: serverCertificate(server), private: isPrivate(server, upstream) }));
}

/** Nobody on a network can listen in: encrypted, or within this machine. */
function isPrivate(server: Socket, upstream: UpstreamAddress): boolean {
  if (server instanceof TLSSocket) return true;
  const { remoteAddress } = server;
  if (remoteAddress === undefined) return isIP(upstream.host) === 0 && upstream.host.startsWith('/');
  return remoteAddress === '::1' || remoteAddress.startsWith('127.') || remoteAddress.startsWith('::ffff:127.');
}
