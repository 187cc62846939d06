import { testClients } from './client-tests.ts';
import { PLAIN } from './modes.ts';

testClients(PLAIN);
