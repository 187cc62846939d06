/** Carries syslog messages to a receiver. Syslog knows no answers: what the operating system has taken counts as delivered. */

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates } from 'node:tls';
import { DeliveryError, RejectedError } from './outbox.ts';
import { octetCounted } from './syslog-message.ts';

export interface SyslogTarget {
  readonly transport: 'tls' | 'tcp' | 'udp';
  readonly host: string;
  readonly port: number;
  /** File with authorities' certificates. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

export interface SyslogConnection {
  send(messages: readonly string[], signal: AbortSignal): Promise<void>;
  close(): void;
}

export function openSyslog(target: SyslogTarget): SyslogConnection {
  return target.transport === 'udp' ? new DatagramSyslog(target) : new StreamSyslog(target);
}

class StreamSyslog implements SyslogConnection {
  readonly #target: SyslogTarget;
  readonly #ca: readonly string[] | undefined;
  #socket: Socket | undefined;

  constructor(target: SyslogTarget) {
    this.#target = target;
    this.#ca = target.ca === undefined ? undefined : [...rootCertificates, readFileSync(target.ca, 'utf8')];
  }

  async send(messages: readonly string[], signal: AbortSignal): Promise<void> {
    const bytes = Buffer.concat(messages.map(octetCounted));
    const socket = this.#socket ?? (await this.#connect(signal));
    await this.#within(socket, signal, (done) => { socket.write(bytes, done); });
  }

  close(): void {
    this.#socket?.end();
    this.#socket = undefined;
  }

  async #connect(signal: AbortSignal): Promise<Socket> {
    const { transport, host, port } = this.#target;
    const socket = transport === 'tcp'
      ? connectTcp({ host, port })
      : connectTls({ host, port, minVersion: 'TLSv1.2', ...(isIP(host) === 0 ? { servername: host } : {}), ...(this.#ca === undefined ? {} : { ca: [...this.#ca] }) });
    socket.setKeepAlive(true, 30_000);
    socket.unref();
    await this.#within(socket, signal, (done) => { socket.once(transport === 'tcp' ? 'connect' : 'secureConnect', () => done()); });
    this.#socket = socket;
    // A receiver has nothing to say; reading tells when it goes.
    socket.resume();
    socket.on('error', () => undefined);
    const gone = (): void => {
      if (this.#socket === socket) this.#socket = undefined;
      socket.destroy();
    };
    socket.on('end', gone);
    socket.on('close', gone);
    return socket;
  }

  /** A socket on which something failed or took too long carries nothing more: half a message may be on it. */
  async #within(socket: Socket, signal: AbortSignal, start: (done: (error?: Error | null) => void) => void): Promise<void> {
    let fail: (error: Error) => void = () => undefined;
    const abort = (): void => fail(new DeliveryError('stopped'));
    const broken = (error?: Error): void => fail(error ?? new DeliveryError('the connection was closed'));
    const closed = (): void => broken();
    const timer = setTimeout(() => fail(new DeliveryError('timed out')), this.#target.timeoutMs).unref();
    signal.addEventListener('abort', abort);
    socket.on('error', broken);
    socket.on('close', closed);
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        start((error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    } catch (error) {
      if (this.#socket === socket) this.#socket = undefined;
      socket.on('error', () => undefined);
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('error', broken);
      socket.off('close', closed);
    }
  }
}

class DatagramSyslog implements SyslogConnection {
  readonly #target: SyslogTarget;
  #socket: UdpSocket | undefined;

  constructor(target: SyslogTarget) {
    this.#target = target;
  }

  async send(messages: readonly string[]): Promise<void> {
    for (const message of messages) await this.#sendOne(Buffer.from(message, 'utf8'));
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #sendOne(bytes: Buffer): Promise<void> {
    const { host, port } = this.#target;
    this.#socket ??= this.#open();
    const socket = this.#socket;
    return new Promise<void>((resolve, reject) => {
      socket.send(bytes, port, host, (error) => {
        if (error === null) resolve();
        else if ((error as NodeJS.ErrnoException).code === 'EMSGSIZE') reject(new RejectedError('a record is larger than a datagram'));
        else reject(error);
      });
    });
  }

  #open(): UdpSocket {
    const socket = createSocket({ type: isIP(this.#target.host) === 6 ? 'udp6' : 'udp4' });
    socket.on('error', () => undefined);
    socket.unref();
    return socket;
  }
}
