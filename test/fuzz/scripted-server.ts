/**
 * A server in memory that keeps to the protocol as PostgreSQL does: it reads whatever the session lets through, answers each request, and skips to
 * Sync after an error. Rows of the protected table carry a marker, and their RowDescription its OID, as with the real server.
 */

import { message } from '../support/wire-client.ts';

export const MARKER = 'marked-secret';

const i16 = (value: number): Buffer => {
  const out = Buffer.alloc(2);
  out.writeInt16BE(value);
  return out;
};
const i32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
};
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1');

export const reply = {
  parseComplete: message('1'),
  bindComplete: message('2'),
  closeComplete: message('3'),
  noData: message('n'),
  suspended: message('s'),
  empty: message('I'),
  copyDone: message('c'),
  ready: (status: string): Buffer => message('Z', Buffer.from(status)),
  complete: (tag: string): Buffer => message('C', cstring(tag)),
  description: (oid: number): Buffer => message('T', i16(1), cstring('name'), i32(oid), i16(oid === 0 ? 0 : 2), i32(25), i16(-1), i32(-1), i16(0)),
  parameters: message('t', i16(0)),
  row: (value: string): Buffer => message('D', i16(1), i32(Buffer.byteLength(value)), Buffer.from(value)),
  error: (code: string, text: string): Buffer => message('E', cstring('SERROR'), cstring('VERROR'), cstring(`C${code}`), cstring(`M${text}`), Buffer.from([0])),
  notice: (text: string): Buffer => message('N', cstring('SNOTICE'), cstring('VNOTICE'), cstring('C00000'), cstring(`M${text}`), Buffer.from([0])),
  copyIn: message('G', Buffer.from([0]), i16(1), i16(0)),
  copyOut: message('H', Buffer.from([0]), i16(1), i16(0)),
  copyData: (text: string): Buffer => message('d', Buffer.from(text)),
  status: (name: string, value: string): Buffer => message('S', cstring(name), cstring(value)),
  notification: (channel: string, payload: string): Buffer => message('A', i32(1), cstring(channel), cstring(payload)),
  key: message('K', i32(1), i32(2)),
};

/** Texts whose rows are of the protected table. Anything else gives rows of nothing. */
export const PROTECTED_TEXTS: ReadonlySet<string> = new Set(['SELECT name FROM crm.customers', 'SELECT name FROM crm.customers WHERE id < 500', 'SELECT c.name FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id', 'COPY crm.customers (name) TO STDOUT']);

export class ScriptedServer {
  readonly #send: (messages: readonly Buffer[]) => void;
  readonly #customersOid: number;
  readonly #token: string;
  #rest: Buffer = Buffer.alloc(0);
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();
  #status = 'I';
  #skipping = false;
  #copyingIn: 'query' | 'extended' | undefined;
  readonly #rows: number;

  constructor(options: { readonly customersOid: number; readonly token: string; readonly rows: number; readonly send: (messages: readonly Buffer[]) => void }) {
    this.#customersOid = options.customersOid;
    this.#token = options.token;
    this.#rows = options.rows;
    this.#send = options.send;
  }

  receive(bytes: Buffer): void {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const out: Buffer[] = [];
    while (data.length >= 5) {
      const end = 1 + data.readInt32BE(1);
      if (end < 5) {
        data = Buffer.alloc(0);
        break;
      }
      if (data.length < end) break;
      this.#message(String.fromCharCode(data[0] as number), data.subarray(5, end), out);
      data = data.subarray(end);
    }
    this.#rest = Buffer.from(data);
    if (out.length > 0) this.#send(out);
  }

