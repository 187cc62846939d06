/** Turns the bodies of records into chained lines, one behind the other in one buffer that goes to write(2) as it is. */

import { MAC_CHARS, MacMaker, type ChainHead } from './chain.ts';
import { RECORD_OPENING } from './record-line.ts';
import { escapeJsonLine } from './redact.ts';

const MAC_OPENING = ',"mac":"';
/** `,"mac":"`, the digits, `"}` and the line feed, in place of the closing brace. */
const TAIL_CHARS = MAC_OPENING.length + MAC_CHARS + 3;
const CLOSING_BRACE = 0x7d;

/** Lines that were sealed together. They are part of the log once they are in the file, and not before. */
export interface SealedLines {
  /** Valid until the next call of `seal`. */
  readonly bytes: Buffer;
  /** Where each line ends in `bytes`, behind its line feed. */
  readonly ends: readonly number[];
  readonly heads: readonly ChainHead[];
}

export class Sealer {
  readonly #macs: MacMaker;
  #out = Buffer.alloc(64 * 1024);

  constructor(key: Buffer | undefined) {
    this.#macs = new MacMaker(key);
  }

  /** `bodies` are records as JSON without the opening brace, version, number and chain. `lead` goes before the first line. */
  seal(after: ChainHead, bodies: readonly string[], lead = ''): SealedLines {
    const ends: number[] = [];
    const heads: ChainHead[] = [];
    const { chain } = after;
    let { seq, mac } = after;
    let at = this.#out.write(lead, 'latin1');
    for (const body of bodies) {
      seq += 1;
      const bytes = this.#place(`${RECORD_OPENING}${seq},"chain":"${chain}",${body}`);
      mac = this.#macs.mac(mac, bytes);
      at = this.#append(at, bytes, mac);
      ends.push(at);
      heads.push({ chain, seq, mac });
    }
    return { bytes: this.#out.subarray(0, at), ends, heads };
  }

  /** Puts the line where its MAC is computed; returns its length in bytes. */
  #place(line: string): number {
    const macs = this.#macs;
    macs.reserve(line.length * 3);
    const bytes = macs.buffer.write(line, macs.lineAt, 'utf8');
    // Nearly every line is plain ASCII: then DEL is the one character of it that a terminal acts on and JSON leaves alone.
    if (bytes === line.length && !line.includes('\x7f')) return bytes;
    const escaped = escapeJsonLine(line);
    if (escaped === line) return bytes;
    macs.reserve(escaped.length * 3);
    return macs.buffer.write(escaped, macs.lineAt, 'utf8');
  }

  #append(at: number, bytes: number, mac: string): number {
    const end = at + bytes - 1 + TAIL_CHARS;
    if (end > this.#out.length) {
      const larger = Buffer.alloc(Math.max(end, this.#out.length * 2));
      this.#out.copy(larger, 0, 0, at);
      this.#out = larger;
    }
    const { buffer, lineAt } = this.#macs;
    if (buffer[lineAt + bytes - 1] !== CLOSING_BRACE) throw new Error('a record must end with a closing brace');
    buffer.copy(this.#out, at, lineAt, lineAt + bytes - 1);
    this.#out.write(`${MAC_OPENING}${mac}"}\n`, at + bytes - 1, TAIL_CHARS, 'latin1');
    return end;
  }
}
