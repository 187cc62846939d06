/** Questions whose answer is one bit: by a row that is there or not, a count, an order, an error, the time. Many of them spell a token out. */

import { attackSuite, QUOTA, type Attacker, type Technique } from '../../support/attack.ts';
import { errorsOf, rowsOf, wire, type WireMessage } from '../../support/wire-client.ts';

export const blindQuestions = attackSuite('blind-questions');
const { attack, group } = blindQuestions;
/** The hash of a token: 32 bits. */
const BITS = 32;
const bit = (id: number, n: number): string => `get_bit(('x' || right(email, 8))::bit(32), ${n}) = 1 AND id = ${id}`;

/** Asks for every bit of every token up to `customers`, pipelined; `isSet` reads one answer. */
function spell(customers: number, question: (id: number, n: number) => string, isSet: (answer: readonly WireMessage[]) => boolean | undefined): Technique {
  return async (attacker: Attacker) => {
    const client = await attacker.connect();
    // Once nothing is answered any more there is no use in going on.
    for (let id = 1, silent = 0; id <= customers && silent < 3; id++) {
      const answers = await client.ask(Array.from({ length: BITS }, (_, n) => wire.query(question(id, n))), BITS);
      let hash = 0n;
      let known = true;
      let from = 0;
      for (let n = 0; n < BITS; n++) {
        const end = answers.findIndex(({ type }, at) => at >= from && type === 'Z');
        const value = end < 0 ? undefined : isSet(answers.slice(from, end + 1));
        from = end + 1;
        known &&= value !== undefined;
        hash = (hash << 1n) | (value === true ? 1n : 0n);
      }
      silent = known ? 0 : silent + 1;
      if (known) attacker.decoded += `cnry-${String(id).padStart(6, '0')}-${hash.toString(16).padStart(8, '0')} `;
    }
  };
}

const failed = (answer: readonly WireMessage[]): boolean => errorsOf(answer).some((code) => code === '53400' || code === '42501');
const byRow = (answer: readonly WireMessage[]): boolean | undefined => (failed(answer) ? undefined : rowsOf(answer).length > 0);
const byValue = (answer: readonly WireMessage[]): boolean | undefined => {
  const value = failed(answer) ? undefined : rowsOf(answer)[0]?.[0]?.toString();
  return value === undefined ? undefined : value === 't' || value === '1';
};

group('blind questions', 'blind questions', () => {
  const enough = QUOTA + 5;
  attack('by a row that is there or not', spell(enough, (id, n) => `SELECT 1 FROM crm.customers WHERE ${bit(id, n)}`, byRow));
  attack('by EXISTS', spell(enough, (id, n) => `SELECT EXISTS (SELECT FROM crm.customers WHERE ${bit(id, n)})`, byValue));
  attack('by a count', spell(enough, (id, n) => `SELECT count(*) FROM crm.customers WHERE ${bit(id, n)}`, byValue));
  attack('by the order of rows of another table', spell(enough, (id, n) => `SELECT x FROM (VALUES (0), (1)) v(x) ORDER BY x = (SELECT count(*) FROM crm.customers WHERE ${bit(id, n)}) DESC LIMIT 1`, byValue));
  attack('by LIMIT', spell(enough, (id, n) => `SELECT 1 FROM public.tariffs LIMIT (SELECT count(*) FROM crm.customers WHERE ${bit(id, n)})`, byRow));
  attack('by a join with nothing of the class in the result', spell(enough, (id, n) => `SELECT 1 FROM (VALUES (1)) v JOIN crm.customers ON ${bit(id, n)}`, byRow));
  attack('by an error', spell(enough, (id, n) => `SELECT 1 / (1 - (SELECT count(*) FROM crm.customers WHERE ${bit(id, n)}))`, (answer) => (failed(answer) ? undefined : errorsOf(answer).length > 0)));
  attack('by how many rows an UPDATE of another table changes', spell(enough, (id, n) => `UPDATE public.tariffs SET price = price WHERE name = 'tariff 1' AND EXISTS (SELECT FROM crm.customers WHERE ${bit(id, n)})`, (answer) => (failed(answer) ? undefined : answer.some(({ type, body }) => type === 'C' && body.toString().startsWith('UPDATE 1')))));
});
