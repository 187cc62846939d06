/** Who owns the tables of a class may call them what they like, and put code there. */

import { testAttacks } from '../support/attack-tests.ts';
import { owners } from './techniques/owners.ts';

testAttacks(owners);
