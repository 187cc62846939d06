/** Who is charged: roles of the policy by PostgreSQL membership, as it is now, and the login whatever it becomes in the session. */

import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../../support/rowgate.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
let admin: Client;

/** Staff by membership in `limited`, 50 rows an hour each; logins in no role are let through, so a membership that is missed shows. */
function byMembership(refresh: string): (text: string) => string {
  return (text) => `${text.replace('members: [agent, "agent_*"]', 'members: [{ pg_role: limited }]').replace('refresh: 2s', `refresh: ${refresh}`)}\nunlisted: allow\n`;
}

const QUOTAS = '[{ class: customers, window: 1h, rows: 50, action: block }]';

beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 1000);
  admin = await postgres.connect();
  await admin.query(`
    CREATE ROLE limited; CREATE ROLE team; CREATE ROLE other_team; CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'secret';
    GRANT limited TO team; GRANT team TO agent; GRANT boss TO agent; GRANT boss TO agent_2;
    CREATE ROLE later LOGIN PASSWORD 'secret' IN ROLE staff;
    CREATE ROLE gone LOGIN PASSWORD 'secret' IN ROLE staff, limited;
    CREATE ROLE "LIMITED" LOGIN PASSWORD 'secret' IN ROLE staff;
  `);
  await admin.query('CREATE DATABASE elsewhere');
  rowgate = await startRowgate({ postgresPort: postgres.port, quotas: QUOTAS, edit: byMembership('1h') });
});

afterAll(async () => {
  await admin.end();
  await rowgate.stop();
  await postgres.stop();
});

