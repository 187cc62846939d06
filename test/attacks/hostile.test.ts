/** Bookkeeping at its hardest: an almost empty quota, a crowd of sessions, two processes, everything cut in the middle. */

import { testAttacks } from '../support/attack-tests.ts';
import { hostile } from './techniques/hostile.ts';

testAttacks(hostile);
