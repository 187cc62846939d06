/** Several people in one number or a few bytes, and packing that only looks like one person's: with the default of `packed_unit_bytes`. */

import { testAttacks } from '../support/attack-tests.ts';
import { smallPackages } from './techniques/small-packages.ts';

testAttacks(smallPackages);