async function rows(client: Client, sql = 'SELECT email FROM crm.customers LIMIT 60'): Promise<number | string> {
  try {
    return (await client.query(sql)).rows.length;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('membership in a PostgreSQL role', () => {
  test('counts if it is inherited through another role', async () => {
    const client = await rowgate.connect('agent');
    expect(await rows(client)).toBe('53400');
    await client.end();
  });

  test('of others, and of a role whose name differs in case, does not', async () => {
    for (const user of ['temp', 'LIMITED']) {
      const client = await rowgate.connect(user);
      expect(await rows(client)).toBe(60);
      await client.end();
    }
  });

  test('that is granted through Rowgate holds for sessions that are open, from their next statement on', async () => {
    const client = await rowgate.connect('later');
    expect(await rows(client)).toBe(60);
    const granting = await rowgate.connect('boss');
    await granting.query('GRANT limited TO later');
    expect(await rows(client)).toBe('53400');
    // Taken back, and by way of another role.
    await granting.query('REVOKE limited FROM later');
    expect(await rows(client)).toBe(60);
    await granting.query('BEGIN; GRANT limited TO other_team; GRANT other_team TO later');
    await granting.query('COMMIT');
    expect(await rows(client)).toBe('53400');
    await granting.end();
    await client.end();
  });

  test('that is granted in another database of the server holds, too', async () => {
    await admin.query('CREATE ROLE far LOGIN PASSWORD \'secret\' IN ROLE staff');
    const client = await rowgate.connect('far');
    expect(await rows(client)).toBe(60);
    const granting = await rowgate.connect('boss', { database: 'elsewhere' });
    await granting.query('GRANT limited TO far');
    expect(await rows(client)).toBe('53400');
    await granting.end();
    await client.end();
  });

  test('that is granted by a DO block holds, too', async () => {
    await admin.query('CREATE ROLE hidden LOGIN PASSWORD \'secret\' IN ROLE staff');
    const client = await rowgate.connect('hidden');
    expect(await rows(client)).toBe(60);
    const granting = await rowgate.connect('boss', { database: 'elsewhere' });
    await granting.query('DO $$ BEGIN EXECUTE \'GRANT \' || \'limited TO hidden\'; END $$');
    expect(await rows(client)).toBe('53400');
    await granting.end();
    await client.end();
  });

  test('of a login that was made a moment ago past Rowgate is known at its first statement', async () => {
    // A session keeps the catalog in use, which is looked at once an hour here.
    const keeper = await rowgate.connect('temp');
    await admin.query('CREATE ROLE newcomer LOGIN PASSWORD \'secret\' IN ROLE staff, limited');
    const client = await rowgate.connect('newcomer');
    expect(await rows(client)).toBe('53400');
    await client.end();
    await keeper.end();
  });

  test('that was granted past Rowgate is seen within catalog.refresh, by open sessions', async () => {
    const target = await startRowgate({ postgresPort: postgres.port, quotas: QUOTAS, edit: byMembership('2s') });
    try {
      await admin.query('CREATE ROLE elsewhere_granted LOGIN PASSWORD \'secret\' IN ROLE staff');
      const client = await target.connect('elsewhere_granted');
      expect(await rows(client)).toBe(60);
      await admin.query('GRANT limited TO elsewhere_granted');
      await expect.poll(() => rows(client), { timeout: 20_000, interval: 500 }).toBe('53400');
      await client.end();
    } finally {
      await target.stop();
    }
  });
});

describe('who is charged', () => {
  const disguises: readonly (readonly [string, string, readonly string[]])[] = [
    ['SET ROLE', 'agent_set', ['SET ROLE boss']],
    ['SET LOCAL ROLE', 'agent_local', ['BEGIN', 'SET LOCAL ROLE boss']],
    ['set_config of role', 'agent_config', ['SELECT set_config(\'role\', \'boss\', false)']],
    ['SET SESSION AUTHORIZATION', 'agent_auth', ['SET ROLE boss', 'SET SESSION AUTHORIZATION temp']],
    ['RESET SESSION AUTHORIZATION', 'agent_reset', ['RESET SESSION AUTHORIZATION', 'RESET ROLE', 'RESET ALL', 'DISCARD ALL']],
  ];

  beforeAll(async () => {
    for (const [, user] of disguises) await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD 'secret' IN ROLE staff, limited, boss`);
    await admin.query(`
      CREATE ROLE agent_options LOGIN PASSWORD 'secret' IN ROLE staff, limited, boss;
      CREATE ROLE agent_setting LOGIN PASSWORD 'secret' IN ROLE staff, limited, boss;
      ALTER ROLE agent_setting SET role = 'boss';
    `);
  });

  test.each(disguises)('is the login after %s', async (_what, user, statements) => {
    const client = await rowgate.connect(user);
    // Some are refused by the server or the policy: that is an end of them, too.
    for (const sql of statements) await client.query(sql).catch(() => undefined);
    const got = await rows(client);
    await client.query('ROLLBACK').catch(() => undefined);
    expect(['53400', '42501', '25P02']).toContain(got);
    await client.end();
    // Whatever was delivered counts for the login, and its quota holds in a new session.
    const again = await rowgate.connect(user);
    expect(await rows(again, 'SELECT email FROM crm.customers LIMIT 51')).toBe('53400');
    await again.end();
    const records = rowgate.audit().filter((record) => record['event'] === 'statement_end' && record['statement_kind'] === 'select' && (record['classes'] as readonly unknown[]).length > 0);
    expect(records.filter((record) => record['principal'] === 'boss')).toEqual([]);
  });

  test.each(['-c role=boss', '-c session_authorization=boss', '--role=boss'])('is the login with startup options %j', async (options) => {
    let got: number | string;
    try {
      const client = await rowgate.connect('agent_options', { options });
      got = await rows(client);
      await client.end();
    } catch (error) {
      got = (error as { code: string }).code;
    }
    expect(typeof got).toBe('string');
  });

  test('is the login where a setting of its own makes it another role', async () => {
    const client = await rowgate.connect('agent_setting');
    expect((await client.query<{ who: string }>('SELECT current_user AS who')).rows).toEqual([{ who: 'boss' }]);
    expect(await rows(client)).toBe('53400');
    await client.end();
  });

  test('is nobody else when the role is dropped from under an open session', async () => {
    const client = await rowgate.connect('gone');
    client.on('error', () => undefined);
    expect(await rows(client, 'SELECT email FROM crm.customers LIMIT 40')).toBe(40);
    const granting = await rowgate.connect('boss');
    // The name alone changes; the session goes on under the name that it logged in with.
    await granting.query('ALTER ROLE gone RENAME TO gone_renamed');
    expect(await rows(client)).toBe('53400');
    await granting.end();
    await client.end();
  });
});
