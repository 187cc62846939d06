import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import type { Refusal } from '../policy/types.ts';

/** A refusal as ErrorResponse shows it. */
export function errorFields(refusal: Refusal): ErrorFields {
  return { severity: refusal.severity, sqlstate: refusal.sqlstate, message: refusal.message, detail: refusal.detail, hint: refusal.hint };
}

/** `ranThrough`: the statement was carried out before its rows were stopped, outside of a transaction block. */
export function errorOf(refusal: Refusal, ranThrough: boolean): Buffer {
  const fields = errorFields(refusal);
  if (!ranThrough) return writeErrorResponse(fields);
  return writeErrorResponse({ ...fields, detail: `${fields.detail ?? ''} The statement had already been carried out when its rows were stopped; what it changed stays.`.trim() });
}
