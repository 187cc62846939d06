/** One client of the startup's fuzz run: says what its case has drawn, answers what it is asked, leaves in its own way, and tells how it went. */

import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { newNonce } from '../../src/auth/scram.ts';
import { ScramClient } from '../../src/auth/scram-client.ts';
import { writePasswordMessage, writeSaslInitialResponse, writeSaslResponse } from '../../src/protocol/authentication.ts';
import { writeCancelRequest, writeSslRequest, writeStartupMessage } from '../../src/protocol/startup.ts';
import { writeProxyV1, writeProxyV2 } from '../support/proxy-header.ts';
import { wire } from '../support/wire-client.ts';
import type { LoginCase } from './login-case.ts';
import { chunks, mutate, mutateOpening } from './mutations.ts';

export interface LoginTarget {
  readonly port: number;
  readonly ca: string;
  /** A whole ClientHello record. */
  readonly clientHello: Buffer;
}

export interface LoginOutcome {
  /** All that came, decrypted. */
  readonly received: string;
  readonly toldOk: boolean;
  readonly gotIn: boolean;
  /** Rowgate let go of the connection. */
  readonly closed: boolean;
}

/** Without an answer for so long, a client whose messages were changed has nothing more to wait for. */
const STILL_MS = 250;
const READY = Buffer.from('Z\0\0\0\x05', 'latin1');
const HONEST_MS = 30_000;
/** More than `limits.auth_timeout`. */
const CLOSE_MS = 40_000;

export async function runLogin(loginCase: LoginCase, target: LoginTarget): Promise<LoginOutcome> {
  const client = new LoginClient(loginCase, target);
  try {
    await client.logIn();
  } catch {
    // It could not get on: what matters is that Rowgate lets go of it.
  }
  return client.leave();
}

class LoginClient {
  readonly #case: LoginCase;
  readonly #target: LoginTarget;
  #socket: Socket;
  readonly #raw: Socket;
  #data: Buffer = Buffer.alloc(0);
  readonly #received: Buffer[] = [];
  #wake: () => void = () => undefined;
  #over = false;
  #closed = false;
  #toldOk = false;
  #gotIn = false;

