/** Rows that describe more customers than they cost: packing, aggregates, window calls, columns, and rows of the class filled with others of it. */

import { testAttacks } from '../support/attack-tests.ts';
import { costOfARow } from './techniques/cost-of-a-row.ts';

testAttacks(costOfARow);
