/** Names that the server and Rowgate could understand differently: prepared statements, portals and cursors over time. */

import { attackSuite, statements, type Attacker, type Technique } from '../../support/attack.ts';
import { wire } from '../../support/wire-client.ts';

export const preparedWorld = attackSuite('prepared-world', { sql: `CREATE VIEW crm."zákazníci" AS SELECT email FROM crm.customers; GRANT SELECT ON crm."zákazníci" TO staff` });
const { attack, group } = preparedWorld;
const ALL = `SELECT email || '' FROM customers`;
const QUALIFIED = `SELECT email || '' FROM crm.customers`;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

group('prepared statements and shadowing definitions', 'prepared world', () => {
  const shadow = ({ own }: Attacker): string => `CREATE SCHEMA ${own}; CREATE TABLE ${own}.customers (email text); GRANT USAGE ON SCHEMA ${own} TO public`;

  attack('SQL PREPARE, then an empty table of the same name in front in search_path, then EXECUTE', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`CREATE SCHEMA ${attacker.own}; GRANT USAGE ON SCHEMA ${attacker.own} TO public`);
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.query(`PREPARE p AS ${ALL}`);
    await client.query(`CREATE TABLE ${attacker.own}.customers (email text)`);
    await client.query('SELECT 1');
    await client.query('EXECUTE p');
  });

  attack('Parse, then an empty table of the same name in front in search_path, then Bind and Execute', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`CREATE SCHEMA ${attacker.own}; GRANT USAGE ON SCHEMA ${attacker.own} TO public`);
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.ask([wire.parse('p', ALL), wire.sync]);
    await client.query(`CREATE TABLE ${attacker.own}.customers (email text)`);
    await client.query('SELECT 1');
    await client.ask([wire.bind('', 'p'), wire.execute(''), wire.sync]);
  });

  attack('cursor WITH HOLD, then search_path moved to a shadow, then FETCH', async (attacker) => {
    const client = await attacker.connect();
    await client.query(shadow(attacker));
    await client.query('SET search_path = crm');
    await client.query(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${ALL}; COMMIT`);
    await client.query(`SET search_path = ${attacker.own}`);
    await client.query('SELECT 1');
    await client.query('FETCH ALL FROM c');
  });

  attack('cursor WITH HOLD, then search_path moved to a shadow, then Execute of its portal', async (attacker) => {
    const client = await attacker.connect();
    await client.query(shadow(attacker));
    await client.query('SET search_path = crm');
    await client.query(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${ALL}; COMMIT`);
    await client.query(`SET search_path = ${attacker.own}`);
    await client.query('SELECT 1');
    await client.ask([wire.execute('c'), wire.sync]);
  });

  attack('cursor WITH HOLD, then a shadow table made in front, then FETCH', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`CREATE SCHEMA ${attacker.own}; GRANT USAGE ON SCHEMA ${attacker.own} TO public`);
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.query(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${ALL}; COMMIT`);
    await client.query(`CREATE TABLE ${attacker.own}.customers (email text)`);
    await client.query('SELECT 1');
    await client.query('FETCH ALL FROM c');
  });

  for (const [how, text] of [
    ['', `SELECT set_config(name, 'crm, pg_catalog, public', false) FROM pg_settings WHERE name = 'search_path'`],
    [', in a condition', `SELECT 1 FROM pg_settings WHERE name = 'search_path' AND set_config(name, 'crm, pg_catalog, public', false) <> ''`],
  ] as const) {
    attack(`search_path moved by a name that is read${how}`, async (attacker) => {
      const client = await attacker.connect();
      await client.query(shadow(attacker));
      await client.query(`SET search_path = ${attacker.own}`);
      await client.query('SELECT 1 FROM customers');
      await client.query(text);
      await client.query(ALL);
    });
    attack(`search_path moved by a name that is read${how}, and unqualified name in one pipeline`, async (attacker) => {
      const client = await attacker.connect();
      await client.query(shadow(attacker));
      await client.query(`SET search_path = ${attacker.own}`);
      await client.query('SELECT 1 FROM customers');
      await client.ask([wire.query(text), wire.query(ALL)], 2);
    });
    attack(`search_path moved by a name that is read${how}, and unqualified name in one text`, async (attacker) => {
      const client = await attacker.connect();
      await client.query(shadow(attacker));
      await client.query(`SET search_path = ${attacker.own}`);
      await client.query(`SELECT 1 FROM customers; ${text}; ${ALL}`);
      await client.query(`${ALL}`);
    });
  }

  attack('search_path moved and unqualified name in one pipeline', async (attacker) => {
    const client = await attacker.connect();
    await client.query(shadow(attacker));
    await client.query(`SET search_path = ${attacker.own}`);
    await client.query('SELECT 1');
    await client.ask([wire.query('SET search_path = crm'), wire.query(ALL)], 2);
  });

  attack('search_path moved in an extended group, unqualified name behind it', async (attacker) => {
    const client = await attacker.connect();
    await client.query(shadow(attacker));
    await client.query(`SET search_path = ${attacker.own}`);
    await client.query('SELECT 1');
    await client.ask([wire.run('SET search_path = crm'), wire.run(ALL), wire.sync]);
  });

  attack('search_path moved back by ROLLBACK TO, in one Query', async (attacker) => {
    const client = await attacker.connect();
    await client.query(shadow(attacker));
    await client.query('SET search_path = crm');
    await client.query('SELECT 1');
    await client.query(`BEGIN; SAVEPOINT s; SET LOCAL search_path = ${attacker.own}; ROLLBACK TO s; ${ALL}; COMMIT`);
  });

  attack('temporary table shadows, is dropped, and the name is read in the same Query', async (attacker) => {
    const client = await attacker.connect();
    await client.query('SET search_path = crm');
    await client.query('CREATE TEMP TABLE customers (email text)');
    await client.query('SELECT * FROM customers');
    await client.query(`DROP TABLE pg_temp.customers; ${ALL}`);
    await client.ask([wire.query('CREATE TEMP TABLE customers (email text)'), wire.query('DISCARD TEMP'), wire.query(ALL)], 3);
  });

  attack('REVOKE and GRANT of a schema in search_path in front', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`CREATE SCHEMA ${attacker.own}; CREATE TABLE ${attacker.own}.customers (email text)`);
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.query('SELECT 1');
    await client.query(`DROP TABLE ${attacker.own}.customers; ${ALL}`);
  });
});

group('a search_path that changes in the middle', 'prepared world', () => {
  const READS = `CREATE FUNCTION public.OWN_f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(e, ' ') FROM OWN_t); END $$`;
  const make = ['CREATE SCHEMA OWN', `CREATE VIEW OWN.OWN_t AS SELECT email || '' AS e FROM crm.customers`, 'CREATE TABLE public.OWN_t (e text)', READS];
  const changed = (...sql: readonly string[]): Technique => statements(...[...make, ...sql].map((each) => ({ own }: Attacker) => each.replaceAll('OWN', own)));
  const SET = `set_config('search_path', 'OWN', false)`;
  attack('set_config beside a call', changed(`SELECT ${SET}, public.OWN_f()`), 'lax');
  attack('set_config in FROM', changed(`SELECT public.OWN_f() FROM ${SET}`), 'lax');
  attack('set_config in CALL', changed(`CREATE PROCEDURE public.OWN_p(INOUT a text, INOUT b text) LANGUAGE plpgsql AS $$ BEGIN b := public.OWN_f(); END $$`, `CALL public.OWN_p(${SET}, NULL)`), 'lax');
  attack('set_config in EXECUTE', changed('PREPARE OWN (text) AS SELECT $1, public.OWN_f()', `EXECUTE OWN (${SET})`), 'lax');
  attack('set_config by a setting that a row names', changed(`SELECT set_config(name, 'OWN', false), public.OWN_f() FROM pg_settings WHERE name = 'search_path'`), 'lax');
  attack('UPDATE pg_settings', changed(`UPDATE pg_settings SET setting = 'OWN' WHERE name = 'search_path' RETURNING public.OWN_f()`), 'lax', 0);
  attack('a function that sets it, beside one that reads', changed(`CREATE FUNCTION public.OWN_s() RETURNS text LANGUAGE sql AS $$ SELECT ${SET} $$`, 'SELECT public.OWN_s(), public.OWN_f()'), 'lax');
  attack('DO', changed(`DO $$ BEGIN PERFORM ${SET}; INSERT INTO public.notes (body) VALUES (public.OWN_f()); END $$`, 'SELECT body FROM public.notes'), 'lax');
  attack('a row that a cursor fetches', changed('BEGIN', `DECLARE c CURSOR FOR SELECT public.OWN_f() FROM generate_series(1, 3)`, 'FETCH c', `SET search_path = OWN`, 'FETCH c', 'COMMIT'), 'lax');
});

group('a search_path whose schemas come later', 'prepared world', () => {
  const USE = `SELECT string_agg(name || '', ' ') FROM tariffs`;
  /** `make`: what gives the path another meaning, by the session itself or by another one. */
  const later = (path: string, make: (attacker: Attacker) => readonly string[], other: boolean): Technique => async (attacker) => {
    const [reader, maker] = [await attacker.connect(), await attacker.connect()];
    await reader.query(`SET search_path = ${path.replaceAll('OWN', attacker.own)}`);
    await reader.query(USE);
    for (const each of make(attacker)) await (other ? maker : reader).query(each);
    await reader.query(USE);
  };
  const view = (name: string): string => `CREATE VIEW ${name}.tariffs AS SELECT email AS name FROM crm.customers`;
  for (const other of [false, true]) {
    const who = other ? 'by another session' : 'by itself';
    attack(`a schema is made, ${who}`, later('OWN, public', ({ own }) => [`CREATE SCHEMA ${own}`, view(own)], other), 'lax');
    attack(`a schema is made with what is in it, ${who}`, later('OWN, public', ({ own }) => [`CREATE SCHEMA ${own} ${view(own)}`], other), 'lax');
    attack(`a schema is renamed, ${who}`, later('OWN, public', ({ own }) => [`CREATE SCHEMA ${own}_x`, view(`${own}_x`), `ALTER SCHEMA ${own}_x RENAME TO ${own}`], other), 'lax');
    attack(`the schema of the user's name, ${who}`, later('"$user", public', ({ user }) => [`CREATE SCHEMA ${user}`, view(user)], other), 'lax');
    attack(`a view is moved, ${who}`, later('OWN, public', ({ own }) => [`CREATE SCHEMA ${own}`, `CREATE SCHEMA ${own}_x`, view(`${own}_x`), `ALTER VIEW ${own}_x.tariffs SET SCHEMA ${own}`], other), 'lax');
  }
  attack('the right to look into a schema is given later', later('OWN, public', ({ own, user }) => [`CREATE SCHEMA ${own}`, view(own), `REVOKE ALL ON SCHEMA ${own} FROM ${user}`, USE, `GRANT ALL ON SCHEMA ${own} TO ${user}`], false), 'lax');
  attack('the right to look into a schema is given in the same transaction', later('OWN, public', ({ own, user }) => [`CREATE SCHEMA ${own}`, view(own), `REVOKE ALL ON SCHEMA ${own} FROM ${user}`, USE, 'BEGIN', `GRANT ALL ON SCHEMA ${own} TO ${user}`], false), 'lax');
  attack('the same in one text', later('OWN, public', ({ own, user }) => [`CREATE SCHEMA ${own}`, view(own), `REVOKE ALL ON SCHEMA ${own} FROM ${user}`, USE, `GRANT ALL ON SCHEMA ${own} TO ${user}; ${USE}`], false), 'lax');
  attack('a temporary view', later('public', () => ['CREATE TEMP VIEW tariffs AS SELECT email AS name FROM crm.customers'], false), 'lax');
});

