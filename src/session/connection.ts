/** One client connection from its first byte to the session: startup packets, the connection to the server, the login. */

import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { LoginDescription, SessionIdentity } from '../audit/events.ts';
import type { ClientTls } from '../auth/client-tls.ts';
import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import { ProtocolViolation } from '../protocol/message-stream.ts';
import type { BackendType, FrontendType } from '../protocol/message-types.ts';
import type { StartupMessage } from '../protocol/startup.ts';
import { decideLogin, loginNameRefusal } from '../policy/login-verdict.ts';
import { isLoginName } from '../policy/principal.ts';
import type { PrincipalPolicy, Refusal } from '../policy/types.ts';
import { TOO_MANY_CLIENTS, type Newcomer } from './admission.ts';
import { Direction } from './duplex.ts';
import { mustBeEncrypted, NOT_ENCRYPTED } from './encryption.ts';
import { STARTING_DRAINED, type Draining } from './drain.ts';
import { databaseOf, HandshakeBackend, HandshakeFrontend, startupForServer } from './handshake.ts';
import type { WatchedSession } from './idle-watch.ts';
import { lexerFault, lexerRefusal } from './lexer-settings.ts';
import { LoginRecord } from './login-record.ts';
import type { Peer } from './peer.ts';
import type { ServiceGate } from './service-gate.ts';
import { proveClient, type ProvenClient } from './prove-client.ts';
import type { ServerAuthentication } from './server-authentication.ts';
import { catalogFailure, fatalFields } from './refusal-message.ts';
import { asksForReplication, judgeReplication } from './replication.ts';
import { Session } from './session.ts';
import { StartupPhase } from './startup-phase.ts';
import { textDecoderFor } from './text-encoding.ts';
import type { Target } from './routes.ts';
import { connectUpstream, type UpstreamAddress } from './upstream.ts';

const UPSTREAM_TIMEOUT_MS = 10_000;
/** The server's word that a password was wrong, or that the login may not come in this way. */
const WRONG_PASSWORD: ReadonlySet<string> = new Set(['28P01', '28000']);

export interface ConnectionHooks {
  onClosed(connection: ClientConnection): void;
}

export class ClientConnection implements Newcomer, WatchedSession, Draining {
  readonly id = randomUUID().slice(0, 8);
  #client: Socket;
  /** On a Unix socket, whatever a load balancer says about those behind it. */
  readonly #local: boolean;
  #tlsVersion: string | undefined;
  #authMethod = 'passthrough';
  /** An attempt to log in that the delays know of. */
  #attempt: 'none' | 'open' | 'over' = 'none';
  #delayed: { resolve(): void; timer: NodeJS.Timeout } | undefined;
  readonly #gate: ServiceGate;
  readonly #hooks: ConnectionHooks;
  readonly #record: LoginRecord;
  readonly #startedMs = Date.now();
  readonly clientAddress: string;
  /** Without the port. */
  readonly address: string;
  /** Bytes pass unread: a replication connection, and whose it is. */
  #piped: SessionIdentity | undefined;
  #server: Socket | undefined;
  #upstream: UpstreamAddress | undefined;
  #forgetKey: () => void = () => undefined;
  readonly #startup: StartupPhase;
  /** What the client sent behind what was read. */
  #pending: Buffer = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #user = '';
  #database = '';
  session: Session | undefined;

  constructor(client: Socket, peer: Peer, gate: ServiceGate, hooks: ConnectionHooks) {
    this.#client = client;
    this.#local = client.remoteAddress === undefined;
    this.#gate = gate;
    this.#hooks = hooks;
    this.address = peer.address;
    this.clientAddress = peer.text;
    this.#record = new LoginRecord(gate.connections, this.id, peer.text);
    this.#watch(client);
    this.#startup = this.#startUp(client);
    this.#timer = setTimeout(() => this.#refuse({ severity: 'FATAL', sqlstate: '57014', message: 'canceling authentication due to timeout' }, 'authentication timed out'), gate.config.limits.authTimeoutMs);
  }

