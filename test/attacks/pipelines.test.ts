/** Volume, cursors, portals and messages in unusual orders: what counts is what the server does, not what was announced. */

import { expect, test } from 'vitest';
import { carryOut, QUOTA } from '../support/attack.ts';
import { testAttacks } from '../support/attack-tests.ts';
import { errorsOf, rowsOf, wire } from '../support/wire-client.ts';
import { pipelines } from './techniques/pipelines.ts';

const bed = testAttacks(pipelines);
const ALL = 'SELECT email FROM crm.customers';
const HIDDEN = `SELECT email || '' FROM crm.customers`;

test('fifty sessions of one login, mixed techniques, together stay below the quota', async () => {
  const outcome = await carryOut(bed(), 'agent', false, async (attacker) => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => attacker.connect()));
    await Promise.all(clients.map(async (client, i) => {
      const low = i * 100;
      if (i % 4 === 0) await client.query(`${ALL} WHERE id > ${low}`);
      else if (i % 4 === 1) await client.ask([wire.run(`${HIDDEN} WHERE id > ${low}`), wire.sync]);
      else if (i % 4 === 2) await client.query(`COPY (${HIDDEN} WHERE id > ${low}) TO STDOUT`);
      else await client.query(`BEGIN; DECLARE c CURSOR FOR ${HIDDEN} WHERE id > ${low}; FETCH 60 c; FETCH 60 c; COMMIT`);
    }));
  });
  expect(outcome.tokens).toBeLessThanOrEqual(QUOTA);
  expect(outcome.tokens).toBeGreaterThan(QUOTA / 4);
});

test('after a cut the same session goes on, in every way of asking', async () => {
  await carryOut(bed(), 'agent', false, async (attacker) => {
    const client = await attacker.connect();
    expect(errorsOf(await client.query(ALL))).toEqual(['53400']);
    expect(rowsOf(await client.query('SELECT 7')).length).toBe(1);
    expect(errorsOf(await client.ask([wire.run(HIDDEN), wire.sync]))).toEqual(['53400']);
    expect(rowsOf(await client.ask([wire.run('SELECT 7'), wire.sync])).length).toBe(1);
  });
});

test('a refusal takes its place behind what was allowed in the same packet', async () => {
  await carryOut(bed(), 'agent', false, async (attacker) => {
    const client = await attacker.connect();
    const answer = await client.ask([wire.parse('', 'SELECT 7'), wire.bind('', ''), wire.execute(''), wire.run('DO $$ BEGIN END $$'), wire.sync]);
    expect(answer.map(({ type }) => type)).toEqual(['1', '2', 'D', 'C', 'E', 'Z']);
    expect(errorsOf(answer)).toEqual(['42501']);
    const queries = await client.ask([wire.query('SELECT 7'), wire.query('DO $$ BEGIN END $$'), wire.query('SELECT 8')], 3);
    expect(queries.map(({ type }) => type).join('')).toBe('TDCZEZTDCZ');
  });
});
