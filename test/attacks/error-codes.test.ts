/** What the SQLSTATE of an error can say, and errors that come where no statement runs. */

import { testAttacks } from '../support/attack-tests.ts';
import { errorCodes } from './techniques/error-codes.ts';

testAttacks(errorCodes, 150);
