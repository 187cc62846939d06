import { writeErrorResponse, type ErrorFields } from '../protocol/backend-messages.ts';
import { outageRefusal } from '../policy/outage-refusal.ts';
import type { Refusal } from '../policy/types.ts';
import { isServerFull, TOO_MANY_CLIENTS } from './admission.ts';

/** A refusal as ErrorResponse shows it. */
export function errorFields(refusal: Refusal): ErrorFields {
  return { severity: refusal.severity, sqlstate: refusal.sqlstate, message: refusal.message, detail: refusal.detail, hint: refusal.hint };
}

/** As the last word of a connection. */
export function fatalFields(refusal: Refusal): ErrorFields {
  return { ...errorFields(refusal), severity: 'FATAL' };
}

/** To a client whose database has no catalog. The server that is full for Rowgate's own connection gives the answer that the client would get in a moment. */
export function catalogFailure(error: unknown): ErrorFields {
  return isServerFull(error) ? TOO_MANY_CLIENTS : fatalFields(outageRefusal('catalog', undefined));
}

/** `ranThrough`: the statement was carried out before its rows were stopped, outside of a transaction block. */
export function errorOf(refusal: Refusal, ranThrough: boolean): Buffer {
  const fields = errorFields(refusal);
  if (!ranThrough) return writeErrorResponse(fields);
  return writeErrorResponse({ ...fields, detail: `${fields.detail ?? ''} The statement had already been carried out when its rows were stopped; what it changed stays.`.trim() });
}
