/** Whatever is cut off or changed in a message, its reader answers or names the violation, and looks at nothing behind the message's end. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readAuthentication, readPasswordMessage, readSaslInitialResponse } from '../../../src/protocol/authentication.ts';
import * as backend from '../../../src/protocol/backend-messages.ts';
import * as frontend from '../../../src/protocol/frontend-messages.ts';
import { ProtocolViolation } from '../../../src/protocol/message-stream.ts';
import { COPY_READERS, DATA_ROW, type RowReader } from '../../../src/session/row-reader.ts';
import { message } from '../../support/wire-client.ts';
import { reply } from '../../fuzz/scripted-server.ts';

type Reader = (buffer: Buffer, start: number, end: number) => unknown;

const name = (bytes: Buffer): string => bytes.toString('latin1');
const rows = (reader: RowReader): Reader => (buffer, start, end) => {
  const places = new Int32Array(4);
  if (!reader.locate(buffer, start + 5, end, 2, 2, places)) return undefined;
  return [0, 1].map((column) => ((places[2 * column] as number) < 0 ? undefined : buffer.toString('latin1', places[2 * column], places[2 * column + 1])));
};
const twoColumns = Buffer.from('\0\x02\0\0\0\x02ab\xff\xff\xff\xff', 'latin1');
const copyHeader = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x01e', 'latin1');

const READERS: readonly (readonly [string, Buffer, Reader])[] = [
  ['ReadyForQuery', reply.ready('I'), backend.readTransactionStatus],
  ['ParameterStatus', reply.status('TimeZone', 'UTC'), backend.readParameterStatus],
  ['NotificationResponse', reply.notification('c', 'text'), backend.readNotification],
  ['RowDescription', reply.description(16_384), backend.readColumns],
  ['DataRow as text', message('D', twoColumns), backend.readTextRow],
  ['DataRow by bytes', message('D', twoColumns), (buffer, start, end) => backend.rowBytesWhere(buffer, start, end, () => true)],
  ['DataRow for keys', message('D', twoColumns), rows(DATA_ROW)],
  ['CopyData binary for keys', message('d', copyHeader, twoColumns), rows(COPY_READERS.binary)],
  ['CopyData text for keys', message('d', Buffer.from('ab\tc\n')), rows(COPY_READERS.text)],
  ['CopyData csv for keys', message('d', Buffer.from('"ab",c\n')), rows(COPY_READERS.csv)],
  ['ErrorResponse', reply.error('42601', 'syntax error'), (buffer, start, end) => [...backend.readErrorFields(buffer, start, end)]],
  ['CommandComplete', reply.complete('SELECT 1'), backend.readCommandTag],
  ['NegotiateProtocolVersion', backend.writeNegotiateProtocolVersion(2, ['_pq_.x']), backend.readNegotiateProtocolVersion],
  ['BackendKeyData', reply.key, (buffer, start, end) => backend.readKeyData(buffer, start, end).toString('hex')],
  ['Authentication', message('R', Buffer.from('\0\0\0\x05salt', 'latin1')), (buffer, start, end) => JSON.stringify(readAuthentication(buffer, start, end))],
  ['Query', frontend.writeQuery('SELECT 1'), (buffer, start, end) => frontend.readQuery(buffer, start, end).toString()],
  ['Parse', frontend.writeParse('s', 'SELECT 1'), (buffer, start, end) => JSON.stringify(frontend.readParse(buffer, start, end, name))],
  ['Bind', frontend.writeBind('p', 's'), (buffer, start, end) => frontend.readBind(buffer, start, end, name)],
  ['Bind\'s formats', message('B', Buffer.from('p\0s\0\0\x01\0\x01\0\x01\0\0\0\x02ab\0\x01\0\x01', 'latin1')), frontend.readResultFormats],
  ['Execute', frontend.writeExecute('p'), (buffer, start, end) => frontend.readExecute(buffer, start, end, name)],
  ['Close', frontend.writeCloseStatement('s'), (buffer, start, end) => frontend.readTarget(buffer, start, end, name)],
  ['PasswordMessage', message('p', Buffer.from('secret\0')), (buffer, start, end) => readPasswordMessage(buffer.subarray(start + 5, end))],
  ['SASLInitialResponse', message('p', Buffer.from('SCRAM-SHA-256\0\0\0\0\x03n,,', 'latin1')), (buffer, start, end) => JSON.stringify(readSaslInitialResponse(buffer.subarray(start + 5, end)))],
];

/** What the reader says of `bytes` when `behind` comes next in the same chunk. */
function outcome(read: Reader, bytes: Buffer, behind: Buffer): unknown {
  try {
    return { value: read(Buffer.concat([bytes, behind]), 0, bytes.length) };
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    return { violation: error.message };
  }
}

const BEHIND = [Buffer.alloc(0), Buffer.alloc(40), Buffer.from('Z\0\0\0\x05IT\0\0\0\x04E\0\0\0\x04', 'latin1'), Buffer.alloc(40, 0xff)];

test.each(READERS)('%s: the whole of it is read', (_, whole, read) => {
  expect(outcome(read, whole, Buffer.alloc(0))).toHaveProperty('value');
});

test.each(READERS)('%s: cut off anywhere', (_, whole, read) => {
  for (let end = 5; end < whole.length; end++) {
    const [first, ...others] = BEHIND.map((behind) => outcome(read, whole.subarray(0, end), behind));
    for (const other of others) expect(other, `cut at ${end}`).toEqual(first);
  }
});

test.each(READERS)('%s: with other bytes in it', (_, whole, read) => {
  fc.assert(fc.property(fc.integer({ min: 5, max: whole.length }), fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x2c, 0x22)), { maxLength: 4 }), (end, changes) => {
    const bytes = Buffer.from(whole.subarray(0, end));
    for (const [at, value] of changes) if (bytes.length > 5) bytes[5 + (at % (bytes.length - 5))] = value;
    const [first, ...others] = BEHIND.map((behind) => outcome(read, bytes, behind));
    for (const other of others) expect(other).toEqual(first);
  }), { numRuns: 300 });
});
