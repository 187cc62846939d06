/** Every way in which a client reads rows. Each gives the customer's number in the first column, as text. */

import { wire } from '../support/wire-client.ts';
import type { Step } from './client.ts';

export interface Work {
  readonly name: string;
  readonly isProtected: boolean;
  readonly steps: readonly Step[];
  /** The client goes away after so many rows. */
  readonly leaveAfterRows?: number;
}

const COLUMNS = 'id, name, msisdn, email';

function simple(...texts: readonly string[]): Step[] {
  return texts.map((text) => ({ bytes: wire.query(text), ready: 1 }));
}

function together(...parts: readonly Buffer[]): Step[] {
  return [{ bytes: Buffer.concat(parts), ready: parts.filter((part) => part === wire.sync).length }];
}

type MakeWork = (id: () => number) => Omit<Work, 'name'>;

const KINDS: Readonly<Record<string, MakeWork>> = {
  'look-up': (id) => ({ isProtected: true, steps: simple(`SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}`) }),
  'look-up, extended': (id) => ({ isProtected: true, steps: together(wire.run(`SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}`), wire.sync) }),
  'prepared, run often': (id) => ({
    isProtected: true,
    steps: [
      ...together(wire.close('S', 'one'), wire.parse('one', `SELECT ${COLUMNS} FROM crm.customers WHERE id BETWEEN ${id()} AND ${id()} LIMIT 4`), wire.sync),
      ...Array.from({ length: 4 }, () => together(wire.bind('', 'one'), wire.execute(''), wire.sync)).flat(),
    ],
  }),
  'PREPARE and EXECUTE': (id) => ({
    isProtected: true,
    steps: simple('DEALLOCATE ALL', `PREPARE two AS SELECT ${COLUMNS} FROM crm.customers WHERE id >= $1 LIMIT 3`, `EXECUTE two(${id()})`, `EXECUTE two(${id()})`),
  }),
  page: (id) => ({ isProtected: true, steps: simple(`SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()} ORDER BY id LIMIT 40`) }),
  bulk: () => ({ isProtected: true, steps: simple(`SELECT ${COLUMNS} FROM crm.customers`) }),
  'bulk, runs away': (id) => ({ isProtected: true, steps: simple(`SELECT ${COLUMNS} FROM crm.customers`), leaveAfterRows: 1 + (id() % 60) }),
  cursor: (id) => ({
    isProtected: true,
    steps: simple('BEGIN', `DECLARE c CURSOR FOR SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()}`, 'FETCH 7 FROM c', 'FETCH 20 FROM c', 'FETCH c', 'CLOSE c', 'COMMIT'),
  }),
  'cursor, abandoned': (id) => ({ isProtected: true, steps: simple('BEGIN', `DECLARE c SCROLL CURSOR FOR SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()}`, 'FETCH 9 FROM c', 'FETCH BACKWARD 5 FROM c', 'ROLLBACK') }),
  'WITH HOLD': (id) => ({
    isProtected: true,
    steps: simple('BEGIN', `DECLARE held CURSOR WITH HOLD FOR SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()} LIMIT 30`, 'COMMIT', 'FETCH 10 FROM held', 'FETCH ALL FROM held', 'CLOSE ALL'),
  }),
  'portal, resumed': (id) => ({
    isProtected: true,
    steps: together(wire.parse('', `SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()} LIMIT 25`), wire.bind('p', ''), wire.execute('p', 6), wire.execute('p', 6), wire.execute('p', 0), wire.sync),
  }),
  pipeline: (id) => ({
    isProtected: true,
    steps: together(...Array.from({ length: 6 }, () => [wire.run(`SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}`), wire.sync]).flat()),
  }),
  'pipeline, one Sync': (id) => ({ isProtected: true, steps: together(...Array.from({ length: 5 }, () => wire.run(`SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}`)), wire.sync) }),
  COPY: () => ({ isProtected: true, steps: simple('COPY crm.customers TO STDOUT') }),
  'COPY of a query': (id) => ({ isProtected: true, steps: simple(`COPY (SELECT ${COLUMNS} FROM crm.customers WHERE id > ${id()} LIMIT 35) TO STDOUT (FORMAT csv)`) }),
  'two in one text': (id) => ({ isProtected: true, steps: simple(`SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}; SELECT ${COLUMNS} FROM crm.customers WHERE id = ${id()}`) }),
  RETURNING: (id) => ({ isProtected: true, steps: simple(`UPDATE crm.customers SET tariff = tariff WHERE id = ${id()} RETURNING ${COLUMNS}`) }),
  join: (id) => ({ isProtected: true, steps: simple(`SELECT c.id, c.name, i.amount FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id WHERE c.id BETWEEN ${id()} AND ${id()} LIMIT 8`) }),
  view: (id) => ({ isProtected: true, steps: simple(`SELECT id, name, email FROM crm.active WHERE id > ${id()} LIMIT 6`) }),
  unprotected: () => ({ isProtected: false, steps: [...simple('SELECT name, price FROM public.tariffs'), ...together(wire.run('SELECT 1'), wire.sync)] }),
};

/** Look-ups are most of a day's work; the rest comes round. */
const NAMES = [...Object.keys(KINDS), 'look-up', 'look-up', 'look-up, extended', 'look-up, extended', 'unprotected', 'unprotected'];
export const KIND_NAMES: readonly string[] = Object.keys(KINDS);

const HONEST_NAMES = ['look-up', 'look-up', 'look-up, extended', 'look-up, extended', 'prepared, run often', 'page', 'join', 'view', 'unprotected'];

export function work(random: () => number, customers: number, honest: boolean): Work {
  const names = honest ? HONEST_NAMES : NAMES;
  const name = names[Math.floor(random() * names.length)] as string;
  return { name, ...(KINDS[name] as MakeWork)(() => 1 + Math.floor(random() * customers)) };
}
