import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalIpv6, isIpv4, withoutMapping } from '../../../src/protocol/ip-text.ts';
import { readProxyHeader } from '../../../src/protocol/proxy-header.ts';
import { writeStartupMessage } from '../../../src/protocol/startup.ts';
import { writeProxyV1, writeProxyV2 } from '../../support/proxy-header.ts';

const STARTUP = writeStartupMessage(0, [['user', 'agent']]);

const KNOWN: readonly (readonly [string, Buffer, unknown])[] = [
  ['v1 over IPv4', writeProxyV1('TCP4', '192.0.2.7', 50_001), { kind: 'ip', address: '192.0.2.7', port: 50_001 }],
  ['v1 over IPv6', writeProxyV1('TCP6', '2001:DB8:0:0::7', 50_001), { kind: 'ip', address: '2001:db8::7', port: 50_001 }],
  ['v1 of unknown family', Buffer.from('PROXY UNKNOWN ffff:f::1 whatever\r\n'), { kind: 'sender' }],
  ['v1 of unknown family, short', Buffer.from('PROXY UNKNOWN\r\n'), { kind: 'sender' }],
  [
    'v2 over IPv4',
    Buffer.from([
      0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, // signature
      0x21, // version 2, PROXY
      0x11, // IPv4, stream
      0, 12, // length of what follows
      192, 0, 2, 7, // source
      192, 0, 2, 1, // destination
      0xc3, 0x51, // source port 50001
      0x19, 0x20, // destination port 6432
    ]),
    { kind: 'ip', address: '192.0.2.7', port: 50_001 },
  ],
  ['v2 over IPv6, with TLVs', writeProxyV2({ family: 0x21, address: Buffer.from('20010db8000000000000000000000007', 'hex'), port: 50_001, tlvs: Buffer.from([0x02, 0, 4, 1, 2, 3, 4, 0x04, 0, 0]) }), { kind: 'ip', address: '2001:db8::7', port: 50_001 }],
  ['v2 over a Unix socket', writeProxyV2({ family: 0x31, address: Buffer.alloc(108, 'p') }), { kind: 'unix' }],
  ['v2 of unspecified family', writeProxyV2({ family: 0x00, address: Buffer.alloc(0) }), { kind: 'sender' }],
  ['v2 LOCAL, addresses ignored', writeProxyV2({ command: 0x20, family: 0x11, address: Buffer.from([1, 2, 3, 4]), port: 5 }), { kind: 'sender' }],
];

describe('a PROXY header', () => {
  test.each(KNOWN)('%s: says who, once it is whole, and leaves what follows', (_name, header, source) => {
    const bytes = Buffer.concat([header, STARTUP]);
    for (let length = 0; length <= bytes.length; length++) {
      const read = readProxyHeader(bytes.subarray(0, length));
      if (length < header.length) expect(read).toEqual({ kind: 'incomplete' });
      else expect(read).toEqual({ kind: 'header', source, consumedBytes: header.length });
    }
  });

  test.each([
    ['a startup packet', STARTUP],
    ['another word', Buffer.from('PROXI TCP4')],
    ['another signature', Buffer.from([0x0d, 0x0a, 0x0d, 0x0b])],
    ['version 1 without an end', Buffer.from(`PROXY TCP4 ${'1'.repeat(120)}`)],
    ['version 1 with an end too late', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
    ['an IPv6 address as IPv4', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['an IPv4 address as IPv6', Buffer.from('PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n')],
    ['an address out of range', Buffer.from('PROXY TCP4 256.0.0.1 192.0.2.1 1 2\r\n')],
    ['an address with a leading zero', Buffer.from('PROXY TCP4 010.0.0.1 192.0.2.1 1 2\r\n')],
    ['a port out of range', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n')],
    ['a missing port', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n')],
    ['a word too many', Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n')],
    ['two spaces', Buffer.from('PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n')],
    ['lower case', Buffer.from('PROXY tcp4 192.0.2.7 192.0.2.1 1 2\r\n')],
    ['version 3', writeProxyV2({ command: 0x31, family: 0x11, address: Buffer.alloc(4) })],
    ['an unknown command', writeProxyV2({ command: 0x22, family: 0x11, address: Buffer.alloc(4) })],
    ['datagrams', writeProxyV2({ family: 0x12, address: Buffer.alloc(4) })],
    ['addresses that are not all there', writeProxyV2({ family: 0x21, address: Buffer.alloc(4) })],
    ['65,535 bytes more', Buffer.concat([writeProxyV2({ family: 0x11, address: Buffer.alloc(4) }).subarray(0, 14), Buffer.from([0xff, 0xff])])],
  ])('%s is invalid', (_name, bytes) => {
    expect(readProxyHeader(bytes).kind).toBe('invalid');
  });

  test('of any address says that address', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), fc.nat(65_535), fc.uint8Array({ maxLength: 64 }), (v4, v6, port, rest) => {
        for (const [family, address] of [['TCP4', v4], ['TCP6', v6]] as const) {
          const header = writeProxyV1(family, address, port);
          expect(readProxyHeader(Buffer.concat([header, Buffer.from(rest)]))).toEqual({
            kind: 'header', source: { kind: 'ip', address: family === 'TCP4' ? v4 : canonicalIpv6(v6), port }, consumedBytes: header.length,
          });
        }
      }),
    );
  });

  test('of any bytes gets an answer that more bytes do not take back', () => {
    const start = fc.constantFrom(Buffer.from('PROXY '), writeProxyV2({ family: 0x11, address: Buffer.alloc(4) }), Buffer.alloc(0));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), fc.nat(300), (head, tail, cut) => {
        const bytes = Buffer.concat([head, Buffer.from(tail)]);
        const early = readProxyHeader(bytes.subarray(0, cut));
        const late = readProxyHeader(bytes);
        if (early.kind !== 'incomplete') expect(late.kind).toBe(early.kind);
        if (late.kind === 'header') expect(late.consumedBytes).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

test('an IPv4 peer of a socket for both families is named as IPv4', () => {
  expect(withoutMapping('::ffff:10.0.0.1')).toBe('10.0.0.1');
  expect(withoutMapping('::1')).toBe('::1');
  expect(isIpv4('10.0.0.1')).toBe(true);
  expect(isIpv4('10.0.0')).toBe(false);
});
