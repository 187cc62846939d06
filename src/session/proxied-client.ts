/** A connection from a load balancer, until its PROXY header has told whom it is for. */

import type { Socket } from 'node:net';
import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import { readProxyHeader } from '../protocol/proxy-header.ts';
import type { Newcomer } from './admission.ts';
import { peerBehind, peerOf, type Peer } from './peer.ts';

export interface ProxiedClientHooks {
  /** The header was read; what follows it is left in the socket. */
  onPeer(peer: Peer): void;
  onRefused(reason: string): void;
  onGone(): void;
}

export class ProxiedClient implements Newcomer {
  readonly address: string;
  readonly #socket: Socket;
  readonly #hooks: ProxiedClientHooks;
  readonly #timer: NodeJS.Timeout;
  #pending: Buffer = Buffer.alloc(0);
  #done = false;

  constructor(socket: Socket, timeoutMs: number, hooks: ProxiedClientHooks) {
    this.#socket = socket;
    this.#hooks = hooks;
    this.address = peerOf(socket).address;
    this.#timer = setTimeout(() => this.#refuse(undefined, 'no PROXY header came in time'), timeoutMs);
    socket.on('data', this.#onData);
    socket.on('error', this.#onGone);
    socket.on('close', this.#onGone);
  }

  turnAway(error: ErrorFields): void {
    this.#refuse(error, error.message);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const header = readProxyHeader(this.#pending);
    switch (header.kind) {
      case 'incomplete':
        return;
      case 'invalid':
        // Without a word, as PostgreSQL leaves whoever sends no startup packet.
        this.#refuse(undefined, header.reason);
        return;
      case 'header': {
        const socket = this.#socket;
        this.#release();
        socket.off('error', this.#onGone);
        socket.off('close', this.#onGone);
        socket.pause();
        const rest = this.#pending.subarray(header.consumedBytes);
        if (rest.length > 0) socket.unshift(rest);
        this.#hooks.onPeer(peerBehind(socket, header.source));
        socket.resume();
      }
    }
  };

  readonly #onGone = (): void => {
    if (this.#done) return;
    this.#release();
    this.#socket.destroy();
    this.#hooks.onGone();
  };

  #refuse(error: ErrorFields | undefined, reason: string): void {
    if (this.#done) return;
    this.#release();
    if (error !== undefined && this.#socket.writable) this.#socket.end(writeErrorResponse(error));
    this.#socket.destroySoon();
    this.#hooks.onRefused(reason);
  }

  #release(): void {
    this.#done = true;
    clearTimeout(this.#timer);
    this.#socket.off('data', this.#onData);
  }
}
