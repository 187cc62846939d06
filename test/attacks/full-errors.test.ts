/** Errors and notices with their values: each costs its bytes. */

import { testAttacks } from '../support/attack-tests.ts';
import { fullErrors } from './techniques/full-errors.ts';

testAttacks(fullErrors);
