/** What a client sends up to its startup packet: requests for encryption, that packet, or a cancel request ("Start-up", "SSL Session Encryption"). */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientTls } from '../auth/client-tls.ts';
import type { ErrorFields } from '../protocol/backend-messages.ts';
import { readStartupPacket, type StartupMessage } from '../protocol/startup.ts';
import { isTlsHandshake, negotiateTls, StuffedBytesError } from './encryption.ts';

export interface StartupPorts {
  /** What encryption is offered by, as configured at the moment. */
  tls(): ClientTls | undefined;
  /** The client is reached over this socket from now on. */
  encrypted(client: TLSSocket): void;
  tlsFailed(error: unknown): void;
  /** The whole packet. */
  cancel(bytes: Buffer): void;
  /** The startup packet, and what came behind it. The socket is paused and nobody reads it. */
  started(startup: StartupMessage, unread: Buffer): void;
  refuse(error: ErrorFields, reason: string): void;
  close(reason: string): void;
}

/** How often a client may ask for encryption before its startup packet: once for TLS, once for GSS ("SSL Session Encryption"). */
const MAX_ENCRYPTION_REQUESTS = 2;
const NO = Buffer.from('N', 'latin1');

export class StartupPhase {
  #client: Socket;
  readonly #maxPacketBytes: number;
  readonly #ports: StartupPorts;
  #unread: Buffer = Buffer.alloc(0);
  #encrypted = false;
  #encryptionRequests = 0;
  #over = false;

  constructor(client: Socket, maxPacketBytes: number, ports: StartupPorts) {
    this.#client = client;
    this.#maxPacketBytes = maxPacketBytes;
    this.#ports = ports;
    client.on('data', this.#onData);
  }

  /** The connection is over. */
  stop(): void {
    this.#over = true;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    if (!this.#encrypted && this.#encryptionRequests === 0 && isTlsHandshake(this.#unread)) {
      void this.#encrypt('direct');
      return;
    }
    while (this.#readPacket());
  };

  /** Returns whether another packet may follow. */
  #readPacket(): boolean {
    const packet = readStartupPacket(this.#unread, this.#maxPacketBytes);
    switch (packet.kind) {
      case 'incomplete':
        return false;
      case 'ssl_request':
      case 'gssenc_request':
        return this.#answerRequest(packet.kind, packet.consumedBytes);
      case 'cancel_request':
        this.#client.off('data', this.#onData);
        this.#ports.cancel(packet.bytes);
        return false;
      case 'invalid':
        if (packet.sqlstate === undefined) this.#ports.close(packet.reason);
        else this.#ports.refuse({ severity: 'FATAL', sqlstate: packet.sqlstate, message: packet.reason }, packet.reason);
        return false;
      case 'startup':
        this.#client.off('data', this.#onData);
        this.#client.pause();
        this.#ports.started(packet, this.#unread.subarray(packet.consumedBytes));
        return false;
    }
  }

  #answerRequest(kind: 'ssl_request' | 'gssenc_request', consumedBytes: number): boolean {
    if (++this.#encryptionRequests > MAX_ENCRYPTION_REQUESTS) {
      this.#ports.close('too many encryption requests');
      return false;
    }
    this.#unread = this.#unread.subarray(consumedBytes);
    if (this.#encrypted) {
      this.#ports.refuse({ severity: 'FATAL', sqlstate: '08P01', message: 'the connection is encrypted already' }, 'encryption asked for twice');
      return false;
    }
    if (kind === 'ssl_request' && this.#ports.tls() !== undefined) {
      void this.#encrypt('requested');
      return false;
    }
    this.#client.write(NO);
    return true;
  }

  /** From plain text to TLS. Nothing that came in plain text is believed afterwards. */
  async #encrypt(how: 'requested' | 'direct'): Promise<void> {
    const tls = this.#ports.tls();
    this.#client.off('data', this.#onData);
    const first = this.#unread;
    this.#unread = Buffer.alloc(0);
    let client: TLSSocket;
    try {
      if (tls === undefined) throw new Error('listen.tls is not configured');
      client = await negotiateTls(tls, this.#client, first, how);
    } catch (error) {
      if (error instanceof StuffedBytesError) this.#ports.refuse({ severity: 'FATAL', sqlstate: '08P01', message: error.message, detail: error.detail }, error.message);
      else if (!this.#over) {
        this.#ports.tlsFailed(error);
        this.#ports.close('TLS handshake failed');
      }
      return;
    }
    if (this.#over) {
      client.destroy();
      return;
    }
    this.#client = client;
    this.#encrypted = true;
    this.#ports.encrypted(client);
    client.on('data', this.#onData);
  }
}
