/** Finds the values of a row in the message that carries it. */

import { ProtocolViolation } from '../protocol/message-stream.ts';

/** Where the values of a row stand: start and end of column i at 2i and 2i + 1. A start of -1: NULL, or nothing that can be taken as it stands. */
export type RowPlaces = Int32Array;

export interface RowReader {
  /** Finds the values of the first `upTo` columns. False if the body is no row of `columns` columns; what is in `into` means nothing then. */
  locate(buffer: Buffer, start: number, end: number, columns: number, upTo: number, into: RowPlaces): boolean;
}

/** Int16 count, then for each column Int32 length (-1: NULL) and the value. COPY in binary format has the same rows ("COPY", Tuples). */
export const DATA_ROW: RowReader = {
  locate(buffer, start, end, columns, upTo, into) {
    if (end - start < 2 || (((buffer[start] as number) << 8) | (buffer[start + 1] as number)) !== columns) return false;
    let at = start + 2;
    for (let i = 0; i < upTo; i++) {
      if (at + 4 > end) throw new ProtocolViolation('malformed DataRow');
      const length = ((buffer[at] as number) << 24) | ((buffer[at + 1] as number) << 16) | ((buffer[at + 2] as number) << 8) | (buffer[at + 3] as number);
      at += 4;
      if (length > end - at) throw new ProtocolViolation('malformed DataRow');
      into[2 * i] = length < 0 ? -1 : at;
      if (length > 0) at += length;
      into[2 * i + 1] = at;
    }
    return true;
  },
};

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Flags and the length of the header's extension. */
const HEADER_REST_BYTES = 8;

/** The file header comes in one message with the first row (CopyToBinaryStart in commands/copyto.c). */
const COPY_BINARY: RowReader = {
  locate(buffer, start, end, columns, upTo, into) {
    let at = start;
    if (buffer.compare(SIGNATURE, 0, SIGNATURE.length, at, Math.min(end, at + SIGNATURE.length)) === 0) {
      at += SIGNATURE.length + HEADER_REST_BYTES;
      if (at > end) return false;
      at += buffer.readUInt32BE(at - 4);
    }
    return DATA_ROW.locate(buffer, at, end, columns, upTo, into);
  },
};

const [TAB, NEWLINE, BACKSLASH, COMMA, QUOTE] = [0x09, 0x0a, 0x5c, 0x2c, 0x22];

/** One line a message. A value with a backslash is escaped, or NULL, and is not taken for a key. */
const COPY_TEXT: RowReader = {
  locate(buffer, start, end, columns, _upTo, into) {
    const last = end > start && buffer[end - 1] === NEWLINE ? end - 1 : end;
    return fields(columns, start, last, into, (at, put) => {
      let to = at;
      let plain = true;
      for (; to < last && buffer[to] !== TAB; to++) if (buffer[to] === BACKSLASH) plain = false;
      put(plain ? at : -1, to);
      return to;
    });
  },
};

/** One record a message; quotes may hold line ends. An empty value without quotes is NULL; a value with a quote in it is not taken for a key. */
const COPY_CSV: RowReader = {
  locate(buffer, start, end, columns, _upTo, into) {
    const last = end > start && buffer[end - 1] === NEWLINE ? end - 1 : end;
    return fields(columns, start, last, into, (at, put) => {
      if (buffer[at] !== QUOTE || at >= last) {
        let to = at;
        while (to < last && buffer[to] !== COMMA) to++;
        put(to === at ? -1 : at, to);
        return to;
      }
      let plain = true;
      let to = at + 1;
      for (; to < last; to++) {
        if (buffer[to] !== QUOTE) continue;
        if (buffer[to + 1] !== QUOTE || to + 1 >= last) break;
        plain = false;
        to++;
      }
      put(plain ? at + 1 : -1, to);
      return to + 1;
    });
  },
};

/** Reads all fields, each by a call that tells where it ends; false unless there are as many as columns. */
function fields(columns: number, start: number, last: number, into: RowPlaces, read: (at: number, put: (from: number, to: number) => void) => number): boolean {
  let count = 0;
  const put = (from: number, to: number): void => {
    into[2 * count] = from;
    into[2 * count + 1] = to;
  };
  for (let at = start; ; ) {
    if (count >= columns) return false;
    const next = read(at, put);
    count++;
    if (next >= last) break;
    at = next + 1;
  }
  return count === columns;
}

export const COPY_READERS: Readonly<Record<'text' | 'csv' | 'binary', RowReader>> = { text: COPY_TEXT, csv: COPY_CSV, binary: COPY_BINARY };
