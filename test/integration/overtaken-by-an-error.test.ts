/** An error of an earlier request that arrives while a later one of its group is being judged: the server discards the later one, and so must Rowgate. */

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { errorsOf, wire, WireClient } from '../support/wire-client.ts';

let postgres: TestPostgres;
let rowgate: TestRowgate;
beforeAll(async () => {
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 50);
  rowgate = await startRowgate({ postgresPort: postgres.port });
});
afterAll(async () => {
  await rowgate?.stop();
  await postgres?.stop();
});

const group = (text: string): readonly Buffer[] => [wire.parse('s', text), wire.bind('', 's'), wire.describe('P', ''), wire.execute(''), wire.sync];

describe.each(['dba', 'agent'])('%s', (user) => {
  // Each text fails at Parse; what follows is judged at length, since nobody knows what it reaches or since it costs units.
  test.each([
    ['a type that is not there', group('SELECT $1::no_such_type')],
    ['a table that is not there', group('SELECT * FROM no_such_table')],
    ['a protected table behind it', [wire.parse('s', 'SELECT $1::no_such_type'), wire.parse('', 'SELECT * FROM crm.customers WHERE id = 1'), wire.bind('', ''), wire.execute(''), wire.sync]],
    ['a refused statement behind it', [wire.parse('s', 'SELECT $1::no_such_type'), wire.parse('', 'CREATE TABLE copied AS SELECT * FROM crm.customers'), wire.bind('', ''), wire.execute(''), wire.sync]],
    ['a Query in place of Sync', [wire.parse('s', 'SELECT $1::no_such_type'), wire.query('SELECT * FROM crm.customers'), wire.sync]],
  ])('%s: one error, one ReadyForQuery, and the session goes on', async (_name, messages) => {
    const answers: unknown[] = [];
    for (const port of [postgres.port, rowgate.port]) {
      const client = await WireClient.connect({ port, user });
      // The first statement of a session is judged at length as well (the search path is asked for), the second is not.
      for (let round = 0; round < 3; round++) {
        const got = await client.ask(messages, 1, 15_000);
        answers.push([port === postgres.port ? 'direct' : 'through', got.map(({ type }) => type), errorsOf(got)]);
        const after = await client.ask([wire.run('SELECT 1'), wire.sync], 1, 15_000);
        expect(after.map(({ type }) => type)).toEqual(['1', '2', 'D', 'C', 'Z']);
      }
      client.destroy();
    }
    expect(answers.slice(3).map((each) => (each as unknown[]).slice(1))).toEqual(answers.slice(0, 3).map((each) => (each as unknown[]).slice(1)));
  });
});

// The header is there when the server is still listening, the rest when it is not.
describe.each(['dba', 'agent'])('an error that comes in the middle of a message, %s', (user) => {
  test.each([
    ['Parse', wire.parse('', 'SELECT 1')], ['Bind', wire.bind('', '')], ['Describe', wire.describe('P', '')], ['Execute', wire.execute('')], ['Close', wire.close('S', 's')],
    ['Query', wire.query('SELECT 1')], ['Query of a class', wire.query('SELECT * FROM crm.customers WHERE id = 1')],
  ])('%s: nobody waits for its answer', async (_name, message) => {
    for (const port of [postgres.port, rowgate.port]) {
      const client = await WireClient.connect({ port, user });
      for (const cut of [5, message.length - 1]) {
        const from = client.messages.length;
        client.send(wire.parse('s', 'SELECT 1 FROM no_such_table'), wire.flush, message.subarray(0, cut));
        expect(await client.until('E', from)).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 50));
        const rest = await client.ask([message.subarray(cut), wire.sync]);
        expect(rest.map(({ type }) => type)).toEqual(['Z']);
        expect((await client.ask([wire.run('SELECT 1'), wire.sync])).map(({ type }) => type)).toEqual(['1', '2', 'D', 'C', 'Z']);
      }
      client.destroy();
    }
  });
});

test('who sends no startup packet gets no answer, as from PostgreSQL', async () => {
  const answerAt = (port: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(wire.terminate));
      let bytes = '';
      socket.on('data', (chunk) => {
        bytes += chunk.toString('latin1');
      });
      socket.on('close', () => resolve(bytes));
      socket.on('error', reject);
    });
  expect(await answerAt(rowgate.port)).toBe(await answerAt(postgres.port));
});
