/** Code that asks a class and writes elsewhere, run for each of many rows. */

import { testAttacks } from '../support/attack-tests.ts';
import { codeThatWrites } from './techniques/code-that-writes.ts';

testAttacks(codeThatWrites, 150);
