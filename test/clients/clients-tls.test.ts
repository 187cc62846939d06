import { testClients } from './client-tests.ts';
import { TLS } from './modes.ts';

testClients(TLS);
