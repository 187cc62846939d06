import { describe, expect, test } from 'vitest';
import { readStartupPacket, writeCancelRequest, writeStartupMessage } from '../../../src/protocol/startup.ts';

const MAX = 10_000;

describe('a startup packet', () => {
  test('gives its parameters once it is whole, and is incomplete before', () => {
    const bytes = writeStartupMessage(0, [['user', 'agent'], ['database', 'crm'], ['options', '-c work_mem=1MB']]);
    for (let length = 0; length < bytes.length; length++) expect(readStartupPacket(bytes.subarray(0, length), MAX).kind).toBe('incomplete');
    const packet = readStartupPacket(bytes, MAX);
    expect(packet).toMatchObject({ kind: 'startup', major: 3, minor: 0, consumedBytes: bytes.length });
    expect(packet.kind === 'startup' && [...packet.parameters]).toEqual([['user', 'agent'], ['database', 'crm'], ['options', '-c work_mem=1MB']]);
  });

  test.each([
    ['SSLRequest', Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]), 'ssl_request'],
    ['GSSENCRequest', Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]), 'gssenc_request'],
    ['CancelRequest', writeCancelRequest(Buffer.from([0, 0, 0, 42, 1, 2, 3, 4])), 'cancel_request'],
    ['CancelRequest with a long key (protocol 3.2)', writeCancelRequest(Buffer.alloc(4 + 256)), 'cancel_request'],
    ['a length that is too small', Buffer.from([0, 0, 0, 4, 0, 3, 0, 0]), 'invalid'],
    ['a length beyond the limit', Buffer.from([0, 0, 0x40, 0, 0, 3, 0, 0]), 'invalid'],
    ['protocol 2.0', Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]), 'invalid'],
    ['a list without its end', Buffer.concat([Buffer.from([0, 0, 0, 13, 0, 3, 0, 0]), Buffer.from('user\0')]), 'invalid'],
    ['bytes behind the list', Buffer.concat([Buffer.from([0, 0, 0, 11, 0, 3, 0, 0]), Buffer.from('\0xx')]), 'invalid'],
  ])('%s', (_name, bytes, kind) => {
    expect(readStartupPacket(bytes, MAX).kind).toBe(kind);
  });
});
