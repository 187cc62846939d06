/**
 * A server in memory that asks for every kind of login, checks what it is told, and serves a session then. For the login `rowgate` (the catalog) it is
 * a way to the real PostgreSQL, on which nothing is done. Everybody else may get mutated messages, or worse.
 */

import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { ScramServer } from '../../src/auth/scram-server.ts';
import type { ScramVerifier } from '../../src/auth/scram.ts';
import { readSaslInitialResponse, writeCleartextRequest, writeSasl, writeSaslContinue, writeSaslFinal } from '../../src/protocol/authentication.ts';
import { message } from '../support/wire-client.ts';
import type { LoginCase } from './login-case.ts';
import { chunks, mutate, reorder } from './mutations.ts';
import type { Random } from './random.ts';
import { reply, ScriptedServer } from './scripted-server.ts';

export interface LoginServerOptions {
  readonly postgresPort: number;
  readonly customersOid: number;
  readonly verifier: ScramVerifier;
  /** Undefined: SSLRequest is answered with `N`. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly direct: boolean } | undefined;
  /** The case that a startup packet names in `application_name`. */
  readonly caseOf: (id: string) => LoginCase | undefined;
  readonly random: Random;
}

const SSL_REQUEST = 80_877_103;
const CATALOG_USER = 'rowgate';
const int32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
};
const AUTHENTICATION_OK = message('R', int32(0));

export class LoginServer {
  readonly #options: LoginServerOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Of the catalog: they stay. */
  readonly #relayed = new Set<Socket>();
  #oddAnswers = 0;

  constructor(options: LoginServerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => this.#accept(socket));
  }

