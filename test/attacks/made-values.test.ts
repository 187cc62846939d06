/** Code that runs where a value of a type is made. */

import { testAttacks } from '../support/attack-tests.ts';
import { madeValues } from './techniques/made-values.ts';

testAttacks(madeValues);
