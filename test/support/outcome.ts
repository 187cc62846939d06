/** What a client learns of a statement, to hold one way of connecting against another. */

import type { WireClient, WireMessage } from './wire-client.ts';
import { wire } from './wire-client.ts';

/** A line a result: `SELECT 3 (2 columns)`, `ERROR 42P01 relation "x" does not exist`. */
export type Outcome = readonly string[];

function field(body: Buffer, code: string): string {
  return body.toString('utf8').split('\0').find((part) => part.startsWith(code))?.slice(1) ?? '';
}

function line({ type, body }: WireMessage): string | undefined {
  switch (type) {
    case 'T': return `${body.readInt16BE(0)} columns`;
    case 'C': return body.toString('utf8').replace('\0', '');
    case 'E': return `ERROR ${field(body, 'C')} ${field(body, 'M')}`;
    case 'N': return `${field(body, 'S')} ${field(body, 'C')} ${field(body, 'M')}`;
    case 'S': return `set ${body.toString('utf8').replaceAll('\0', ' ').trim()}`;
    case 'G': case 'H': return 'COPY begins';
    case 'I': return 'nothing';
    case 'Z': return body.toString('latin1');
    default: return undefined;
  }
}

export function outcomeOf(messages: readonly WireMessage[]): Outcome {
  return messages.map(line).filter((each) => each !== undefined);
}

/** Runs a text by the simple protocol. */
export async function outcome(client: WireClient, sql: string): Promise<Outcome> {
  return outcomeOf(await client.ask([wire.query(sql)], 1, 20_000));
}
