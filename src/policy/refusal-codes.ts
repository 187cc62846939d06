import type { Refusal } from './types.ts';

/** Every refusal that Rowgate itself writes: what it is called, how PostgreSQL's clients see it, how loudly it is logged. */
export interface RefusalKind {
  /** docs: PostgreSQL manual, appendix "PostgreSQL Error Codes". */
  readonly sqlstate: string;
  readonly severity: Refusal['severity'];
  readonly logLevel: 'info' | 'warn' | 'error';
  readonly meaning: string;
}

export type RefusalCode =
  | 'statement_denied'
  | 'unlisted_principal'
  | 'quota_used_up'
  | 'session_ended_by_quota'
  | 'store_unavailable'
  | 'audit_unavailable'
  | 'catalog_unavailable'
  | 'database_denied'
  | 'replication_denied'
  | 'login_name_refused';

export const REFUSAL_KINDS: Readonly<Record<RefusalCode, RefusalKind>> = {
  statement_denied: {
    sqlstate: '42501',
    severity: 'ERROR',
    logLevel: 'warn',
    meaning: 'The statement is of a kind that a role of this login denies (`deny`).',
  },
  unlisted_principal: {
    sqlstate: '42501',
    severity: 'ERROR',
    logLevel: 'warn',
    meaning: 'The statement reaches protected data and the login is in no role (`unlisted: block`).',
  },
  quota_used_up: {
    sqlstate: '53400',
    severity: 'ERROR',
    logLevel: 'warn',
    meaning: 'A quota with `action: block` has too little left. The session goes on.',
  },
  session_ended_by_quota: {
    sqlstate: '53400',
    severity: 'FATAL',
    logLevel: 'warn',
    meaning: 'A quota with `action: terminate` has too little left. The session ends.',
  },
  store_unavailable: {
    sqlstate: '57P03',
    severity: 'ERROR',
    logLevel: 'error',
    meaning: 'The counter store does not answer, so protected rows cannot be counted.',
  },
  audit_unavailable: {
    sqlstate: '57P03',
    severity: 'ERROR',
    logLevel: 'error',
    meaning: 'No audit record can be written, so protected rows stop (`audit.on_failure: block`).',
  },
  catalog_unavailable: {
    sqlstate: '57P03',
    severity: 'ERROR',
    logLevel: 'error',
    meaning: 'The database\'s catalog cannot be read, so it is not known what a statement reaches.',
  },
  database_denied: {
    sqlstate: '42501',
    severity: 'FATAL',
    logLevel: 'warn',
    meaning: 'The login has limits and the database is not among those that it may reach (`upstream.databases`).',
  },
  replication_denied: {
    sqlstate: '42501',
    severity: 'FATAL',
    logLevel: 'warn',
    meaning: 'A replication connection by a login without `replication: true`.',
  },
  login_name_refused: {
    sqlstate: '28000',
    severity: 'FATAL',
    logLevel: 'warn',
    meaning: 'The login name is empty or longer than 63 bytes, so it does not name one login.',
  },
};

export interface RefusalText {
  readonly ruleId: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** The kind gives SQLSTATE and severity, the caller the words. */
export function refuse(code: RefusalCode, text: RefusalText): Refusal {
  const kind = REFUSAL_KINDS[code];
  return {
    kind: 'refusal',
    code,
    ruleId: text.ruleId,
    severity: kind.severity,
    sqlstate: kind.sqlstate,
    message: oneLine(text.message),
    detail: text.detail === undefined ? undefined : oneLine(text.detail),
    hint: text.hint === undefined ? undefined : oneLine(text.hint),
  };
}

/** Names of relations and functions are the database's: no control character of theirs reaches a terminal, and NUL would end the field (protocol "Error and Notice Message Fields"). */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
}

const MAX_LISTED = 5;
const MAX_NAME_LENGTH = 140;

/** `a, b and c`; of a long list its beginning. */
export function listInWords(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED).map((name) => (name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}...` : name));
  if (names.length > MAX_LISTED) shown.push(`${names.length - MAX_LISTED} more`);
  const last = shown.pop() ?? '';
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** Sentences of a hint that apply, in their order. */
export function sentences(...parts: readonly (string | undefined)[]): string | undefined {
  const said = parts.filter((part): part is string => part !== undefined && part !== '');
  return said.length === 0 ? undefined : said.join(' ');
}

/** `If you need it, ask data-protection@example.com.` */
export function askContact(contact: string | undefined, need: string): string | undefined {
  return contact === undefined ? undefined : `${need}, ask ${contact}.`;
}
