/** Rows that a class decides about, and that hold nothing of it. */

import { testAttacks } from '../support/attack-tests.ts';
import { placedRows } from './techniques/placed-rows.ts';

testAttacks(placedRows);
