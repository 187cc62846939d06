/** How large a relation has become says how many rows a statement put there, and how many there are says what a class holds. */

import { attackSuite, type Attacker, type Technique } from '../../support/attack.ts';
import { rowsOf, type WireClient } from '../../support/wire-client.ts';

export const sizes = attackSuite('sizes');

const CUSTOMERS = 210;
const DIGIT = `('x' || substr(right(c.email, 8), 1 + 2 * quarter, 2))::bit(8)::int`;
const KEYS = Array.from({ length: 4 * CUSTOMERS }, (_, i) => i + 4);

/** A partition for each digit of each customer. */
async function partitions({ own }: Attacker, client: WireClient): Promise<void> {
  await client.query(`CREATE TABLE public.${own} (k int, pad text) PARTITION BY LIST (k)`);
  // Partitions take it over.
  await client.query(`ALTER TABLE public.${own} ALTER pad SET STORAGE PLAIN`);
  for (let at = 0; at < KEYS.length; at += 120) {
    await client.query(KEYS.slice(at, at + 120).map((k) => `CREATE TABLE public.${own}_${k} PARTITION OF public.${own} FOR VALUES IN (${k})`).join(';'), 60_000);
  }
}

const FILL = (own: string): string => `INSERT INTO public.${own} SELECT 4 * c.id + quarter, repeat('x', 5000) FROM crm.customers c, generate_series(0, 3) quarter, generate_series(1, ${DIGIT}) g WHERE c.id <= ${CUSTOMERS}`;

/** Fills a page for each row; `look` gives names and how many pages, after `then`. */
const grown = (look: (own: string) => string, then?: (own: string) => string): Technique => async (attacker) => {
  const client = await attacker.connect();
  await partitions(attacker, client);
  await client.query(FILL(attacker.own), 80_000);
  if (then !== undefined) await client.query(then(attacker.own), 80_000);
  const digits = new Map(rowsOf(await client.query(look(attacker.own), 30_000)).map(([name, pages]) => [Number(/\d+$/.exec(String(name))?.[0]), Number(String(pages))]));
  for (let id = 1; id <= CUSTOMERS; id++) {
    attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${[0, 1, 2, 3].map((quarter) => (digits.get(4 * id + quarter) ?? 0).toString(16).padStart(2, '0')).join('')} `;
  }
};

const of = (own: string): string => `FROM pg_class WHERE relkind = 'r' AND relname LIKE '${own}\\_%'`;

sizes.group('of copies', 'side doors', () => {
  sizes.attack('pg_relation_size', grown((own) => `SELECT relname, pg_relation_size(oid) / 8192 ${of(own)}`), 'lax');
  sizes.attack('pg_total_relation_size', grown((own) => `SELECT relname, (pg_total_relation_size(oid) - pg_relation_size(oid, 'fsm') - coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0)) / 8192 ${of(own)}`), 'lax');
  sizes.attack('pg_class.relpages', grown((own) => `SELECT relname, relpages ${of(own)}`, (own) => `ANALYZE public.${own}`), 'lax');
  sizes.attack('pg_class.reltuples', grown((own) => `SELECT relname, reltuples ${of(own)}`, (own) => `VACUUM public.${own}`), 'lax');
  sizes.attack('pg_stat_user_tables.n_live_tup', grown((own) => `SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname LIKE '${own}\\_%'`, () => 'SELECT pg_stat_force_next_flush()'), 'lax');
});
