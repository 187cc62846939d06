/** A made month of a call centre in the format of the audit log: honest agents, and one who takes a little more every day. */

import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

export interface MadeAudit {
  readonly agents: number;
  readonly days: number;
  /** Look-ups of an agent's usual day. */
  readonly lookupsADay: number;
  readonly thief: { readonly principal: string; readonly extraADay: number };
  readonly seed: number;
}

export const CALL_CENTRE_MONTH: MadeAudit = { agents: 200, days: 30, lookupsADay: 55, thief: { principal: 'agent_137', extraADay: 110 }, seed: 20261101 };

const START_MS = Date.UTC(2026, 8, 28); // a Monday
const HOUR_MS = 3_600_000;

/** Resolves with the number of statements by honest people. */
export async function writeMadeAudit(path: string, made: MadeAudit): Promise<number> {
  const random = generator(made.seed);
  const file = createWriteStream(path);
  let honest = 0;
  let seq = 0;
  for (let day = 0; day < made.days; day++) {
    const events: { readonly atMs: number; readonly line: (seq: number) => string }[] = [];
    for (let agent = 0; agent < made.agents; agent++) {
      const principal = `agent_${agent}`;
      const isThief = principal === made.thief.principal;
      const works = day % 7 < 5;
      const usual = works ? Math.max(5, Math.round(made.lookupsADay * (0.6 + 0.8 * random()))) : 0;
      const extra = isThief ? made.thief.extraADay : 0;
      for (let n = 0; n < usual + extra; n++) {
        const atMs = START_MS + day * 24 * HOUR_MS + Math.floor((8 + 9 * random()) * HOUR_MS);
        const units = n >= usual ? 1 : random() < 0.15 ? 2 + Math.floor(8 * random()) : 1;
        const subject = `${Math.floor(random() * 1_500_000).toString(16).padStart(32, '0')}`;
        events.push({ atMs, line: (seq) => statementEnd({ seq, atMs, principal, units, subject }) });
        if (!isThief) honest++;
      }
    }
    events.sort((a, b) => a.atMs - b.atMs);
    for (const event of events) {
      if (!file.write(event.line(++seq))) await once(file, 'drain');
    }
  }
  file.end();
  await once(file, 'finish');
  return honest;
}

function statementEnd(of: { seq: number; atMs: number; principal: string; units: number; subject: string }): string {
  return `${JSON.stringify({
    v: 1, time: new Date(of.atMs).toISOString(), seq: of.seq, event: 'statement_end', session_id: 'a1b2c3d4', principal: of.principal, roles: ['agents'],
    client_address: '10.0.0.7:50000', application_name: 'DBeaver', database: 'crm', statement_id: `${of.seq}`, statement_kind: 'select',
    sql: 'SELECT * FROM crm.customers WHERE id = $1', classes: [{ class: 'customers', units: of.units, subjects: 1, subject_keys: [of.subject] }],
    relations: ['crm.customers'], opaque: [], decision: 'allow', rows: of.units, units: of.units, bytes: 180 * of.units, duration_ms: 1.2,
  })}\n`;
}

/** mulberry32: the same month each time. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
