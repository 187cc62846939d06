/**
 * The same techniques where bookkeeping is hardest: three units left, fifty sessions of one login at once, two Rowgate processes with one
 * Redis and connections going to them in turn, requests cancelled and connections cut in the middle.
 */

import { connect } from 'node:net';
import { attackSuite, QUOTA, statements, type Attacker, type Technique } from '../../support/attack.ts';
import { wire, type WireClient } from '../../support/wire-client.ts';
import { costOfARow } from './cost-of-a-row.ts';
import { pipelines } from './pipelines.ts';

export const hostile = attackSuite('hostile', { processes: 2 });
const { attack, group } = hostile;
const ALL = 'SELECT email FROM crm.customers';
const LEFT = 3;

group('three units left, two processes', 'hostile combinations', () => {
  for (const { group: from, name, technique, role, least } of [...pipelines.attacks, ...costOfARow.attacks]) {
    // What changes the base itself is tried once, elsewhere.
    if (from !== 'rows of the class that take in others') attack(`${from}: ${name}`, technique, role, least, QUOTA - LEFT);
  }
});

/** Fifty sessions, opened first, then all at once. */
function crowd(work: (client: WireClient, index: number, attacker: Attacker) => Promise<unknown>, size = 50): Technique {
  return async (attacker) => {
    const clients = await Promise.all(Array.from({ length: size }, () => attacker.connect()));
    await Promise.all(clients.map((client, index) => work(client, index, attacker)));
  };
}

function cancel(attacker: Attacker, client: WireClient): void {
  const packet = Buffer.alloc(16);
  [16, (1234 << 16) | 5678, client.pid, client.secret].forEach((value, at) => packet.writeInt32BE(value, at * 4));
  const socket = connect(attacker.port, '127.0.0.1', () => socket.end(packet));
  socket.on('error', () => undefined);
}

const page = (index: number): string => `${ALL} WHERE id > ${index * 100} AND id <= ${index * 100 + 100}`;
const crowds: readonly (readonly [string, Technique])[] = [
  ['a page each', crowd((client, i) => client.query(page(i)))],
  ['a page each, by the extended protocol', crowd((client, i) => client.ask([wire.run(page(i)), wire.sync]))],
  ['twenty look-ups each, pipelined', crowd((client, i) => client.ask(Array.from({ length: 20 }, (_, k) => wire.query(`${ALL} WHERE id = ${i * 20 + k + 1}`)), 20))],
  ['a cursor each, fetched one by one', crowd(async (client, i) => {
    await client.query(`BEGIN; DECLARE c CURSOR FOR ${ALL} WHERE id > ${i * 100}`);
    for (let k = 0; k < 8; k++) await client.query('FETCH 1 c');
    await client.query('ROLLBACK');
  })],
  ['COPY each', crowd((client, i) => client.query(`COPY (${page(i)}) TO STDOUT`))],
  ['packed values each', crowd((client, i) => client.query(`SELECT string_agg(email, '') FROM crm.customers WHERE id > ${i * 100} AND id <= ${i * 100 + 100}`))],
  ['a portal each, resumed row by row', crowd(async (client, i) => {
    await client.query('BEGIN');
    await client.ask([wire.parse('s', page(i)), wire.bind('p', 's'), ...Array.from({ length: 10 }, () => wire.execute('p', 1)), wire.sync]);
  })],
  ['cut in the middle by the client, each ten times', crowd(async (_, i, attacker) => {
    for (let k = 0; k < 10; k++) {
      const client = await attacker.connect();
      client.send(wire.query(`${ALL} WHERE id > ${(i * 10 + k) * 40}`));
      await client.until('D', 0, 2000);
      client.destroy();
    }
  }, 12)],
  ['cancelled in the middle, each five times', crowd(async (client, i, attacker) => {
    for (let k = 0; k < 5; k++) {
      const answer = client.query(`SELECT email, pg_sleep(0.002) FROM crm.customers WHERE id > ${(i * 5 + k) * 60}`);
      setTimeout(() => cancel(attacker, client), 15);
      await answer;
    }
  }, 16)],
];
group('fifty sessions at once, two processes', 'hostile combinations', () => {
  for (const [name, technique] of crowds) attack(name, technique);
});
group('fifty sessions at once, three units left, two processes', 'hostile combinations', () => {
  for (const [name, technique] of crowds) attack(name, technique, 'agent', undefined, QUOTA - LEFT);
  attack('a quota that is used up to the last unit', statements(ALL), 'agent', undefined, QUOTA);
});
