import type { RefusalCode } from './refusal-codes.ts';
import { askContact, refuse, sentences } from './refusal-codes.ts';
import type { PrincipalPolicy, Refusal } from './types.ts';

/** Parts of Rowgate without which protected data stops. */
export type Outage = 'store' | 'audit' | 'catalog';

const TEXTS: Readonly<Record<Outage, { readonly code: RefusalCode; readonly message: string; readonly detail: string }>> = {
  store: {
    code: 'store_unavailable',
    message: 'protected data is not available: its counter cannot be reached',
    detail: 'What is read of protected data has to be counted first, and the counter store does not answer.',
  },
  audit: {
    code: 'audit_unavailable',
    message: 'protected data is not available: the audit log cannot be written',
    detail: 'What is read of protected data has to be recorded first, and the record cannot be written.',
  },
  catalog: {
    code: 'catalog_unavailable',
    message: 'protected data is not available: the catalog of the database cannot be read',
    detail: 'Without the catalog it is not known whether the statement reaches protected data.',
  },
};

/** Says nothing about hosts, files or errors: those are in the log, for the people who run Rowgate. */
export function outageRefusal(outage: Outage, principal: Pick<PrincipalPolicy, 'contact'> | undefined): Refusal {
  const text = TEXTS[outage];
  return refuse(text.code, {
    ruleId: `outage/${outage}`,
    message: text.message,
    detail: text.detail,
    hint: sentences(
      outage === 'catalog' ? 'Try again in a moment.' : 'Statements that reach no protected data work. Try again in a moment.',
      askContact(principal?.contact, 'If it lasts'),
    ),
  });
}
