/** A role whose errors and notices carry their values (`errors: full`): each text is paid for by its bytes. */

import { attackSuite, statements } from '../../support/attack.ts';
import { wire } from '../../support/wire-client.ts';

export const fullErrors = attackSuite('full-errors', {
  errors: 'full',
  sql: `CREATE FUNCTION public.tell(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', t; RETURN 1; END $$;
    CREATE FUNCTION public.fail(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', t; END $$;
    CREATE TABLE public.told (e text UNIQUE); CREATE FUNCTION public.mails_from(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(email, ' ') FROM crm.customers WHERE id > n AND id <= n + 100 $$;
    GRANT ALL ON public.told TO staff;`,
});
const { attack, group } = fullErrors;
const some = (from: number, count = 100): string => `(SELECT string_agg(email, ' ') FROM crm.customers WHERE id > ${from} AND id <= ${from + count})`;
const pages = Array.from({ length: 20 }, (_, i) => i * 100);

group('texts of errors and notices in full', 'errors', () => {
  attack('casts that quote many', statements(...pages.map((from) => `SELECT ${some(from)}::int`)), 'lax');
  attack('casts that quote one each', statements(...Array.from({ length: 260 }, (_, i) => `SELECT email::int FROM crm.customers WHERE id = ${i + 1}`)), 'lax');
  attack('RAISE NOTICE row by row', statements('SELECT tell(email) FROM crm.customers'), 'lax');
  attack('RAISE EXCEPTION in bulk', statements(...pages.map((from) => `SELECT fail(${some(from)})`)), 'lax');
  attack('RAISE NOTICE and EXCEPTION by DO', statements(...pages.map((from) => `DO $$ BEGIN RAISE NOTICE '%', ${some(from)}; END $$`)), 'lax');
  attack('a unique violation by Execute', async ({ connect }) => {
    const client = await connect();
    for (const from of pages) await client.ask([wire.run(`WITH s AS (SELECT ${some(from)} s) INSERT INTO told SELECT s FROM s, generate_series(1, 2)`), wire.sync]);
  }, 'lax');
  attack('a constant that planning folds at Bind', async ({ connect }) => {
    const client = await connect();
    for (const from of pages) await client.ask([wire.parse('', `SELECT mails_from(${from})::int`), wire.bind('', ''), wire.execute(''), wire.sync]);
  }, 'lax');
});
