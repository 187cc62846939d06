import type { DenyCategory, Reach } from '../catalog/reach-types.ts';
import { DENY_CATEGORIES, ONLY_OVER_CLASSES } from './deny-categories.ts';
import { DENY_TEXTS, denyDetail } from './deny-texts.ts';
import { UNLISTED_ROLE } from './principal.ts';
import { askContact, listInWords, refuse, sentences } from './refusal-codes.ts';
import type { Decide, PrincipalPolicy, Refusal, Verdict } from './types.ts';

/** What deny rules and `unlisted` say about a statement, before anything is counted. */
export const decide: Decide = (reach, principal) => {
  const denied = deniedCategory(reach, principal);
  if (denied !== undefined) return blockOrFlag(denyRefusal(denied.category, denied.role, reach, principal), principal);
  if (reach.classes.length === 0) return ALLOW;
  switch (principal.unlisted) {
    case 'block':
      return blockOrFlag(unlistedRefusal(reach, principal), principal);
    case 'flag':
      return {
        kind: 'flag',
        ruleId: `${UNLISTED_ROLE}/flag`,
        reason: `login "${principal.principal}" is in no role and reaches ${classesInWords(reach)}`,
      };
    case 'allow':
    case undefined:
      return ALLOW;
  }
};

const ALLOW: Verdict = Object.freeze({ kind: 'allow' });

/** In monitor mode nothing is refused: what would have been is told instead. */
export function blockOrFlag(refusal: Refusal, principal: Pick<PrincipalPolicy, 'mode'>): Verdict {
  return principal.mode === 'monitor'
    ? { kind: 'flag', ruleId: refusal.ruleId, reason: refusal.message }
    : { kind: 'block', refusal };
}

function deniedCategory(reach: Reach, principal: PrincipalPolicy): { category: DenyCategory; role: string } | undefined {
  for (const category of DENY_CATEGORIES) {
    if (!reach.categories.has(category)) continue;
    if (ONLY_OVER_CLASSES.has(category) && reach.classes.length === 0) continue;
    const role = principal.deny.get(category);
    if (role !== undefined) return { category, role };
  }
  return undefined;
}

function denyRefusal(category: DenyCategory, role: string, reach: Reach, principal: PrincipalPolicy): Refusal {
  const text = DENY_TEXTS[category];
  const ruleId = `${role}/deny/${category}`;
  return refuse('statement_denied', {
    ruleId,
    message: `${text.what} is not allowed (rule ${ruleId})`,
    detail: denyDetail(category, reach),
    hint: sentences(text.instead, askContact(principal.contact, 'If your work needs it')),
  });
}

function unlistedRefusal(reach: Reach, principal: PrincipalPolicy): Refusal {
  const ruleId = `${UNLISTED_ROLE}/block`;
  const relations = [...new Set(reach.classes.flatMap((each) => each.relations))].toSorted();
  const causes = relations.length > 0 ? relations : reach.opaque;
  return refuse('unlisted_principal', {
    ruleId,
    message: `login "${principal.principal}" may not reach ${classesInWords(reach)} (rule ${ruleId})`,
    detail: sentences(
      'The login is in no role of the data protection policy.',
      causes.length === 0 ? undefined : `The statement reaches protected data by way of ${listInWords(causes)}.`,
    ),
    hint: 'Statements that reach no protected data work. Ask the people who run the database to add the login to a role.',
  });
}

/** `class "customers"`, `classes "customers" and "employees"` */
function classesInWords(reach: Reach): string {
  const names = reach.classes.map((each) => `"${each.className}"`);
  return `${names.length === 1 ? 'class' : 'classes'} ${listInWords(names)}`;
}
