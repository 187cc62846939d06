// Builds and starts the server that answers at once (scripted-server.c).
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, LOGIN, startProgram } from './servers.mjs';

const SOURCE = fileURLToPath(new URL('./scripted-server.c', import.meta.url));

/**
 * In C, since its CPU time comes out of the same cores as Rowgate's.
 * @param {{ cc: string, directory: string, postgresPort: number }} options  `postgresPort`: of the real server, for whoever is not `LOGIN`
 * @returns {Promise<import('./servers.mjs').Server>}
 */
export async function startScripted({ cc, directory, postgresPort }) {
  const command = join(directory, 'scripted-server');
  execFileSync(cc, ['-O2', '-o', command, SOURCE], { stdio: ['ignore', 'inherit', 'inherit'] });
  const port = await freePort();
  return startProgram({ name: 'scripted', command, args: [String(port), LOGIN, String(postgresPort)], port, directory });
}
