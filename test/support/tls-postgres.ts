/** A PostgreSQL that takes logins over TLS only, except from the test's own superuser. */

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownedByServer, type Certificate, type TestAuthority } from './certificates.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

export interface TlsPostgresOptions {
  readonly certificate: Certificate;
  /** Lines of pg_hba.conf for everybody but `postgres`. */
  readonly hba?: string;
  /** Lines of pg_ident.conf. */
  readonly ident?: string;
  /** More flags of the server. */
  readonly flags?: readonly string[];
  /** The programs of another version. */
  readonly binaries?: string | undefined;
}

export async function startTlsPostgres(authority: TestAuthority, options: TlsPostgresOptions): Promise<TestPostgres> {
  ownedByServer(options.certificate);
  const hba = join(authority.directory, `hba-${Math.random().toString(36).slice(2)}.conf`);
  const ident = `${hba}.ident`;
  writeFileSync(hba, `host all postgres 127.0.0.1/32 scram-sha-256\n${options.hba ?? 'hostssl all all 127.0.0.1/32 scram-sha-256'}\n`);
  writeFileSync(ident, options.ident ?? '');
  chmodSync(hba, 0o644);
  chmodSync(ident, 0o644);
  return startPostgres([
    '-c', 'ssl=on', '-c', `ssl_cert_file=${options.certificate.cert}`, '-c', `ssl_key_file=${options.certificate.key}`, '-c', `ssl_ca_file=${authority.ca}`,
    '-c', `hba_file=${hba}`, '-c', `ident_file=${ident}`, ...(options.flags ?? []),
  ], options.binaries);
}
