/**
 * What passes between startup and the first ReadyForQuery: authentication is relayed as it is, the server's key and
 * settings are taken note of, and the first ReadyForQuery is held until the session may begin.
 */

import { readErrorFields, readNegotiateProtocolVersion, readParameterStatus, writeNegotiateProtocolVersion } from '../protocol/backend-messages.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type MessageHandler } from '../protocol/message-stream.ts';
import { COLLECTED_MESSAGE_BYTES, maxFrontendBodyBytes } from '../protocol/limits.ts';
import { Backend, Frontend, type BackendType, type FrontendType } from '../protocol/message-types.ts';
import { NEWEST_MINOR, writeStartupMessage, type StartupMessage } from '../protocol/startup.ts';

export interface StartupForServer {
  readonly bytes: Buffer;
  /** Options of the protocol that were taken out: the client is told that they are not known. */
  readonly removedOptions: readonly string[];
  /** The client asked for a later minor version than Rowgate knows. */
  readonly lowered: boolean;
}

/** The startup packet as the server gets it: later minors and protocol options that could bring unknown messages are taken out. */
export function startupForServer(startup: StartupMessage): StartupForServer {
  const removedOptions = [...startup.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const lowered = startup.minor > NEWEST_MINOR;
  if (!lowered && removedOptions.length === 0) return { bytes: startup.bytes, removedOptions, lowered };
  const kept = [...startup.parameters].filter(([name]) => !name.startsWith('_pq_.'));
  return { bytes: writeStartupMessage(Math.min(startup.minor, NEWEST_MINOR), kept), removedOptions, lowered };
}

export interface HandshakePorts {
  toClient(bytes: Buffer): void;
  /** BackendKeyData's body: what a CancelRequest must carry. */
  keyData(body: Buffer): void;
  parameter(name: string, value: string): void;
  authenticated(): void;
  /** The server refused the login. */
  loginFailed(sqlstate: string): void;
  /** The server is ready; nothing more is read until the session goes on. */
  ready(): void;
}

export class HandshakeBackend implements MessageHandler<BackendType> {
  readonly #ports: HandshakePorts;
  readonly #startup: StartupForServer;
  readonly #minor: number;
  #first = true;
  #authenticated = false;
  #done = false;
  #inject: (bytes: Buffer) => void = () => undefined;

  constructor(ports: HandshakePorts, startup: StartupForServer, minor: number) {
    this.#ports = ports;
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
      this.#done = true;
      this.#ports.ready();
      return AtHeader.Pause;
    }
    return AtHeader.Whole;
  }

  onMessage(type: BackendType, buffer: Buffer, start: number, end: number): AtMessage {
    const first = this.#first;
    this.#first = false;
    if (first && type !== Backend.ErrorResponse && (this.#startup.lowered || this.#startup.removedOptions.length > 0)) {
      // One NegotiateProtocolVersion tells of what the server and of what Rowgate does not know.
      const newest = type === Backend.NegotiateProtocolVersion ? readNegotiateProtocolVersion(buffer, start).newestMinor : Math.min(this.#minor, NEWEST_MINOR);
      this.#inject(writeNegotiateProtocolVersion(newest, this.#startup.removedOptions));
      if (type === Backend.NegotiateProtocolVersion) return AtMessage.Drop;
    }
    switch (type) {
      case Backend.Authentication:
        if (end - start >= HEADER_BYTES + 4 && buffer.readInt32BE(start + HEADER_BYTES) === 0) {
          this.#authenticated = true;
          this.#ports.authenticated();
        }
        return AtMessage.Forward;
      case Backend.BackendKeyData:
        this.#ports.keyData(Buffer.from(buffer.subarray(start + HEADER_BYTES, end)));
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
}

/** Until the session begins a client sends nothing but answers to the server's authentication requests. */
export class HandshakeFrontend implements MessageHandler<FrontendType> {
  readonly #forward: (bytes: Buffer) => void;
  readonly #terminated: () => void;
  /** The server has said yes; what comes now belongs to the session. */
  authenticated = false;

  constructor(forward: (bytes: Buffer) => void, terminated: () => void) {
    this.#forward = forward;
    this.#terminated = terminated;
  }

  forward(bytes: Buffer): void {
    this.#forward(bytes);
  }

  onHeader(type: FrontendType, bodyBytes: number): AtHeader {
    if (type === Frontend.Terminate) {
      this.#terminated();
      return AtHeader.Drop;
    }
    if (this.authenticated) return AtHeader.Pause;
    if (type !== Frontend.Password) throw new ProtocolViolation('expected password response');
    if (bodyBytes > (maxFrontendBodyBytes(type) as number)) throw new ProtocolViolation('invalid message length');
    return AtHeader.Forward;
  }

  onMessage(): AtMessage {
    throw new ProtocolViolation('no message is read whole during startup');
  }
}
