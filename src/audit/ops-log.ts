/** The operator's log: JSON on stdout, apart from the audit log. It says what the process does, not what employees do. */

import { pino, type DestinationStream, type Logger } from 'pino';
import { escapeJsonLine, maskUrlPasswords } from './redact.ts';

export type OpsLog = Logger;
export type OpsLogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

const secretKeys = ['password', 'passphrase', 'token', 'secret', 'authorization', 'verifier', 'clientKey', 'serverKey', 'storedKey', 'key'];

/** At the top and one and two levels down: the shapes in which configuration and options are logged. */
const redactPaths = secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

export interface LoggedError {
  readonly type: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/**
 * An error as it may be logged: type, code, message and stack, and none of its other properties. A PostgreSQL server's error carries row values in
 * `detail`, `where` and its message (`Key (email)=(...) already exists`): of such an error only the SQLSTATE stays.
 */
export function serializeError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, code: undefined, message: 'not an Error object', stack: undefined };
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  const codeText = typeof code === 'string' ? code : undefined;
  if (severity !== undefined) return { type: error.name, code: codeText, message: 'error of the PostgreSQL server', stack: undefined };
  return { type: error.name, code: codeText, message: error.message, stack: error.stack };
}

/** Without `stream`: stdout, written synchronously, so that the last lines before an exit are not lost. */
export function createOpsLog(level: OpsLogLevel, stream?: DestinationStream): OpsLog {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactPaths, censor: '***' },
      serializers: { err: serializeError, error: serializeError },
      hooks: { streamWrite: (line) => escapeJsonLine(maskUrlPasswords(line)) },
    },
    stream ?? pino.destination({ dest: 1, sync: true }),
  );
}
