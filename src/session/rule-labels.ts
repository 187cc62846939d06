import { LEDGERS } from '../catalog/bookkeeping.ts';
import type { ConfiguredLabels } from '../metrics/bounded-labels.ts';
import { DEFAULT_DENY } from '../policy/deny-categories.ts';
import { UNLISTED_ROLE, lookupRuleId } from '../policy/principal.ts';
import type { Policy } from '../policy/types.ts';

/** Every label value that metrics may carry under a policy: its roles, classes and rules, those without a line in the file included. */
export function ruleLabels(policy: Policy): ConfiguredLabels {
  const roles = [...policy.roles.map((role) => role.name), UNLISTED_ROLE];
  const rules = [
    ...policy.roles.flatMap((role) => role.quotas.map((quota) => quota.ruleId)),
    ...policy.roles.flatMap((role) => [...role.deny].map((category) => `${role.name}/deny/${category}`)),
    ...policy.roles.flatMap(({ name, lookups }) => (lookups === undefined ? [] : [...policy.classes.keys()].map((className) => lookupRuleId(name, className, lookups.windowText)))),
    ...roles.flatMap((role) => [`${role}/fixed_settings`, `${role}/mixed_batch`, `${role}/unreadable`, `${role}/changed_code`, ...LEDGERS.map((ledger) => `${role}/bookkeeping/${ledger}`), `${role}/bookkeeping`, `${role}/deny/fastpath`]),
    ...DEFAULT_DENY.map((category) => `${UNLISTED_ROLE}/deny/${category}`),
    `${UNLISTED_ROLE}/block`,
    `${UNLISTED_ROLE}/flag`,
    'login/name',
    'login/replication',
    'login/database',
    'outage/store',
    'outage/audit',
    'outage/catalog',
  ];
  return { roles, classes: policy.classes.keys(), rules };
}
