/** The ways of connecting in which every client must behave the same directly and through Rowgate. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '../support/certificates.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';
import { startTlsPostgres } from '../support/tls-postgres.ts';

export interface Side {
  /** Environment that libpq and the client programs read. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Setting {
  readonly direct: Side;
  readonly through: Side;
  readonly postgres: TestPostgres;
  readonly rowgate: TestRowgate;
  stop(): Promise<void>;
}

export const ROLES = [
  { user: 'dba', title: 'a role without limits' },
  { user: 'agent', title: 'a role with quotas' },
] as const;

export interface Mode {
  readonly name: 'plain' | 'tls';
  /** Roles in `npm test`; `npm run clients` has them all. */
  readonly roles: readonly (typeof ROLES)[number][];
  /** `binaries`: of a server of another version. */
  start(binaries?: string): Promise<Setting>;
}

/** Each client tries a wrong password, again and again for the same login: the delay that grows with it is tested elsewhere. */
const LIMITS = 'limits: { max_login_delay: 1s }';

/** Big enough for every step: what a quota does is tested elsewhere. */
const QUOTAS = '[{ class: customers, window: 1h, rows: 100000000, action: block }]';

/** Prepared transactions are among the steps. */
const FLAGS = ['-c', 'max_prepared_transactions=4'];

export const PLAIN: Mode = {
  name: 'plain',
  roles: ROLES,
  async start(binaries) {
    const postgres = await startPostgres(FLAGS, binaries);
    await makeBase(postgres);
    const rowgate = await startRowgate({ postgresPort: postgres.port, quotas: QUOTAS, extra: LIMITS });
    const home = mkdtempSync(join(tmpdir(), 'rowgate-clients-'));
    const side = (port: number): Side => ({ environment: environment(home, { PGHOST: '127.0.0.1', PGPORT: String(port), PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' }) });
    return {
      postgres, rowgate, direct: side(postgres.port), through: side(rowgate.port),
      async stop() {
        await rowgate.stop();
        await postgres.stop();
        rmSync(home, { recursive: true, force: true });
      },
    };
  },
};

/** Rowgate checks the password itself, and both of its connections are encrypted. The server takes nobody in plain text. */
export const TLS: Mode = {
  name: 'tls',
  // What a role may do does not depend on how it came in.
  roles: [ROLES[0]],
  async start(binaries) {
    const authority = new TestAuthority();
    const postgres = await startTlsPostgres(authority, { certificate: authority.issue('db', { names: 'DNS:localhost' }), flags: FLAGS, binaries });
    await makeBase(postgres);
    const admin = await postgres.connect();
    await admin.query("CREATE ROLE rowgate_auth LOGIN PASSWORD 'secret'; GRANT SELECT (rolname, rolpassword, rolvaliduntil) ON pg_authid TO rowgate_auth");
    await admin.end();
    const { cert, key } = authority.issue('rowgate', { names: 'DNS:localhost' });
    const rowgate = await startRowgate({
      postgresPort: postgres.port, upstreamHost: 'localhost', quotas: QUOTAS,
      listen: `tls: { cert: ${cert}, key: ${key}, mode: require }`,
      upstream: `tls: { mode: verify-full, ca: ${authority.ca} }`,
      extra: `auth: { method: scram, lookup: { user: rowgate_auth, password: secret } }\n${LIMITS}`,
    });
    const home = mkdtempSync(join(tmpdir(), 'rowgate-clients-'));
    // node-postgres takes the mode from the environment, but the authority from Node's own list.
    const side = (port: number): Side => ({ environment: environment(home, { PGHOST: 'localhost', PGPORT: String(port), PGSSLMODE: 'verify-full', PGSSLROOTCERT: authority.ca, PGGSSENCMODE: 'disable', NODE_EXTRA_CA_CERTS: authority.ca }) });
    return {
      postgres, rowgate, direct: side(postgres.port), through: side(rowgate.port),
      async stop() {
        await rowgate.stop();
        await postgres.stop();
        authority.remove();
        rmSync(home, { recursive: true, force: true });
      },
    };
  },
};

async function makeBase(postgres: TestPostgres): Promise<void> {
  await makeCustomerBase(postgres, 200);
  const admin = await postgres.connect();
  await admin.query('GRANT CREATE ON DATABASE postgres TO staff');
  await admin.end();
}

/** Nothing of the surroundings changes what a client prints. */
function environment(home: string, more: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TZ: 'UTC', PGDATABASE: 'postgres', PGPASSWORD: 'secret', PGCONNECT_TIMEOUT: '30', ...more };
}
