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
