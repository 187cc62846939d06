/**
 * What passes between startup and the first ReadyForQuery: authentication is relayed as it is, the server's key and
 * settings are taken note of, and the first ReadyForQuery is held until the session may begin.
 */

import { readAuthentication, type AuthenticationRequest } from '../protocol/authentication.ts';
import { readErrorFields, readKeyData, readNegotiateProtocolVersion, readParameterStatus, writeNegotiateProtocolVersion, type ErrorFields } from '../protocol/backend-messages.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type MessageHandler } from '../protocol/message-stream.ts';
import { COLLECTED_MESSAGE_BYTES, maxFrontendBodyBytes, READY_BODY_BYTES } from '../protocol/limits.ts';
import { Backend, Frontend, type BackendType, type FrontendType } from '../protocol/message-types.ts';
import { NEWEST_MINOR, writeStartupMessage, type StartupMessage } from '../protocol/startup.ts';
import type { ServerAuthentication, ServerAuthStep } from './server-authentication.ts';

export interface StartupForServer {
  readonly bytes: Buffer;
  /** Options of the protocol that were taken out: the client is told that they are not known. */
  readonly removedOptions: readonly string[];
  /** The client asked for a later minor version than Rowgate knows. */
  readonly lowered: boolean;
}

/** The startup packet as the server gets it, `database` being its name there: later minors and protocol options that could bring unknown messages are taken out. */
export function startupForServer(startup: StartupMessage, database = databaseOf(startup)): StartupForServer {
  const removedOptions = [...startup.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const lowered = startup.minor > NEWEST_MINOR;
  const renamed = database !== databaseOf(startup);
  if (!lowered && removedOptions.length === 0 && !renamed) return { bytes: startup.bytes, removedOptions, lowered };
  const kept = [...startup.parameters].filter(([name]) => !name.startsWith('_pq_.') && !(renamed && name === 'database'));
  if (renamed) kept.push(['database', database]);
  return { bytes: writeStartupMessage(Math.min(startup.minor, NEWEST_MINOR), kept), removedOptions, lowered };
}

/** The login's name, where none is given (`ProcessStartupPacket`). */
export function databaseOf(startup: StartupMessage): string {
  return startup.parameters.get('database') || (startup.parameters.get('user') ?? '');
}

export interface HandshakePorts {
  toClient(bytes: Buffer): void;
  /** BackendKeyData's body: what a CancelRequest must carry. */
  keyData(body: Buffer): void;
  parameter(name: string, value: string): void;
  authenticated(): void;
  toServer(bytes: Buffer): void;
  /** The login cannot go on; the client gets the error. */
  refuse(error: ErrorFields, reason: string): void;
  /** Goes on reading the server after a pause. */
  wakeServer(): void;
  fault(error: unknown): void;
  /** The server refused the login. */
  loginFailed(sqlstate: string): void;
  /** The server is ready; nothing more is read until the session goes on. */
  ready(): void;
}

export class HandshakeBackend implements MessageHandler<BackendType> {
  readonly #ports: HandshakePorts;
  readonly #startup: StartupForServer;
  readonly #minor: number;
  readonly #authentication: ServerAuthentication;
  #first = true;
  #authenticated = false;
  #done = false;
  #inject: (bytes: Buffer) => void = () => undefined;

  constructor(ports: HandshakePorts, startup: StartupForServer, minor: number, authentication: ServerAuthentication) {
    this.#ports = ports;
    this.#authentication = authentication;
    this.#startup = startup;
    this.#minor = minor;
  }

  attach(inject: (bytes: Buffer) => void): void {
    this.#inject = inject;
  }

  forward(bytes: Buffer): void {
    this.#ports.toClient(bytes);
  }

  onHeader(type: BackendType, bodyBytes: number): AtHeader {
    if (this.#done) return AtHeader.Pause;
    if (bodyBytes > COLLECTED_MESSAGE_BYTES) throw new ProtocolViolation('server message too large');
    if (type === Backend.ReadyForQuery) {
      if (!this.#authenticated) throw new ProtocolViolation('ReadyForQuery before authentication');
      // A session has no time limit: it begins with a message that is all there.
      if (bodyBytes !== READY_BODY_BYTES) throw new ProtocolViolation('malformed ReadyForQuery');
    }
    return AtHeader.Whole;
  }

  onMessage(type: BackendType, buffer: Buffer, start: number, end: number): AtMessage {
    const first = this.#first;
    this.#first = false;
    if (first && type !== Backend.ErrorResponse && (this.#startup.lowered || this.#startup.removedOptions.length > 0)) {
      // One NegotiateProtocolVersion tells of what the server and of what Rowgate does not know.
      const newest = type === Backend.NegotiateProtocolVersion ? readNegotiateProtocolVersion(buffer, start, end).newestMinor : Math.min(this.#minor, NEWEST_MINOR);
      this.#inject(writeNegotiateProtocolVersion(newest, this.#startup.removedOptions));
      if (type === Backend.NegotiateProtocolVersion) return AtMessage.Drop;
    }
    switch (type) {
      case Backend.Authentication:
        return this.#onAuthentication(buffer, start, end);
      case Backend.ReadyForQuery:
        // It is the session's to read.
        this.#done = true;
        this.#ports.ready();
        return AtMessage.Pause;
      case Backend.BackendKeyData:
        this.#ports.keyData(readKeyData(buffer, start, end));
        return AtMessage.Forward;
      case Backend.ParameterStatus: {
        const { name, value } = readParameterStatus(buffer, start, end);
        this.#ports.parameter(name, value);
        return AtMessage.Forward;
      }
      case Backend.ErrorResponse:
        this.#ports.loginFailed(readErrorFields(buffer, start, end).get('C') ?? 'XX000');
        return AtMessage.Forward;
      case Backend.NoticeResponse:
      case Backend.NegotiateProtocolVersion:
        return AtMessage.Forward;
      default:
        throw new ProtocolViolation(`unexpected server message type ${type} during startup`);
    }
  }

  #onAuthentication(buffer: Buffer, start: number, end: number): AtMessage {
    // The bytes may be kept for longer than the chunk is.
    const message = Buffer.from(buffer.subarray(start, end));
    const request = readAuthentication(message, 0, message.length);
    if (this.#authenticated) throw new ProtocolViolation('the server asks for authentication after it was through');
    const step = this.#authentication.onRequest(request);
    if (step instanceof Promise) {
      step.then((found) => {
        if (found.kind === 'forward') {
          this.#accept(request);
          this.#ports.toClient(message);
        } else this.#carryOut(found, (bytes) => this.#ports.toClient(bytes));
        this.#ports.wakeServer();
      }).catch((error: unknown) => this.#ports.fault(error));
      return AtMessage.DropThenPause;
    }
    if (step.kind === 'forward') {
      this.#accept(request);
      return AtMessage.Forward;
    }
    this.#carryOut(step, this.#inject);
    return AtMessage.Drop;
  }

  #accept(request: AuthenticationRequest): void {
    if (request.kind !== 'ok') return;
    this.#authenticated = true;
    this.#ports.authenticated();
  }

  #carryOut(step: Exclude<ServerAuthStep, { kind: 'forward' }>, toClient: (bytes: Buffer) => void): void {
    switch (step.kind) {
      case 'replace':
        toClient(step.bytes);
        return;
      case 'answer':
        if (step.bytes !== undefined) this.#ports.toServer(step.bytes);
        return;
      case 'refuse':
        this.#ports.refuse(step.error, step.reason);
        return;
    }
  }
}

/** Until the session begins a client sends nothing but answers to the server's authentication requests. */
export class HandshakeFrontend implements MessageHandler<FrontendType> {
  readonly #ports: Pick<HandshakePorts, 'toServer' | 'refuse'> & { terminated(): void };
  readonly #authentication: ServerAuthentication;
  /** The server, or Rowgate, has said yes; what comes now belongs to the session. */
  authenticated: boolean;

  constructor(ports: Pick<HandshakePorts, 'toServer' | 'refuse'> & { terminated(): void }, authentication: ServerAuthentication, authenticated: boolean) {
    this.#ports = ports;
    this.#authentication = authentication;
    this.authenticated = authenticated;
  }

  forward(bytes: Buffer): void {
    this.#ports.toServer(bytes);
  }

  onHeader(type: FrontendType, bodyBytes: number): AtHeader {
    if (type === Frontend.Terminate) {
      this.#ports.terminated();
      return AtHeader.Drop;
    }
    if (this.authenticated) return AtHeader.Pause;
    if (type !== Frontend.Password) throw new ProtocolViolation('expected password response');
    if (bodyBytes > (maxFrontendBodyBytes(type) as number)) throw new ProtocolViolation('invalid message length');
    return this.#authentication.inspects ? AtHeader.Whole : AtHeader.Forward;
  }

  onMessage(_type: FrontendType, buffer: Buffer, start: number, end: number): AtMessage {
    const refused = this.#authentication.inspect(buffer.subarray(start + HEADER_BYTES, end));
    if (refused === undefined) return AtMessage.Forward;
    this.#ports.refuse(refused.error, refused.reason);
    return AtMessage.Drop;
  }
}