  #watch(client: Socket): void {
    client.on('error', () => this.close('client connection failed'));
    client.on('close', () => this.close('client disconnected'));
  }

  /** As PostgreSQL does, none is offered or demanded on Unix sockets (SSLok in ProcessStartupPacket). Client certificates are demanded all the same. */
  get #tls(): ClientTls | undefined {
    return this.#local ? undefined : this.#gate.clientTls;
  }

  get user(): string {
    return this.#user;
  }

  get idle(): boolean {
    const state = this.session?.state;
    return state !== undefined && state.quiet && state.transaction === 'I' && !state.beginInFlight;
  }

  get clientBytes(): number {
    return this.#client.bytesRead + this.#client.bytesWritten;
  }

  /** A startup packet was read, or more. */
  get started(): boolean {
    return this.#user !== '';
  }

  whenIdle(act: () => void): void {
    if (this.session !== undefined) this.session.state.onIdle = act;
  }

  turnAway(error: ErrorFields): void {
    this.#refuse(error, error.message);
  }

  /** Ends the connection at once, with a last message for a client that still listens. */
  shutdown(error: ErrorFields): void {
    if (this.session !== undefined) this.session.end(error, error.message);
    else if (this.#piped !== undefined) this.close(error.message);
    else this.#hangUp(error, error.message);
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#startup.stop();
    this.#gate.admission.leave(this);
    this.#forgetKey();
    clearTimeout(this.#timer);
    clearTimeout(this.#delayed?.timer);
    this.#delayed?.resolve();
    if (this.#attempt === 'open') this.#gate.logins.delay.abandoned(this.#user, this.address);
    this.#attempt = 'over';
    this.session?.end(undefined, reason);
    if (this.#piped !== undefined) this.#gate.connections.replicationEnded(this.#piped, reason, this.#client.bytesWritten, Date.now() - this.#startedMs);
    this.#client.destroySoon();
    this.#server?.destroySoon();
    this.#hooks.onClosed(this);
  }

  #startUp(client: Socket): StartupPhase {
    return new StartupPhase(client, this.#gate.config.limits.startupPacketBytes, {
      tls: () => this.#tls,
      encrypted: (encrypted) => {
        this.#client = encrypted;
        this.#tlsVersion = encrypted.getProtocol() ?? 'unknown';
        this.#watch(encrypted);
      },
      tlsFailed: (error) => this.#gate.connections.tlsFailed(error, this.clientAddress),
      cancel: (bytes) => void this.#passCancelOn(bytes),
      started: (startup, unread) => {
        this.#record.claimed(startup, databaseOf(startup));
        if (this.#tlsVersion === undefined && mustBeEncrypted(this.#tls)) {
          this.#refuse(NOT_ENCRYPTED, 'not encrypted');
          return;
        }
        this.#pending = unread;
        this.#start(startup).catch((error: unknown) => this.#fault(error));
      },
      refuse: (error, reason) => this.#refuse(error, reason),
      close: (reason) => this.close(reason),
    });
  }

  /** The server that gave the key compares it once more. Nobody is told whether it was right. */
  async #passCancelOn(bytes: Buffer): Promise<void> {
    // Behind the length and the code: the process id and the key.
    const verdict = await this.#gate.cancelKeys.pass(bytes.subarray(8));
    this.#gate.connections.cancelAsked(verdict);
    this.close(`cancel request: ${verdict}`);
  }

  async #start(startup: StartupMessage): Promise<void> {
    const gate = this.#gate;
    this.#user = startup.parameters.get('user') ?? '';
    this.#database = databaseOf(startup);
    if (this.#user === '') {
      this.#refuse({ severity: 'FATAL', sqlstate: '28000', message: 'no PostgreSQL user name specified in startup packet' }, 'no user name');
      return;
    }
    if (gate.draining || gate.admission.full) {
      this.#refuse(gate.draining ? STARTING_DRAINED : TOO_MANY_CLIENTS, 'no places');
      return;
    }
    const route = gate.routes.find(this.#database);
    if (route === undefined) {
      // `InitPostgres`, src/backend/utils/init/postinit.c; there is no server to ask.
      this.#refuse({ severity: 'FATAL', sqlstate: '3D000', message: `database "${this.#database}" does not exist` }, 'no such database');
      return;
    }
    const login = await this.#prove(route);
    if (login === undefined || this.#closed) return;
    this.#authMethod = login.method;
    let replicator: PrincipalPolicy | undefined;
    if (asksForReplication(startup.parameters.get('replication'))) {
      const verdict = await judgeReplication(gate, { user: this.#user, database: this.#database }, route);
      if (verdict.kind === 'refused') {
        this.#refuse(verdict.error, verdict.reason);
        return;
      }
      replicator = verdict.principal;
    }
    const forServer = startupForServer(startup, route.database);
    let server: Socket;
    try {
      server = await connectUpstream(route.address, UPSTREAM_TIMEOUT_MS);
    } catch (error) {
      gate.connections.upstreamFailed(error);
      // libpq goes on to its next host, and pg_isready says that nobody is let in, at this SQLSTATE alone (internal_ping, fe-connect.c).
      this.#refuse({ severity: 'FATAL', sqlstate: '57P03', message: 'the database server cannot be reached through Rowgate', hint: 'The people who run the database know more.' }, 'upstream unreachable');
      return;
    }
    if (this.#closed) {
      server.destroy();
      return;
    }
    this.#server = server;
    this.#upstream = route.address;
    server.setKeepAlive(true, gate.config.limits.tcpKeepaliveMs);
    server.on('error', () => this.close('server connection failed'));
    server.on('close', () => this.#serverClosed());
    this.#logIn(server, startup, forServer, login.towards(server), replicator);
  }

  /** Waits out a delay, and has the client prove who it is as far as Rowgate is to check that. Undefined: the connection is over. */
  async #prove({ address: upstream }: Target): Promise<ProvenClient | undefined> {
    const { logins } = this.#gate;
    const user = this.#user;
    if (logins.method !== 'passthrough' && !isLoginName(user)) {
      this.#refuseBy(loginNameRefusal());
      return undefined;
    }
    const admission = logins.delay.admit(user, this.address);
    if (admission.kind === 'refused') {
      this.#refuse({ severity: 'FATAL', sqlstate: '28000', message: `too many failed logins of "${user}"`, hint: 'Wait a minute, and try again with the right password.' }, 'too many failed logins at a time');
      return undefined;
    }
    this.#attempt = 'open';
    if (admission.delayMs > 0) await this.#sleep(admission.delayMs);
    if (this.#closed) return undefined;
    const proof = await proveClient({ gate: this.#gate, upstream, client: this.#client, user, pending: this.#pending });
    switch (proof.kind) {
      case 'proven':
        this.#pending = proof.unread;
        return proof;
      case 'refused':
        if (proof.wrongPassword) this.#countFailure();
        this.#refuse(proof.error, proof.reason);
        return undefined;
      case 'gone':
        this.close('client terminated');
        return undefined;
    }
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#delayed = { resolve, timer: setTimeout(resolve, delayMs) };
    });
  }

  /** A guess that was wrong; the next one waits. */
  #countFailure(): void {
    if (this.#attempt === 'open') this.#gate.logins.delay.failed(this.#user, this.address);
    this.#attempt = 'over';
  }

  #logIn(server: Socket, startup: StartupMessage, forServer: ReturnType<typeof startupForServer>, authentication: ServerAuthentication, replicator: PrincipalPolicy | undefined): void {
    // Asked for once the server knows the client: nobody unknown makes Rowgate open connections to databases.
    let catalog: Promise<void> | undefined;
    const client = this.#client;
    const parameters = new Map<string, string>();
    let keyData: Buffer | undefined;
    const onFault = (error: unknown): void => this.#fault(error);
    const toServer = (bytes: Buffer): void => {
      if (server.writable) server.write(bytes);
    };
    const refuse = (error: ErrorFields, reason: string): void => this.#refuse(error, reason);
    const frontHandler = new HandshakeFrontend({ toServer, refuse, terminated: () => this.close('client terminated') }, authentication, this.#authMethod !== 'passthrough');
    const frontend = new Direction<FrontendType>(client, server, frontHandler, { onFault });
    const backHandler = new HandshakeBackend(
      {
        toClient: (bytes) => {
          if (client.writable) client.write(bytes);
        },
        toServer,
        refuse,
        wakeServer: () => backend.wake(),
        fault: onFault,
        keyData: (body) => {
          keyData = body;
          this.#forgetKey();
          this.#forgetKey = this.#gate.cancelKeys.add(body, this.#upstream as UpstreamAddress);
        },
        parameter: (name, value) => parameters.set(name, value),
        authenticated: () => {
          frontHandler.authenticated = true;
          this.#gate.logins.delay.succeeded(this.#user, this.address);
          this.#attempt = 'over';
          this.#record.succeeded(this.#description);
          // Physical replication names no database.
          if (replicator === undefined) catalog = this.#gate.openCatalog(this.#database);
        },
        loginFailed: (sqlstate) => this.#refusedByServer(sqlstate),
        ready: () => {
          // After the message loop that says so has come to rest.
          setImmediate(() => {
            if (replicator !== undefined) this.#pipe(server, frontend, backend, replicator, parameters.get('application_name'));
            else this.#beginSession(server, { frontend, backend, parameters, keyData, catalog }).catch(onFault);
          });
        },
      },
      forServer,
      startup.minor,
      authentication,
    );
    const backend: Direction<BackendType> = new Direction<BackendType>(server, client, backHandler, { onFault });
    backHandler.attach((bytes) => backend.stream.inject(bytes));
    parameters.set('application_name', startup.parameters.get('application_name') ?? '');
    server.write(forServer.bytes);
    if (this.#pending.length > 0) frontend.push(this.#pending);
    this.#pending = Buffer.alloc(0);
    client.resume();
  }

  async #beginSession(
    server: Socket,
    login: { frontend: Direction<FrontendType>; backend: Direction<BackendType>; parameters: Map<string, string>; keyData: Buffer | undefined; catalog: Promise<void> | undefined },
  ): Promise<void> {
    const gate = this.#gate;
    const { frontend, backend, parameters, keyData } = login;
    try {
      await login.catalog;
      await gate.confirmCatalog(this.#user, this.#database);
    } catch (error) {
      gate.connections.catalogFailed(error);
      this.#refuse(catalogFailure(error), 'catalog unavailable');
      return;
    }
    if (this.#closed) return;
    const principal = gate.principalPolicy(this.#user, this.#database);
    const verdict = decideLogin({ database: this.#database, replication: false }, principal, gate.databaseRules);
    if (verdict.kind === 'block') {
      this.#refuseBy(verdict.refusal);
      return;
    }
    const fault = lexerFault(parameters.get('standard_conforming_strings') !== 'off', textDecoderFor(parameters.get('client_encoding') ?? 'UTF8') !== undefined);
    if (fault !== undefined && principal.metered) {
      this.#refuseBy(lexerRefusal(fault, principal));
      return;
    }
    if (!this.#admitted()) return;
    frontend.detach();
    backend.detach();
    const identity = { id: this.id, principal: this.#user, database: this.#database, clientAddress: this.clientAddress };
    this.session = new Session(identity, gate, { client: this.#client, server, upstream: this.#upstream as UpstreamAddress, keyData }, {
      onEnd: (reason) => this.#sessionEnded(reason),
      onFault: (error) => gate.connections.fault(error),
    });
    const { state } = this.session;
    for (const [name, value] of parameters) state.noteParameter(name, value);
    // The first ReadyForQuery answers the startup itself.
    state.ledger.push('sync', { kind: 'sync' });
    gate.sessionStarted(state, this.#description);
    this.session.begin(frontend.stream.takeUnread(), backend.stream.takeUnread());
  }

  #sessionEnded(reason: string): void {
    const { session } = this;
    if (session !== undefined) this.#gate.sessionEnded(session.state, reason, Date.now() - this.#startedMs);
    this.close(reason);
  }

  #serverClosed(): void {
    if (!this.#closed && this.session === undefined && this.#piped === undefined) this.#record.failed('the server closed the connection', undefined);
    if (this.session !== undefined) this.session.end(undefined, 'server closed the connection');
    this.close('server closed the connection');
  }

  /** A place among the sessions, for a client that the server knows now. */
  #admitted(): boolean {
    const refused = this.#gate.draining ? STARTING_DRAINED : this.#gate.admission.enter(this, this.#user);
    clearTimeout(this.#timer);
    if (refused === undefined) return true;
    this.#refuse(refused, refused.message);
    return false;
  }

  /** A replication connection of a role that is allowed it: bytes both ways, unmetered by decision of the policy. */
  #pipe(server: Socket, frontend: Direction<FrontendType>, backend: Direction<BackendType>, { roles }: PrincipalPolicy, applicationName: string | undefined): void {
    if (this.#closed || !this.#admitted()) return;
    frontend.detach();
    backend.detach();
    this.#piped = { session_id: this.id, principal: this.#user, roles, client_address: this.clientAddress, application_name: applicationName, database: this.#database };
    this.#gate.connections.replicationStarted(this.#piped, this.#description);
    server.write(frontend.stream.takeUnread());
    this.#client.write(backend.stream.takeUnread());
    this.#client.pipe(server);
    server.pipe(this.#client);
  }

  get #description(): LoginDescription {
    return { tls: this.#tlsVersion !== undefined, tls_version: this.#tlsVersion, auth_method: this.#authMethod };
  }

  #refusedByServer(sqlstate: string): void {
    if (WRONG_PASSWORD.has(sqlstate)) this.#countFailure();
    this.#record.failed('refused by the server', sqlstate);
  }

  #refuseBy(refusal: Refusal): void {
    this.#refuse(fatalFields(refusal), refusal.message);
  }

  /** Put on record, told to the client, and closed. `reason` may tell more than the client learns. */
  #refuse(error: ErrorFields, reason: string): void {
    this.#record.failed(reason, error.sqlstate);
    this.#hangUp(error, reason);
  }

  #hangUp(error: ErrorFields, reason: string): void {
    if (this.#client.writable) this.#client.end(writeErrorResponse(error));
    this.close(reason);
  }

  #fault(error: unknown): void {
    if (this.#closed) return;
    if (error instanceof ProtocolViolation) {
      this.#refuse({ severity: 'FATAL', sqlstate: '08P01', message: error.message }, error.message);
      return;
    }
    this.#gate.connections.fault(error);
    this.#refuse({ severity: 'FATAL', sqlstate: 'XX000', message: 'internal error of the proxy' }, 'internal error');
  }
}
