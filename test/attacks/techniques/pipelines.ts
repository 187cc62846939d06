/** Volume, cursors, portals and messages in unusual orders: what counts is what the server does, not what was announced. */

import { connect } from 'node:net';
import { attackSuite, statements } from '../../support/attack.ts';
import { wire } from '../../support/wire-client.ts';

export const pipelines = attackSuite('pipelines');
const { attack, group } = pipelines;
const ALL = 'SELECT email FROM crm.customers';
const HIDDEN = `SELECT email || '' FROM crm.customers`;
const ONE = 'SELECT 1';
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

group('volume', 'volume', () => {
  attack('SELECT everything', statements(ALL));
  attack('paging by LIMIT and OFFSET', async (attacker) => {
    const client = await attacker.connect();
    for (let at = 0; at < 1000; at += 50) await client.query(`${ALL} ORDER BY id LIMIT 50 OFFSET ${at}`);
  });
  attack('one id at a time, pipelined', async (attacker) => {
    const client = await attacker.connect();
    await client.ask(Array.from({ length: 600 }, (_, i) => wire.query(`${ALL} WHERE id = ${i + 1}`)), 600);
  });
  attack('fifty sessions at once', async (attacker) => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => attacker.connect()));
    await Promise.all(clients.map((client, i) => client.query(`${ALL} WHERE id > ${i * 100}`)));
  });
  attack('disconnect in the middle of a result, and again', async (attacker) => {
    for (let i = 0; i < 12; i++) {
      const client = await attacker.connect();
      client.send(wire.query(`${ALL} WHERE id > ${i * 60}`));
      await client.until('D', 0, 1000);
      client.destroy();
    }
  });
  attack('cancel in the middle of a result, and again', async (attacker) => {
    const client = await attacker.connect();
    for (let i = 0; i < 12; i++) {
      const answer = client.ask([wire.query(`${ALL} WHERE id > ${i * 60}`)]);
      const packet = Buffer.alloc(16);
      [16, (1234 << 16) | 5678, client.pid, client.secret].forEach((value, at) => packet.writeInt32BE(value, at * 4));
      const socket = connect(attacker.port, '127.0.0.1', () => socket.end(packet));
      socket.on('error', () => undefined);
      await answer;
    }
  });
  attack('not reading for a while', async (attacker) => {
    const client = await attacker.connect();
    client.pause();
    client.send(wire.query('SELECT c.*, repeat(email, 40) FROM crm.customers c'), wire.query(ALL));
    await wait(300);
    client.resume();
    await client.ask([wire.query(ONE)], 3);
  });
  attack('rollback after rows', async (attacker) => {
    const client = await attacker.connect();
    for (let i = 0; i < 8; i++) {
      await client.query('BEGIN');
      await client.query(`${ALL} WHERE id > ${i * 60} LIMIT 60`);
      await client.query('ROLLBACK');
    }
  });
  attack('error after rows', async (attacker) => {
    const client = await attacker.connect();
    for (let i = 0; i < 8; i++) await client.query(`SELECT email, 1 / (id - ${i * 60 + 60}) FROM crm.customers WHERE id > ${i * 60} ORDER BY id`);
  });
  attack('statement_timeout after rows', async (attacker) => {
    const client = await attacker.connect();
    for (let i = 0; i < 6; i++) await client.query(`SET statement_timeout = 50; SELECT email, CASE WHEN id > ${i * 60 + 60} THEN pg_sleep(1) END FROM crm.customers WHERE id > ${i * 60}`);
  });
});

group('cursors and portals', 'cursors and portals', () => {
  attack('DECLARE and FETCH ALL', statements('BEGIN', `DECLARE c CURSOR FOR ${ALL}`, 'FETCH ALL c', 'COMMIT'));
  attack('FETCH BACKWARD after MOVE', statements('BEGIN', `DECLARE c SCROLL CURSOR FOR ${ALL}`, 'MOVE ALL c', 'FETCH BACKWARD ALL c', 'COMMIT'));
  attack('FETCH in one Query with DECLARE and CLOSE', statements(`BEGIN; DECLARE c CURSOR FOR ${HIDDEN}; FETCH ALL c; CLOSE c; COMMIT`));
  attack('WITH HOLD after COMMIT', statements(`BEGIN; DECLARE c CURSOR WITH HOLD FOR ${HIDDEN}; COMMIT`, 'FETCH 150 c', 'FETCH 150 c'));
  attack('FETCH of a cursor by the extended protocol', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`BEGIN; DECLARE c CURSOR FOR ${HIDDEN}`);
    await client.ask([wire.parse('f', 'FETCH 300 c'), wire.bind('', 'f'), wire.execute(''), wire.sync]);
  });
  attack('Execute of an SQL cursor by its portal name', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`BEGIN; DECLARE c CURSOR FOR ${HIDDEN}`);
    await client.ask([wire.execute('c', 300), wire.sync]);
  });
  attack('FETCH of a protocol portal', async (attacker) => {
    const client = await attacker.connect();
    await client.query('BEGIN');
    await client.ask([wire.parse('s', HIDDEN), wire.bind('p', 's'), wire.sync]);
    await client.query('FETCH ALL p');
  });
  attack('portal with a row limit, resumed', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.bind('p', 's'), ...Array.from({ length: 100 }, () => wire.execute('p', 10)), wire.sync]);
  });
  attack('SQL EXECUTE of a protocol statement, and Bind of an SQL statement', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.sync]);
    await client.query('EXECUTE s');
    await client.query(`PREPARE q AS ${HIDDEN}`);
    await client.ask([wire.bind('', 'q'), wire.execute(''), wire.sync]);
  });
  attack('CREATE TABLE AS EXECUTE, and EXPLAIN ANALYZE EXECUTE', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`PREPARE q AS SELECT email || '' AS email FROM crm.customers`);
    await client.query(`CREATE TEMP TABLE t AS EXECUTE q`);
    await client.query('SELECT * FROM t');
  });
  attack('cursor declared before the quota is empty', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`BEGIN; DECLARE a CURSOR FOR ${HIDDEN}; DECLARE b CURSOR FOR ${HIDDEN} WHERE id > 1000; DECLARE d CURSOR FOR ${HIDDEN} WHERE id > 2000`);
    for (const name of ['a', 'b', 'd']) await client.query(`FETCH 150 ${name}`);
  });
});

