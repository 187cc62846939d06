/** Every list of techniques, in the order of the table that `npm run attacks` prints. */

import type { AttackSuite } from '../support/attack.ts';
import { bookkeeping, bookkeepingApart } from './techniques/bookkeeping.ts';
import { blindQuestions } from './techniques/blind-questions.ts';
import { codeThatWrites } from './techniques/code-that-writes.ts';
import { copiesInherit } from './techniques/copies-inherit.ts';
import { costOfARow } from './techniques/cost-of-a-row.ts';
import { derivedCopies } from './techniques/derived-copies.ts';
import { errorCodes } from './techniques/error-codes.ts';
import { fullErrors } from './techniques/full-errors.ts';
import { hostile } from './techniques/hostile.ts';
import { madeValues } from './techniques/made-values.ts';
import { outsiders } from './techniques/outsiders.ts';
import { owners } from './techniques/owners.ts';
import { pipelines } from './techniques/pipelines.ts';
import { placedRows } from './techniques/placed-rows.ts';
import { preparedWorld } from './techniques/prepared-world.ts';
import { readersAndLogins } from './techniques/readers-and-logins.ts';
import { sideChannels } from './techniques/side-channels.ts';
import { sideDoors } from './techniques/side-doors.ts';
import { sizes } from './techniques/sizes.ts';
import { smallPackages } from './techniques/small-packages.ts';
import { traces } from './techniques/traces.ts';

export const SUITES: readonly AttackSuite[] = [pipelines, costOfARow, derivedCopies, copiesInherit, readersAndLogins, preparedWorld, sideChannels, errorCodes, fullErrors, sideDoors, blindQuestions, outsiders, owners, smallPackages, traces, placedRows, codeThatWrites, sizes, madeValues, bookkeeping, bookkeepingApart, hostile];
