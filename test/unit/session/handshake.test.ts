import { describe, expect, it } from 'vitest';
import { MessageStream, ProtocolViolation } from '../../../src/protocol/message-stream.ts';
import type { BackendType } from '../../../src/protocol/message-types.ts';
import { HandshakeBackend } from '../../../src/session/handshake.ts';

const AUTHENTICATED = Buffer.from('5200000008 00000000'.replaceAll(' ', ''), 'hex');
const READY = Buffer.from('5a0000000549', 'hex');

/** The stream of a server's answers to a login that Rowgate only passes on. */
function login(): { readonly stream: MessageStream<BackendType>; readonly seen: { ready: number; sent: Buffer[] } } {
  const seen = { ready: 0, sent: [] as Buffer[] };
  const nothing = (): void => undefined;
  const ports = {
    toClient: (bytes: Buffer) => void seen.sent.push(bytes), toServer: nothing, keyData: nothing, parameter: nothing, authenticated: nothing, refuse: nothing, wakeServer: nothing, fault: nothing, loginFailed: nothing,
    ready: () => void seen.ready++,
  };
  const passed = { inspects: false, onRequest: () => ({ kind: 'forward' as const }), inspect: () => undefined };
  const stream = new MessageStream<BackendType>(new HandshakeBackend(ports, { bytes: Buffer.alloc(0), removedOptions: [], lowered: false }, 0, passed));
  return { stream, seen };
}

describe('the end of a login', () => {
  it('is a ReadyForQuery that is all there, which the session reads', () => {
    for (let cut = 0; cut <= READY.length; cut++) {
      const { stream, seen } = login();
      stream.push(Buffer.concat([AUTHENTICATED, READY.subarray(0, cut)]));
      expect(seen.ready).toBe(cut === READY.length ? 1 : 0);
      if (cut < READY.length) stream.push(READY.subarray(cut));
      expect(seen.ready).toBe(1);
      expect(Buffer.concat(seen.sent)).toEqual(AUTHENTICATED);
      expect(stream.takeUnread()).toEqual(READY);
    }
  });

  it('is no message that cannot be one, whose rest would be waited for without a limit', () => {
    for (const length of ['00000004', '00000006', '00010000']) {
      const { stream, seen } = login();
      expect(() => stream.push(Buffer.concat([AUTHENTICATED, Buffer.from(`5a${length}49`, 'hex')]))).toThrow(ProtocolViolation);
      expect(seen.ready).toBe(0);
    }
  });
});
