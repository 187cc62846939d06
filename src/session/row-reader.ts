/** Finds the values of a row in the message that carries it. */

import { ProtocolViolation } from '../protocol/message-stream.ts';

export interface ValueAt {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The value of a column; undefined for NULL. */
export type RowValues = (column: number) => ValueAt | undefined;

export interface RowReader {
  /** Undefined if the body is no row of so many columns. */
  open(buffer: Buffer, start: number, end: number, columns: number): RowValues | undefined;
}

/** Int16 count, then for each column Int32 length (-1: NULL) and the value. COPY in binary format has the same rows ("COPY", Tuples). */
export const DATA_ROW: RowReader = {
  open(buffer, start, end, columns) {
    if (end - start < 2 || buffer.readInt16BE(start) !== columns) return undefined;
    return (column) => {
      let at = start + 2;
      for (let i = 0; ; i++) {
        if (at + 4 > end) throw new ProtocolViolation('malformed DataRow');
        const length = buffer.readInt32BE(at);
        at += 4;
        if (length > end - at) throw new ProtocolViolation('malformed DataRow');
        if (i === column) return length < 0 ? undefined : { buffer, start: at, end: at + length };
        if (length > 0) at += length;
      }
    };
  },
};

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Flags and the length of the header's extension. */
const HEADER_REST_BYTES = 8;

/** The file header comes in one message with the first row (CopyToBinaryStart in commands/copyto.c). */
const COPY_BINARY: RowReader = {
  open(buffer, start, end, columns) {
    let at = start;
    if (buffer.compare(SIGNATURE, 0, SIGNATURE.length, at, Math.min(end, at + SIGNATURE.length)) === 0) {
      at += SIGNATURE.length + HEADER_REST_BYTES;
      if (at > end) return undefined;
      at += buffer.readUInt32BE(at - 4);
    }
    return DATA_ROW.open(buffer, at, end, columns);
  },
};

const [TAB, NEWLINE, BACKSLASH, COMMA, QUOTE] = [0x09, 0x0a, 0x5c, 0x2c, 0x22];

/** One line a message. A value with a backslash is escaped, or NULL, and is not taken for a key. */
const COPY_TEXT: RowReader = {
  open(buffer, start, end, columns) {
    const last = end > start && buffer[end - 1] === NEWLINE ? end - 1 : end;
    return fields(columns, start, last, (at) => {
      let to = at;
      let plain = true;
      for (; to < last && buffer[to] !== TAB; to++) if (buffer[to] === BACKSLASH) plain = false;
      return { next: to, value: plain ? { buffer, start: at, end: to } : undefined };
    });
  },
};

/** One record a message; quotes may hold line ends. An empty value without quotes is NULL; a value with a quote in it is not taken for a key. */
const COPY_CSV: RowReader = {
  open(buffer, start, end, columns) {
    const last = end > start && buffer[end - 1] === NEWLINE ? end - 1 : end;
    return fields(columns, start, last, (at) => {
      if (buffer[at] !== QUOTE || at >= last) {
        let to = at;
        while (to < last && buffer[to] !== COMMA) to++;
        return { next: to, value: to === at ? undefined : { buffer, start: at, end: to } };
      }
      let plain = true;
      let to = at + 1;
      for (; to < last; to++) {
        if (buffer[to] !== QUOTE) continue;
        if (buffer[to + 1] !== QUOTE || to + 1 >= last) break;
        plain = false;
        to++;
      }
      return { next: to + 1, value: plain ? { buffer, start: at + 1, end: to } : undefined };
    });
  },
};

/** Reads all fields; undefined unless there are as many as columns. */
function fields(columns: number, start: number, last: number, read: (at: number) => { readonly next: number; readonly value: ValueAt | undefined }): RowValues | undefined {
  const values: (ValueAt | undefined)[] = [];
  for (let at = start; ; ) {
    const { next, value } = read(at);
    values.push(value);
    if (next >= last) break;
    at = next + 1;
    if (values.length > columns) return undefined;
  }
  return values.length === columns ? (column) => values[column] : undefined;
}

export const COPY_READERS: Readonly<Record<'text' | 'csv' | 'binary', RowReader>> = { text: COPY_TEXT, csv: COPY_CSV, binary: COPY_BINARY };
