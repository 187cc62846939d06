// As much of PostgreSQL's protocol as a client needs that is trusted and throws results away (documentation, chapter 54).

/**
 * StartupMessage, protocol 3.0.
 * @param {string} user
 * @param {string} database
 */
export function startup(user, database) {
  const parameters = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0bench\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + parameters.length, 0);
  head.writeInt32BE(196608, 4);
  return Buffer.concat([head, parameters]);
}

/** @param {string} sql */
export function query(sql) {
  const text = Buffer.from(`${sql}\0`);
  const head = Buffer.from('Q\0\0\0\0');
  head.writeInt32BE(4 + text.length, 1);
  return Buffer.concat([head, text]);
}

const HEADER_BYTES = 5;
const TYPE = { error: 'E'.charCodeAt(0), ready: 'Z'.charCodeAt(0), dataRow: 'D'.charCodeAt(0), copyData: 'd'.charCodeAt(0) };

/** Walks message headers in chunks that begin and end anywhere. */
export class HeaderCounter {
  rows = 0;
  #skip = 0;
  #errorText = '';
  #inError = false;
  #partial = Buffer.alloc(0);
  #ports;

  /** @param {{ ready(): void, failed(text: string): void }} ports */
  constructor(ports) {
    this.#ports = ports;
  }

  /** @param {Buffer} chunk */
  push(chunk) {
    let at = 0;
    if (this.#partial.length > 0) {
      chunk = Buffer.concat([this.#partial, chunk]);
      this.#partial = Buffer.alloc(0);
    }
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        if (this.#inError) this.#errorText += chunk.toString('utf8', at, at + step);
        at += step;
        this.#skip -= step;
        if (this.#skip > 0) return;
        if (this.#inError) this.#ports.failed(this.#errorText.replaceAll('\0', ' '));
        continue;
      }
      if (chunk.length - at < HEADER_BYTES) {
        // The chunk's memory is used again for the next read.
        this.#partial = Buffer.from(chunk.subarray(at));
        return;
      }
      const type = chunk[at];
      this.#skip = chunk.readInt32BE(at + 1) - 4;
      at += HEADER_BYTES;
      if (type === TYPE.dataRow || type === TYPE.copyData) this.rows++;
      this.#inError = type === TYPE.error;
      if (type === TYPE.ready) this.#ports.ready();
    }
  }
}
