/** Copies of the class under other names, and definitions that change while statements are on their way. */

import { testAttacks } from '../support/attack-tests.ts';
import { derivedCopies } from './techniques/derived-copies.ts';

testAttacks(derivedCopies);
