/** What an honest client would send, message by message; the fuzz run starts from it. */

import { message, wire } from '../support/wire-client.ts';
import type { Random } from './random.ts';
import { PROTECTED_TEXTS } from './scripted-server.ts';

const FREE = ['SELECT 1', 'SELECT name FROM public.tariffs', '', 'SELECT 1/0', 'SELECT * FROM no_such_table', 'SET work_mem TO 1000', 'BEGIN', 'COMMIT', 'ROLLBACK', 'INSERT INTO public.notes (body) VALUES (1)', 'NOTIFY c, $$x$$', 'SELECT 1; SELECT 2', 'DEALLOCATE ALL', 'SHOW work_mem', 'SELEC', 'DECLARE k CURSOR FOR SELECT name FROM crm.customers', 'FETCH 10 FROM k', 'CREATE TABLE stolen AS SELECT * FROM crm.customers'];
const PROTECTED = [...PROTECTED_TEXTS];
const NAMES = ['', '', '', 's1', 's2', 'a name of more than sixty-three bytes, which the server cuts to as many as it keeps', 'k'];

/** About `count` messages. */
export function script(count: number, random: Random): Buffer[] {
  const out: Buffer[] = [];
  while (out.length < count) {
    const text = random.chance(0.4) ? random.pick(PROTECTED) : random.pick(FREE);
    const statement = random.pick(NAMES);
    const portal = random.pick(NAMES);
    switch (random.below(10)) {
      case 0:
      case 1:
        out.push(wire.query(text));
        break;
      case 8:
        out.push(wire.query('COPY public.notes FROM STDIN'), wire.copyData('1\tx\n'), wire.copyData('2\ty\n'), random.chance(0.8) ? wire.copyDone : message('f', Buffer.from('no\0')));
        break;
      case 2:
      case 3:
        out.push(wire.parse(statement, text), wire.bind(portal, statement), wire.describe('P', portal), wire.execute(portal), wire.sync);
        break;
      case 4:
        out.push(wire.parse(statement, text), wire.describe('S', statement), wire.sync, wire.bind(portal, statement), wire.execute(portal, random.pick([0, 1, 5])), wire.execute(portal, 0), wire.sync);
        break;
      case 5:
        for (let i = 0; i < 4; i++) out.push(wire.parse('', random.chance(0.5) ? text : 'SELECT 1'), wire.bind('', ''), wire.execute(''));
        out.push(random.chance(0.5) ? wire.flush : wire.sync, wire.sync);
        break;
      case 6:
        out.push(wire.close(random.chance(0.5) ? 'S' : 'P', statement), wire.sync);
        break;
      default:
        out.push(random.pick([wire.flush, wire.sync, wire.copyDone, wire.copyData('late'), message('F', random.bytes(12))]));
    }
  }
  return out;
}
