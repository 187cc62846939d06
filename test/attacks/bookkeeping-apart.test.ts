/** The same where the statement and the look go through different processes. */

import { testAttacks } from '../support/attack-tests.ts';
import { bookkeepingApart } from './techniques/bookkeeping.ts';

testAttacks(bookkeepingApart, 150);
