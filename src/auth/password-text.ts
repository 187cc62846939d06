import { saslprep } from '@mongodb-js/saslprep';

/**
 * A password as it goes into SCRAM: SASLprep (RFC 4013), and as it is where SASLprep does not allow it, or it is nothing but characters
 * that SASLprep takes out (pg_saslprep and its callers, src/common/saslprep.c).
 */
export function normalizePassword(password: string): string {
  try {
    const prepared = saslprep(password);
    return prepared === '' ? password : prepared;
  } catch {
    return password;
  }
}
