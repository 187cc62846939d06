/** Names that the server and Rowgate could understand differently: prepared statements, portals and cursors over time. */

import { testAttacks } from '../support/attack-tests.ts';
import { preparedWorld } from './techniques/prepared-world.ts';

testAttacks(preparedWorld);
