/** One bit an answer: it costs a unit like a row does, and asking far more often than one's colleagues is told of. */

import { expect, test } from 'vitest';
import { testAttacks } from '../support/attack-tests.ts';
import { makeCustomerBase, startPostgres } from '../support/postgres.ts';
import { startRowgate } from '../support/rowgate.ts';
import { WireClient, wire } from '../support/wire-client.ts';
import { blindQuestions } from './techniques/blind-questions.ts';

testAttacks(blindQuestions);

test('asking far more often than the role does raises one event, long before the quota ends', async () => {
  const postgres = await startPostgres();
  await makeCustomerBase(postgres, 50);
  const rowgate = await startRowgate({ postgresPort: postgres.port, quotas: '[{ class: customers, window: 1h, rows: 100000, action: block }]', role: 'lookups: { window: 1h, above: 5, habit: 10 }' });
  try {
    const ask = async (user: string, count: number): Promise<void> => {
      const client = await WireClient.connect({ port: rowgate.port, user });
      await client.ask(Array.from({ length: count }, (_, i) => wire.query(`SELECT 1 FROM crm.customers WHERE id = 7 AND name < 'Customer ${i}'`)), count);
      await client.end();
    };
    await ask('agent_2', 50);
    await ask('agent', 120);
    // The record and the counter follow the answer.
    await expect.poll(() => rowgate.audit().filter(({ event }) => event === 'flag').length).toBe(1);
    expect(rowgate.audit().find(({ event }) => event === 'flag')).toMatchObject({
      principal: 'agent', rule_id: 'support/customers/lookups/1h', reason: '51 look-ups in class "customers" within 1h; the habit of role "support" is 10',
    });
    await expect.poll(() => rowgate.metrics()).toContain('rowgate_flags_total{rule="support/customers/lookups/1h"} 1');
    // One that reads many rows at once is no look-up.
    const client = await WireClient.connect({ port: rowgate.port, user: 'agent_2' });
    await client.ask(Array.from({ length: 30 }, () => wire.query('SELECT * FROM crm.customers')), 30);
    await client.end();
    expect(rowgate.audit().filter(({ event, principal }) => event === 'flag' && principal === 'agent_2')).toEqual([]);
  } finally {
    await rowgate.stop();
    await postgres.stop();
  }
});
