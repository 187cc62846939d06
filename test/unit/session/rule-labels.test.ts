import { expect, it } from 'vitest';
import { LEDGERS } from '../../../src/catalog/bookkeeping.ts';
import * as formRefusals from '../../../src/policy/form-refusals.ts';
import { policyFor } from '../../../src/policy/principal.ts';
import type { PrincipalPolicy, Refusal } from '../../../src/policy/types.ts';
import { ruleLabels } from '../../../src/session/rule-labels.ts';
import { policyOf, VALID } from '../policy/fixtures.ts';

/** Rules that refuse a statement for its form, whatever it reaches. */
const FORMS = Object.entries(formRefusals).filter(([name]) => name.endsWith('Refusal')) as [string, (principal: PrincipalPolicy, size: undefined) => Refusal][];

it('metrics know every rule that refuses, in a role and in none', () => {
  const policy = policyOf(`${VALID}unlisted: block\n`);
  const rules = [...ruleLabels(policy).rules];
  const principals = [...policy.roles.flatMap(({ members }) => members.map(({ value }) => value)), 'nobody'].map((login) => policyFor(login, policy, () => false));
  expect(FORMS.length).toBeGreaterThan(4);
  for (const principal of principals) {
    for (const [, refusal] of FORMS) expect(rules).toContain(refusal(principal, undefined).ruleId);
    for (const [category, role] of principal.deny) expect(rules).toContain(`${role}/deny/${category}`);
    for (const ledger of LEDGERS) expect(rules).toContain(`${formRefusals.bookRuleId(principal)}/${ledger}`);
  }
});