group('names of statements under different encodings', 'prepared world', () => {
  attack('a statement name parsed under LATIN1 and bound under UTF8', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse(hex('c3a9'), 'SELECT 1'), wire.sync]);
    await client.query('SET client_encoding = LATIN1');
    await client.ask([wire.close('S', hex('e9')), wire.parse(hex('e9'), QUALIFIED), wire.sync]);
    await client.query('SET client_encoding = UTF8');
    await client.ask([wire.bind('', hex('c3a9')), wire.execute(''), wire.sync]);
  });

  attack('a protocol name under WIN1250 that collides with an SQL name', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`PREPARE "č" AS ${QUALIFIED}`);
    await client.query('SET client_encoding = WIN1250');
    await client.ask([wire.parse(hex('c48d'), 'SELECT 1'), wire.sync]);
    await client.query(hex(`${Buffer.from('EXECUTE "').toString('hex')}e822`));
  });

  attack('two names that are one after the server has cut them at 63 bytes of its own encoding', async (attacker) => {
    const client = await attacker.connect();
    await client.query('SET client_encoding = LATIN1');
    const base = Buffer.alloc(40, 0xe9);
    const harmless = Buffer.concat([base, Buffer.from('a')]);
    const real = Buffer.concat([base, Buffer.from('b')]);
    await client.ask([wire.parse(harmless, 'SELECT 1'), wire.sync]);
    await client.ask([wire.close('S', real), wire.parse(real, QUALIFIED), wire.sync]);
    await client.ask([wire.bind('', harmless), wire.execute(''), wire.sync]);
  });

  attack('two names that are one after 63 bytes', async (attacker) => {
    const client = await attacker.connect();
    const base = 'n'.repeat(63);
    await client.ask([wire.parse(`${base}a`, 'SELECT 1'), wire.sync]);
    await client.ask([wire.close('S', `${base}b`), wire.parse(`${base}b`, QUALIFIED), wire.sync]);
    await client.ask([wire.bind('', `${base}a`), wire.execute(''), wire.sync]);
  });

  attack('client_encoding moved in a pipeline, so that a quoted name means another table', async (attacker) => {
    const client = await attacker.connect();
    await client.query('SET client_encoding = WIN1250');
    await client.query(`CREATE SCHEMA ${attacker.own}; GRANT USAGE ON SCHEMA ${attacker.own} TO public`);
    // What the bytes of crm."zákazníci" in UTF-8 mean in WIN1250.
    await client.query(Buffer.concat([Buffer.from(`CREATE TABLE ${attacker.own}."`), Buffer.from('zákazníci'), Buffer.from('" (email text)')]));
    await client.query(`SET search_path = ${attacker.own}, crm`);
    await client.query('SELECT 1');
    await client.ask([wire.query('SET client_encoding = UTF8'), wire.query(`SELECT email || '' FROM "zákazníci"`)], 2);
  });
});
