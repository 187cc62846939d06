/** Texts that two readers could read differently, names in every spelling, and who somebody is. */

import { describe, expect, test } from 'vitest';
import { carryOut, QUOTA } from '../support/attack.ts';
import { testAttacks } from '../support/attack-tests.ts';
import { countTokens } from '../support/canaries.ts';
import { WireClient, errorsOf } from '../support/wire-client.ts';
import { LONG_LOGIN, readersAndLogins } from './techniques/readers-and-logins.ts';

const bed = testAttacks(readersAndLogins);

describe('who it is', () => {
  test('a login name is one principal, however long it is written', async () => {
    const { rowgate, tokens } = bed();
    const clients: WireClient[] = [];
    for (const suffix of ['', 'a', 'bb', 'ccc']) {
      const client = await WireClient.connect({ port: rowgate.port, user: LONG_LOGIN + suffix }).catch(() => undefined);
      if (client === undefined) continue;
      await client.query(`SELECT email FROM crm.customers WHERE id > ${clients.length * 300}`);
      clients.push(client);
    }
    expect(countTokens(clients.map((client) => client.received()), tokens)).toBeLessThanOrEqual(QUOTA);
    for (const client of clients) client.destroy();
  });

  test('a login of another spelling and one in no role get nothing', async () => {
    for (const user of ['Agent', 'temp']) {
      const client = await WireClient.connect({ port: bed().rowgate.port, user }).catch(() => undefined);
      if (client === undefined) continue;
      expect(errorsOf(await client.query('SELECT email FROM crm.customers LIMIT 1')).length).toBe(1);
      client.destroy();
    }
  });

  test('a copy of the database, and another one, share the quota or start denied', async () => {
    const { admin } = bed();
    for (const name of ['replica', 'elsewhere']) await admin.query(`CREATE DATABASE ${name}`);
    const inside = await bed().postgres.connect('postgres', 'elsewhere');
    await inside.query(`CREATE TABLE public.copy (email text); INSERT INTO public.copy SELECT 'cnry-' || lpad(g::text, 6, '0') || '-' || substr(md5('salt' || g), 1, 8) FROM generate_series(1, 5000) g; GRANT SELECT ON public.copy TO staff`);
    await inside.end();
    const outcome = await carryOut(bed(), 'agent', false, async ({ connect }) => {
      for (const database of ['elsewhere', 'replica', 'template1']) {
        const client = await connect({ database }).catch(() => undefined);
        await client?.query('SELECT email FROM public.copy');
      }
    });
    expect(outcome.tokens).toBeLessThanOrEqual(QUOTA);
  });
});
