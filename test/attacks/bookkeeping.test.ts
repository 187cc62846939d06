/** What the server keeps of its own work: cumulative counters and locks. */

import { testAttacks } from '../support/attack-tests.ts';
import { bookkeeping } from './techniques/bookkeeping.ts';

testAttacks(bookkeeping, 150);