  #message(type: string, body: Buffer, out: Buffer[]): void {
    if (this.#copyingIn !== undefined) {
      if (type === 'c' || type === 'f') {
        const simple = this.#copyingIn === 'query';
        this.#copyingIn = undefined;
        if (type === 'c') out.push(reply.complete('COPY 1'));
        else this.#fail(out, !simple, '57014', 'COPY from stdin failed');
        if (simple) out.push(reply.ready(this.#status));
      }
      return;
    }
    if (this.#skipping && type !== 'S') return;
    const parts = body.toString('latin1').split('\0');
    switch (type) {
      case 'Q':
        this.#run(parts[0] as string, 'query', out);
        if (this.#copyingIn === undefined) out.push(reply.ready(this.#status));
        return;
      case 'P':
        if (/REFUSED|no_such/.test(parts[1] ?? '')) {
          this.#fail(out, true, '42601', 'syntax error');
          return;
        }
        this.#statements.set(parts[0] as string, parts[1] ?? '');
        out.push(reply.parseComplete);
        return;
      case 'B': {
        const text = this.#statements.get(parts[1] ?? '');
        if (text === undefined) {
          this.#fail(out, true, '26000', 'prepared statement does not exist');
          return;
        }
        this.#portals.set(parts[0] as string, text);
        out.push(reply.bindComplete);
        return;
      }
      case 'D': {
        const statement = parts[0]?.[0] === 'S';
        const text = (statement ? this.#statements : this.#portals).get((parts[0] ?? '').slice(1));
        if (text === undefined) {
          this.#fail(out, true, '34000', 'portal does not exist');
          return;
        }
        if (statement) out.push(reply.parameters);
        out.push(/^(SELECT|FETCH)/i.test(text) ? reply.description(PROTECTED_TEXTS.has(text) ? this.#customersOid : 0) : reply.noData);
        return;
      }
      case 'E': {
        const text = this.#portals.get(parts[0] as string);
        if (text === undefined) this.#fail(out, true, '34000', 'portal does not exist');
        else this.#run(text, 'extended', out);
        return;
      }
      case 'C':
        (parts[0]?.[0] === 'S' ? this.#statements : this.#portals).delete((parts[0] ?? '').slice(1));
        out.push(reply.closeComplete);
        return;
      case 'S':
        this.#skipping = false;
        out.push(reply.ready(this.#status));
        return;
      case 'F':
        out.push(reply.error('0A000', 'no fast path here'), reply.ready(this.#status));
        return;
      default:
    }
  }

  #run(text: string, how: 'query' | 'extended', out: Buffer[]): void {
    if (text.trim() === '') {
      out.push(reply.empty);
      return;
    }
    if (this.#status === 'E' && !/^(ROLLBACK|COMMIT)/.test(text)) {
      this.#fail(out, how === 'extended', '25P02', 'current transaction is aborted');
      return;
    }
    if (/current_schemas/.test(text)) {
      out.push(reply.row('{pg_catalog,public}'), reply.complete('SELECT 1'));
      return;
    }
    if (/REFUSED|no_such|1\/0/.test(text)) {
      this.#fail(out, how === 'extended', '42601', 'syntax error');
      return;
    }
    if (/^COPY .* FROM STDIN/.test(text)) {
      this.#copyingIn = how;
      out.push(reply.copyIn);
      return;
    }
    if (text.startsWith('COPY')) {
      out.push(reply.copyOut);
      for (let i = 0; i < this.#rows; i++) out.push(reply.copyData(`${this.#value(text, i)}\n`));
      out.push(reply.copyDone, reply.complete(`COPY ${this.#rows}`));
      return;
    }
    if (text.startsWith('BEGIN')) this.#status = 'T';
    if (/^(ROLLBACK|COMMIT)/.test(text)) this.#status = 'I';
    if (text.startsWith('NOTIFY')) out.push(reply.notification('c', this.#token));
    if (/^(SELECT|FETCH|VALUES)/i.test(text)) {
      if (how === 'query') out.push(reply.description(PROTECTED_TEXTS.has(text) ? this.#customersOid : 0));
      for (let i = 0; i < this.#rows; i++) out.push(reply.row(this.#value(text, i)));
      out.push(reply.complete(`SELECT ${this.#rows}`));
      return;
    }
    out.push(reply.complete('SET'));
  }

  /** Each session's rows carry its own token: one that turns up elsewhere was mixed up. */
  #value(text: string, i: number): string {
    return PROTECTED_TEXTS.has(text) ? `${MARKER} ${i} ${this.#token}` : `row ${i} ${this.#token}`;
  }

  #fail(out: Buffer[], extended: boolean, code: string, text: string): void {
    if (this.#status === 'T') this.#status = 'E';
    if (extended) this.#skipping = true;
    out.push(reply.error(code, text));
  }
}
