/**
 * Errors and notices towards a login with quotas while a class is in reach: the SQLSTATE and fixed words, no values. A
 * cast's error message quotes the value that it could not read, a constraint's DETAIL the row that broke it.
 */

import { readErrorFields, writeErrorResponse, writeNoticeResponse } from '../protocol/backend-messages.ts';
import type { Reach } from '../catalog/reach-types.ts';
import type { PrincipalPolicy } from '../policy/types.ts';

/** SQLSTATE classes whose messages speak of names, states and limits only, never of stored values (appendix "PostgreSQL Error Codes"). */
const VALUELESS_CLASSES: ReadonlySet<string> = new Set(['08', '25', '26', '28', '34', '40', '53', '54', '55', '57']);
const INSUFFICIENT_PRIVILEGE = '42501';

/** Conditions that people meet when they work; all others are told by their class. */
const CONDITIONS: Readonly<Record<string, string>> = {
  '22001': 'string data right truncation',
  '22003': 'numeric value out of range',
  '22004': 'null value not allowed',
  '22007': 'invalid datetime format',
  '22008': 'datetime field overflow',
  '22011': 'substring error',
  '22012': 'division by zero',
  '22021': 'character not in repertoire',
  '22023': 'invalid parameter value',
  '22P02': 'invalid text representation',
  '22P03': 'invalid binary representation',
  '21000': 'cardinality violation',
  '23502': 'not null violation',
  '23503': 'foreign key violation',
  '23505': 'unique violation',
  '23514': 'check violation',
  '23P01': 'exclusion violation',
  '44000': 'with check option violation',
  P0001: 'raise exception',
};

const CLASSES: Readonly<Record<string, string>> = {
  '21': 'cardinality violation',
  '22': 'data exception',
  '23': 'integrity constraint violation',
  P0: 'PL/pgSQL error',
  XX: 'internal error',
};

/** What five characters of 36 can say. */
export const SQLSTATE_BYTES = 4;

/** Messages that PostgreSQL writes without any value in them; whoever else writes the same says no more. */
const FIXED_MESSAGES: ReadonlySet<string> = new Set([
  'current transaction is aborted, commands ignored until end of transaction block',
  'canceling statement due to user request', 'canceling statement due to statement timeout', 'canceling statement due to lock timeout',
  'deadlock detected', 'division by zero',
]);

/** True if the message of this error can depend on nothing but the statement's own text and the session's state. */
export function showsNoValues(fields: ReadonlyMap<string, string>, reach: Reach): boolean {
  if (!reach.pure) return false;
  const sqlstate = fields.get('C') ?? '';
  // Parse analysis points at the place in the text; input functions that run on stored values have no place to point at, and quote the value
  // under the same SQLSTATEs (`syntax error in tsquery` is a 42601).
  if (sqlstate.startsWith('42')) return fields.has('P') || sqlstate === INSUFFICIENT_PRIVILEGE;
  return VALUELESS_CLASSES.has(sqlstate.slice(0, 2));
}

/** The grammar rejects the text itself, before any of it is looked up (parser/scan.l): not a text that code has put together, which comes with its context. */
export function isSyntaxError(fields: ReadonlyMap<string, string>): boolean {
  return fields.get('R') === 'scanner_yyerror' && !fields.has('W') && !fields.has('q');
}

export function mustRedact(principal: PrincipalPolicy, reach: Reach): boolean {
  return principal.redactErrors && reach.classes.length > 0;
}

/** `errors: full` to a login with quotas: texts go out as they are, for units. */
export function mustChargeText(principal: PrincipalPolicy, reach: Reach): boolean {
  return !principal.redactErrors && principal.metered && reach.classes.length > 0;
}

/** `named`: the prepared statement or cursor that the client's statement names. */
export function redactedError(buffer: Buffer, start: number, end: number, named?: string): Buffer {
  return writeErrorResponse(redactedFields(readErrorFields(buffer, start, end), named));
}

export function redactedNotice(buffer: Buffer, start: number, end: number): Buffer {
  return writeNoticeResponse(redactedFields(readErrorFields(buffer, start, end)));
}

function redactedFields(fields: ReadonlyMap<string, string>, named?: string): Parameters<typeof writeErrorResponse>[0] {
  const sqlstate = fields.get('C') ?? 'XX000';
  const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
  const message = fields.get('M') ?? '';
  // The client said the name itself.
  const ownName = named !== undefined && (message === `cursor "${named}" does not exist` || message === `prepared statement "${named}" does not exist`);
  if (ownName || FIXED_MESSAGES.has(message)) return { severity, sqlstate, message };
  const words = CONDITIONS[sqlstate] ?? CLASSES[sqlstate.slice(0, 2)] ?? 'database message';
  return { severity, sqlstate, message: `${words} (details withheld: the statement reaches protected data)` };
}
