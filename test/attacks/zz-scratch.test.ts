import { test } from 'vitest';
import { carryOut, useTestBed } from '../support/attack.ts';
import { wire, type WireMessage } from '../support/wire-client.ts';
const bed = useTestBed({ sql: 'CREATE TABLE public.log (who text, what text); GRANT ALL ON public.log TO staff' });
const show = (ms: readonly WireMessage[]) => ms.filter((m) => m.type !== 'D').map((m) => m.type + m.body.toString('latin1').slice(0, m.type === 'E' ? 300 : 30).replaceAll('\0', '~')).join(' | ');
test('dbg', async () => {
  await carryOut(bed(), 'agent', false, async (a) => {
    const c = await a.connect();
    console.log('A', show(await c.ask([wire.query('BEGIN'), wire.query(`INSERT INTO public.log VALUES ('1', 'before')`), wire.query('SELECT email FROM crm.customers'), wire.query(`INSERT INTO public.log VALUES ('1', 'after')`), wire.query('COMMIT')], 5)));
    console.log('A2', show(await c.ask([wire.query('BEGIN'), wire.query(`INSERT INTO public.log VALUES ('1', 'before')`), wire.query('SELECT email FROM crm.customers'), wire.query(`INSERT INTO public.log VALUES ('1', 'after')`), wire.query('COMMIT')], 5)));
  });
  await carryOut(bed(), 'agent', false, async (a) => {
    const c = await a.connect();
    console.log('B', show(await c.ask([wire.run(`INSERT INTO public.log VALUES ('2', 'a')`), wire.run('SELECT email FROM crm.customers'), wire.run(`INSERT INTO public.log VALUES ('2', 'b')`), wire.sync])));
  });
  await carryOut(bed(), 'agent', false, async (a) => {
    const c = await a.connect();
    console.log('C', show(await c.query(`INSERT INTO public.log VALUES ('3', 'a'); SELECT email FROM crm.customers; INSERT INTO public.log VALUES ('3', 'b')`)));
  });
  console.log((await bed().admin.query('select * from log')).rows.map((r) => r.who + r.what).join());
});
