/** The login of a client to Rowgate itself: the messages of one `ClientAuthenticator` on the client's socket. */

import type { Socket } from 'node:net';
import type { AuthStep, ClientAuthenticator } from '../auth/client-authenticator.ts';
import { AUTH_MESSAGE_BYTES, SASL_MESSAGE_BYTES } from '../protocol/limits.ts';
import { AtHeader, AtMessage, HEADER_BYTES, ProtocolViolation, type MessageHandler } from '../protocol/message-stream.ts';
import { Frontend, type FrontendType } from '../protocol/message-types.ts';
import { Direction } from './duplex.ts';

export type ClientLoginResult =
  | { readonly step: Extract<AuthStep, { kind: 'proven' | 'refused' }>; readonly unread: Buffer }
  | { readonly step: undefined };

/** Resolves when the client has proven who it is, or has not; with `step: undefined` if it said goodbye. Rejects with `ProtocolViolation`. */
export function authenticateClient(client: Socket, pending: Buffer, authenticator: ClientAuthenticator, cleartext: boolean): Promise<ClientLoginResult> {
  return new Promise((resolve, reject) => {
    const finish = (): void => direction.detach();
    const fail = (error: unknown): void => {
      finish();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const take = (step: AuthStep): void => {
      if (client.writable) client.write(step.kind === 'refused' ? EMPTY : step.bytes);
      if (step.kind === 'send') {
        direction.wake();
        return;
      }
      finish();
      client.pause();
      resolve({ step, unread: direction.stream.takeUnread() });
    };
    const handler = new LoginMessages(
      cleartext ? AUTH_MESSAGE_BYTES : SASL_MESSAGE_BYTES,
      (body) => void authenticator.answer(body).then(take, fail),
      () => {
        finish();
        resolve({ step: undefined });
      },
    );
    const direction: Direction<FrontendType> = new Direction(client, client, handler, { onFault: fail });
    client.write(authenticator.start());
    if (pending.length > 0) direction.push(pending);
    client.resume();
  });
}

const EMPTY = Buffer.alloc(0);

class LoginMessages implements MessageHandler<FrontendType> {
  readonly #maxBodyBytes: number;
  readonly #onPassword: (body: Buffer) => void;
  readonly #onTerminate: () => void;

  constructor(maxBodyBytes: number, onPassword: (body: Buffer) => void, onTerminate: () => void) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#onPassword = onPassword;
    this.#onTerminate = onTerminate;
  }

  onHeader(type: FrontendType, bodyBytes: number): AtHeader {
    if (type === Frontend.Terminate) {
      this.#onTerminate();
      return AtHeader.Pause;
    }
    if (type !== Frontend.Password) throw new ProtocolViolation(`expected SASL response, got message type ${type}`);
    if (bodyBytes > this.#maxBodyBytes) throw new ProtocolViolation('invalid message length');
    return AtHeader.Whole;
  }

  onMessage(_type: FrontendType, buffer: Buffer, start: number, end: number): AtMessage {
    this.#onPassword(Buffer.from(buffer.subarray(start + HEADER_BYTES, end)));
    return AtMessage.DropThenPause;
  }

  forward(): void {
    throw new ProtocolViolation('nothing is forwarded during the login');
  }
}