group('messages in unusual orders', 'prepared world', () => {
  attack('failing group, then a stale statement name', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.sync]);
    await client.ask([wire.parse('x', 'SELEKT'), wire.close('S', 's'), wire.parse('s', ONE), wire.sync, wire.bind('', 's'), wire.execute(''), wire.sync], 2);
  });
  attack('failing Bind in front of a re-Parse', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.sync]);
    await client.ask([wire.bind('', 'nothing'), wire.close('S', 's'), wire.parse('s', ONE), wire.bind('', 's'), wire.sync, wire.bind('', 's'), wire.execute(''), wire.sync], 2);
  });
  attack('Parse of a name that exists already fails and keeps the old text', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.sync]);
    await client.ask([wire.parse('s', ONE), wire.sync, wire.bind('', 's'), wire.execute(''), wire.sync], 2);
  });
  attack('unnamed statement replaced between Bind and Execute', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('', HIDDEN), wire.bind('', ''), wire.parse('', ONE), wire.execute(''), wire.sync]);
  });
  attack('portal bound again to something harmless after a failed Bind', async (attacker) => {
    const client = await attacker.connect();
    await client.query('BEGIN');
    await client.ask([wire.parse('s', HIDDEN), wire.parse('o', ONE), wire.bind('p', 's'), wire.sync]);
    await client.query('SAVEPOINT a');
    await client.ask([wire.bind('p', 'o'), wire.sync]);
    await client.query('ROLLBACK TO a');
    await client.ask([wire.execute('p'), wire.sync]);
  });
  attack('Close and Bind of one portal name in a pipeline that fails in between', async (attacker) => {
    const client = await attacker.connect();
    await client.query(`BEGIN; SAVEPOINT a; DECLARE p CURSOR WITH HOLD FOR ${HIDDEN}; COMMIT`);
    await client.ask([wire.parse('o', ONE), wire.sync, wire.bind('', 'nothing'), wire.close('P', 'p'), wire.bind('p', 'o'), wire.sync, wire.execute('p'), wire.sync], 3);
  });
  attack('Flush instead of Sync, Sync much later', async (attacker) => {
    const client = await attacker.connect();
    client.send(wire.run(HIDDEN), wire.flush);
    await wait(100);
    client.send(wire.run(HIDDEN), wire.flush);
    await wait(100);
    await client.ask([wire.sync]);
  });
  attack('Query inside an extended group', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.bind('p', 's'), wire.query(ONE), wire.execute('p'), wire.sync, wire.bind('', 's'), wire.execute(''), wire.sync], 3);
  });
  attack('DEALLOCATE, PREPARE and EXECUTE pipelined over a name that Parse made', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', ONE), wire.sync]);
    await client.ask([wire.query(`DEALLOCATE s; PREPARE s AS ${HIDDEN}`), wire.bind('', 's'), wire.execute(''), wire.sync, wire.query('EXECUTE s')], 3);
  });
  attack('DISCARD ALL, then the old names', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('', HIDDEN), wire.sync]);
    await client.ask([wire.query('DISCARD ALL'), wire.parse('s', HIDDEN), wire.bind('', 's'), wire.execute(''), wire.sync], 2);
  });
  attack('PREPARE in a transaction that rolls back stays', statements(`PREPARE s AS ${ONE}`, `BEGIN; DEALLOCATE s; PREPARE s AS ${HIDDEN}; ROLLBACK`, 'EXECUTE s'));
  attack('several statements in one Query after an error', statements(`BEGIN; SELECT 1/0; ${ALL}`, `ROLLBACK; ${HIDDEN}; ${ALL}`));
  attack('Describe only, then Execute of what was described', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.parse('s', HIDDEN), wire.describe('S', 's'), wire.bind('p', 's'), wire.describe('P', 'p'), wire.execute('p'), wire.sync]);
  });
});

group('COPY', 'COPY', () => {
  for (const format of ['text', 'csv', 'csv, HEADER', 'binary', 'text, HEADER']) {
    attack(`COPY of a query (${format})`, statements(`COPY (SELECT email FROM crm.customers) TO STDOUT (FORMAT ${format})`));
  }
  attack('COPY of a table', statements('COPY crm.customers (email) TO STDOUT'));
  attack('COPY of DML RETURNING', statements('COPY (UPDATE crm.customers SET tariff = tariff RETURNING email) TO STDOUT'));
  attack('COPY HEADER many times', async (attacker) => {
    const client = await attacker.connect();
    for (let i = 0; i < 150; i++) await client.query(`COPY (SELECT email FROM crm.customers WHERE id IN (${2 * i + 1}, ${2 * i + 2})) TO STDOUT (HEADER, FORMAT csv)`);
  });
  attack('COPY by the extended protocol', async (attacker) => {
    const client = await attacker.connect();
    await client.ask([wire.run('COPY crm.customers (email) TO STDOUT (HEADER)'), wire.sync]);
  });
});
