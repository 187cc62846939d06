/** What a session's statements leave in the server's own books, and what must be done before they reach it. */

import { LEDGERS, MOST_COUNTERS, type Ledger } from '../catalog/bookkeeping.ts';
import type { Reach } from '../catalog/reach-types.ts';
import { bookRuleId } from '../policy/form-refusals.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import type { Refusal } from '../policy/types.ts';
import { maySerialize } from '../sql/settings.ts';
import { flagOnce, type FlaggedRun } from './run-flags.ts';
import type { SessionState } from './session-state.ts';
import type { Statement } from './statement.ts';

const NONE: readonly Ledger[] = [];
const LOCKS: readonly Ledger[] = ['locks'];
const COUNTERS: readonly Ledger[] = ['counters'];

/** Those that must be marked before the statement is sent: nobody has, or not every process knows yet. */
export function booksToMark(session: SessionState, reach: Reach): readonly Ledger[] {
  const books = booksWritten(session, reach);
  if (books.length === 0) return NONE;
  const marks = session.gate.bookMarks(session.identity.database);
  return books.every((ledger) => marks.settled(ledger)) ? NONE : books;
}

/** Which books a statement that is about to be sent may write values of a class into. */
function booksWritten(session: SessionState, { classes, traces }: Reach): readonly Ledger[] {
  const counters = (traces?.counters ?? 0) > MOST_COUNTERS && session.counts !== false;
  const locks = session.serializes !== false || traces?.locks === true;
  if ((!counters && !locks) || classes.length === 0 || !session.principal.metered) return NONE;
  return locks ? (counters ? LEDGERS : LOCKS) : COUNTERS;
}

/** Marks what a statement may write into. A refusal if that cannot be kept. */
export async function markBooks(session: SessionState, run: FlaggedRun, ledgers: readonly Ledger[]): Promise<Refusal | undefined> {
  const { gate, identity } = session;
  try {
    const by = JSON.stringify({ at: new Date().toISOString(), principal: identity.principal, statement: run.id });
    const marks = gate.bookMarks(identity.database);
    await Promise.all(ledgers.map(async (ledger) => {
      const fresh = await marks.mark(ledger, by);
      if (fresh) flagOnce(session, run, { ruleId: `${bookRuleId(run.principal)}/${ledger}`, reason: `the statement may leave values of a class in ${IN_WORDS[ledger]}: reading them costs units from now on` });
    }));
    return undefined;
  } catch (error) {
    gate.storeFailed(error instanceof Error ? error : new Error(String(error)));
    return outageRefusal('store', run.principal);
  }
}

const IN_WORDS: Readonly<Record<Ledger, string>> = { counters: "the server's counters of tables (pg_stat_user_tables and the like)", locks: 'pg_locks' };

/** What a statement says of the session's transactions and counters, before it is sent. */
export function noteBooks(session: SessionState, statement: Statement): void {
  if (statement.kind !== 'known') return;
  const { kind, settings } = statement.facts;
  for (const change of settings) {
    if (maySerialize(change, kind === 'reset')) session.serializes = true;
    if (change.name === 'track_counts' || change.name === '*dynamic*') session.counts = true;
  }
}
