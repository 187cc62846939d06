/** Refusals for the form in which something was sent, whatever it asks for. */

import { askContact, refuse, sentences } from './refusal-codes.ts';
import type { PrincipalPolicy, Refusal } from './types.ts';

/** FunctionCall ("Function Call", the protocol's fast path). */
export function fastpathRefusal(principal: PrincipalPolicy): Refusal {
  const ruleId = `${principal.deny.get('fastpath') ?? roleOf(principal)}/deny/fastpath`;
  return refuse('statement_denied', {
    ruleId,
    message: `a function call by the fast-path interface is not allowed (rule ${ruleId})`,
    hint: 'Call the function with SELECT.',
  });
}

export function mixedBatchRefusal(principal: PrincipalPolicy): Refusal {
  const ruleId = `${roleOf(principal)}/mixed_batch`;
  return refuse('statement_denied', {
    ruleId,
    message: `a text of several statements that reads protected data and changes something is not allowed outside of a transaction (rule ${ruleId})`,
    detail: 'If the quota ended in the middle of it, its changes could not be undone any more.',
    hint: sentences('Send the statements one at a time, or send BEGIN first and COMMIT last, each by itself.', askContact(principal.contact, 'If your work needs it')),
  });
}

/** A text that is larger than `tooLargeFor` bytes, or not valid in client_encoding. */
export function unreadableRefusal(principal: PrincipalPolicy, tooLargeFor: number | undefined): Refusal {
  const ruleId = `${roleOf(principal)}/unreadable`;
  return refuse('statement_denied', {
    ruleId,
    message: tooLargeFor === undefined ? `the statement is not valid in the session's client_encoding (rule ${ruleId})` : `the statement is larger than ${tooLargeFor} bytes (rule ${ruleId})`,
    detail: 'Rowgate must be able to read a statement to let it through.',
    hint: askContact(principal.contact, 'If your work needs it'),
  });
}

/** A function that the statement may call was made or replaced while its rows were on the way: what the rest of them would be is not known. */
export function changedCodeRefusal(principal: PrincipalPolicy): Refusal {
  const ruleId = `${roleOf(principal)}/changed_code`;
  return refuse('statement_denied', {
    ruleId,
    message: `a function that the statement may call was changed while it ran (rule ${ruleId})`,
    detail: 'Rowgate cannot tell what the rest of its rows are made of.',
    hint: sentences('Run it again.', askContact(principal.contact, 'If your work needs it')),
  });
}

/** The counters or locks that the statement gives were free when it began, and can say anything by now. */
export function booksMovedRefusal(principal: PrincipalPolicy): Refusal {
  const ruleId = bookRuleId(principal);
  return refuse('statement_denied', {
    ruleId,
    message: `the server's counters or locks may have come to tell of protected data while the statement read them (rule ${ruleId})`,
    detail: 'A statement that was run meanwhile may have left values there.',
    hint: sentences('Run it again; it costs units now.', askContact(principal.contact, 'If your work needs it')),
  });
}

export function bookRuleId(principal: PrincipalPolicy): string {
  return `${roleOf(principal)}/bookkeeping`;
}

function roleOf(principal: PrincipalPolicy): string {
  return principal.roles[0] ?? 'unlisted';
}
