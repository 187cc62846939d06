/** The one place that owns a session's two sockets: it feeds the reducers and carries out what they ask. */

import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { TERMINATE } from '../protocol/frontend-messages.ts';
import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import { ProtocolViolation } from '../protocol/message-stream.ts';
import type { BackendType, FrontendType } from '../protocol/message-types.ts';
import { writeCancelRequest } from '../protocol/startup.ts';
import { BackendReducer } from './backend.ts';
import { sendCancelRequest } from './cancel.ts';
import { Direction } from './duplex.ts';
import { FrontendReducer } from './frontend.ts';
import type { Gate } from './gate.ts';
import { runsOf } from './request.ts';
import { SessionState, type SessionIdentity, type SessionPorts } from './session-state.ts';
import type { UpstreamAddress } from './upstream.ts';

/** A cancel that takes longer is not waited for any more. */
const CANCEL_TIMEOUT_MS = 5_000;

export interface SessionSockets {
  readonly client: Socket;
  readonly server: Socket;
  readonly upstream: UpstreamAddress;
  /** BackendKeyData's body. */
  readonly keyData: Buffer | undefined;
}

export class Session {
  readonly state: SessionState;
  readonly #sockets: SessionSockets;
  readonly #frontend: Direction<FrontendType>;
  readonly #backend: Direction<BackendType>;
  readonly #onEnd: (reason: string) => void;
  readonly #log: (error: unknown) => void;

  constructor(
    identity: SessionIdentity,
    gate: Gate,
    sockets: SessionSockets,
    hooks: { readonly onEnd: (reason: string) => void; readonly onFault: (error: unknown) => void },
  ) {
    this.#sockets = sockets;
    this.#onEnd = hooks.onEnd;
    this.#log = hooks.onFault;
    const ports: SessionPorts = {
      toClient: (bytes) => {
        if (sockets.client.writable) sockets.client.write(bytes);
      },
      toServer: (bytes) => this.#frontend.stream.inject(bytes),
      writeServer: (bytes) => {
        if (sockets.server.writable) sockets.server.write(bytes);
      },
      wakeClient: () => this.#frontend.wake(),
      wakeServer: () => this.#backend.wake(),
      cancelUpstream: () => this.#cancelUpstream(),
      fault: (error) => this.fault(error),
      end: (error, reason) => this.end(error, reason),
    };
    this.state = new SessionState(identity, gate, ports);
    const backend = new BackendReducer(this.state);
    const onFault = (error: unknown): void => this.fault(error);
    this.#frontend = new Direction(sockets.client, sockets.server, new FrontendReducer(this.state), { onFault });
    this.#backend = new Direction(sockets.server, sockets.client, backend, {
      onFault,
      beforeChunk: () => {
        backend.nowMs = performance.now();
      },
    });
    backend.attach(this.#backend.stream);
  }

  /** Goes on with bytes that arrived before the session began. */
  begin(fromClient: Buffer, fromServer: Buffer): void {
    if (fromServer.length > 0) this.#backend.push(fromServer);
    if (fromClient.length > 0) this.#frontend.push(fromClient);
    this.#sockets.client.resume();
    this.#sockets.server.resume();
  }

  fault(error: unknown): void {
    if (this.state.ended) return;
    if (error instanceof ProtocolViolation) {
      this.end({ severity: 'FATAL', sqlstate: '08P01', message: error.message }, `protocol violation: ${error.message}`);
      return;
    }
    this.#log(error);
    this.end({ severity: 'FATAL', sqlstate: 'XX000', message: 'internal error of the proxy; the session ends' }, 'internal error');
  }

  end(error: ErrorFields | undefined, reason: string): void {
    const { state } = this;
    if (state.ended) return;
    state.ended = true;
    this.#frontend.detach();
    this.#backend.detach();
    const { client, server } = this.#sockets;
    this.#backend.stream.release();
    // In the middle of a message the client would read it as that message's content.
    if (client.writable && error !== undefined && !this.#backend.stream.forwardingBody) client.write(writeErrorResponse(error));
    client.end();
    if (server.writable) server.write(TERMINATE);
    server.end();
    // What is under way in the server ends by itself when it finds its client gone; no reader is waited for.
    server.destroySoon();
    setTimeout(() => client.destroy(), END_GRACE_MS).unref();
    for (const run of state.earlyRuns) run.finish(undefined);
    for (const entry of state.ledger) for (const run of runsOf(entry.payload)) run.finish(undefined);
    this.#onEnd(reason);
  }

  async #cancelUpstream(): Promise<void> {
    const { keyData, upstream } = this.#sockets;
    if (keyData === undefined) return;
    await sendCancelRequest(upstream, writeCancelRequest(keyData), CANCEL_TIMEOUT_MS);
  }
}

/** How long a client may take to read its last error. */
const END_GRACE_MS = 2_000;