  constructor(loginCase: LoginCase, target: LoginTarget) {
    this.#case = loginCase;
    this.#target = target;
    const { random } = loginCase;
    // Every client has an address of its own: none waits for the failures of another.
    this.#socket = connectTcp({ host: '127.0.0.1', port: target.port, localAddress: `127.${1 + random.below(250)}.${random.below(250)}.${1 + random.below(250)}`, noDelay: true, allowHalfOpen: true });
    this.#raw = this.#socket;
    this.#listen(this.#socket);
    this.#socket.on('close', () => {
      this.#closed = true;
      this.#over = true;
      this.#wake();
    });
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('end', () => {
      this.#over = true;
      socket.end();
      this.#wake();
    });
    socket.on('error', () => {
      this.#over = true;
      this.#wake();
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received.push(chunk);
    this.#data = Buffer.concat([this.#data, chunk]);
    this.#wake();
  };

  async logIn(): Promise<void> {
    const { random, proxy, opening, oddClient } = this.#case;
    if (proxy !== 'none') await this.#open(proxyHeader(this.#case));
    const startup = writeStartupMessage(random.pick([0, 0, 2]), [['user', this.#case.user], ['database', 'postgres'], ['application_name', this.#case.id]]);
    if (opening === 'cancel') {
      await this.#open(writeCancelRequest(random.bytes(random.pick([8, 8, 36, 4, 260, 300]))));
      return;
    }
    if (opening === 'garbage') {
      await this.#put([random.bytes(1 + random.below(400))]);
      return;
    }
    if (opening === 'gss' || opening === 'gss_then_ssl') {
      await this.#open(gssRequest());
      if (await this.#byte() !== 'N') return;
    }
    if (opening === 'ssl' || opening === 'gss_then_ssl') {
      if (oddClient && random.chance(0.15)) {
        await this.#put([Buffer.concat([writeSslRequest(), startup])]);
        return;
      }
      await this.#open(writeSslRequest());
      const answer = await this.#byte();
      if (answer === undefined) return;
      if (answer === 'S' && !(await this.#encrypt(['postgresql'], startup))) return;
    } else if (opening === 'direct' && !(await this.#encrypt(oddClient && random.chance(0.2) ? ['http/1.1'] : ['postgresql'], startup))) return;
    await this.#open(startup);
    await this.#converse();
  }

  async #converse(): Promise<void> {
    const { random, honest } = this.#case;
    let scram: ScramClient | undefined;
    for (let i = 0; i < 40; i++) {
      const got = await this.#message();
      if (got === undefined) return;
      const { type, body } = got;
      if (type === 'Z') {
        this.#gotIn = true;
        await this.#say(wire.query('SELECT name FROM public.tariffs'));
        for (let left = 8; left > 0; left--) if ((await this.#message())?.type === 'Z') break;
        return;
      }
      if (type !== 'R' || body.length < 4) continue;
      const password = this.#case.rightPassword ? 'secret' : 'wrong';
      switch (body.readInt32BE(0)) {
        case 0:
          this.#toldOk = true;
          break;
        case 3:
        case 5:
          await this.#say(writePasswordMessage(password));
          break;
        case 10: {
          const mechanisms = body.toString('latin1', 4).split('\0').filter((name) => name !== '');
          scram = new ScramClient({ secret: { kind: 'password', password }, mechanisms, encrypted: this.#socket !== this.#raw, channelBinding: undefined, nonce: newNonce() });
          await this.#say(writeSaslInitialResponse(scram.mechanism, scram.first()));
          break;
        }
        case 11:
          // A server that was changed may ask for a million iterations.
          if (scram === undefined || (!honest && /i=\d{6}/.test(body.toString('latin1')))) return;
          await this.#say(writeSaslResponse(await scram.final(body.subarray(4))));
          break;
        default:
          if (!honest && random.chance(0.1)) return;
      }
    }
  }

  async leave(): Promise<LoginOutcome> {
    const { ending } = this.#case;
    // What is being shut down cannot be reset.
    if (ending === 'reset' && !this.#over) this.#raw.resetAndDestroy();
    else if (ending === 'reset') this.#raw.destroy();
    else if (ending === 'half_close') this.#socket.end();
    else if (ending === 'goodbye') {
      if (this.#socket.writable) this.#socket.write(wire.terminate);
      this.#socket.end();
    }
    const deadline = Date.now() + CLOSE_MS;
    while (!this.#closed && Date.now() < deadline) {
      // A session that was begun has no time limit of its own.
      if (ending === 'silence' && this.#inSession) this.#socket.end();
      await sleep(10);
    }
    const closed = this.#closed;
    this.#socket.destroy();
    return { received: Buffer.concat(this.#received).toString('latin1'), toldOk: this.#toldOk, gotIn: this.#gotIn, closed };
  }

  /** Also where it came too late for the client to wait for it. */
  get #inSession(): boolean {
    return Buffer.concat(this.#received).includes(READY);
  }

  /** What stands before a connection has types of messages. */
  #open(bytes: Buffer): Promise<void> {
    const { random, oddClient } = this.#case;
    if (!oddClient || !random.chance(0.4)) return this.#put([bytes]);
    this.#case.mutated++;
    return this.#put([mutateOpening(bytes, random)]);
  }

  #say(bytes: Buffer): Promise<void> {
    const { random, oddClient } = this.#case;
    if (!oddClient || !random.chance(0.4)) return this.#put([bytes]);
    return this.#put([this.#changed(bytes)]);
  }

  #changed(bytes: Buffer): Buffer {
    this.#case.mutated++;
    return mutate(bytes, this.#case.random);
  }

  async #put(messages: readonly Buffer[]): Promise<void> {
    const pieces = chunks(Buffer.concat(messages), this.#case.random);
    for (const piece of pieces) {
      if (!this.#socket.writable) return;
      this.#socket.write(piece);
      // Here and there it waits, so that the other side sees pieces; at each byte that would take as long as Rowgate gives it.
      if (this.#case.random.chance(6 / pieces.length)) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** False: something else than a handshake was sent. */
  async #encrypt(protocols: string[], startup: Buffer): Promise<boolean> {
    const { random, oddClient } = this.#case;
    if (oddClient && random.chance(0.35)) {
      await this.#put([random.chance(0.3) ? startup : this.#changed(this.#target.clientHello)]);
      return false;
    }
    await this.#shakeHands(protocols);
    return true;
  }

  #shakeHands(protocols: string[]): Promise<void> {
    const raw = this.#socket;
    // Rowgate may have hung up on what stood before: nothing happens on such a socket any more.
    if (this.#over || raw.destroyed) return Promise.reject(new Error('closed'));
    raw.off('data', this.#onData);
    return new Promise((resolve, reject) => {
      const encrypted = connectTls({ socket: raw, ca: this.#target.ca, checkServerIdentity: () => undefined, ALPNProtocols: protocols });
      encrypted.once('secureConnect', () => resolve());
      encrypted.once('error', reject);
      encrypted.once('close', () => reject(new Error('closed')));
      raw.once('close', () => reject(new Error('closed')));
      this.#socket = encrypted;
      this.#listen(encrypted);
    });
  }

  async #byte(): Promise<string | undefined> {
    if (!(await this.#until(() => this.#data.length > 0))) return undefined;
    const byte = this.#data.toString('latin1', 0, 1);
    this.#data = this.#data.subarray(1);
    return byte;
  }

  async #message(): Promise<{ readonly type: string; readonly body: Buffer } | undefined> {
    const whole = (): boolean => this.#data.length >= 5 && this.#data.length >= 1 + this.#data.readInt32BE(1);
    if (!(await this.#until(whole))) return undefined;
    const end = Math.max(5, 1 + this.#data.readInt32BE(1));
    const message = { type: this.#data.toString('latin1', 0, 1), body: Buffer.from(this.#data.subarray(5, end)) };
    this.#data = this.#data.subarray(end);
    return message;
  }

  async #until(done: () => boolean): Promise<boolean> {
    const deadline = Date.now() + (this.#case.honest ? HONEST_MS : STILL_MS);
    while (!done()) {
      const left = deadline - Date.now();
      if (this.#over || left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }
}

function gssRequest(): Buffer {
  const out = writeSslRequest();
  out.writeInt32BE(80_877_104, 4);
  return out;
}

function proxyHeader({ proxy, random }: LoginCase): Buffer {
  const address = [1 + random.below(220), random.below(250), random.below(250), random.below(250)];
  const port = 1_024 + random.below(60_000);
  if (proxy === 'v1') return writeProxyV1('TCP4', address.join('.'), port);
  return random.chance(0.2) ? writeProxyV2({ command: 0x20, family: 0, address: Buffer.alloc(0) }) : writeProxyV2({ family: 0x11, address: Buffer.from(address), port, tlvs: random.bytes(random.pick([0, 0, 40])) });
}

/** The first record that a client with ALPN sends. */
export function recordClientHello(): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { port, close } = listenOnce((bytes) => resolve(bytes));
    port.then((number) => {
      const socket = connectTls({ host: '127.0.0.1', port: number, ALPNProtocols: ['postgresql'], servername: 'localhost' });
      socket.on('error', () => close());
    }, reject);
  });
}

function listenOnce(onFirst: (bytes: Buffer) => void): { readonly port: Promise<number>; close(): void } {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      onFirst(bytes);
      socket.destroy();
      server.close();
    });
  });
  const port = new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)));
  return { port, close: () => void server.close() };
}
