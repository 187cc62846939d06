/** What statements leave behind besides rows. */

import { testAttacks } from '../support/attack-tests.ts';
import { traces } from './techniques/traces.ts';

testAttacks(traces, 150);
