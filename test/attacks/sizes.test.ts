/** What the sizes of relations tell. */

import { testAttacks } from '../support/attack-tests.ts';
import { sizes } from './techniques/sizes.ts';

testAttacks(sizes, 150);