  /** Connections of clients' sessions, or on the way to be some. */
  get clientSockets(): number {
    return this.#open.size - this.#relayed.size;
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as { port: number }).port));
    });
  }

  async close(): Promise<void> {
    for (const each of this.#open) each.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(raw: Socket): void {
    this.#open.add(raw);
    raw.on('error', () => undefined);
    raw.on('close', () => {
      this.#open.delete(raw);
      this.#relayed.delete(raw);
    });
    const { tls } = this.#options;
    if (tls?.direct === true) {
      this.#encrypted(raw);
      return;
    }
    raw.once('data', (first: Buffer) => {
      if (first.length !== 8 || first.readInt32BE(4) !== SSL_REQUEST) {
        this.#startup(raw, raw, first);
        return;
      }
      // Nobody knows yet whom the connection is for: some are answered oddly whoever it is.
      const { random } = this.#options;
      if (random.chance(this.#oddAnswers)) {
        raw.write(random.pick([Buffer.from('N'), Buffer.from('E'), Buffer.from('SS'), Buffer.from('S\x16\x03\x01\0\x05hello', 'latin1'), reply.error('57P03', 'the database system is starting up'), random.bytes(1 + random.below(20))]));
        if (random.chance(0.7)) raw.destroySoon();
        else raw.on('data', () => undefined);
      } else if (tls === undefined) {
        raw.write('N');
        raw.once('data', (packet: Buffer) => this.#startup(raw, raw, packet));
      } else {
        raw.write('S');
        this.#encrypted(raw);
      }
    });
  }

  get odd(): boolean {
    return this.#oddAnswers > 0;
  }

  /** The part of the requests for encryption that is answered in any way but the right ones. */
  beOdd(part: number): void {
    this.#oddAnswers = part;
  }

  #encrypted(raw: Socket): void {
    const { tls } = this.#options;
    if (tls === undefined) return;
    const socket = new TLSSocket(raw, { isServer: true, secureContext: createSecureContext({ cert: tls.cert, key: tls.key }), ALPNProtocols: ['postgresql'] });
    socket.on('error', () => raw.destroy());
    socket.once('data', (first: Buffer) => this.#startup(raw, socket, first));
  }

  #startup(raw: Socket, socket: Socket, first: Buffer): void {
    let data = first;
    const tryRead = (): void => {
      if (data.length < 4 || data.length < data.readInt32BE(0)) {
        socket.once('data', (more: Buffer) => {
          data = Buffer.concat([data, more]);
          tryRead();
        });
        return;
      }
      const end = data.readInt32BE(0);
      const words = data.toString('latin1', 8, end).split('\0');
      const value = (name: string): string | undefined => {
        for (let i = 0; i + 1 < words.length; i += 2) if (words[i] === name) return words[i + 1];
        return undefined;
      };
      if (value('user') === CATALOG_USER) {
        this.#relayed.add(raw);
        const server = connect({ host: '127.0.0.1', port: this.#options.postgresPort, noDelay: true });
        server.on('error', () => socket.destroy());
        server.on('close', () => socket.destroy());
        socket.on('close', () => server.destroy());
        server.write(data);
        socket.pipe(server);
        server.pipe(socket);
        return;
      }
      new ServerSide(socket, this.#options, this.#options.caseOf(value('application_name') ?? '')).begin(data.subarray(end));
    };
    tryRead();
  }
}

class ServerSide {
  readonly #socket: Socket;
  readonly #options: LoginServerOptions;
  readonly #case: LoginCase | undefined;
  readonly #random: Random;
  readonly #odd: boolean;
  #rest: Buffer = Buffer.alloc(0);
  #scram: ScramServer | undefined;
  #session: ScriptedServer | undefined;

  constructor(socket: Socket, options: LoginServerOptions, loginCase: LoginCase | undefined) {
    this.#socket = socket;
    this.#options = options;
    this.#case = loginCase;
    this.#random = loginCase?.serverRandom ?? options.random;
    this.#odd = loginCase?.oddServer ?? false;
  }

  begin(rest: Buffer): void {
    const random = this.#random;
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    if (this.#odd) {
      // Silence, a hang-up, an error, or something else before the first request.
      const mood = random.below(20);
      if (mood === 0) return;
      if (mood === 1) {
        if (random.chance(0.5)) this.#socket.destroy();
        else this.#socket.destroySoon();
        return;
      }
      if (mood === 2) this.#send([reply.error(random.pick(['53300', '57P03', '28000', '3D000', '0A000']), 'no')]);
      if (mood === 3) this.#send([message('v', int32(random.pick([0, 1, 2, 3, -1, 0x7fffffff])), int32(random.pick([0, 1, -1, 1_000_000])), Buffer.from('_pq_.x\0'))]);
      if (mood === 4) this.#send([random.pick([reply.ready('I'), reply.row('early'), reply.key, reply.copyOut, reply.notification('c', 'early'), reply.parseComplete])]);
    }
    this.#ask();
    if (rest.length > 0) this.#receive(rest);
  }

  #ask(): void {
    const random = this.#random;
    switch (this.#case?.serverAsks ?? 'scram') {
      case 'trust':
        this.#letIn();
        return;
      case 'cleartext':
        this.#send([writeCleartextRequest()]);
        return;
      case 'md5':
        this.#send([message('R', int32(5), this.#odd && random.chance(0.3) ? random.bytes(random.below(9)) : Buffer.from('salt'))]);
        return;
      case 'other':
        this.#send([message('R', int32(random.pick([2, 6, 7, 8, 9, 13, 255, -1])), random.bytes(random.below(8)))]);
        return;
      case 'scram': {
        const names = this.#odd && random.chance(0.4) ? random.pick([[], ['SCRAM-SHA-256-PLUS'], ['SCRAM-SHA-1'], ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'], ['SCRAM-SHA-256', 'X'.repeat(5_000)]]) : ['SCRAM-SHA-256'];
        this.#send([writeSasl(names)]);
      }
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#session !== undefined) {
      this.#session.receive(chunk);
      return;
    }
    let data = Buffer.concat([this.#rest, chunk]);
    while (data.length >= 5 && this.#session === undefined) {
      const end = 1 + data.readInt32BE(1);
      if (end < 5 || data.length < end) break;
      const type = String.fromCharCode(data[0] as number);
      const body = Buffer.from(data.subarray(5, end));
      data = data.subarray(end);
      if (type === 'p') this.#answer(body);
      else this.#socket.destroySoon();
    }
    this.#rest = Buffer.from(data);
    this.#pass();
  }

  /** What came behind the login is the session's. */
  #pass(): void {
    if (this.#session !== undefined && this.#rest.length > 0) this.#session.receive(this.#rest);
  }

  #answer(body: Buffer): void {
    const random = this.#random;
    if ((this.#case?.serverAsks ?? 'scram') !== 'scram') {
      this.#letIn();
      return;
    }
    let data: Buffer | undefined = body;
    try {
      if (this.#scram === undefined) {
        data = readSaslInitialResponse(body).data;
        this.#scram = new ScramServer({ verifier: this.#options.verifier, genuine: true, nonce: randomBytes(18).toString('base64'), mechanism: 'SCRAM-SHA-256', channelBinding: undefined });
      }
    } catch {
      this.#refuse();
      return;
    }
    const step = this.#scram.step(data ?? Buffer.alloc(0));
    if (step.kind === 'continue') {
      const text = step.data.toString('latin1');
      const changed = this.#odd && random.chance(0.4)
        ? random.pick([text.replace(/i=\d+/, `i=${random.pick(['0', '1', '2147483647', '99999999999', '-1', 'x'])}`), text.replace(/s=[^,]*/, `s=${random.pick(['', 'AAAA', '====', 'A'.repeat(9_000)])}`), text.replace(/r=/, 'r=x'), `m=1,${text}`, '', text.slice(0, random.below(text.length)), `${text},x=y`])
        : text;
      this.#send([writeSaslContinue(Buffer.from(changed, 'latin1'))]);
    } else if (step.kind === 'proven') {
      const final = this.#odd && random.chance(0.4) ? random.pick([Buffer.from('v=AAAA'), Buffer.from('e=other-error'), Buffer.alloc(0), random.bytes(40)]) : step.data;
      if (!(this.#odd && random.chance(0.1))) this.#send([writeSaslFinal(final)]);
      this.#letIn();
    } else this.#refuse();
  }

  #refuse(): void {
    this.#send([message('E', Buffer.from('SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0'))]);
    this.#socket.end();
  }

  #letIn(): void {
    const token = this.#case?.token ?? 'nobody';
    this.#send([
      AUTHENTICATION_OK, reply.status('client_encoding', 'UTF8'), reply.status('standard_conforming_strings', 'on'), reply.status('server_version', '18.0'), reply.status('rowgate_token', token),
      message('K', int32(this.#random.below(2 ** 31)), this.#odd ? this.#random.bytes(this.#random.pick([0, 3, 4, 32, 256, 300])) : this.#random.bytes(4)), reply.ready('I'),
    ]);
    this.#session = new ScriptedServer({ customersOid: this.#options.customersOid, token, rows: 1, send: (messages) => this.#send(messages) });
  }

  #send(messages: readonly Buffer[]): void {
    const random = this.#random;
    const sent = this.#odd && this.#session === undefined ? reorder(messages, random).map((each) => {
      if (!random.chance(0.35)) return each;
      if (this.#case !== undefined) this.#case.mutated++;
      return mutate(each, random);
    }) : messages;
    for (const chunk of chunks(Buffer.concat(sent), random)) if (this.#socket.writable) this.#socket.write(chunk);
    if (this.#odd && random.chance(0.03)) this.#socket.destroySoon();
  }
}
