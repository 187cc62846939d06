/** Ways out of the server that are not a query over the class: its files, its catalogs, other servers, settings, code that runs by itself. */

import { describe, expect, test } from 'vitest';
import { testAttacks } from '../support/attack-tests.ts';
import { sideDoors } from './techniques/side-doors.ts';

const bed = testAttacks(sideDoors);

describe('settings of the server', () => {
  test.each(['ALTER SYSTEM SET work_mem = 65', `LOAD 'plpgsql'`, `ALTER ROLE CURRENT_USER SET client_encoding = 'SJIS'`])('%s is refused to the default role', async (sql) => {
    const client = await bed().rowgate.connect('agent_290');
    try {
      await expect(client.query(sql)).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('rule support') as unknown });
    } finally {
      await client.end();
    }
  });
});

test('pg_stat_activity shows no statements of others', async () => {
  const { admin, postgres, rowgate, tokens } = bed();
  const [token] = tokens.values();
  await admin.query(`SELECT '${token}'`);
  for (const port of [postgres.port, rowgate.port]) {
    const client = await rowgate.connect('agent_292', { port });
    try {
      const { rows } = await client.query<{ query: string }>(`SELECT query FROM pg_stat_activity WHERE usename = 'postgres'`);
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.filter(({ query }) => query !== '<insufficient privilege>')).toEqual([]);
    } finally {
      await client.end();
    }
  }
  const { rows } = await admin.query<{ query: string }>('SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()');
  expect(rows[0]?.query).toContain('pg_stat_activity');
});

describe('event triggers', () => {
  test('run their function with every definition, and its opaqueness counts', async () => {
    const { admin, rowgate } = bed();
    await admin.query(`CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'INSERT INTO public.kept SELECT email FROM crm.customers'; END $$;
      CREATE FUNCTION public.on_ddl_dynamic() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE current_setting('x.sql'); END $$;
      CREATE EVENT TRIGGER telling ON ddl_command_end EXECUTE FUNCTION public.on_ddl()`);
    const client = await rowgate.connect('agent_291');
    try {
      await client.query('SELECT 1');
      await new Promise((resolve) => setTimeout(resolve, 2_500)); // catalog.refresh is 2 s
      await expect(client.query('CREATE TEMP TABLE anything (a int)')).rejects.toMatchObject({ code: '42501' });
      await admin.query('DROP EVENT TRIGGER telling; CREATE EVENT TRIGGER telling ON ddl_command_end EXECUTE FUNCTION public.on_ddl_dynamic()');
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      await expect(client.query('CREATE TEMP TABLE anything (a int)')).rejects.toMatchObject({ code: '42501', detail: expect.stringContaining('event trigger telling') as unknown });
    } finally {
      await admin.query('DROP EVENT TRIGGER telling');
      await client.end();
    }
  });
});
