import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { schema, step } from './steps.mjs';

const ssl = process.env.PGSSLROOTCERT === undefined ? false : undefined;
const options = ssl === undefined ? {} : { ssl };
const client = new pg.Client(options);
const notices = [];
client.on('notice', ({ severity, code, message }) => notices.push({ severity, code, message }));
client.on('error', () => undefined);
const rows = async (text, values) => (await client.query(text, values)).rows;
const full = async (query) => {
  const result = await client.query(query);
  const of = ({ command, rowCount, rows: all, fields }) => ({ command, rowCount, all, fields: fields.map(({ name, dataTypeID, format }) => [name, dataTypeID, format]) });
  return Array.isArray(result) ? result.map(of) : of(result);
};

await step('connect', async () => { await client.connect(); });
await step('schema', () => rows(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}; SET search_path TO ${schema}, public`));
await step('notices', async () => { await client.query('DROP TABLE IF EXISTS never_was'); await client.query('CREATE SCHEMA IF NOT EXISTS public'); return notices; });
await step('simple', () => full('SELECT 1 AS one, NULL AS nothing, $$ř$$ AS text'));
await step('several statements', () => full('SELECT 1; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, $$a$$), (2, $$b$$); SELECT * FROM t; UPDATE t SET v = v'));
await step('empty query', () => full(''));
await step('only a comment', () => full('-- nothing'));
await step('extended', () => full({ text: 'SELECT $1::int AS i, $2::text AS t, $3::numeric AS n, $4::timestamptz AS ts, $5::bytea AS b, $6::int[] AS a, $7::jsonb AS j', values: [42, 'x', '1.50', new Date(0), Buffer.from([0, 1, 255]), [1, 2, 3], { a: [1] }] }));
await step('binary', async () => full({ text: 'SELECT 1::int4 AS a, 2::int8 AS b, true AS c, 1.5::float8 AS d, $$x$$::text AS e', binary: true }));
await step('types', () => full({ text: "SELECT 1::smallint, 2::bigint, 3.5::real, 4.5::numeric, 'a'::char(3), 'b'::varchar, '2020-01-01'::date, '12:00'::time, '1 day'::interval, '{1,2}'::int[], '(1,2)'::point, '1.2.3.4'::inet, gen_random_uuid() IS NOT NULL, '<a/>'::xml, 'a=>1'::text, '[1,2)'::int4range", rowMode: 'array' }));
await step('named statement', async () => { const out = []; for (const id of [1, 2, 3]) out.push(await rows({ name: 'by_id', text: 'SELECT * FROM t WHERE id = $1', values: [id] })); return out; });
await step('named statement with another text', () => rows({ name: 'by_id', text: 'SELECT v FROM t WHERE id = $1', values: [1] }));
await step('syntax error', () => rows('SELEC 1'));
await step('unknown table', () => rows('SELECT * FROM no_such_table'));
await step('unknown column, extended', () => rows('SELECT no_such FROM t WHERE id = $1', [1]));
await step('division', () => rows('SELECT 1 / $1::int', [0]));
await step('unique violation', () => rows('INSERT INTO t VALUES (1, $$again$$)'));
await step('wrong number of parameters', () => rows('SELECT $1::int', [1, 2]));
await step('bad text of a parameter', () => rows('SELECT $1::int', ['x']));
await step('after errors', () => rows('SELECT count(*)::int AS n FROM t'));
await step('transaction', async () => {
  const out = [];
  await client.query('BEGIN');
  await client.query('INSERT INTO t VALUES (10, $1)', ['ten']);
  await client.query('SAVEPOINT s');
  await client.query('INSERT INTO t VALUES (10, $1)', ['again']).catch(({ code }) => out.push(code));
  await client.query('SELECT 1').catch(({ code }) => out.push(code));
  await client.query('ROLLBACK TO s');
  await client.query('COMMIT');
  out.push(await rows('SELECT * FROM t ORDER BY id'));
  return out;
});
await step('failed transaction', async () => { await client.query('BEGIN'); await client.query('SELECT 1/0').catch(() => undefined); return (await client.query('COMMIT')).command; });
await step('deferred constraint', async () => {
  await client.query('CREATE TABLE child (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED)');
  await client.query('BEGIN');
  await client.query('INSERT INTO child VALUES ($1)', [99]);
  return rows('COMMIT');
});
await step('concurrent queries', async () => (await Promise.all(Array.from({ length: 30 }, (_, i) => rows('SELECT $1::int AS i, v FROM t WHERE id = 1', [i])))).map(([row]) => row));
await step('cursor', async () => {
  const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [25]));
  const out = [];
  for (let part = await cursor.read(10); part.length > 0; part = await cursor.read(10)) out.push(part.length);
  await cursor.close();
  return out;
});
await step('cursor closed early', async () => { const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, 100) g')); const part = await cursor.read(3); await cursor.close(); return [part, await rows('SELECT 1 AS one')]; });
await step('query stream', async () => { let sum = 0; for await (const { g } of client.query(new QueryStream('SELECT g FROM generate_series(1, $1::int) g', [5000], { batchSize: 100 }))) sum += g; return sum; });
await step('SQL cursor', async () => { await client.query('BEGIN'); await client.query('DECLARE c SCROLL CURSOR FOR SELECT * FROM t ORDER BY id'); const out = [await rows('FETCH 2 FROM c'), await rows('FETCH BACKWARD 1 FROM c'), await rows('FETCH ALL FROM c'), (await client.query('MOVE ABSOLUTE 0 IN c')).rowCount]; await client.query('COMMIT'); return out; });
await step('holdable cursor', async () => { await client.query('DECLARE h CURSOR WITH HOLD FOR SELECT * FROM t ORDER BY id'); const out = [await rows('FETCH 1 FROM h'), await rows('FETCH ALL h')]; await client.query('CLOSE h'); return out; });
await step('copy in', async () => { const stream = client.query(copyFrom('COPY t FROM STDIN')); await pipeline(Readable.from(Array.from({ length: 2000 }, (_, i) => `${i + 100}\trow ${i}\n`)), stream); return stream.rowCount; });
await step('copy in that fails', async () => { await pipeline(Readable.from(['1\tx\ty\n']), client.query(copyFrom('COPY t FROM STDIN'))); });
await step('copy out', async () => { const parts = []; await pipeline(client.query(copyTo('COPY (SELECT * FROM t ORDER BY id) TO STDOUT (FORMAT csv, HEADER)')), new Writable({ write(chunk, _, done) { parts.push(chunk); done(); } })); return Buffer.concat(parts).toString(); });
await step('copy out in binary', async () => { const parts = []; await pipeline(client.query(copyTo('COPY (SELECT id FROM t ORDER BY id LIMIT 3) TO STDOUT (FORMAT binary)')), new Writable({ write(chunk, _, done) { parts.push(chunk); done(); } })); return Buffer.concat(parts); });
await step('listen and notify', async () => {
  const heard = new Promise((resolve) => client.once('notification', ({ channel, payload }) => resolve([channel, payload])));
  await client.query(`LISTEN ${schema}_news`);
  await client.query('SELECT pg_notify($1, $2)', [`${schema}_news`, 'hello']);
  return heard;
});
await step('cancel', async () => {
  const other = new pg.Client(options);
  await other.connect();
  const pid = (await rows('SELECT pg_backend_pid() AS pid'))[0].pid;
  const sleeping = rows('SELECT pg_sleep(20)');
  sleeping.catch(() => undefined);
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  await other.query('SELECT pg_cancel_backend($1)', [pid]);
  try { return await sleeping; } finally { await other.end(); }
});
await step('statement timeout', async () => { await client.query('SET statement_timeout TO 100'); try { return await rows('SELECT pg_sleep(10)'); } finally { await client.query('RESET statement_timeout'); } });
await step('parameter status', async () => { await client.query("SET application_name TO 'other'; SET DateStyle TO 'German'"); return rows('SHOW DateStyle'); });
await step('large objects', async () => {
  await client.query('BEGIN');
  try {
    const [{ oid }] = await rows('SELECT lo_create(0) AS oid');
    await client.query('SELECT lo_put($1, 0, $2)', [oid, Buffer.from('large object')]);
    const out = await rows('SELECT lo_get($1) AS data', [oid]);
    await client.query('SELECT lo_unlink($1)', [oid]);
    return out;
  } finally { await client.query('COMMIT'); }
});
await step('one customer', () => full({ text: 'SELECT * FROM crm.customers WHERE id = $1', values: [7] }));
await step('customers in a pool', async () => {
  const pool = new pg.Pool({ ...options, max: 4 });
  const out = await Promise.all(Array.from({ length: 12 }, (_, i) => pool.query('SELECT name FROM crm.customers WHERE id = $1', [i + 1])));
  await pool.end();
  return out.map(({ rows: [row] }) => row.name);
});
for (const [name, settings] of Object.entries({ 'wrong password': { password: 'wrong' }, 'unknown user': { user: 'nobody_here' }, 'unknown database': { database: 'no_such_database' }, 'bad option': { options: '-c no_such_setting=1' }, 'no login': { user: 'staff' } })) {
  await step(name, async () => { const bad = new pg.Client({ ...options, ...settings }); bad.on('error', () => undefined); await bad.connect(); await bad.end(); });
}
await step('clean up', () => rows(`DROP SCHEMA ${schema} CASCADE`));
await step('end', () => client.end());
