import { describe, expect, test } from 'vitest';
import { writeErrorResponse, readErrorFields } from '../../../src/protocol/backend-messages.ts';
import { parseTextArray } from '../../../src/session/internal-requests.ts';
import { redactedError, showsNoValues } from '../../../src/session/redaction.ts';
import { NO_REACH, opaqueReach, unionReach } from '../../../src/session/reach-union.ts';
import { isSafeEncodingName, textDecoderFor } from '../../../src/session/text-encoding.ts';
import { startupForServer } from '../../../src/session/handshake.ts';
import { readStartupPacket, writeStartupMessage, type StartupMessage } from '../../../src/protocol/startup.ts';

describe('text encodings', () => {
  test('those in which an ASCII byte can be part of another character are not read', () => {
    for (const name of ['SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB', 'SHIFT_JIS_2004']) {
      expect(textDecoderFor(name)).toBeUndefined();
      expect(isSafeEncodingName(name)).toBe(false);
    }
  });

  test('Czech of a Windows desktop is read as it is meant', () => {
    expect(textDecoderFor('WIN1250')?.(Buffer.from([0xe8, 0xf8]))).toBe('čř');
    expect(textDecoderFor('LATIN2')?.(Buffer.from([0xe8, 0xf8]))).toBe('čř');
    expect(isSafeEncodingName('windows-1250')).toBe(true);
  });

  test('bytes that are no UTF-8 are not read', () => {
    expect(textDecoderFor('UTF8')?.(Buffer.from([0xc3, 0x28]))).toBeUndefined();
  });
});

describe('redaction', () => {
  const fields = (text: Buffer): ReadonlyMap<string, string> => readErrorFields(text, 0, text.length);

  test('keeps the SQLSTATE and no value', () => {
    const error = writeErrorResponse({ severity: 'ERROR', sqlstate: '22P02', message: 'invalid input syntax for type integer: "secret"', detail: 'secret', hint: 'secret' });
    const redacted = redactedError(error, 0, error.length);
    expect(redacted.toString('utf8')).not.toContain('secret');
    expect(fields(redacted).get('C')).toBe('22P02');
    expect(fields(redacted).get('M')).toMatch(/^invalid text representation/);
  });

  test('shows a typing error, which points at its place, and not one of the same class that quotes a value', () => {
    const typo = fields(writeErrorResponse({ severity: 'ERROR', sqlstate: '42601', message: 'syntax error at or near "x"', position: '3' }));
    const quoting = fields(writeErrorResponse({ severity: 'ERROR', sqlstate: '42601', message: 'syntax error in tsquery: "secret"' }));
    expect(showsNoValues(typo, NO_REACH)).toBe(true);
    expect(showsNoValues(quoting, NO_REACH)).toBe(false);
    expect(showsNoValues(typo, opaqueReach(['customers'], 'x', true))).toBe(false);
  });
});

test('a text array is read as PostgreSQL prints it', () => {
  expect(parseTextArray('{pg_catalog,crm,"My Schema","a,b","back\\\\slash"}')).toEqual(['pg_catalog', 'crm', 'My Schema', 'a,b', 'back\\slash']);
  expect(parseTextArray('{}')).toEqual([]);
  expect(parseTextArray('{"with \\"quotes\\"","a,b"}')).toEqual(['with "quotes"', 'a,b']);
});

test('two parts of a statement reach together what each reaches', () => {
  const a = opaqueReach(['customers'], 'one', true);
  const b = opaqueReach(['customers', 'employees'], 'two', false);
  const both = unionReach(a, b);
  expect(both.classes.map((cls) => [cls.className, cls.width])).toEqual([['customers', 2], ['employees', 1]]);
  expect(both.opaque).toEqual(['one', 'two']);
  expect([...both.categories]).toEqual(['opaque', 'derived_copy']);
});

describe('the startup packet for the server', () => {
  const parsed = (minor: number, parameters: [string, string][]): StartupMessage => readStartupPacket(writeStartupMessage(minor, parameters), 10_000) as StartupMessage;

  test('is the client\'s own where Rowgate knows all of it', () => {
    const startup = parsed(2, [['user', 'agent']]);
    expect(startupForServer(startup).bytes).toBe(startup.bytes);
  });

  test('asks for no later minor version and no protocol option', () => {
    const changed = startupForServer(parsed(9999, [['user', 'agent'], ['_pq_.test_protocol_negotiation', '1']]));
    expect(changed).toMatchObject({ lowered: true, removedOptions: ['_pq_.test_protocol_negotiation'] });
    const read = readStartupPacket(changed.bytes, 10_000) as StartupMessage;
    expect([read.minor, [...read.parameters]]).toEqual([2, [['user', 'agent']]]);
  });
});
