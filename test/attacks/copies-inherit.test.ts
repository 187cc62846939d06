/** Where a policy lets people copy (`deny` without `derived_copy`), the copy is charged like what it is a copy of, whichever way it was made. */

import { describe, expect, test } from 'vitest';
import { carryOut, QUOTA } from '../support/attack.ts';
import { testAttacks } from '../support/attack-tests.ts';
import { copiesInherit } from './techniques/copies-inherit.ts';

const bed = testAttacks(copiesInherit);

describe('what is allowed', () => {
  test('a copy of a few rows is made and read, and costs units', async () => {
    const { clients } = await carryOut(bed(), 'lax', false, async ({ connect, own }) => {
      const client = await connect();
      await client.query(`CREATE TEMP TABLE ${own} AS SELECT id, email FROM crm.customers WHERE id <= 20`);
      await client.query(`SELECT * FROM ${own}`);
    });
    const text = clients.map((client) => client.received().toString('latin1')).join('');
    expect(text.match(/cnry-0000\d\d/g)).toHaveLength(20);
    expect(20).toBeLessThan(QUOTA);
  });

  test('a table into which a class never went stays free', async () => {
    const client = await bed().rowgate.connect('lax_299');
    try {
      await client.query(`CREATE TABLE public.harmless (id int); INSERT INTO public.harmless SELECT generate_series(1, 1000)`);
      expect((await client.query('SELECT * FROM public.harmless')).rowCount).toBe(1000);
    } finally {
      await client.end();
    }
  });
});
