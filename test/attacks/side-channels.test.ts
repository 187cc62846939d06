/** Everything that is not a row: errors, notices, notifications, settings, statistics, plans, sequences, locks, large objects. */

import { expect, test } from 'vitest';
import { testAttacks } from '../support/attack-tests.ts';
import { WireClient } from '../support/wire-client.ts';
import { sideChannels } from './techniques/side-channels.ts';

const bed = testAttacks(sideChannels);

test('errors of typing mistakes stay as the server words them', async () => {
  const client = await WireClient.connect({ port: bed().rowgate.port, user: 'agent' });
  const text = (await client.query('SELECT emial FROM crm.customers')).map(({ body }) => body.toString('utf8')).join();
  expect(text).toContain('column "emial" does not exist');
  client.destroy();
});
