/** What somebody tries who knows PostgreSQL 18 well and Rowgate not at all: its newest syntax, values in other clothes, code of the house, changes that carry rows on. */

import { testAttacks } from '../support/attack-tests.ts';
import { outsiders } from './techniques/outsiders.ts';

testAttacks(outsiders);
