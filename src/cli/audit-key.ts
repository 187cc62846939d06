import type { Config } from '../policy/config.ts';

/** The key's bytes are its characters, as every tool takes them. */
export function auditKey(config: Config): Buffer | undefined {
  const key = config.audit.key;
  return key === undefined ? undefined : Buffer.from(key.reveal(), 'utf8');
}
